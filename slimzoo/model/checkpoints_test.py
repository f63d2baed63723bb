import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from slimbase.errors import UserError
from slimbase.graph import classic_graph
from slimzoo.model import checkpoints

VALUES = {
    "Net/conv/weights": np.full([2, 2, 3, 4], 0.5),
    "Net/Logits/weights": np.full([4, 10], 0.25),
    "Net/Logits/biases": np.arange(10),
}
ADVICE = "repair it thus"


def variables(shapes):
    """Variables of those shapes, by name, in the default graph."""
    return {name: tf.get_variable(name, shape) for name, shape in shapes.items()}


@pytest.fixture
def graph():
    with classic_graph() as graph:
        yield graph


@pytest.fixture(params=["V1", "V2"])
def write_either(request, write_checkpoint):
    """`write_checkpoint` in both formats."""

    def write(*arguments, **keywords):
        version = getattr(tf.train.SaverDef, request.param)
        return write_checkpoint(*arguments, write_version=version, **keywords)

    return write


# Finding


def test_directory_stands_for_the_latest_by_its_state_file(write_checkpoint):
    # The state file knows better than dates and numbers do.
    older = write_checkpoint(VALUES, 900)
    newer = write_checkpoint(VALUES, 20)
    directory = str(pathlib.Path(newer).parent)
    assert pathlib.Path(f"{older}.index").exists()
    assert checkpoints.latest(directory) == newer
    assert checkpoints.find(directory) == newer
    assert checkpoints.find(directory + "/") == newer


def test_directory_without_state_may_hold_one_checkpoint(write_checkpoint):
    prefix = write_checkpoint(VALUES, write_state=False)
    directory = pathlib.Path(prefix).parent
    assert checkpoints.latest(str(directory)) is None
    assert checkpoints.find(str(directory)) == prefix
    assert checkpoints.find(f"{directory}/") == prefix


def test_directory_without_state_and_with_two_checkpoints_is_ambiguous(
    write_checkpoint,
):
    for step in (1, 2):
        prefix = write_checkpoint(VALUES, step, write_state=False)
    directory = pathlib.Path(prefix).parent
    with pytest.raises(UserError, match=rf"no checkpoint in {directory}: ") as error:
        checkpoints.find(str(directory))
    for step in (1, 2):
        assert f"model.ckpt-{step}.index" in str(error.value)


def test_moved_directory_with_its_state_is_found(write_checkpoint, tmp_path):
    prefix = write_checkpoint(VALUES, 7)
    shutil.move(pathlib.Path(prefix).parent, tmp_path / "moved")
    found = checkpoints.find(str(tmp_path / "moved"))
    assert found == str(tmp_path / "moved" / "model.ckpt-7")
    assert checkpoints.step_of(found) == 7


@pytest.mark.parametrize("suffix", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_prefix_and_its_files_stand_for_the_checkpoint(write_checkpoint, suffix):
    prefix = write_checkpoint(VALUES, 7)
    assert pathlib.Path(prefix + suffix).exists() or not suffix
    assert checkpoints.find(prefix + suffix) == prefix


def test_relative_path_is_found(write_checkpoint, tmp_path, monkeypatch):
    write_checkpoint(VALUES, 7)
    monkeypatch.chdir(tmp_path / "train")
    assert checkpoints.find("model.ckpt-7.index") == "model.ckpt-7"
    assert checkpoints.step_of(checkpoints.find(".")) == 7


@pytest.mark.parametrize("name", ["old.ckpt", "old.meta"])
def test_file_of_the_old_format_is_found_under_any_name(write_checkpoint, name):
    path = write_checkpoint(VALUES, path=name, write_version=tf.train.SaverDef.V1)
    assert pathlib.Path(path).is_file()
    assert checkpoints.find(path) == path
    assert checkpoints.count_classes(path, "Net/Logits") == 10


def test_published_checkpoint_is_found_in_either_format(shared_data):
    directory = shared_data / "checkpoints" / "mobilenet_v1_0.25_128"
    prefix = str(directory / "mobilenet_v1_0.25_128.ckpt")
    old = str(directory / "mobilenet_v1_0.25_128_v1format.ckpt")
    assert checkpoints.find(str(directory)) == prefix
    assert checkpoints.find(old) == old
    names = {name for name in checkpoints.shapes(old) if name != "global_step"}
    assert len(names) == 137
    assert names <= set(checkpoints.shapes(prefix))
    assert checkpoints.count_classes(prefix, "MobilenetV1/Logits") == 1001


# What is missing


def test_missing_directory_is_named(tmp_path):
    path = tmp_path / "none" / "model.ckpt"
    with pytest.raises(UserError) as error:
        checkpoints.find(str(path))
    assert str(error.value) == (
        f"there is no checkpoint {path}: there is no directory {path.parent}"
    )


def test_empty_directory_is_told(tmp_path):
    with pytest.raises(UserError) as error:
        checkpoints.find(str(tmp_path))
    assert str(error.value) == f"no checkpoint in {tmp_path}: {tmp_path} holds nothing"


def test_missing_checkpoint_lists_what_is_there(tmp_path):
    for name in ("notes.txt", "model.ckpt-3.meta"):
        (tmp_path / name).touch()
    with pytest.raises(UserError) as error:
        checkpoints.find(str(tmp_path / "model.ckpt-4"))
    assert str(error.value) == (
        f"there is no checkpoint {tmp_path}/model.ckpt-4: {tmp_path} holds "
        "model.ckpt-3.meta, notes.txt"
    )


def test_long_listing_is_cut_short(tmp_path):
    for i in range(11):
        (tmp_path / f"{i:02}.txt").touch()
    with pytest.raises(UserError, match=r"holds 00.txt, .*07.txt and 3 more$"):
        checkpoints.find(str(tmp_path))


# Looking inside


def test_step_is_that_of_the_global_step(write_either):
    assert checkpoints.step_of(write_either(VALUES, 1234)) == 1234


def test_step_is_0_without_a_global_step(write_either):
    assert checkpoints.step_of(write_either(VALUES)) == 0


def test_shapes_are_by_name(write_either):
    assert checkpoints.shapes(write_either(VALUES, 5)) == {
        "Net/conv/weights": [2, 2, 3, 4],
        "Net/Logits/weights": [4, 10],
        "Net/Logits/biases": [10],
        "global_step": [],
    }


def test_classes_are_counted_in_the_scope_of_the_classifier_alone(write_either):
    path = write_either(
        {
            "Net/AuxLogits/biases": np.zeros(3),
            "Net/Logits2/biases": np.zeros(4),
            "Net/Logits/conv/biases/Momentum": np.zeros(5),
            "Net/Logits/conv/biases": np.zeros(6),
        }
    )
    assert checkpoints.count_classes(path, "Net/Logits") == 6


def test_missing_classifier_names_the_scopes_there_are(write_either):
    path = write_either(VALUES)
    with pytest.raises(UserError, match=r"no classifier in Other/Logits.* Net: ") as e:
        checkpoints.count_classes(path, "Other/Logits")
    assert "--model_name" in str(e.value)


@pytest.mark.parametrize("look", [checkpoints.shapes, checkpoints.step_of])
def test_file_that_is_no_checkpoint_is_told(tmp_path, look):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8" * 1000)
    path = checkpoints.find(str(tmp_path / "photo.jpg"))
    with pytest.raises(UserError, match=rf"cannot read the checkpoint {path}: "):
        look(path)


def test_cut_index_is_told(write_checkpoint):
    prefix = write_checkpoint(VALUES, 7)
    os.truncate(f"{prefix}.index", 50)
    with pytest.raises(UserError, match=rf"cannot read the checkpoint {prefix}: "):
        checkpoints.shapes(prefix)


def test_missing_data_file_is_told(write_checkpoint):
    prefix = write_checkpoint(VALUES, 7)
    pathlib.Path(f"{prefix}.data-00000-of-00001").unlink()
    with pytest.raises(UserError, match=r"00001; No such file or directory\. Are all"):
        checkpoints.step_of(prefix)


# Fitting


def test_all_that_fits_is_given_back(write_either, graph):
    path = write_either(VALUES, 7)
    ours = variables({"Net/Logits/biases": [10], "Net/conv/weights": [2, 2, 3, 4]})
    assert checkpoints.fitting(ours, path, advice=ADVICE) == ours


def test_variables_are_looked_up_by_the_given_names(write_checkpoint, graph):
    path = write_checkpoint(VALUES)
    ours = {"Net/Logits/biases": tf.get_variable("renamed", [10])}
    assert checkpoints.fitting(ours, path, advice=ADVICE) == ours


def test_first_missing_variable_is_named(write_checkpoint, graph):
    path = write_checkpoint(VALUES)
    ours = variables(
        {"Net/conv/weights": [2, 2, 3, 4], "Net/b/beta": [4], "Net/a/beta": [4]}
    )
    with pytest.raises(UserError) as error:
        checkpoints.fitting(ours, path, advice=ADVICE, missing_advice=" Or so.")
    assert str(error.value) == (
        f"2 of 3 variables are not in the checkpoint {path}, first Net/b/beta; it "
        "holds 3 variables under Net. Check --model_name. Or so."
    )


def test_missing_variables_can_be_left_out(write_checkpoint, graph):
    path = write_checkpoint(VALUES)
    ours = variables({"Net/b/beta": [4], "Net/Logits/biases": [10]})
    fitting = checkpoints.fitting(ours, path, advice=ADVICE, ignore_missing=True)
    assert list(fitting) == ["Net/Logits/biases"]


@pytest.mark.parametrize("ignore_missing", [False, True])
def test_checkpoint_with_none_of_the_variables_is_of_another_network(
    write_checkpoint, graph, ignore_missing
):
    path = write_checkpoint(VALUES)
    ours = variables({"Other/weights": [4], "Other/biases": [10]})
    with pytest.raises(UserError, match=r"2 of 2 .* another network: check") as error:
        checkpoints.fitting(
            ours,
            path,
            advice=ADVICE,
            missing_advice=" Or so.",
            ignore_missing=ignore_missing,
        )
    assert "Or so" not in str(error.value)


def test_missing_moving_averages_are_told(write_checkpoint, graph):
    path = write_checkpoint(VALUES)
    name = "Net/Logits/biases/ExponentialMovingAverage"
    ours = {name: tf.get_variable("Net/Logits/biases", [10])}
    with pytest.raises(UserError, match="give --moving_average_decay=0"):
        checkpoints.fitting(ours, path, advice=ADVICE)


@pytest.mark.parametrize("ignore_missing", [False, True])
@pytest.mark.parametrize("shape", [[2, 2, 3, 5], [3, 3, 3, 4], [4]])
def test_other_shape_is_told(write_checkpoint, graph, shape, ignore_missing):
    path = write_checkpoint(VALUES)
    ours = variables({"Net/Logits/biases": [10], "Net/conv/weights": shape})
    with pytest.raises(UserError) as error:
        checkpoints.fitting(
            ours,
            path,
            advice=ADVICE,
            classifier_scopes=("Net/Logits",),
            ignore_missing=ignore_missing,
        )
    assert str(error.value) == (
        f"Net/conv/weights has shape [2, 2, 3, 4] in the checkpoint {path}, but "
        f"{shape} in this network. The checkpoint is of another network or width."
    )


def test_gray_and_colour_are_told(write_checkpoint, graph):
    path = write_checkpoint(VALUES)
    ours = variables({"Net/conv/weights": [2, 2, 1, 4]})
    with pytest.raises(UserError, match=r"3 channels, .* of 1: check --use_grayscale"):
        checkpoints.fitting(ours, path, advice=ADVICE)


@pytest.mark.parametrize("ours", [{"weights": [4, 5]}, {"biases": [5]}])
def test_other_number_of_classes_comes_with_advice(write_checkpoint, graph, ours):
    path = write_checkpoint(VALUES)
    ours = variables({f"Net/Logits/{name}": shape for name, shape in ours.items()})
    with pytest.raises(UserError) as error:
        checkpoints.fitting(
            ours,
            path,
            advice=ADVICE,
            classifier_scopes=("Net/AuxLogits", "Net/Logits"),
        )
    assert str(error.value).endswith(
        f" The checkpoint has 10 classes, this network 5: {ADVICE}"
    )


def test_classifier_of_another_width_is_no_matter_of_classes(write_checkpoint, graph):
    path = write_checkpoint(VALUES)
    ours = variables({"Net/Logits/weights": [8, 10]})
    with pytest.raises(UserError, match="of another network or width"):
        checkpoints.fitting(
            ours, path, advice=ADVICE, classifier_scopes=("Net/Logits",)
        )


def test_a_directory_that_was_moved(write_checkpoint, tmp_path):
    """State files of TensorFlow 1 name checkpoints in full."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    written = pathlib.Path(write_checkpoint(VALUES))
    name = written.name
    for path in written.parent.glob(f"{name}.*"):
        shutil.copy(path, old)
    (old / "checkpoint").write_text(
        f'model_checkpoint_path: "{old / name}"\n'
        f'all_model_checkpoint_paths: "{old}/gone"\n'
        f'all_model_checkpoint_paths: "{old / name}"\n'
    )
    shutil.copytree(old, new)
    assert checkpoints.latest(str(new)) == str(new / name)  # Though old is there.
    shutil.rmtree(old)
    assert checkpoints.find(str(new)) == str(new / name)
    checkpoints.adopt(str(new))
    state = tf.train.get_checkpoint_state(str(new))
    assert state.model_checkpoint_path == str(new / name)
    assert list(state.all_model_checkpoint_paths) == [str(new / name)]
    assert str(new) not in (new / "checkpoint").read_text()


# Restoring


def test_restorer_gives_variables_their_values(write_either, graph):
    path = write_either(VALUES, 7)
    biases = tf.get_variable("renamed", [10])
    other = tf.get_variable("other", initializer=3.0)
    restore = checkpoints.restorer({"Net/Logits/biases": biases}, path)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        restore(session)
        np.testing.assert_array_equal(session.run(biases), np.arange(10))
        assert session.run(other) == 3


def cut(data):
    os.truncate(data, 8)


def flip(data):
    content = bytearray(data.read_bytes())
    content[-5] ^= 1
    data.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip, pathlib.Path.unlink])
def test_restoring_damaged_files_is_explained(write_checkpoint, graph, damage):
    path = write_checkpoint(VALUES)
    ours = variables({"Net/Logits/biases": [10], "Net/conv/weights": [2, 2, 3, 4]})
    restore = checkpoints.restorer(ours, path)
    damage(pathlib.Path(f"{path}.data-00000-of-00001"))
    with tf.Session() as session:
        with pytest.raises(UserError, match=rf"cannot read the checkpoint {path}: "):
            restore(session)


# Writing


def test_failures_to_write_a_checkpoint_are_explained(tmp_path):
    good = tmp_path / "model.ckpt-1"
    with tf.Graph().as_default(), tf.Session() as session:
        session.run(tf.get_variable("x", [3]).initializer)
        saver = tf.train.Saver()
        saver.save(session, str(tmp_path / "model.ckpt"), 1)
        (tmp_path / "model.ckpt-2_temp").mkdir()
        (tmp_path / "model.ckpt-2.index").mkdir()  # In the way.
        message = f"cannot write to {tmp_path}: .*last checkpoint there is {good}"
        with pytest.raises(UserError, match=message):
            with checkpoints.explained_save_errors(str(tmp_path)):
                saver.save(session, str(tmp_path / "model.ckpt"), 2)
    assert not list(tmp_path.glob("*temp*"))


def test_other_errors_are_not_about_writing(tmp_path):
    with tf.Graph().as_default(), tf.Session() as session:
        with pytest.raises(tf.errors.InvalidArgumentError):
            with checkpoints.explained_save_errors(str(tmp_path)):
                session.run(tf.debugging.check_numerics(float("nan"), "bad"))
