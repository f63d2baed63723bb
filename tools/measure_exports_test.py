import json

import pytest

from nets.nets_factory import NETWORKS
from tools import measure_exports

FAST = ("lenet", "cifarnet", "mobilenet_v1_025")
KNOWN = json.loads(measure_exports.FILE.read_text("utf-8"))


def _marks(name):
    return () if name in FAST else pytest.mark.release  # Minutes each.


def test_every_network_was_tried():
    assert sorted(KNOWN) == sorted(NETWORKS), "run python -m tools.measure_exports"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=_marks(name)) for name in NETWORKS]
)
def test_export(name, tmp_path):
    facts = measure_exports.measure(name, tmp_path)
    assert facts["freeze_graph"]
    assert facts["optimize_for_inference"]
    known = dict(KNOWN[name])
    lite, expected = facts.pop("tflite"), known.pop("tflite")
    assert facts == {key: known[key] for key in facts}
    if isinstance(expected, int):  # Other releases write other headers.
        assert lite == pytest.approx(expected, rel=0.01)
    else:
        assert lite == expected
