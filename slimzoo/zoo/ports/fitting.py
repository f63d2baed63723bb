"""Fits weights from elsewhere to the variables of a network here."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from nets.registry import Network
from slimbase.text import counted, listed
from slimzoo.zoo.ports import targets
from slimzoo.zoo.ports.weights import MisfitError, Weights, WidthError

# What a training keeps besides the weights: names, and ends of names.
_STEPS = ("global_step",)
_OF_TRAINING = (
    "/ExponentialMovingAverage",
    *("/Momentum", "/RMSProp", "/RMSProp_1", "/Adam", "/Adam_1", "/Adagrad"),
)


@dataclasses.dataclass(frozen=True)
class Fitted:
    """Values for the variables of a network here.

    Attributes:
      values: float32 values by name, each of its variable's shape.
      missing: names of variables that have no value: all of the classifier, or all of
        the auxiliary classifier, or none.
      notes: sentences on what was changed, left out and is missing.
    """

    values: Mapping[str, np.ndarray]
    missing: Sequence[str]
    notes: Sequence[str]


def classes(weights: Weights, network: Network) -> int | None:
    """The number of classes of the classifier in `weights`; None without one."""
    scope = network.classifier_scopes[0]
    for name, value in weights.tensors.items():
        if f"/{scope}/" in f"/{name}" and name.endswith("/biases") and value.ndim == 1:
            return len(value)
    return None


def _without_prefix(
    tensors: Mapping[str, np.ndarray], variables: Mapping[str, object]
) -> dict[str, np.ndarray]:
    """`tensors` without the scope that a module or an import has put before all names.

    None is removed where a variable is found under its own name.
    """
    first = next(iter(variables))
    prefixes = [n.removesuffix(first) for n in tensors if n.endswith(f"/{first}")]
    if first in tensors or len(prefixes) != 1:
        return dict(tensors)
    return {name.removeprefix(prefixes[0]): value for name, value in tensors.items()}


def fit(
    weights: Weights,
    network: Network,
    variables: Mapping[str, tuple[int, ...]],
) -> Fitted:
    """Gives each variable its value.

    Args:
      weights: from elsewhere.
      network: facts about the network.
      variables: shapes by name, as `targets.variables` returns them.

    Raises:
      MisfitError: where a value is missing or not finite, or one is left over; names
        them.
      WidthError: where one has another shape.
    """
    tensors = _without_prefix(weights.tensors, variables)
    missing = [name for name in variables if name not in tensors]
    notes = list(weights.differences)
    auxiliary_scopes = targets.auxiliary_scopes(network)
    allowed = _missing_scopes(
        missing, variables, (*weights.may_lack, *auxiliary_scopes)
    )
    wrong = [name for name in missing if not _is_in(name, allowed)]
    if wrong:
        some = f"first {next(iter(tensors))}" if tensors else "no more"
        raise MisfitError(
            f"{counted(len(wrong), 'variable')} of {network.name} of {len(variables)} "
            f"are not in {weights.kind}: {listed(wrong)}. It has {len(tensors)} "
            f"tensors, {some}. Check --model_name."
        )
    values = {}
    for name, shape in variables.items():
        if name in tensors:
            values[name] = _shaped(name, tensors.pop(name), shape, weights.kind)
    notes += _left_over(tensors, variables, weights.kind, network)
    notes += _with_our_epsilon(values, weights, network)
    notes += _on_missing(missing, weights, network)
    return Fitted(values, missing, notes)


def _on_missing(
    missing: Sequence[str], weights: Weights, network: Network
) -> list[str]:
    """Notes on the parts that the weights lack."""
    notes = []
    scopes = [s for s in targets.auxiliary_scopes(network) if _any_in(missing, s)]
    if scopes:
        notes.append(
            f"{weights.kind} has no auxiliary classifier ({', '.join(scopes)}), "
            "which only training uses: evaluation and export do without it; to train "
            "on, give --finetune or --ignore_missing_vars, which begin it anew."
        )
    if classes(weights, network) is not None:
        return notes
    scopes = [scope for scope in weights.may_lack if _any_in(missing, scope)]
    anew = ",".join([*scopes, *network.classifier_scopes])
    how = "--finetune=head or --finetune=all"
    if scopes:
        how = f"--checkpoint_exclude_scopes={anew}"
    notes.append(
        f"{weights.kind} has no classifier: the checkpoint is for fine-tuning, with "
        f"{how}."
    )
    return notes


def _any_in(names: Sequence[str], scope: str) -> bool:
    return any(_is_in(name, [scope]) for name in names)


def _missing_scopes(
    missing: Sequence[str], variables: Mapping[str, object], scopes: Sequence[str]
) -> list[str]:
    """Those of `scopes` of which all variables are missing."""
    return [
        scope
        for scope in scopes
        if {n for n in variables if _is_in(n, [scope])} <= set(missing)
    ]


def _is_in(name: str, scopes: Sequence[str]) -> bool:
    return any(name.startswith(f"{scope}/") for scope in scopes)


def _shaped(
    name: str, value: np.ndarray, shape: tuple[int, ...], kind: str
) -> np.ndarray:
    """`value` in `shape`; dense layers become convolutions of all their input."""
    is_kernel = name.endswith("/weights")
    there, here = value.shape, shape
    if is_kernel and (len(there), len(here)) == (2, 4):
        # Pictures are flattened as rows, columns, channels.
        if there == (int(np.prod(here[:-1])), here[-1]):
            value = value.reshape(here)
    elif is_kernel and (len(there), len(here)) == (4, 2) and there == (1, 1, *here):
        value = value.reshape(here)
    if value.shape != shape:
        raise WidthError(
            f"{name} has shape {list(value.shape)} in {kind}, but {list(shape)} in "
            "this network: it is of another network or width. Check --model_name and "
            "--depth_multiplier."
        )
    value = np.ascontiguousarray(value, np.float32)
    if not np.isfinite(value).all():
        raise MisfitError(
            f"{name} in {kind} has values that are no numbers: get it again"
        )
    return value


def _left_over(
    tensors: Mapping[str, np.ndarray],
    variables: Mapping[str, object],
    kind: str,
    network: Network,
) -> list[str]:
    """A note on what training had besides the weights."""
    of_training = [
        name
        for name in tensors
        if name in _STEPS
        or (name.endswith(_OF_TRAINING) and name.rpartition("/")[0] in variables)
    ]
    others = [name for name in tensors if name not in of_training]
    if others:
        raise MisfitError(
            f"{counted(len(others), 'tensor')} of {kind} have no place in "
            f"{network.name}: {listed(others)}. Check --model_name."
        )
    slots = [name for name in of_training if name not in _STEPS]
    if not slots:
        return []
    return [
        f"{counted(len(slots), 'tensor')} of {kind}'s training are left out, such as "
        f"{slots[0]}; the weights themselves are taken, not their moving averages."
    ]


def _with_our_epsilon(
    values: dict[str, np.ndarray], weights: Weights, network: Network
) -> list[str]:
    """Makes up for another epsilon, in place: the sum with the variance stays."""
    ours = targets.batch_norm_epsilon(network)
    changed = []
    for scope, epsilon in weights.epsilons.items():
        name = f"{scope}/moving_variance"
        # Keras keeps 0.001 as float32.
        if name not in values or abs(epsilon - ours) <= 1e-6 * ours:
            continue
        variance = values[name].astype(np.float64) + (epsilon - ours)
        if variance.min() < 0:
            raise MisfitError(
                f"batch norm of {scope} has epsilon {epsilon:g} in {weights.kind}, "
                f"{ours:g} here, and variances down to {values[name].min():g}: the "
                "difference cannot be made up for"
            )
        values[name] = variance.astype(np.float32)
        changed.append(epsilon)
    if not changed:
        return []
    return [
        f"batch norm's epsilon is {changed[0]:g} in {weights.kind}, {ours:g} here: "
        f"the variances of {len(changed)} layers make up for it."
    ]
