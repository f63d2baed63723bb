import pytest

from slimbase.errors import UserError
from slimzoo.benchmark import plan
from slimzoo.config.benchmark import BenchmarkConfig


def contests(**options):
    return plan.contests(BenchmarkConfig(**options))


def test_names_are_patterns_and_lists_are_multiplied():
    found = contests(
        model_name="mobilenet_v1_0*,lenet", mode="train", batch_size="1,16", threads="1"
    )
    assert [(c.model_name, c.batch_size, c.threads) for c in found] == [
        (name, size, 1)
        for name in (
            *("lenet", "mobilenet_v1_025", "mobilenet_v1_050", "mobilenet_v1_075"),
        )
        for size in (1, 16)
    ]
    assert found[0].image_size == (28, 28)
    assert found[0].contestants == (("ours", "float32"),)


def test_each_mode_has_what_it_depends_on():
    found = contests(
        model_name="mobilenet_v1",
        mode="train,inference,input,conversion,export",
        num_clones="1,2",
        precision="float32,bfloat16",
        against="classic,keras",
        export_formats="frozen,tflite",
        image_size=(128, 160),
    )
    assert [str(contest) for contest in found] == [
        "train, mobilenet_v1, 128x160, batch 32",
        "train, mobilenet_v1, 128x160, batch 32, 2 clones",
        "inference, mobilenet_v1, 128x160, batch 32",
        "input, mobilenet_v1, 128x160, batch 32",
        "conversion",
        "export, mobilenet_v1, frozen, 128x160",
        "export, mobilenet_v1, tflite, 128x160",
    ]
    train, clones, _, read, convert, *_ = found
    assert {name for name, _ in clones.contestants} == {"ours", "classic"}
    assert train.contestants == (
        ("ours", "float32"),
        ("ours", "bfloat16"),
        ("classic", "float32"),
        ("keras", "float32"),
        ("keras", "bfloat16"),
    )
    assert read.contestants == convert.contestants == (("ours", ""), ("classic", ""))


def test_onnxruntime_has_no_bfloat16():
    [contest] = contests(
        model_name="lenet",
        mode="inference",
        precision="float32,bfloat16",
        against="onnxruntime,openvino",
    )
    assert contest.contestants == (
        ("ours", "float32"),
        ("ours", "bfloat16"),
        ("onnxruntime", "float32"),
        ("openvino", "float32"),
        ("openvino", "bfloat16"),
    )


def test_contenders_without_the_network_are_left_out():
    [contest] = contests(model_name="cifarnet", mode="train", against="keras,classic")
    assert contest.contestants == (("ours", "float32"), ("classic", "float32"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_name": "mobilnet*"}, "Did you mean mobilenet"),
        ({"mode": "trian"}, "Did you mean train"),
        ({"mode": ""}, "--mode is empty"),
        ({"against": "slim"}, "Known: classic"),
        ({"precision": "float16"}, "bfloat16"),
        ({"batch_size": "32,0"}, "--batch_size=32,0 should be numbers"),
        ({"threads": "4096"}, "the cores here"),
        ({"against": "timm"}, "needs --timm_python"),
        ({"against": "timm", "timm_python": "/no/python"}, "/no/python"),
        ({"against": "timm", "timm_python": "/tmp"}, "/tmp is no program"),
        ({"dataset_dir": "/no/data"}, "no directory /no/data"),
        ({"csv": "/no/results.csv"}, "--csv=/no/results.csv"),
    ],
)
def test_mistakes_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        contests(**options)
