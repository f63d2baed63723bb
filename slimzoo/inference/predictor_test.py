import contextlib
import dataclasses
import pathlib
import sys
import types
from typing import Any

import numpy as np
import pytest
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from slimbase.errors import UserError
from slimbase.graph import classic_graph
from slimbase.testing import ONE_SCREEN
from slimzoo.config.evaluate import EvalConfig
from slimzoo.formats import freezing, onnx
from slimzoo.inference import predictor
from slimzoo.model import info as model_info

SIZE, CHANNELS, CLASSES = 8, 1, 5
SHAPE = (SIZE, SIZE, CHANNELS)
INFO = dataclasses.replace(
    model_info.settle(EvalConfig(model_name="lenet"), {}, SIZE), num_classes=CLASSES
)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (7, *SHAPE)).astype(np.float32)


class Lenet:
    """A LeNet with random weights as whatever file a test asks for."""

    def __init__(self, directory):
        self.directory = directory
        with classic_graph(seed=1), tf.Session() as session:
            images = tf.placeholder(tf.float32, [None, *SHAPE], "input")
            logits, _ = INFO.network_fn()(images)
            session.run(tf.global_variables_initializer())
            outputs = [tf.identity(logits, "logits"), tf.nn.softmax(logits, name="p")]
            self.logits = session.run(logits, {images: IMAGES})
            self.checkpoint = tf.train.Saver().save(session, str(directory / "m.ckpt"))
            self.graph_def = freezing.freeze(session, outputs)

    def answers(self, images, output):
        """Logits (`logits:0`) or probabilities (`p:0`) of a tensor."""
        [answers] = tf.import_graph_def(self.graph_def, {"input:0": images}, [output])
        return answers

    def frozen(self, output="logits:0", batch=None):
        path = self.directory / f"{output[0]}_{batch}.pb"
        with classic_graph() as graph:
            images = tf.placeholder(tf.float32, [batch, *SHAPE], "input")
            tf.identity(self.answers(images, output), "output")
            graph_def = graph.as_graph_def()
            graph_def = tf.graph_util.extract_sub_graph(graph_def, ["output"])
            path.write_bytes(graph_def.SerializeToString())
        return str(path)

    def saved(self, names, batch=None, dtype=tf.float32, key="serving_default"):
        """A SavedModel: outputs by name."""
        path = str(self.directory / f"{names}_{batch}_{key}")

        if pathlib.Path(path).exists():
            return path

        def call(images):
            return {
                name: self.answers(images, tensor) for name, tensor in names.items()
            }

        module = tf2.Module()
        spec = tf2.TensorSpec([batch, *SHAPE], dtype, name="pictures")
        module.call = tf2.function(call, input_signature=[spec])
        tf2.saved_model.save(module, path, {key: module.call})
        return path

    def saved_by_session(self):
        path = str(self.directory / "by_session")
        with tf.Graph().as_default(), tf.Session() as session:
            images = tf.placeholder(tf.float32, [None, *SHAPE])
            outputs = {"scores": self.answers(images, "p:0")}
            tf.saved_model.simple_save(session, path, {"pixels": images}, outputs)
        return path

    def lite(self, output="logits:0", batch=1, inside=None, outside=None):
        """A LiteRT file: integers `inside`, or `outside`, too."""
        name = "logits" if output == "logits:0" else "probabilities"
        path = self.directory / f"{name}_{batch}_{inside}_{outside}.tflite"
        if path.exists():
            return str(path)
        model = self.saved({name: output}, batch)
        converter = tf2.lite.TFLiteConverter.from_saved_model(model)
        if inside:
            converter.optimizations = [tf2.lite.Optimize.DEFAULT]
            size = batch or 1
            converter.representative_dataset = lambda: (
                [IMAGES[i : i + size]] for i in range(0, len(IMAGES) - size + 1)
            )
            converter.target_spec.supported_ops = [inside]
        if outside:
            converter.inference_input_type = outside
            converter.inference_output_type = outside
        path.write_bytes(converter.convert())
        return str(path)


INT8 = tf2.lite.OpsSet.TFLITE_BUILTINS_INT8
INT16 = tf2.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8


@pytest.fixture(scope="module")
def lenet(tmp_path_factory):
    return Lenet(tmp_path_factory.mktemp("lenet"))


def probabilities(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def check(network, lenet, tolerance=1e-5):
    """The answers to any number of pictures, to begin with one."""
    with network:
        assert network.num_classes == CLASSES
        assert network.input_shape[1:] == SHAPE
        for count in (1, 7, 2, 3):
            answers = network.logits(IMAGES[:count])
            assert answers.shape == (count, CLASSES)
            assert answers.dtype == np.float32
            expected = lenet.logits[:count]
            if network.outputs_probabilities:  # A constant is lost in these.
                np.testing.assert_allclose(
                    probabilities(answers), probabilities(expected), atol=tolerance
                )
            else:
                np.testing.assert_allclose(answers, expected, atol=tolerance)


SCOPES = {
    "outside": contextlib.nullcontext,
    "in a graph": lambda: tf.Graph().as_default(),
    "in a session": lambda: tf.Session(graph=tf.Graph()),
}
FILES = {
    "frozen": lambda lenet: lenet.frozen(),
    "SavedModel": lambda lenet: lenet.saved({"logits": "logits:0"}),
    "LiteRT": lambda lenet: lenet.lite(),
}


# The same answers


@pytest.mark.parametrize("scope", SCOPES)
def test_checkpoint_answers(lenet, scope):
    with SCOPES[scope]():
        before = tf.get_default_graph().as_graph_def() if scope != "outside" else None
        network = predictor.from_checkpoint(INFO, lenet.checkpoint)
        assert network.outputs_probabilities is False
        assert network.input_shape[0] is None
        check(network, lenet)
        if before is not None:
            assert tf.get_default_graph().as_graph_def() == before


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("kind", FILES)
def test_file_answers_wherever_it_is_used(lenet, kind, scope):
    path = FILES[kind](lenet)
    with SCOPES[scope]():
        check(predictor.from_file(path), lenet)


@pytest.mark.parametrize("batch", [None, 1, 3])
@pytest.mark.parametrize("output", ["logits:0", "p:0"])
def test_frozen_graph_answers(lenet, batch, output):
    network = predictor.from_file(lenet.frozen(output, batch))
    assert network.input_shape[0] == batch
    assert network.outputs_probabilities is (output == "p:0")
    check(network, lenet)


@pytest.mark.parametrize("batch", [None, 1, 3])
@pytest.mark.parametrize(
    ("names", "gives_probabilities"),
    [
        ({"logits": "logits:0"}, False),
        ({"probabilities": "p:0"}, True),
        ({"logits": "logits:0", "probabilities": "p:0"}, False),
        ({"scores": "p:0"}, True),
        ({"scores": "logits:0"}, False),
    ],
)
def test_saved_model_answers(lenet, batch, names, gives_probabilities):
    network = predictor.from_file(lenet.saved(names, batch))
    assert network.input_shape[0] == batch
    check(network, lenet)
    assert network.outputs_probabilities is gives_probabilities


def test_saved_model_of_a_session_answers(lenet):
    network = predictor.from_file(lenet.saved_by_session())
    check(network, lenet)
    assert network.outputs_probabilities is True


def test_saved_model_may_have_a_signature_of_another_name(lenet):
    path = lenet.saved({"logits": "logits:0"}, key="classify")
    check(predictor.from_file(path), lenet)


@pytest.mark.parametrize("batch", [None, 1, 3])
@pytest.mark.parametrize("output", ["logits:0", "p:0"])
def test_lite_model_answers(lenet, batch, output):
    network = predictor.from_file(lenet.lite(output, batch))
    assert network.input_shape[0] == batch
    check(network, lenet)
    assert network.outputs_probabilities is (output == "p:0")


@pytest.mark.parametrize("output", ["logits:0", "p:0"])
@pytest.mark.parametrize(
    ("inside", "outside", "tolerance"),
    [
        (INT8, tf.int8, 0.04),
        (INT8, tf.uint8, 0.04),
        (INT8, None, 0.04),
        (INT16, tf.int16, 0.03),
    ],
)
def test_lite_model_of_integers_answers(lenet, output, inside, outside, tolerance):
    network = predictor.from_file(lenet.lite(output, 1, inside, outside))
    check(network, lenet, tolerance)
    assert network.outputs_probabilities is (output == "p:0")


# Other runtimes

RUNTIMES = ["openvino", "onnxruntime"]


def needs(runtime):
    extra = {"openvino": "openvino", "onnxruntime": "onnx"}[runtime]
    packages = ("openvino",) if extra == "openvino" else ("tf2onnx", "onnxruntime")
    for package in packages:
        pytest.importorskip(package, reason=f"the extra {extra} is not installed")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_runtimes_answer_as_tensorflow_does(lenet, runtime):
    needs(runtime)
    options: dict[str, Any] = {"runtime": runtime}
    check(predictor.from_checkpoint(INFO, lenet.checkpoint, **options), lenet)
    for output in ("logits:0", "p:0"):
        for batch in (None, 3):
            path = lenet.frozen(output, batch)
            check(predictor.from_file(path, **options), lenet)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_runtimes_give_end_points(lenet, runtime):
    needs(runtime)
    images = IMAGES[:3]
    expected = predictor.from_checkpoint(INFO, lenet.checkpoint, end_point="Flatten")
    network = predictor.from_checkpoint(
        INFO, lenet.checkpoint, end_point="Flatten", runtime=runtime
    )
    with expected, network:
        pairs = zip(network.outputs(images), expected.outputs(images), strict=True)
        for values, wanted in pairs:
            np.testing.assert_allclose(values, wanted, atol=1e-5)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("output", "name"), [("logits:0", "logits"), ("p:0", "probabilities")]
)
def test_runtimes_answer_of_onnx_files(lenet, tmp_path, runtime, output, name):
    needs(runtime)
    needs("onnxruntime")
    names = {"input": "pictures", output[:-2]: name}
    part = tf.graph_util.extract_sub_graph(lenet.graph_def, [output[:-2]])
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx.convert(part, names))
    network = predictor.from_file(str(path), runtime=runtime)
    assert network.outputs_probabilities is (name == "probabilities")
    check(network, lenet)


def test_openvino_computes_in_the_precision_that_is_asked_for(lenet):
    needs("openvino")
    answers = {}
    for compute in ("float32", "bfloat16"):
        with predictor.from_checkpoint(
            INFO, lenet.checkpoint, compute=compute, runtime="openvino"
        ) as network:
            answers[compute] = network.logits(IMAGES)
    np.testing.assert_allclose(answers["float32"], lenet.logits, atol=1e-5)
    np.testing.assert_allclose(answers["bfloat16"], lenet.logits, atol=0.05)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_runtime_that_is_not_installed_is_reported(lenet, monkeypatch, runtime):
    for package in ("openvino", "tf2onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, None)
    extra = {"openvino": "openvino", "onnxruntime": "onnx"}[runtime]
    message = rf"--runtime={runtime} needs .*pip install -e '\.\[{extra}\]'"
    with pytest.raises(UserError, match=message):
        predictor.from_checkpoint(INFO, lenet.checkpoint, runtime=runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_file_that_is_no_onnx_is_refused(tmp_path, runtime):
    needs(runtime)
    path = tmp_path / "model.onnx"
    path.write_bytes(b"words")
    with pytest.raises(UserError, match=r"cannot do .*model\.onnx"):
        predictor.from_file(str(path), runtime=runtime)


@pytest.mark.parametrize(
    ("name", "runtime", "needed"),
    [
        ("model.onnx", "tensorflow", "onnxruntime or openvino"),
        ("model.tflite", "openvino", "tensorflow"),
        (".", "onnxruntime", "tensorflow"),
    ],
)
def test_files_have_their_runtimes(tmp_path, name, runtime, needed):
    path = tmp_path / name
    if name != ".":
        path.write_bytes(b"")
    with pytest.raises(UserError, match=f"needs --runtime={needed}"):
        predictor.from_file(str(path), runtime=runtime)


# End points


def test_end_point_of_a_checkpoint(lenet):
    network = predictor.from_checkpoint(INFO, lenet.checkpoint, end_point="Flatten")
    with network:
        logits, values = network.outputs(IMAGES)
    np.testing.assert_allclose(logits, lenet.logits, atol=1e-5)
    assert values.shape == (7, 2 * 2 * 64)


@pytest.mark.parametrize("batch", [None, 3])
@pytest.mark.parametrize(
    "name", ["import/LeNet/conv1/Relu", "import/LeNet/conv1/Relu:0"]
)
def test_end_point_of_a_frozen_graph(lenet, batch, name):
    with predictor.from_file(lenet.frozen(batch=batch), end_point=name) as network:
        logits, values = network.outputs(IMAGES)
    np.testing.assert_allclose(logits, lenet.logits, atol=1e-5)
    assert values.shape == (7, SIZE, SIZE, 32)
    assert (values >= 0).all()


def test_unknown_end_points_are_refused(lenet):
    with pytest.raises(UserError, match=r"--end_point=conv3 .*Did you mean conv"):
        predictor.from_checkpoint(INFO, lenet.checkpoint, end_point="conv3")
    with pytest.raises(UserError, match="no operation conv3"):
        predictor.from_file(lenet.frozen(), end_point="conv3")


def test_operation_without_values_is_no_end_point(tmp_path):
    path = tmp_path / "graph.pb"
    with classic_graph() as graph:
        images = tf.placeholder(tf.float32, [None, *SHAPE], "input")
        tf.reshape(images, [-1, SIZE * SIZE], "output")
        tf.no_op(name="nothing")
        path.write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(UserError, match="nothing has no values"):
        predictor.from_file(str(path), end_point="nothing")


@pytest.mark.parametrize("kind", ["SavedModel", "LiteRT"])
@pytest.mark.parametrize("option", ["end_point", "input_layer", "output_layer"])
def test_names_of_layers_are_for_graphs(lenet, kind, option):
    with pytest.raises(
        UserError, match="--output_layer are for checkpoints and frozen"
    ):
        options: dict[str, Any] = {option: "x"}
        predictor.from_file(FILES[kind](lenet), **options)


def test_input_and_output_may_be_named(lenet):
    path = lenet.frozen()
    names: dict[str, Any] = {
        "input_layer": "input:0",
        "output_layer": "import/LeNet/fc3/Relu",
    }
    with predictor.from_file(path, **names) as network:
        assert network.num_classes == 1024


# Wrong files


def fails(path, **options):
    with pytest.raises(UserError) as error:
        with predictor.from_file(str(path), **options) as network:
            network.logits(IMAGES)
    message = str(error.value)
    assert str(path) in message
    assert len(message.splitlines()) <= ONE_SCREEN
    assert len(message) < 80 * ONE_SCREEN
    return message


def test_file_that_is_not_there_is_reported(tmp_path):
    assert "there is no" in fails(tmp_path / "none.pb")


@pytest.mark.parametrize(
    ("name", "message"),
    [("g.pb", "not a binary GraphDef"), ("m.tflite", "not a .tflite model")],
)
@pytest.mark.parametrize("content", [b"\xff\xd8" * 5000, b"words\n" * 5000, b"TFL3"])
def test_file_of_something_else_is_refused(tmp_path, name, message, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert message in fails(path)


def test_directory_of_something_else_is_refused(tmp_path):
    assert "is not a SavedModel" in fails(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xd8" * 99, b""])
def test_damaged_saved_model_is_refused(tmp_path, content):
    (tmp_path / "saved_model.pb").write_bytes(content)
    assert "is not a SavedModel" in fails(tmp_path)


def test_saved_model_without_its_weights_is_refused(tmp_path):
    module = tf2.Module()
    module.weights = tf2.Variable(tf2.ones([64, 2]))
    spec = tf2.TensorSpec([None, *SHAPE])
    module.call = tf2.function(
        lambda images: {"logits": tf.reshape(images, [-1, 64]) @ module.weights}, [spec]
    )
    tf2.saved_model.save(module, str(tmp_path), {"serving_default": module.call})
    for path in (tmp_path / "variables").iterdir():
        path.unlink()
    fails(tmp_path)


@pytest.mark.parametrize("dtype", [tf.uint8, tf.float64])
def test_saved_model_of_other_inputs_is_refused(tmp_path, dtype):
    module = tf2.Module()
    spec = tf2.TensorSpec([None, *SHAPE], dtype)
    module.call = tf2.function(
        lambda images: {"logits": tf.cast(images[:, 0, 0], tf.float32)}, [spec]
    )
    tf2.saved_model.save(module, str(tmp_path), {"other": module.call})
    assert "no signature of one float input" in (message := fails(tmp_path))
    assert "Signatures: other" in message


def test_saved_model_without_signatures_is_refused(tmp_path):
    tf2.saved_model.save(tf2.Module(), str(tmp_path))
    assert "Signatures: none" in fails(tmp_path)


def test_saved_model_of_unclear_outputs_is_refused(lenet):
    path = lenet.saved({"a": "logits:0", "b": "p:0"})
    assert "it has a, b" in fails(path)


@pytest.mark.parametrize("dtype", [tf.uint8, tf.string])
def test_frozen_graph_of_other_inputs_is_refused(tmp_path, dtype):
    path = tmp_path / "graph.pb"
    with classic_graph() as graph:
        tf.identity(tf.placeholder(dtype, [None, *SHAPE], "input"), "output")
        path.write_bytes(graph.as_graph_def().SerializeToString())
    assert f"its input is of {dtype.name}" in fails(path)


@pytest.mark.parametrize("shape", [[], [4], [1, 2, 3]])
def test_frozen_graph_whose_output_has_no_classes_is_refused(tmp_path, shape):
    path = tmp_path / "graph.pb"
    with classic_graph() as graph:
        images = tf.placeholder(tf.float32, [None, *SHAPE], "input")
        tf.add(tf.reduce_mean(images), tf.zeros(shape), "output")
        path.write_bytes(graph.as_graph_def().SerializeToString())
    assert "[batch, classes]" in fails(path)


def test_frozen_graph_of_an_unknown_shape_is_run(tmp_path):
    path = tmp_path / "graph.pb"
    with classic_graph() as graph:
        images = tf.placeholder(tf.float32, None, "input")
        shape = tf.placeholder_with_default([-1, 4], None)
        tf.reshape(images[:, 0, :4, 0], shape, "output")
        path.write_bytes(graph.as_graph_def().SerializeToString())
    with predictor.from_file(str(path)) as network:
        assert network.input_shape == (None,) * 4
        assert network.num_classes is None
        np.testing.assert_array_equal(network.logits(IMAGES), IMAGES[:, 0, :4, 0])


def test_graph_of_many_ends_is_refused_on_one_screen(tmp_path):
    path = tmp_path / "graph.pb"
    with classic_graph() as graph:
        for i in range(500):
            tf.tanh(tf.placeholder(tf.float32, name=f"a_rather_long_name_{i}"))
        path.write_bytes(graph.as_graph_def().SerializeToString())
    assert "494 more" in fails(path)


def lite_file(directory, call, shape):
    function = tf2.function(call, [tf2.TensorSpec(shape)]).get_concrete_function()
    converter = tf2.lite.TFLiteConverter.from_concrete_functions([function])
    path = directory / "model.tflite"
    path.write_bytes(converter.convert())
    return path


@pytest.mark.parametrize(
    ("call", "shape"),
    [
        (lambda x: x[:, 0] * 2, [1, 8]),
        (lambda x: (x[:, 0, 0], x[:, 0, 1]), [1, *SHAPE]),
        (lambda x: x * 2, [1, *SHAPE]),
        (lambda x: tf.reduce_sum(x), [1, *SHAPE]),
    ],
)
def test_lite_model_of_other_ends_is_refused(tmp_path, call, shape):
    fails(lite_file(tmp_path, call, shape))


def test_lite_model_that_cannot_run_is_refused(tmp_path, monkeypatch):
    path = lite_file(tmp_path, lambda x: x[:, 0, :, 0] * 2, [1, *SHAPE])

    def refuse():
        raise RuntimeError("Select TensorFlow op(s) are not supported.\nNode number 3")

    with predictor.from_file(str(path)) as network:
        interpreter = types.SimpleNamespace(allocate_tensors=refuse)
        monkeypatch.setattr(network, "_interpreter", interpreter)
        with pytest.raises(UserError, match=rf"cannot run {path}: Select TensorFlow"):
            network.logits(IMAGES)


def test_lite_model_of_any_size_is_run(tmp_path):
    path = lite_file(
        tmp_path,
        lambda x: tf.stack([tf.reduce_sum(x, [1, 2, 3])] * 2, 1),
        [1, None, None, 1],
    )
    with predictor.from_file(str(path)) as network:
        assert network.input_shape == (1, None, None, 1)
        for size in (8, 5):
            answers = network.logits(np.ones((2, size, size, 1), np.float32))
            assert answers.tolist() == [[size**2] * 2] * 2
