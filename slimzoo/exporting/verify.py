"""Whether an exported network answers as its checkpoint does."""

import dataclasses
import io
import pathlib
from collections.abc import Callable, Iterable

import numpy as np
import tensorflow.compat.v1 as tf

from datasets import dataset_factory
from datasets.reading import pipeline
from datasets.storage import manifests
from datasets.storage.split import StoredSplit
from slimbase.errors import UserError
from slimbase.graph import session_config
from slimzoo.formats import writers
from slimzoo.formats.predictor import softmax
from slimzoo.inference import predictor, weights
from slimzoo.model.info import ModelInfo

BATCH_SIZE = 16
_NOISE = 8  # Pictures of noise, where there are no real ones.
_ENCODED = {"image/encoded": tf.io.FixedLenFeature([], tf.string, "")}


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """What an exported network may differ by.

    Attributes:
      difference: of any probability, as a share of the picture's largest one.
      agreement: least share of pictures with the same top-1.
    """

    difference: float = np.inf
    agreement: float = 0.0

    def __str__(self) -> str:
        texts = []
        if np.isfinite(self.difference):
            texts.append(f"{self.difference:g} of it")
        if self.agreement:
            texts.append(f"an agreement of at least {self.agreement:.0%}")
        return f"expected {' and '.join(texts) or 'numbers'}"


# 32-bit floats differ by the order of sums only. What rounding to fewer bits does
# depends on the network, so that answers are counted.
_BY_DIFFERENCE = {
    "float32": Tolerance(difference=1e-3),
    "float16": Tolerance(difference=0.2),
}


def tolerance(
    quantization: str, min_agreement: float, pictures: "Pictures"
) -> Tolerance:
    """The tolerance of networks with numbers of a kind.

    Args:
      quantization: one of `export_formats.QUANTIZATIONS`.
      min_agreement: on real pictures, where differences say little. Noise is not
        counted: it has no top-1 to speak of.
      pictures: shown to the network.
    """
    least = min_agreement if pictures.are_real else 0.0
    return _BY_DIFFERENCE.get(quantization) or Tolerance(agreement=least)


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Pictures to compare answers to.

    Attributes:
      images: float32 `[count, height, width, channels]`, preprocessed; clips have a
        dimension of frames.
      contents: the same pictures as files; none for clips, or where unknown.
      source: in words.
      are_real: whether they are of a data set.
    """

    images: np.ndarray
    contents: tuple[bytes, ...]
    source: str
    are_real: bool

    def __getitem__(self, which: slice) -> "Pictures":
        return dataclasses.replace(
            self, images=self.images[which], contents=self.contents[which]
        )

    def __len__(self) -> int:
        return len(self.images)


def read_pictures(info: ModelInfo, dataset: StoredSplit, most: int) -> Pictures:
    """The first pictures of a split, `most` of them if there are so many.

    Raises:
      UserError: when they cannot be read.
    """
    preprocess = info.preprocessing()
    images, contents = [], []
    with (
        tf.Graph().as_default(),
        pipeline.explained_errors(dataset, info.labels_offset),
    ):
        batches = pipeline.eval_batches(
            dataset, preprocess, 1, labels_offset=info.labels_offset
        ).take(most)
        records = tf.data.TFRecordDataset(list(dataset.record_files))
        [(batch, record)] = pipeline.next_batches(
            tf.data.Dataset.zip((batches, records)), 1
        )
        encoded = tf.io.parse_single_example(record, _ENCODED)["image/encoded"]
        start_reading = tf.tables_initializer()
        with tf.Session(config=session_config(on_cpu=True)) as session:
            session.run(start_reading)
            while True:
                try:
                    image, content = session.run([batch.images, encoded])
                except tf.errors.OutOfRangeError:
                    break
                images.append(image)
                contents.append(content)
    if not images:
        raise UserError(f"the records in {dataset.data_sources} hold no images")
    if not all(contents):  # They are as numbers in the records.
        contents = []
    source = f"{info.dataset_name}, split {dataset.name}"
    return Pictures(np.concatenate(images), tuple(contents), source, True)


def noise(info: ModelInfo, frames: int | None = None) -> Pictures:
    """Some coarse noise, preprocessed; the same at every call.

    Args:
      info: of the network.
      frames: of a clip, for networks that take clips.
    """
    random = np.random.default_rng(0)
    height, width = info.image_size
    if frames:
        shape = (_NOISE // 4, frames, height, width, info.channels)
        images = random.uniform(-1, 1, shape).astype(np.float32)
        return Pictures(images, (), "noise", False)
    coarse = random.integers(0, 256, (_NOISE, 12, 16, 3), np.uint8)
    contents = [_png(picture.repeat(20, 0).repeat(20, 1)) for picture in coarse]
    with tf.Graph().as_default(), tf.Session() as session:
        content = tf.placeholder(tf.string, [])
        channels = writers.decoded_channels(info)
        image = info.preprocessing()(tf.io.decode_png(content, channels))
        images = [session.run(image, {content: png}) for png in contents]
    return Pictures(np.stack(images), tuple(contents), "noise", False)


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def choose_split(dataset_name: str, dataset_dir: str, name: str | None) -> StoredSplit:
    """Finds the split to read; it may have no record files.

    Args:
      dataset_name: the data set's name.
      dataset_dir: where its records are.
      name: the split's name; by default train, if the directory has records of it, or
        else that of evaluation.
    """
    manifest = manifests.read_manifest(dataset_dir)
    descriptor = dataset_factory.describe(dataset_name, dataset_dir, manifest)
    if not name and "train" in descriptor.splits_to_sizes:
        train = descriptor.find_split("train", manifest)
        if train.record_files:
            return train
    return descriptor.find_split(name or descriptor.evaluation_split, manifest)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How an exported network's answers differ from the checkpoint's.

    Attributes:
      what: was run.
      count: of pictures.
      difference: the largest of any probability, as a share of the picture's largest
        one.
      agreement: share of pictures with the same top-1.
    """

    what: str
    count: int
    difference: float
    agreement: float

    def __str__(self) -> str:
        return (
            f"largest difference {self.difference:.2g} of the largest probability, "
            f"top-1 agreement {self.agreement:.1%}"
        )

    def within(self, tolerance: Tolerance) -> bool:
        """Whether they are the same for practical purposes; not if not a number."""
        return (
            self.difference <= tolerance.difference
            and self.agreement >= tolerance.agreement
        )


def compare(what: str, expected: np.ndarray, actual: np.ndarray) -> Comparison:
    """Compares probabilities `[count, classes]`."""
    largest = expected.max(axis=-1, keepdims=True)
    same = expected.argmax(axis=-1) == actual.argmax(axis=-1)
    difference = np.max(np.abs(actual - expected) / largest)
    return Comparison(what, len(expected), float(difference), float(same.mean()))


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or output of what was written.

    Attributes:
      name: as its runtime takes it.
      shape: None where it is any.
      dtype: by name.
      signature: of a SavedModel.
      scale: of quantized values, (integer - zero_point) * scale.
      zero_point: likewise.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    signature: str | None = None
    scale: float | None = None
    zero_point: int | None = None


@dataclasses.dataclass(frozen=True)
class Written:
    """What was found in a file that was written.

    Attributes:
      inputs: of it.
      outputs: of it.
      probabilities: `[count, classes]` of all pictures, by what was run.
    """

    inputs: list[Tensor]
    outputs: list[Tensor]
    probabilities: dict[str, np.ndarray]


def run_written(format_name: str, path: pathlib.Path, pictures: Pictures) -> Written:
    """Loads what was written with its own runtime and shows it the pictures."""
    return _RUN[format_name](path, pictures)


def _run_frozen(path, pictures) -> Written:
    with tf.Graph().as_default() as graph:
        images, output = weights.load_frozen(str(path))
        tensors = [_tensor(tensor.op.name, tensor) for tensor in (images, output)]
        with tf.Session(graph=graph) as session:
            run = session.make_callable(output, [images])
            values = in_batches(run, pictures.images, tensors[0].shape[0])
    if not weights.gives_probabilities(output):
        values = softmax(values)
    return Written([tensors[0]], [tensors[1]], {"TensorFlow": values})


def _tensor(name, tensor, signature=None):
    shape = tuple(tensor.shape.as_list())
    return Tensor(name, shape, tensor.dtype.name, signature)


def _run_saved_model(path, pictures) -> Written:
    import tensorflow as tf2

    given = {"serving_default": pictures.images}
    if pictures.contents:
        given[writers.BYTES_SIGNATURE] = np.array(pictures.contents, object)
    inputs, outputs, results = [], [], {}
    with tf.init_scope():
        signatures = tf2.saved_model.load(str(path)).signatures
        for name, function in sorted(signatures.items(), reverse=True):
            [(input_name, spec)] = function.structured_input_signature[1].items()
            inputs.append(_tensor(input_name, spec, name))
            outputs += [
                _tensor(output_name, output, name)
                for output_name, output in sorted(function.structured_outputs.items())
            ]
            if name in given:
                results[name] = in_batches(
                    _answering(function, input_name),
                    given[name],
                    inputs[-1].shape[0],
                )
    return Written(inputs, outputs, results)


def _answering(function, input_name):
    def run(values):
        answers = function(**{input_name: tf.convert_to_tensor(values)})
        return answers[writers.PROBABILITIES].numpy()

    return run


def _run_lite(path, pictures) -> Written:
    with predictor.LiteModel(str(path)) as network:
        values = in_batches(
            lambda images: softmax(network.logits(images)),
            pictures.images,
            network.input_shape[0],
        )
        given = _lite_tensor(network.input_detail)
        answer = _lite_tensor(network.output_detail)
    return Written([given], [answer], {"LiteRT": values})


def _lite_tensor(detail) -> Tensor:
    scale, zero_point = detail["quantization"]
    return Tensor(
        detail["name"],
        tuple(None if n < 0 else n for n in detail["shape_signature"].tolist()),
        np.dtype(detail["dtype"]).name,
        scale=float(scale) or None,
        zero_point=int(zero_point) if scale else None,
    )


def _run_onnx(path, pictures) -> Written:
    runtime = writers.onnx_package("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    [images], [output] = session.get_inputs(), session.get_outputs()
    values = in_batches(
        lambda batch: session.run([output.name], {images.name: batch})[0],
        pictures.images,
        images.shape[0] if isinstance(images.shape[0], int) else None,
    )
    tensors = [
        Tensor(
            node.name,
            tuple(n if isinstance(n, int) else None for n in node.shape),
            "float32",
        )
        for node in (images, output)
    ]
    return Written([tensors[0]], [tensors[1]], {"ONNX Runtime": values})


_RUN: dict[str, Callable[..., Written]] = {
    "frozen": _run_frozen,
    "saved_model": _run_saved_model,
    "tflite": _run_lite,
    "onnx": _run_onnx,
}


def in_batches(
    run: Callable[[np.ndarray], np.ndarray], values: np.ndarray, size: int | None
) -> np.ndarray:
    """`run` of all values; each batch is filled up if the size is fixed."""
    step = size or BATCH_SIZE
    results = []
    for start in range(0, len(values), step):
        batch = values[start : start + step]
        whole = np.resize(batch, (size or len(batch), *batch.shape[1:]))
        results.append(run(whole)[: len(batch)])
    return np.concatenate(results)


def check(
    comparisons: Iterable[Comparison], bounds: Tolerance, advice: str = ""
) -> None:
    """Checks that all are within the tolerance.

    Raises:
      UserError: names the first that is not.
    """
    for comparison in comparisons:
        if not comparison.within(bounds):
            raise UserError(
                f"{comparison.what} answers otherwise than the checkpoint on "
                f"{comparison.count} pictures: {comparison}, but {bounds}. "
                f"Nothing was written.{advice}"
            )
