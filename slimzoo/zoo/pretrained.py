"""Chooses, downloads and unpacks published checkpoints."""

import itertools
import pathlib
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping

from absl import logging

from datasets import imagenet
from nets import addresses
from nets.addresses import Address
from nets.nets_factory import NETWORKS
from nets.published import PublishedCheckpoint
from nets.registry import Network
from slimbase import files, locks
from slimbase.errors import UserError
from slimbase.fetch import archives, checksums, download, mirrors
from slimzoo.config.zoo import DownloadConfig
from slimzoo.model import checkpoints
from slimzoo.model import info as model_info
from slimzoo.zoo.ports import port


def fetch(config: DownloadConfig) -> str:
    """Makes a published checkpoint ready, unless it is there already.

    The checkpoint gets a directory of its own in `checkpoint_dir`, with a model.json.
    The directory is there whole or not at all.

    Returns:
      The path of the checkpoint, as `--checkpoint_path` takes it.

    Raises:
      UserError: for mistakes that the user can correct.
    """
    if not config.checkpoint_dir:
        raise UserError("--checkpoint_dir is missing: give where to put checkpoints")
    if config.source:
        return _import(config, pathlib.Path(config.source))
    published = choose(config)
    directory = pathlib.Path(config.checkpoint_dir)
    target = directory / published.name
    with locks.locked(directory):
        if found := checkpoints.latest(str(target)):
            logging.info("%s is there already.", found)
            return found
        if target.exists():
            raise UserError(
                f"there is no checkpoint in {target}: {files.listing(str(target))}. "
                "Move it away to get it anew."
            )
        _fetch(published, target, config.mirror)
    return checkpoints.latest(str(target)) or ""


def _fetch(
    published: PublishedCheckpoint, target: pathlib.Path, mirror: str | None
) -> None:
    """Makes `target` of what the first address gives that has the weights."""
    reasons, first = [], None
    for address in (a for a in addresses.of(published) if a.same):
        try:
            _fetch_from(address, published, target, mirror)
        except download.UnavailableError as error:
            first = first or error
            reasons.append(_reason(address, error, mirror))
            logging.warning(f"{address.kind} gives no weights: {reasons[-1]}")
            continue
        if address.kind != addresses.ORIGINAL:
            lacks = " and ".join(address.lacks) or "nothing"
            logging.warning(
                f"Took {address.url} ({address.kind}) in place of {published.url}: it "
                f"has the same weights and lacks {lacks}."
            )
        return
    listed = "\n".join(f"  {reason}" for reason in reasons)
    others = "".join(
        f"\nOther weights of this network, not those of {published.name}, are at "
        f"{address.url} ({address.kind}): fetch them and give --from=FILE."
        for address in addresses.of(published)
        if not address.same
    )
    raise download.UnavailableError(
        f"no address gives the weights of {published.name}:\n{listed}\n"
        "Fetch one of these files by hand, for example on another machine. Then give "
        f"it with --from=FILE --model_name={published.network}, or put it into a "
        f"directory and name that by --mirror or {mirrors.VARIABLE}.{others}\n"
        f"Of the first address: {first}"
    )


def _reason(address: Address, error: UserError, mirror: str | None) -> str:
    """A line that says why an address gave nothing."""
    if mirrors.chosen(mirror):
        where = f"the mirror does not have {address.url}"
        is_missing = isinstance(error, download.NotFoundError)
        return f"{where}." if is_missing else str(error)
    status = getattr(error.__cause__, "__cause__", None)
    code = getattr(status, "code", None)
    if isinstance(error, (download.NotFoundError, download.ForbiddenError)):
        return f"{address.url} is gone ({code or 'no such file'})."
    return str(error)


def _fetch_from(
    address: Address,
    published: PublishedCheckpoint,
    target: pathlib.Path,
    mirror: str | None,
) -> None:
    """Fetches what is at an address and makes `target` of it."""
    # The suffix says how it is read; a part of one address is no part of another.
    suffix = pathlib.PurePosixPath(urllib.parse.urlsplit(address.url).path).suffix
    if suffix not in (".h5", ".safetensors"):
        suffix = ".tar.gz"
    path = target.with_name(f".{target.name}{suffix}")
    file = mirrors.fetch(
        address.url, path, mirror, md5=address.md5, least=address.least
    )
    origin = {"source_url": address.url, "source_sha256": checksums.sha256(file)}
    try:
        if address.kind == addresses.ORIGINAL:
            _unpack(file, target, published, origin)
            return
        try:
            port.import_weights(file, published.network, target, published, origin)
        except UserError as error:
            raise download.UnavailableError(
                f"what came from {address.url} cannot be used: {error}"
            ) from error
    finally:
        path.unlink(missing_ok=True)


def _import(config: DownloadConfig, source: pathlib.Path) -> str:
    """Makes a checkpoint of weights from elsewhere, in a directory named after them."""
    if not config.model_name:
        raise UserError("--model_name is missing; list_models.py lists the networks")
    options = (
        *(config.image_size, config.date, config.quantized),
        config.depth_multiplier,
    )
    # Without these they need not be those of a published checkpoint.
    is_published = any(option is not None for option in options)
    published = choose(config) if is_published else None
    stem = re.sub(r"(\.tar\.gz|\.weights\.h5|\.[A-Za-z]\w*)$", "", source.name)
    name = published.name if published else f"{config.model_name}_from_{stem}"
    directory = pathlib.Path(config.checkpoint_dir or "")
    with locks.locked(directory):
        return port.import_weights(
            source, config.model_name, directory / name, published
        )


def choose(config: DownloadConfig) -> PublishedCheckpoint:
    """The published checkpoint that `config` describes; of several, the most usual.

    Raises:
      UserError: if there is none.
    """
    if not config.model_name:
        raise UserError("--model_name is missing; list_models.py lists the networks")
    network = NETWORKS[config.model_name]
    if not network.checkpoints:
        known = [other.name for other in NETWORKS.values() if other.checkpoints]
        raise UserError(
            f"no checkpoint of {network.name} was published; there are some of "
            f"{', '.join(sorted(known))}"
        )
    fitting = [c for c in network.checkpoints if _fits(c, network, config)]
    if not fitting:
        raise UserError(
            f"no such checkpoint of {network.name} was published. There are:\n"
            + "\n".join(_overview(network.checkpoints))
        )
    best = max(fitting, key=lambda c: _preference(c, network))
    if len(fitting) > 1:
        logging.info(
            f"{len(fitting)} published checkpoints of {network.name} fit; taking that "
            f"of {_description(best)}. There are:\n" + "\n".join(_overview(fitting))
        )
    return best


def _fits(
    checkpoint: PublishedCheckpoint, network: Network, config: DownloadConfig
) -> bool:
    wanted = (
        (config.depth_multiplier, checkpoint.depth_multiplier or network.width),
        (config.image_size, checkpoint.image_size),
        (config.date and config.date.replace("_", "-"), checkpoint.date),
        (config.quantized, checkpoint.quantized),
    )
    return all(value in (None, fact) for value, fact in wanted)


def _preference(checkpoint: PublishedCheckpoint, network: Network) -> tuple:
    return (
        checkpoint.depth_multiplier is None,
        not checkpoint.quantized,
        checkpoint.image_size == network.image_size,
        checkpoint.date or "",
        checkpoint.image_size,
    )


def _description(checkpoint: PublishedCheckpoint, sizes: str = "") -> str:
    width = checkpoint.depth_multiplier
    flags = [
        f"--depth_multiplier={width:g}" if width else "",
        f"--image_size={sizes or checkpoint.image_size}",
        f"--date={checkpoint.date}" if checkpoint.date else "",
        "--quantized" if checkpoint.quantized else "",
    ]
    return " ".join(filter(None, flags))


def _overview(found: Iterable[PublishedCheckpoint]) -> Iterator[str]:
    """A line for each group of checkpoints that differ only in size."""

    def but_size(checkpoint: PublishedCheckpoint) -> tuple[float, str, bool]:
        width = checkpoint.depth_multiplier or 0
        return width, checkpoint.date or "", checkpoint.quantized

    for _, group in itertools.groupby(sorted(found, key=but_size), but_size):
        alike = list(group)
        sizes = "|".join(str(c.image_size) for c in alike)
        yield f"  {_description(alike[0], sizes)}"


def _unpack(
    archive: pathlib.Path,
    target: pathlib.Path,
    published: PublishedCheckpoint,
    origin: Mapping[str, str],
) -> None:
    """Unpacks an archive into `target`, which is there whole or not at all."""
    with files.new_directory(target) as work:
        archives.extract_tarball(archive, work)
        checkpoint = _checkpoint_in(work, archive)
        checkpoints.shapes(str(checkpoint))  # Raises an error if it cannot be read.
        _info(published).write(str(checkpoint.parent), origin)
        state = f'model_checkpoint_path: "{checkpoint.relative_to(work)}"\n'
        (work / "checkpoint").write_text(state, "utf-8")


def _checkpoint_in(work: pathlib.Path, archive: pathlib.Path) -> pathlib.Path:
    """The checkpoint that was unpacked; of several, the moving averages in `ema`."""
    indices = work.rglob("*.index")
    found = [path.with_name(path.name.removesuffix(".index")) for path in indices]
    found = found or list(work.rglob("*.ckpt"))  # Of the old V1 format.
    if not found:
        raise UserError(f"there is no checkpoint in {archive}")
    return min(found, key=lambda path: (path.parent.name != "ema", path))


def _info(published: PublishedCheckpoint) -> model_info.ModelInfo:
    return model_info.ModelInfo(
        model_name=published.network,
        labels_offset=published.labels_offset,
        image_size=(published.image_size, published.image_size),
        channels=NETWORKS[published.network].channels,
        preprocessing_name=published.preprocessing,
        use_grayscale=False,
        dataset_name="imagenet",
        num_classes=published.classes,
        labels=imagenet.readable_names(published.classes),
        quantize=published.quantized,
        network_arguments=published.network_arguments or None,
    )
