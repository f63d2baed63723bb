import dataclasses

import pytest

from slimzoo.classification import class_names
from slimzoo.config.train import TrainConfig
from slimzoo.model import info as model_info

INFO = model_info.settle(TrainConfig(model_name="lenet"), {"num_classes": 2}, None)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("0:ant\n1:bee\n", ("ant", "bee")),
        ("1:bee\n0:ant\n", ("ant", "bee")),
        ("ant\nbee\n", ("ant", "bee")),
        ("2\n1\n", ("2", "1")),
        ("10:30\n10:45\n", ("10:30", "10:45")),
        ("0:10:30\n1:10:45\n", ("10:30", "10:45")),
    ],
)
def test_files_of_names_with_and_without_numbers(tmp_path, text, names):
    path = tmp_path / "labels.txt"
    path.write_text(text)
    info = dataclasses.replace(INFO, labels=None)
    assert class_names.choose(str(path), info, 2) == names
