import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from slimbase import testing
from slimzoo.config.train import TrainConfig
from slimzoo.model import info as model_info
from slimzoo.training import mirroring


def _info(labels, preprocessing="inception", **distortions):
    config = TrainConfig(model_name="mobilenet_v1", preprocessing_name=preprocessing)
    record = {"labels": tuple(labels), "distortions": distortions or None}
    return model_info.settle(config, {"model_name": "mobilenet_v1", **record})


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (["left", "right"], "left, right cannot be told apart by left and right"),
        (["turnLeft", "straight"], "turnLeft cannot be told apart"),
        (["arrow_links", "arrow_rechts", "stop"], "arrow_links, arrow_rechts cannot"),
        (["hand_l", "hand_r", "foot"], "hand_l, hand_r cannot be told apart"),
        (["clockwise", "counterclockwise"], "clockwise, counterclockwise cannot"),
        (["3", "5", "b"], "the classes 3, 5, b look like letters or digits"),
        (["bright", "leftover", "upright", "l_shape"], ""),
        (["cat", "dog"], ""),
        (["10", "11"], ""),
    ],
)
def test_names_of_sides(caplog, labels, named):
    mirroring.warn(_info(labels))
    if named:
        assert named in caplog.text
        assert "give --mirror=none" in caplog.text
    else:
        assert not caplog.text


@pytest.mark.parametrize(
    ("preprocessing", "mirror", "warns"),
    [
        ("inception", None, True),
        ("inception", "horizontal", True),
        ("inception", "both", True),
        ("inception", "none", False),
        ("inception", "vertical", False),
        ("lenet", None, False),
        ("lenet", "horizontal", True),
    ],
)
def test_only_where_pictures_are_mirrored(caplog, preprocessing, mirror, warns):
    chosen = {"mirror": mirror} if mirror else {}
    mirroring.warn(_info(["left", "right"], preprocessing, **chosen))
    assert bool(caplog.text) == warns


def test_upside_down(caplog):
    labels = ["thumb_up", "thumb_down", "fist"]
    mirroring.warn(_info(labels))
    assert not caplog.text
    mirroring.warn(_info(labels, mirror="vertical"))
    assert "thumb_up, thumb_down cannot be told apart by up and down" in caplog.text


def draw_arrows(folder, number):
    """Arrows to the left and to the right, of any place, size, colour and slant."""
    random = np.random.default_rng(0)
    for index in range(number):
        label = ("left", "right")[index % 2]
        image = Image.new("RGB", (160, 160), tuple(random.integers(150, 256, 3)))
        draw = ImageDraw.Draw(image)
        size = random.integers(40, 62)
        x, y = random.integers(0, 160 - 2 * size, 2) + size
        upper = np.array([(-1, 0), (-0.2, -0.7), (-0.2, -0.25), (1, -0.25)])
        points = np.concatenate([upper, upper[:0:-1] * (1, -1)])
        if label == "right":
            points[:, 0] *= -1
        angle = random.uniform(-0.35, 0.35)
        turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        corners = [tuple(p) for p in points @ np.array(turn) * size + (x, y)]
        draw.polygon(corners, fill=tuple(random.integers(0, 120, 3)))
        path = folder / label / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)


@pytest.mark.slow
def test_arrows(shared_data, tmp_path):
    """All layers are trained: chance with mirroring, and nearly all without."""
    draw_arrows(tmp_path / "arrows", 240)
    data = tmp_path / "data"
    testing.run(
        *("download_and_convert_data.py", "--dataset_name=folder"),
        *(f"--source_dir={tmp_path / 'arrows'}", f"--dataset_dir={data}"),
        "--validation_fraction=0.25",
    )
    published = shared_data / "checkpoints" / "mobilenet_v1_0.25_128"
    top_1 = {}
    for name, flags in {"mirrored": [], "none": ["--mirror=none"]}.items():
        result = testing.run(
            *("train_image_classifier.py", f"--train_dir={tmp_path / name}"),
            *(f"--dataset_dir={data}", "--model_name=mobilenet_v1_025"),
            *("--train_image_size=128", "--finetune=all", "--seed=1"),
            f"--checkpoint_path={published / 'mobilenet_v1_0.25_128.ckpt'}",
            *("--batch_size=24", "--max_number_of_steps=200"),
            *("--optimizer=momentum", "--learning_rate=0.02"),
            *("--learning_rate_decay_type=cosine", *flags),
        )
        warning = "left, right cannot be told apart by left and right"
        assert (warning in result.stderr) == (name == "mirrored")
        mirror = "horizontal" if name == "mirrored" else "none"
        assert f"mirror {mirror}, colours changed" in result.stderr
        testing.run(
            *("eval_image_classifier.py", f"--checkpoint_path={tmp_path / name}"),
            *(f"--dataset_dir={data}", "--dataset_split_name=validation"),
            f"--eval_dir={tmp_path / name / 'eval'}",
        )
        metrics = json.loads((tmp_path / name / "eval" / "metrics.json").read_text())
        top_1[name] = metrics["top_1"]
    assert top_1["none"] > 0.95
    assert 0.3 < top_1["mirrored"] < 0.7
    record = json.loads((tmp_path / "none" / "model.json").read_text())
    assert record["distortions"] == {"mirror": "none"}
