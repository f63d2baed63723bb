import pathlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from nets import nets_factory
from slimbase.errors import UserError
from slimbase.graph import classic_graph
from slimzoo.config.zoo import DownloadConfig
from slimzoo.model import checkpoints
from slimzoo.model import info as model_info
from slimzoo.zoo import pretrained
from slimzoo.zoo.ports import port

NAME = "mobilenet_v1_025"


@pytest.fixture(scope="module")
def saved(made_once):
    """A directory with a Hub module and a frozen graph of random weights."""
    return made_once("ports_of_slim", lambda path: save_for_tensorflow_1(path, 64))


def save_for_tensorflow_1(path, size, checkpoint=None):
    """Writes a Hub module and a frozen graph."""
    with classic_graph(seed=1) as graph, tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, size, size, 3], "input")
        logits, _ = nets_factory.get_network_fn(NAME, 1001)(images)
        session.run(tf.global_variables_initializer())
        if checkpoint:
            tf.train.Saver().restore(session, checkpoint)
        signature = tf.saved_model.predict_signature_def(
            {"images": images}, {"default": logits}
        )
        builder = tf.saved_model.builder.SavedModelBuilder(str(path / "module"))
        builder.add_meta_graph_and_variables(session, [], {"default": signature})
        builder.save()
        (path / "module" / "tfhub_module.pb").write_bytes(b"\x08\x03")
        graph_def = tf.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), [logits.op.name]
        )
    (path / "frozen.pb").write_bytes(graph_def.SerializeToString())


def save_for_tensorflow_2(path, size, given=None):
    """Writes a SavedModel whose variables are kept by objects, as TensorFlow 2 does."""
    spec = tf2.TensorSpec([None, size, size, 3], tf2.float32)
    network = nets_factory.get_network_fn(NAME, 1001)
    wrapped = tf.wrap_function(lambda images: network(images)[0], [spec])
    module = tf2.Module()
    module.kept = wrapped.variables
    for variable in module.kept:
        if given is not None:
            variable.assign(given[variable.name.removesuffix(":0")])
    module.__call__ = tf2.function(wrapped, input_signature=[spec])
    tf2.saved_model.save(module, str(path))
    return {v.name.removesuffix(":0"): v.numpy() for v in module.kept}


def values(prefix):
    reader = tf.train.NewCheckpointReader(str(prefix))
    names = reader.get_variable_to_shape_map()
    return {name: reader.get_tensor(name) for name in names}


@pytest.mark.parametrize("source", ["module", "frozen.pb"])
def test_files_of_tensorflow_become_checkpoints(saved, tmp_path, source):
    path = port.import_weights(saved / source, NAME, tmp_path / "there" / "it")
    assert path == f"{tmp_path}/there/it/model.ckpt"
    assert checkpoints.find(f"{tmp_path}/there/it") == path
    expected = values(saved / "module" / "variables" / "variables")
    found = values(path)
    assert len(found) == 137
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in found)
    record = model_info.read(str(pathlib.Path(path).parent))
    assert record["model_name"] == NAME
    assert record["image_size"] == (64, 64)
    assert (record["num_classes"], record["labels_offset"]) == (1001, 0)
    assert [p.name for p in (tmp_path / "there").iterdir()] == ["it"]


def test_variables_that_objects_keep(tmp_path):
    expected = save_for_tensorflow_2(tmp_path / "module", 64)
    assert len(expected) == 137
    path = port.import_weights(tmp_path / "module", NAME, tmp_path / "it")
    found = values(path)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in found)
    assert model_info.beside(path)["num_classes"] == 1001


def test_other_networks_and_places_are_refused(saved, tmp_path):
    with pytest.raises(UserError, match="260 variables of mobilenet_v2 of 260 are not"):
        port.import_weights(saved / "module", "mobilenet_v2", tmp_path / "it")
    with pytest.raises(UserError, match="of another network or width"):
        port.import_weights(saved / "module", "mobilenet_v1", tmp_path / "it")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match="is there already"):
        port.import_weights(saved / "module", NAME, tmp_path)


def test_command_names_the_directory_after_network_and_source(saved, tmp_path):
    options: dict[str, Any] = {
        "source": str(saved / "frozen.pb"),
        "checkpoint_dir": str(tmp_path),
    }
    path = pretrained.fetch(DownloadConfig(**options, model_name=NAME))
    assert path == f"{tmp_path}/{NAME}_from_frozen/model.ckpt"
    with pytest.raises(UserError, match="is there already"):
        pretrained.fetch(DownloadConfig(**options, model_name=NAME))
    facts = {"model_name": NAME, "image_size": 128, "date": "2018-08-02"}
    path = pretrained.fetch(DownloadConfig(**options, **facts))
    assert path == f"{tmp_path}/mobilenet_v1_0.25_128_2018_08_02/model.ckpt"
    assert model_info.beside(path)["image_size"] == (128, 128)
    with pytest.raises(UserError, match="--model_name is missing"):
        pretrained.fetch(DownloadConfig(**options))
    with pytest.raises(UserError, match="--checkpoint_dir is missing"):
        pretrained.fetch(DownloadConfig(source="x", model_name=NAME))
