"""Which network is used, with which weights, classes and labels offset.

A flag wins over model.json (or the facts that export writes beside a file), and that
over the registry of networks; which data set it is, the manifest of the directory says
first. The classes are those of the record, else they are counted in the checkpoint; a
file has its own; and evaluation needs those of its data set.
"""

import dataclasses
import pathlib
from typing import Any

from datasets.storage.manifests import Manifest
from datasets.storage.split import StoredSplit
from nets.registry import NETWORKS
from slimbase.command_line.options import Size
from slimbase.errors import UserError
from slimzoo.config.export import ExportConfig
from slimzoo.config.shared import Inference
from slimzoo.formats.predictor import Predictor
from slimzoo.inference import precision, predictor, weights
from slimzoo.model import checkpoints
from slimzoo.model import info as model_info
from slimzoo.model.info import ModelInfo, Record


@dataclasses.dataclass(frozen=True)
class Chosen:
    """A trained network, and what is known about it.

    Attributes:
      path: the checkpoint, or the file or directory of an exported network.
      is_graph: whether it is an exported network.
      record: what model.json says, or the facts beside an exported network.
      info: what is known about the network.
      offset_is_known: whether a flag or the record gives the labels offset.
    """

    path: str
    is_graph: bool
    record: Record
    info: ModelInfo
    offset_is_known: bool


def choose(
    config: Inference,
    checkpoint_path: str,
    image_size: int | Size | None,
    needs_recipe: bool = True,
    manifest: Manifest | None = None,
) -> Chosen:
    """The checkpoint or exported network that `config` asks for.

    Args:
      config: options.
      checkpoint_path: a checkpoint or its directory, if `config` has no graph.
      image_size: the size that was asked for, if any.
      needs_recipe: whether it must be known how pictures are preprocessed.
      manifest: the manifest in `dataset_dir`, if it has been read already.

    Raises:
      UserError: when there is none, or nothing says which network it is.
    """
    path = config.graph or checkpoints.find(checkpoint_path)
    record = model_info.beside(path)
    if needs_recipe:
        model_info.check_known(config, record, path)
    info = model_info.settle(config, record, image_size, manifest)
    if not config.graph:
        precision.check_inference(config.precision, info.quantize, config.runtime)
    is_known = _knows_offset(config, record)
    return Chosen(path, bool(config.graph), record, info, is_known)


def choose_checkpoint(config: ExportConfig, manifest: Manifest) -> Chosen:
    """The checkpoint that is exported.

    Classes of a record of another network are not believed.

    Args:
      config: options.
      manifest: the manifest in `dataset_dir`.

    Raises:
      UserError: when there is none.
    """
    path = checkpoints.find(config.checkpoint_path or "")
    record = model_info.read(str(pathlib.Path(path).parent))
    info = model_info.settle(config, record, config.image_size, manifest)
    if record.get("model_name") not in (None, info.model_name):
        info = dataclasses.replace(info, num_classes=None, labels=None)
    return Chosen(path, False, record, info, _knows_offset(config, record))


def _knows_offset(config: Inference | ExportConfig, record: Record) -> bool:
    return config.labels_offset is not None or "labels_offset" in record


def open_network(
    chosen: Chosen, config: Inference, *, end_point: str | None = None, master: str = ""
) -> Predictor:
    """Opens the network.

    Args:
      chosen: the network; a checkpoint's classes must be known.
      config: options.
      end_point: name of an end point whose values are wanted too.
      master: address of the TensorFlow server, for checkpoints.

    Raises:
      UserError: when the checkpoint or the file does not fit.
    """
    options: dict[str, Any] = {
        "end_point": end_point,
        "compute": config.precision,
        "runtime": config.runtime,
        "gpu_memory_growth": config.gpu_memory_growth,
    }
    if chosen.is_graph:
        return predictor.from_file(
            chosen.path,
            input_layer=config.input_layer,
            output_layer=config.output_layer,
            **options,
        )
    network = predictor.from_checkpoint(
        chosen.info, chosen.path, master=master, **options
    )
    weights.log_weights(chosen.info, chosen.path)
    return network


def with_input_of(chosen: Chosen, network: Predictor, given: Size | None) -> Chosen:
    """`chosen` with the size and channels that an exported network takes.

    Args:
      chosen: the network; checkpoints stay as they are.
      network: the network, opened.
      given: the size that was asked for, if any.

    Raises:
      UserError: when the network takes another size, or other channels than those that
        preprocessing makes.
    """
    if not chosen.is_graph:
        return chosen
    info = model_info.of_input(chosen.info, network.input_shape, chosen.path, given)
    return dataclasses.replace(chosen, info=info)


def with_own_classes(chosen: Chosen) -> Chosen:
    """`chosen` with the classes of the record, else those counted in the checkpoint.

    Raises:
      UserError: when a checkpoint has no such classifier.
    """
    if chosen.is_graph or chosen.info.num_classes:
        return chosen
    classes = checkpoints.count_classes(chosen.path, _classifier_scope(chosen))
    info = dataclasses.replace(chosen.info, num_classes=classes)
    return dataclasses.replace(chosen, info=info)


def _classifier_scope(chosen: Chosen) -> str:
    return NETWORKS[chosen.info.model_name].classifier_scopes[0]


def with_classes_of(
    chosen: Chosen, dataset: StoredSplit, network: Predictor | None = None
) -> Chosen:
    """`chosen` with the classes of a data set, less the labels offset.

    Args:
      chosen: the network.
      dataset: the split.
      network: an exported network, opened.

    Raises:
      UserError: when they are not the classes of an exported network, or not those
        that the network was trained for.
    """
    if network is not None:
        classes = network.num_classes
    else:
        classes = checkpoints.classes_or_none(chosen.path, _classifier_scope(chosen))
    info = with_offset(chosen, dataset, classes)
    info = model_info.with_classes(info, dataset)
    # A checkpoint says itself what of it does not fit, when its weights are restored.
    if network is not None and classes not in (None, info.num_classes):
        raise UserError(
            f"{chosen.path} has {classes} classes, the data set {dataset.num_classes} "
            f"with --labels_offset={info.labels_offset}: check --dataset_name and "
            "--labels_offset"
        )
    return dataclasses.replace(chosen, info=info)


def with_offset(chosen: Chosen, dataset: StoredSplit, classes: int | None) -> ModelInfo:
    """What is known, with the labels offset that the number of classes asks for.

    Args:
      chosen: the network.
      dataset: the split.
      classes: width of the network's logits; None if it is unknown.
    """
    if chosen.offset_is_known:
        return chosen.info
    return model_info.with_offset(chosen.info, dataset, classes)
