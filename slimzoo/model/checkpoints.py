"""Finding checkpoints, looking into them, and fitting them to a graph."""

import contextlib
import os
import pathlib
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import tensorflow.compat.v1 as tf

from slimbase import errors, files
from slimbase.errors import UserError
from slimzoo.model import scopes

BEST = "best"  # Directory, below that of a training, of its best checkpoint.

_SAVING = ("SaveV2", "MergeV2Checkpoints")  # Types of operations.
# TensorFlow's reader translates some of its errors to Python's.
_READER_ERRORS = (tf.errors.OpError, ValueError, IndexError)


def latest(directory: str) -> str | None:
    """The latest checkpoint of `directory`, or None.

    State files of TensorFlow 1 name their checkpoints by full paths. Where such a
    directory was moved or copied, the checkpoint inside it wins over one that is left
    in the old place.
    """
    state = tf.train.get_checkpoint_state(directory)
    if state is not None and state.model_checkpoint_path:
        inside = _inside(directory, state.model_checkpoint_path)
        if is_there(inside):
            return inside
    return tf.train.latest_checkpoint(directory)


def all_in(directory: str) -> list[str]:
    """The checkpoints of `directory`, by step.

    Raises:
      UserError: when there is none.
    """
    indices = pathlib.Path(directory).glob("*.index")
    found = [str(path).removesuffix(".index") for path in indices]
    if not found:
        raise UserError(f"no checkpoint in {directory}: {files.listing(directory)}")
    return sorted(found, key=lambda path: (step_of(path), path))


def adopt(directory: str) -> None:
    """Makes the state file of a directory that was moved name the files inside it."""
    state, found = tf.train.get_checkpoint_state(directory), latest(directory)
    if state is None or not found or state.model_checkpoint_path == found:
        return
    inside = [_inside(directory, path) for path in state.all_model_checkpoint_paths]
    paths = [path for path in inside if is_there(path)]
    if os.path.isabs(directory):  # noqa: PTH117  Else TensorFlow makes them relative.
        found, *paths = map(os.path.basename, [found, *paths])
    tf.train.update_checkpoint_state(directory, found, paths)


def _inside(directory: str, checkpoint: str) -> str:
    return os.path.join(directory, os.path.basename(checkpoint))  # noqa: PTH118, PTH119


def is_there(checkpoint: str) -> bool:
    """Whether there is such a checkpoint; training deletes old ones."""
    return tf.train.checkpoint_exists(checkpoint)


def find(path: str) -> str:
    """The prefix of the checkpoint that `path` names.

    Args:
      path: a directory (its latest checkpoint), a prefix such as `model.ckpt-100`,
        any of the files of a prefix, or a file of the old V1 format.

    Raises:
      UserError: when there is no checkpoint.
    """
    if tf.gfile.IsDirectory(path):
        found = latest(path)
        if found:
            return found
        # Published archives hold one checkpoint and no state file.
        indices = tf.gfile.Glob(f"{path.rstrip('/')}/*.index")
        if len(indices) == 1:
            return indices[0].removesuffix(".index")
        raise UserError(f"no checkpoint in {path}: {files.listing(path)}")
    if path.endswith((".tflite", ".onnx", ".pb")):
        raise UserError(f"{path} is no checkpoint: give it as --graph")
    prefix = re.sub(r"\.(index|meta|data-\d+-of-\d+)$", "", path)
    for candidate in (prefix, path):
        if is_there(candidate):
            return candidate
    there = files.listing(files.parent(path))
    raise UserError(f"there is no checkpoint {path}: {there}")


def step_of(checkpoint: str) -> int:
    """The global step in `checkpoint`; 0 without one."""
    reader = _reader(checkpoint)
    if not reader.has_tensor("global_step"):
        return 0
    try:
        return int(reader.get_tensor("global_step"))
    except _READER_ERRORS as error:
        raise _unreadable(checkpoint, error) from error


def _reader(checkpoint: str) -> Any:  # TensorFlow exports no type of it.
    try:
        return tf.train.NewCheckpointReader(checkpoint)
    except _READER_ERRORS as error:
        raise _unreadable(checkpoint, error) from error


def _unreadable(checkpoint: str, error: Exception) -> UserError:
    return UserError(
        f"cannot read the checkpoint {checkpoint}: "
        f"{errors.reason(getattr(error, 'message', str(error)))}. Are all of its files "
        "there and whole?"
    )


def shapes(checkpoint: str) -> dict[str, list[int]]:
    """The shape of each variable in `checkpoint`, by name."""
    return dict(_reader(checkpoint).get_variable_to_shape_map())


def count_classes(checkpoint: str, classifier_scope: str) -> int:
    """The number of classes of the classifier in `checkpoint`, by its biases.

    Raises:
      UserError: when `classifier_scope` has no biases.
    """
    variables = shapes(checkpoint)
    for name, shape in variables.items():
        if name.startswith(f"{classifier_scope}/") and name.endswith("/biases"):
            return shape[0]
    raise UserError(
        f"the checkpoint {checkpoint} has no classifier in {classifier_scope}, but "
        f"variables under {', '.join(scopes.of(variables, 1)[:5])}: check --model_name"
    )


def classes_or_none(checkpoint: str, classifier_scope: str) -> int | None:
    """`count_classes`, or None where it finds no classifier."""
    try:
        return count_classes(checkpoint, classifier_scope)
    except UserError:
        return None


def fitting(
    variables: Mapping[str, tf.Variable],
    checkpoint: str,
    *,
    classifier_scopes: Sequence[str] = (),
    advice: str,
    missing_advice: str = "",
    ignore_missing: bool = False,
) -> dict[str, tf.Variable]:
    """The `variables` that `checkpoint` can give a value.

    Args:
      variables: variables by their name in the checkpoint.
      checkpoint: prefix, as `find` returns it.
      classifier_scopes: scopes whose shapes depend on the number of classes.
      advice: advice for another number of classes.
      missing_advice: advice for missing variables, besides to check that the network is
        the same.
      ignore_missing: whether variables that the checkpoint lacks are left out.

    Raises:
      UserError: for the first variable that is missing or has another shape.
    """
    available = shapes(checkpoint)
    missing = [name for name in variables if name not in available]
    present = {name: v for name, v in variables.items() if name in available}
    if missing and not (present and ignore_missing):
        message = _missing_message(missing, variables, available, checkpoint)
        raise UserError(message + (missing_advice if present else ""))
    for name, variable in present.items():
        here, there = variable.shape.as_list(), available[name]
        if here == there:
            continue
        message = (
            f"{name} has shape {there} in the checkpoint {checkpoint}, but {here} in "
            "this network."
        )
        if name.startswith(tuple(classifier_scopes)) and here[:-1] == there[:-1]:
            message += (
                f" The checkpoint has {there[-1]} classes, this network {here[-1]}: "
                f"{advice}"
            )
        elif len(here) == 4 and {here[2], there[2]} == {1, 3}:
            message += (
                f" The checkpoint takes pictures of {there[2]} channels, this network "
                f"of {here[2]}: check --use_grayscale."
            )
        else:
            message += " The checkpoint is of another network or width."
        raise UserError(message)
    return present


def _missing_message(
    missing: Sequence[str],
    variables: Collection[str],
    available: Collection[str],
    checkpoint: str,
) -> str:
    tops = scopes.of(sorted(available), 1)
    message = (
        f"{len(missing)} of {len(variables)} variables are not in the checkpoint "
        f"{checkpoint}, first {missing[0]}; it holds {len(available)} variables "
        f"under {', '.join(tops[:5])}."
    )
    suffix = "/ExponentialMovingAverage"
    has_averages = any(name.endswith(suffix) for name in available)
    if missing[0].endswith(suffix) and not has_averages:
        advice = "give --moving_average_decay=0 to use the weights themselves"
        return f"{message} It has no moving averages: {advice}."
    if len(missing) == len(variables):
        return message + " It is of another network: check --model_name."
    if missing[0].rpartition("/")[0] in available:  # A slot of the optimizer.
        return (
            f"{message} The network fits: check --optimizer, --finetune and "
            "--trainable_scopes."
        )
    return message + " Check --model_name."


def restorer(
    variables: Mapping[str, tf.Variable], checkpoint: str
) -> Callable[[tf.Session], None]:
    """A function that gives `variables` their values in a session.

    It raises UserError where the checkpoint's files are damaged or incomplete.

    Args:
      variables: variables by their name in the checkpoint, as `fitting` returns them.
      checkpoint: prefix, as `find` returns it.
    """
    saver = tf.train.Saver(variables)

    def restore(session: tf.Session) -> None:
        with explained_errors(checkpoint):
            saver.restore(session, checkpoint)

    return restore


@contextlib.contextmanager
def explained_errors(checkpoint: str) -> Iterator[None]:
    """Explains failures to restore `checkpoint`.

    Raises:
      UserError: for files that are damaged or incomplete.
    """
    try:
        yield
    except (
        tf.errors.DataLossError,
        tf.errors.NotFoundError,
        tf.errors.OutOfRangeError,
    ) as error:
        raise _unreadable(checkpoint, error) from error


@contextlib.contextmanager
def explained_save_errors(directory: str) -> Iterator[None]:
    """Explains failures to write to `directory`.

    Raises:
      UserError: when the disk is full or cannot be written; the earlier checkpoints
        are still there.
    """
    try:
        yield
    except tf.errors.OpError as error:
        is_saving = error.op is not None and error.op.type in _SAVING
        if not is_saving and directory not in error.message:
            raise
        _remove_unfinished(directory)
        raise UserError(
            f"cannot write to {directory}: {errors.reason(error.message)}. The last "
            f"checkpoint there is {latest(directory)}; make room and start again to go "
            "on from it."
        ) from error


def _remove_unfinished(directory: str) -> None:
    for pattern in ("*_temp", "*.tempstate*", "*.meta.tmp*"):
        for path in pathlib.Path(directory).glob(pattern):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
