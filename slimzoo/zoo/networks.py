"""Looks up networks in the registry by patterns, and makes their rows of a list."""

from collections.abc import Iterator, Sequence

from nets import addresses
from nets.nets_factory import NETWORKS
from nets.registry import Network
from slimzoo.zoo import tables
from slimzoo.zoo.tables import NetworkRow


def find(patterns: Sequence[str] = ()) -> list[Network]:
    """The networks that match `patterns`, as `tables.matching` finds them."""
    return [NETWORKS[name] for name in tables.matching(NETWORKS, patterns)]


def row(network: Network) -> NetworkRow:
    """The row of `network`."""
    accuracies = [
        checkpoint.top1
        for checkpoint in network.checkpoints
        if checkpoint.depth_multiplier is None and not checkpoint.quantized
    ]
    return NetworkRow(
        network.name,
        network.image_size,
        network.parameters,
        network.multiply_adds,
        max(filter(None, accuracies), default=None),
        network.preprocessing,
        " ".join(_places(network)),
    )


def _places(network: Network) -> Iterator[str]:
    """Kinds of places that have weights of its own width, in floats or not."""
    own = [c for c in network.checkpoints if c.depth_multiplier is None]
    found = {kind for checkpoint in own for kind in addresses.kinds(checkpoint)}
    return filter(found.__contains__, addresses.KINDS)


def rows() -> list[NetworkRow]:
    """The rows of all networks, in natural order."""
    return [row(network) for network in find()]
