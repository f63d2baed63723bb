"""Where a published checkpoint can be had: its own address, and those of ports."""

import dataclasses
import urllib.parse

from nets import weight_ports
from nets.published import PublishedCheckpoint
from nets.weight_ports import WeightPort

# Ends of file names by what is at an address.
_SUFFIXES = {
    "checkpoint": ".tar.gz",
    "hub": ".tar.gz",
    "keras": ".h5",
    "timm": ".safetensors",
}
_ORIGINS = {
    "keras": "Keras trained them itself",
    "unknown": "nothing says which of the published checkpoints they were made from",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Address:
    """An address of the weights of a published checkpoint, or of the same network.

    Attributes:
      url: the address.
      kind: checkpoint, hub, keras or timm.
      directory: name of the directory for the checkpoint that is made of them.
      name: a part of the address that says what it is, where its last part does not.
      md5: in hexadecimal digits; None where none was published.
      note: what is not as in the checkpoint that was published; "" for that itself.
      has_the_weights: whether they are known to be those of the checkpoint.
    """

    url: str
    kind: str
    directory: str
    name: str = ""
    md5: str | None = None
    note: str = ""
    has_the_weights: bool = True

    @property
    def suffix(self) -> str:
        """The end of the name of what is there."""
        return _SUFFIXES[self.kind]


def addresses(checkpoint: PublishedCheckpoint) -> tuple[Address, ...]:
    """All addresses, in the order in which they are to be tried.

    First those where it was published, through HTTPS before HTTP; then ports of the
    same weights; then ports of others of the same network, width and size.
    """
    own = dict.fromkeys([_secure(checkpoint.url), checkpoint.url])
    found = [
        Address(url=url, kind="checkpoint", directory=checkpoint.name) for url in own
    ]
    for port in weight_ports.ports(checkpoint):
        found += _of_port(port, checkpoint)
    return tuple(found)


def _secure(url: str) -> str:
    return urllib.parse.urlsplit(url)._replace(scheme="https").geturl()


def _of_port(port: WeightPort, checkpoint: PublishedCheckpoint) -> list[Address]:
    same = port.has_weights_of(checkpoint)
    if same:
        note = f"the weights of {checkpoint.name}, as {port.title} has them"
    else:
        origin = _ORIGINS.get(port.origin) or (
            f"they are those of {port.origin}, which were trained anew for "
            f"{checkpoint.date}"
        )
        note = (
            f"weights of {port.title} for the same network and size, but not those of "
            f"{checkpoint.name}: {origin}. Accuracies may be others than published"
        )
    directory = checkpoint.name if same else f"{checkpoint.name}_of_{port.kind}"
    return [
        Address(
            url=url,
            kind=port.kind,
            directory=directory,
            # Others of a kind have the same last part: 5.tar.gz, model.safetensors.
            name="" if port.kind == "keras" else port.name,
            md5=port.md5,
            note=note,
            has_the_weights=same,
        )
        for url in port.urls
    ]
