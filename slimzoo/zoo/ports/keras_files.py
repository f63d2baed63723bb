"""Files of Keras: whole models and weights alone, in each of its formats."""

import dataclasses
import json
import pathlib
import tempfile
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py
import keras
import tensorflow as tf
from absl import logging

from nets.registry import Network
from slimbase import errors
from slimbase.command_line.options import Size
from slimbase.errors import UserError
from slimzoo.zoo.ports import keras_models, keras_weights
from slimzoo.zoo.ports.keras_models import FAMILIES, Family
from slimzoo.zoo.ports.weights import MisfitError, Weights, WidthError

_HDF5 = b"\x89HDF\r\n\x1a\n"
_CONFIG = "config.json"
# What the applications are made of. Keras imports a module that a file names.
_MODULES = (
    *("keras.layers", "keras.models", "keras.initializers", "keras.regularizers"),
    *("keras.constraints", "keras.dtype_policies", "keras.activations", "keras.ops"),
    *("keras.src.layers", "keras.src.models", "keras.src.ops", "keras.src.engine"),
    "keras.src.applications",
)
_UNSAFE_CLASSES = ("Lambda", "TorchModuleWrapper", "TFSMLayer", "FlaxLayer", "JaxLayer")
_LAYERS = ("layers", "_layer_checkpoint_dependencies")  # As Keras 3.0 called them.
# Of training, which is not loaded.
_NOT_LOADED = ("compile_config", "build_config", "training_config")


def is_keras(path: pathlib.Path) -> bool:
    """Whether a file is HDF5 or `.keras`, by its content."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        if file.read(len(_HDF5)) == _HDF5:
            return True
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return {_CONFIG, "metadata.json"} <= set(archive.namelist())


def read(path: pathlib.Path, network: Network, width: float) -> Weights:
    """Reads a model, or the weights of an application.

    Raises:
      MisfitError: when the weights are not those of the network.
      UserError: when there is no such application, or the file is damaged, or holds
        code.
    """
    family = FAMILIES.get(network.name)
    if family is None:
        raise UserError(
            f"{network.name} has no namesake in Keras that computes the same: files of "
            f"Keras can be read for {', '.join(sorted(FAMILIES))}"
        )
    # Keras runs eagerly, also where a graph is being built.
    with tf.init_scope():
        config = _config(path)
        if config is None:
            model = _with_weights(path, network, family, width)
            return keras_weights.of_model(model, network, family)
        _check(config, path)
        model = _load(path, network, family, width)
        weights = keras_weights.of_model(model, network, family)
        return dataclasses.replace(weights, image_size=_image_size(config))


def load(path: pathlib.Path) -> keras.Model:
    """The model in a `.keras` file, on which training cannot go on.

    Raises:
      UserError: when the file is damaged, holds weights alone, or holds code.
    """
    config = _config(path)
    if config is None:
        raise UserError(f"{path} has weights alone: give a model, as model.save writes")
    _check(config, path)
    return _loaded(str(path))


def _loaded(path: str) -> keras.Model:
    model: Any = keras.models.load_model(
        path,
        custom_objects=keras_models.custom_objects(),
        compile=False,
        safe_mode=True,
    )
    return model


def _config(path: pathlib.Path) -> Any:
    """The configuration of a whole model; None where there are weights alone."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return json.loads(archive.read(_CONFIG))
        with h5py.File(path) as file:
            text = file.attrs.get("model_config")
        return None if text is None else json.loads(text)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error


def _check(config: Any, path: pathlib.Path) -> None:
    """Raises UserError for a model that holds code of its own, or asks for some."""
    for part in _parts(config):
        name, module = part["class_name"], part.get("module")
        of_keras = module is None or f"{module}.".startswith(
            tuple(f"{known}." for known in _MODULES)
        )
        if name in _UNSAFE_CLASSES or not (of_keras or module == "keras"):
            where = f" of {module}" if module else ""
            raise UserError(
                f"{path} has a {name}{where}, which is code, and code from files is "
                "not run. Save the model without it, or its application alone"
            )


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """All objects that a configuration describes."""
    if isinstance(config, dict):
        if isinstance(config.get("class_name"), str):
            yield config
        for key, value in config.items():
            if key not in _NOT_LOADED:
                yield from _parts(value)
    elif isinstance(config, list):
        for value in config:
            yield from _parts(value)


def _image_size(config: Any) -> Size | None:
    """Height and width of a model's input; None where it takes any."""
    for part in _parts(config):
        inner = part.get("config")
        if part["class_name"] == "InputLayer" and isinstance(inner, dict):
            shape = inner.get("batch_shape") or inner.get("batch_input_shape")
            if isinstance(shape, list) and len(shape) == 4 and None not in shape[1:3]:
                return int(shape[1]), int(shape[2])
            return None
    return None


def _load(
    path: pathlib.Path, network: Network, family: Family, width: float
) -> keras.Model:
    """The model in a file; if Keras cannot make it, the application in its place."""
    zipped = zipfile.is_zipfile(path)
    with tempfile.TemporaryDirectory() as directory:
        named = _named(path, directory, "model.keras" if zipped else "model.h5")
        try:
            return _loaded(named)
        except Exception as error:  # Keras raises all sorts.
            why = errors.reason(str(error))
            if zipped:
                raise UserError(
                    f"Keras cannot load {path}: {why}. If another release of Keras "
                    "wrote it, save its weights alone there, by "
                    "model.save_weights('model.weights.h5')"
                ) from error
    # It fails to read its own HDF5 files of MobileNet v3 and some of Keras 2.
    logging.info(
        f"Keras cannot load the layers of {path}: {why}. Its weights are put into a "
        f"new {family.application}."
    )
    return _with_weights(path, network, family, width)


def _with_weights(
    path: pathlib.Path, network: Network, family: Family, width: float
) -> keras.Model:
    """The application with the weights of a file that holds nothing else."""
    with h5py.File(path) as file:
        layers = next((file[name] for name in _LAYERS if name in file), None)
        is_new = layers is not None
        weights: Any = layers or file.get("model_weights") or file
        shapes = _shapes(weights)
    model = keras_models.build(family, width, None)
    features = [tuple(weight.shape) for weight in model.weights]
    top = _without(shapes, features)
    if top is None:
        raise WidthError(
            f"{path} has not the weights of {family.application} at width {width:g}, "
            f"Keras' {network.name}, by their shapes. Check --model_name and "
            "--depth_multiplier; of a model with layers of your own, save the whole "
            "model, by model.save('model.keras')"
        )
    if top:
        model = _with_top(model, family, width, top)
        if _without(shapes, [tuple(weight.shape) for weight in model.weights]) != []:
            raise MisfitError(
                f"{path} has other layers on top than {family.application}: save the "
                "whole model, by model.save('model.keras')"
            )
    with tempfile.TemporaryDirectory() as directory:
        named = _named(path, directory, "a.weights.h5" if is_new else "a.h5")
        try:
            model.load_weights(named)
        except Exception as error:  # Keras raises all sorts.
            raise MisfitError(
                f"Keras cannot load {path} into {family.application}: "
                f"{errors.reason(str(error))}. Save the whole model, by "
                "model.save('model.keras')"
            ) from error
    return model


def _with_top(
    features: keras.Model, family: Family, width: float, top: list[tuple[int, ...]]
) -> keras.Model:
    """The application with its own top, or with a dense layer where that is another."""
    classes = top[-1][-1]
    if {*map(len, top)} != {1, 2} or len(top) != 2:
        return keras_models.build(family, width, classes)
    pooled = keras.layers.GlobalAveragePooling2D()(features.output)
    return keras.Model(features.input, keras.layers.Dense(classes)(pooled))


def _shapes(group: h5py.Group) -> list[tuple[int, ...]]:
    """The shapes of all arrays of floats; dropout keeps integers, of its seed."""
    found = []

    def add(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            found.append(item.shape)

    group.visititems(add)
    return found


def _without(
    shapes: list[tuple[int, ...]], others: list[tuple[int, ...]]
) -> list[tuple[int, ...]] | None:
    """`shapes` without each of `others`, once; None if one of these is not there."""
    rest = list(shapes)
    for other in others:
        if other not in rest:
            return None
        rest.remove(other)
    return rest


def _named(path: pathlib.Path, directory: str, name: str) -> str:
    """A link to a file under a name that says to Keras which format it has."""
    link = pathlib.Path(directory, name)
    link.symlink_to(path.resolve())
    return str(link)


def _damaged(path: pathlib.Path, error: Exception) -> UserError:
    return UserError(f"{path} is damaged: {error}. Get it again")
