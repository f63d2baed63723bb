"""The weights of timm's models, by the names of our variables: NumPy only.

PyTorch keeps kernels as `[out, in, height, width]`, of depthwise convolutions
`[channels, 1, height, width]`, of dense layers `[out, in]`.
"""

from collections.abc import Collection, Mapping

import numpy as np

from slimbase.text import counted, listed
from slimzoo.zoo.ports.timm_models import Model
from slimzoo.zoo.ports.weights import MisfitError

_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_OTHERS = {"weight": "weights", "bias": "biases"}
# Counts steps of training, for averages without a decay, which are not used here.
_COUNTER = "num_batches_tracked"


def of_tensors(
    tensors: Mapping[str, np.ndarray], model: Model, variables: Collection[str]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Gives timm's tensors the names and layouts of our variables.

    Args:
      tensors: values by timm's names; they are not changed.
      model: which of timm's models it is.
      variables: names of our variables, in the order of the layers.

    Returns:
      Values by the names of our variables, of which some may be missing, and sentences
      on what was left out and changed.

    Raises:
      MisfitError: when a tensor has no place here; names what was found.
    """
    counters = [name for name in tensors if name.rpartition(".")[2] == _COUNTER]
    split = {
        name: (name.rpartition(".")[0], name.rpartition(".")[2])
        for name in tensors
        if name not in counters
    }
    targets = model.rules.targets({layer for layer, _ in split.values()}, variables)
    found, left_over = {}, []
    for name, (layer, parameter) in split.items():
        is_norm = f"{layer}.running_mean" in tensors
        ours = (_NORM if is_norm else _OTHERS).get(parameter)
        if layer not in targets or ours is None:
            left_over.append(name)
            continue
        target = targets[layer]
        if target.endswith("_weights") and ours == "weights":
            found[target] = _kernel(tensors[name], target)
        else:
            found[f"{target}/{ours}"] = _kernel(tensors[name], ours)
    if left_over:
        raise MisfitError(
            f"{counted(len(left_over), 'tensor')} of {len(split)} are not timm's "
            f"{model.name}: {listed(left_over)}. {_guess(left_over)}Check --model_name"
        )
    notes = []
    if counters:
        notes.append(
            f"{counted(len(counters), 'tensor')} named {_COUNTER} are left out: they "
            "count steps of training in PyTorch, and nothing here uses them."
        )
    notes += _without_gamma(found, set(variables))
    return found, notes


def _kernel(value: np.ndarray, target: str) -> np.ndarray:
    """`value` in TensorFlow's layout."""
    if value.ndim == 4:
        is_depthwise = target.endswith("depthwise_weights")
        return value.transpose((2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0))
    return value.T if value.ndim == 2 else value


def _without_gamma(tensors: dict[str, np.ndarray], variables: set[str]) -> list[str]:
    """Removes scales of batch norm that our network does not have, in place.

    Those other than ones go into the kernel before batch norm, and into the mean:
    g(Wx - m) is (gW)x - gm.
    """
    ones, folded = 0, []
    for name in [n for n in tensors if n.endswith("/gamma") and n not in variables]:
        gamma = tensors.pop(name).astype(np.float64)
        if (gamma == 1).all():
            ones += 1
            continue
        norm = name.removesuffix("/gamma")
        kernel = f"{norm.removesuffix('/BatchNorm')}/weights"
        for changed in (kernel, f"{norm}/moving_mean"):
            if changed not in tensors or tensors[changed].shape[-1:] != gamma.shape:
                raise MisfitError(
                    f"{name} has shape {list(gamma.shape)} and no {changed} that it "
                    "can be multiplied into. Check --model_name"
                )
            tensors[changed] = (tensors[changed] * gamma).astype(np.float32)
        folded.append(norm)
    notes = []
    if ones:
        notes.append(
            f"{counted(ones, 'scale')} of batch norm, all ones, are left out: this "
            "network has none."
        )
    if folded:
        notes.append(
            f"{counted(len(folded), 'scale')} of batch norm that are not ones, first "
            f"{folded[0]}'s, are multiplied into the convolutions before them, as this "
            "network has no scales: outputs stay the same. In training batch norm "
            "would undo it: train with --freeze_batch_norm."
        )
    return notes


# What names of layers say about where weights are from.
_KNOWN = (
    ("layer1.0.", "a ResNet of torchvision or timm"),
    ("features.0.0.", "a MobileNet of torchvision"),
    ("Mixed_", "Inception v3 of torchvision or timm"),
    ("mixed_5b.", "Inception-ResNet v2 of timm"),
    ("cell_stem_0.", "NASNet-A or PNASNet of timm"),
    ("features.", "VGG, Inception v4 or another network of torchvision or timm"),
    ("blocks.", "a network of timm, such as a MobileNet or a transformer"),
    ("model.", "a wrapper around a network"),
    ("module.", "a wrapper around a network"),
)


def _guess(names: Collection[str]) -> str:
    """A sentence on what network has layers of such names; empty if unknown."""
    for start, what in _KNOWN:
        if any(name.startswith(start) for name in names):
            return f"Names that begin with {start} are those of {what}. "
    return ""
