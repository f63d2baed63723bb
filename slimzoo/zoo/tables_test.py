import csv
import dataclasses
import json

import pytest

from nets.registry import NETWORKS
from slimbase.errors import UserError
from slimzoo.config.zoo import ListConfig
from slimzoo.zoo import listing, networks, tables

COMPLETE = tables.NetworkRow(
    "vgg_16", 224, 138_357_544, 15_470_264_320, 71.5, "vgg", "original Keras"
)
UNKNOWN = tables.NetworkRow("resnet_v1_200", 9, None, None, None, "inception", "")


def _names(*patterns):
    return [network.name for network in networks.find(patterns)]


def test_without_patterns_all_are_found():
    assert sorted(_names()) == sorted(NETWORKS)


def test_patterns_find_each_network_once_in_natural_order():
    found = ["mobilenet_v1", "mobilenet_v1_025", "mobilenet_v1_050", "mobilenet_v1_075"]
    assert _names("mobilenet_v1*", "lenet", "mobilenet_v1_0?5") == ["lenet", *found]
    assert _names("resnet_v1_*") == [f"resnet_v1_{d}" for d in (50, 101, 152, 200)]


@pytest.mark.parametrize("pattern", ["mobilnet*", "mobilenet"])
def test_pattern_without_a_match_suggests(pattern):
    message = rf"no network matches '{pattern[:4]}.*Did you mean .*mobilenet_v1"
    with pytest.raises(UserError, match=message):
        networks.find(["lenet", pattern])


def test_accuracy_is_that_of_the_best_checkpoint_of_the_width_in_floats():
    accuracies = {n: networks.row(NETWORKS[n]).top1 for n in NETWORKS}
    assert accuracies["mobilenet_v1"] == 70.9
    assert accuracies["mobilenet_v2"] == 71.8  # 1.3 has 74.4.
    assert accuracies["mobilenet_edgetpu"] is None
    assert accuracies["lenet"] is None


def _listing(format_name, *patterns):
    return listing.listing(ListConfig(format=format_name), patterns)


def test_csv_and_json_have_exact_numbers():
    expected = [
        dataclasses.asdict(networks.row(n)) for n in networks.find(["*net_v1_0*"])
    ]
    assert json.loads(_listing("json", "*net_v1_0*")) == expected
    rows = list(csv.DictReader(_listing("csv", "*net_v1_0*").splitlines()))
    assert rows == [{k: str(v) for k, v in row.items()} for row in expected]


def test_csv_and_json_of_what_is_unknown():
    lines = tables.FORMATS["csv"]([UNKNOWN]).splitlines()
    assert lines[1:] == ["resnet_v1_200,9,,,,inception,"]
    assert json.loads(tables.FORMATS["json"]([UNKNOWN]))[0]["top1"] is None


def test_table():
    assert tables.FORMATS["table"]([COMPLETE, UNKNOWN]).splitlines() == [
        "network        size  params  mult-adds  top-1  recipe     from",
        "vgg_16          224   138 M     15.5 G   71.5  vgg        OK",
        "resnet_v1_200     9       -          -      -  inception  -",
    ]


def test_table_of_all_fits_a_terminal():
    assert max(map(len, _listing("table").splitlines())) <= 80


def test_markdown():
    assert tables.FORMATS["markdown"]([COMPLETE]).splitlines() == [
        "| network | size | parameters | multiply-adds | top-1 | preprocessing | "
        "weights |",
        "| --- | ---: | ---: | ---: | ---: | --- | --- |",
        "| `vgg_16` | 224 | 138 M | 15.5 G | 71.5 | vgg | original Keras |",
    ]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (999, "999"),
        (1000, "1.00 k"),
        (4_231_976, "4.23 M"),
        (50_303_912, "50.3 M"),
        (568_741_376, "569 M"),
        (999_499_999, "999 M"),
        (999_500_000, "1.00 G"),
        (111_153_143_808, "111 G"),
    ],
)
def test_numbers_have_three_digits(count, text):
    row = dataclasses.replace(COMPLETE, parameters=count)
    assert f" {text} " in tables.FORMATS["table"]([row])


def test_unknown_format_lists_all():
    with pytest.raises(
        UserError, match=r"Did you mean json.*csv, json, markdown, table"
    ):
        _listing("jsn")
