import dataclasses
import importlib
import inspect

import pytest

from datasets import converters, dataset_factory
from datasets.config import ConvertConfig
from slimbase import testing

OPTIONS = {field.name: field.default for field in dataclasses.fields(ConvertConfig)}
SCRIPT = "download_and_convert_data.py"


def _parameters(name):
    module = importlib.import_module(f"datasets.download_and_convert_{name}")
    parameters = dict(inspect.signature(module.run).parameters)
    assert next(iter(parameters)) == "dataset_dir"
    del parameters["dataset_dir"]
    return parameters


@pytest.mark.parametrize("name", converters.names())
def test_what_a_converter_takes_are_options(name):
    for parameter in _parameters(name).values():
        assert parameter.default == OPTIONS[parameter.name]


def test_every_option_is_for_a_converter():
    taken = {p for name in converters.names() for p in _parameters(name)}
    assert taken == OPTIONS.keys() - {"dataset_name", "dataset_dir"}


def test_every_set_has_a_converter():
    names = {*converters.names()} - {"folder", "tfds"}
    assert names == dataset_factory.datasets_map.keys()


def test_options_reach_the_converter(coco_source, tmp_path):
    testing.call(
        *(SCRIPT, "--dataset_name=visualwakewords", f"--source_dir={coco_source}"),
        *(f"--dataset_dir={tmp_path}", "--foreground_class_of_interest=dog"),
    )
    assert (tmp_path / "labels.txt").read_text() == "0:background\n1:dog\n"
