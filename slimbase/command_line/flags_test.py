import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from absl import flags

from datasets.config import ConvertConfig
from slimbase import testing
from slimbase.command_line import flags as cli
from slimbase.command_line import options as config
from slimbase.command_line import usage
from slimbase.errors import UserError
from slimzoo.config.evaluate import EvalConfig
from slimzoo.config.export import ExportConfig
from slimzoo.config.train import TrainConfig
from slimzoo.config.zoo import DownloadConfig
from tools.update_readme import COMMANDS

HERE = pathlib.Path(__file__).parent
ORIGINAL = json.loads((HERE / "original_flags.json").read_text())
CONFIGS = {
    "train_image_classifier": TrainConfig,
    "eval_image_classifier": EvalConfig,
    "export_inference_graph": ExportConfig,
    "download_and_convert_data": ConvertConfig,
}
ALL_CONFIGS = [*COMMANDS.values()]
SIZES = {"train_image_size", "eval_image_size", "image_size"}  # Rectangles, too.
# The original's "test" is a split that half of its data sets lack; here the default
# is the data set's own evaluation split.
CHANGED_DEFAULTS = {("eval_image_classifier", "dataset_split_name"): None}


def defined(config_class):
    values = flags.FlagValues()
    cli.define_flags(config_class, values)
    return values


def read(config_class, *arguments):
    values = defined(config_class)
    values(["program", *arguments])
    return cli.read_flags(config_class, values)


# The table of options


def test_each_original_script_has_a_config():
    assert set(ORIGINAL) == set(CONFIGS)


@pytest.mark.parametrize(
    ("script", "flag"), [(s, flag) for s, its in ORIGINAL.items() for flag in its]
)
def test_flag_of_the_original_has_its_type_and_default(script, flag):
    kind, default = ORIGINAL[script][flag]
    ours = defined(CONFIGS[script])[flag]
    assert ours.flag_type() == ("size" if flag in SIZES else kind)
    assert ours.default == CHANGED_DEFAULTS.get((script, flag), default)
    assert type(ours.default) in (type(default), type(None))


@pytest.mark.parametrize("config_class", ALL_CONFIGS)
def test_every_option_becomes_a_flag_with_a_description(config_class):
    values = defined(config_class)
    names = {usage.flag_name(field) for field in dataclasses.fields(config_class)}
    assert set(values) == names
    for name in names:
        assert values[name].help.endswith("."), name


def test_config_cannot_be_changed_or_given_by_position():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().batch_size = 3  # pyright: ignore
    with pytest.raises(TypeError):
        TrainConfig("lenet")  # pyright: ignore


# Parsing


def test_values_are_read_with_their_types():
    train = read(
        TrainConfig,
        *("--batch_size=3", "--learning_rate=1e-3", "--model_name=lenet"),
        *("--warmup_epochs=2", "--train_image_size=28"),
    )
    assert train == TrainConfig(
        batch_size=3,
        learning_rate=0.001,
        model_name="lenet",
        warmup_epochs=2.0,
        train_image_size=(28, 28),
    )
    assert isinstance(train.warmup_epochs, float)


@pytest.mark.parametrize(
    ("text", "size"),
    [("224", (224, 224)), ("96,128", (96, 128)), ("[96, 128]", (96, 128))],
)
def test_sizes_are_squares_or_rectangles(text, size):
    assert read(EvalConfig, f"--eval_image_size={text}").eval_image_size == size


@pytest.mark.parametrize("text", ["0", "-3", "1,2,3", "224x224", "96,0", "large"])
def test_sizes_that_cannot_be_are_told(text):
    with pytest.raises(flags.IllegalFlagValueError, match="height,width"):
        read(EvalConfig, f"--eval_image_size={text}")


def test_without_arguments_the_config_has_its_own_defaults():
    for config_class in ALL_CONFIGS:
        assert read(config_class) == config_class()


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("--use_grayscale", True),
        ("--use_grayscale=true", True),
        ("--use_grayscale=1", True),
        ("--nouse_grayscale", False),
        ("--use_grayscale=false", False),
    ],
)
def test_spellings_of_booleans(argument, value):
    assert read(TrainConfig, argument).use_grayscale is value


def test_boolean_that_is_on_can_be_switched_off():
    assert read(TrainConfig).grow_batch_norm_decay
    assert not read(TrainConfig, "--nogrow_batch_norm_decay").grow_batch_norm_decay


def test_recorded_options_are_none_unless_given():
    values = defined(EvalConfig)
    recorded = [
        field.name
        for field in dataclasses.fields(EvalConfig)
        if "flag_default" in field.metadata
    ]
    assert {"model_name", "dataset_name", "labels_offset"} <= set(recorded)
    values(["program"])
    nothing = cli.read_flags(EvalConfig, values)
    assert all(getattr(nothing, name) is None for name in recorded)
    assert values["model_name"].value == "inception_v3"  # What --help shows.
    given = read(EvalConfig, "--model_name=inception_v3", "--labels_offset=0")
    assert given.model_name == "inception_v3"
    assert given.labels_offset == 0
    assert given.dataset_name is None


def test_option_and_recorded_describe_themselves():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Small:
        plain: int = config.option(3, "Plain.")
        known: float | None = config.recorded(0.5, "Known.")

    assert Small() == Small(plain=3, known=None)
    values = defined(Small)
    assert values["plain"].default == 3
    assert values["known"].default == 0.5
    assert values["known"].help == "Known."
    assert read(Small, "--known=0.25") == Small(known=0.25)


def test_unknown_flag_is_an_error_that_suggests():
    with pytest.raises(flags.UnrecognizedFlagError, match=r"modle_name.*model_name"):
        read(TrainConfig, "--modle_name=lenet")


def test_flag_of_another_script_is_unknown():
    with pytest.raises(flags.UnrecognizedFlagError, match="learning_rate"):
        read(EvalConfig, "--learning_rate=0.1")


def test_value_of_the_wrong_type_is_an_error():
    with pytest.raises(flags.IllegalFlagValueError, match="batch_size"):
        read(TrainConfig, "--batch_size=many")


# Programs


PROGRAM = """
import sys
from absl import logging
from datasets import config
from slimbase import errors, quiet
from slimbase.command_line import flags

quiet.start_tensorflow = lambda: print("started")

def main(config, *operands):
    logging.info("at step %d", 3)
    print(config.dataset_name, *operands)
    if config.dataset_name == "user":
        raise errors.UserError("the thing is wrong")
    if config.dataset_name == "bug":
        raise ValueError("not the user's")

try:
    flags.run(main, config.ConvertConfig{more})
finally:
    print("tensorflow" if "tensorflow" in sys.modules else "no tensorflow")
"""


@pytest.fixture
def run(tmp_path):
    """`f(*arguments, more="")` runs a program that takes ConvertConfig's flags."""

    def run_program(*arguments, more=""):
        path = tmp_path / "program.py"
        path.write_text(PROGRAM.replace("{more}", more))
        return subprocess.run(
            [sys.executable, path, *arguments],
            env=os.environ | {"PYTHONPATH": str(testing.ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run_program


def test_program_runs_with_its_config(run):
    result = run("--dataset_name=flowers")
    assert result.returncode == 0
    assert result.stdout.split() == ["started", "flowers", "no", "tensorflow"]


def test_progress_is_told_as_plain_lines_on_standard_error(run):
    assert re.fullmatch(r"\d\d:\d\d:\d\d at step 3\n", run().stderr)
    assert run("--verbosity=-1").stderr == ""


def test_mistake_of_the_user_is_one_line_and_status_1(run):
    result = run("--dataset_name=user")
    assert result.returncode == 1
    assert result.stderr.splitlines()[1:] == ["error: the thing is wrong"]


def test_other_errors_keep_their_stack_trace(run):
    result = run("--dataset_name=bug")
    assert result.returncode != 0
    assert "Traceback" in result.stderr
    assert "not the user's" in result.stderr


def test_stray_argument_is_an_error(run):
    result = run("--dataset_name=flowers", "dataset_dir=/tmp")
    assert result.returncode == 1
    assert result.stderr.startswith("error: unexpected argument 'dataset_dir=/tmp'")
    assert "--name=value" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == "no tensorflow\n"


def test_operands_are_handed_on_where_they_are_meant(run):
    result = run("a.jpg", "--dataset_name=x", "b.jpg", more=', operands="pictures"')
    assert result.returncode == 0
    assert "x ['a.jpg', 'b.jpg']\n" in result.stdout
    assert "None []\n" in run(more=', operands="pictures"').stdout


def test_unknown_flag_is_told_without_stack_trace(run):
    result = run("--datset_name=flowers")
    assert result.returncode == 1
    assert "Did you mean: dataset_name" in result.stderr
    assert "Traceback" not in result.stderr
    assert "started" not in result.stdout


def test_help_shows_only_the_flags_of_the_program_and_is_quick(run):
    result = run("--help")
    listed = re.findall(r"^  --(?:\[no\])?(\w+)", result.stdout, re.MULTILINE)
    options = [field.name for field in dataclasses.fields(ConvertConfig)]
    assert sorted(listed) == sorted(["config", "help", *options])
    assert "Where the records are written." in result.stdout
    assert result.stdout.endswith("\nno tensorflow\n")


# Options from a file


def options_of(tmp_path, text):
    path = tmp_path / "options.yaml"
    path.write_text(text)
    return cli.read_options(str(path), TrainConfig)


def test_flags_may_be_named_otherwise_than_their_field():
    """`from` is no name that a field can have."""
    assert read(DownloadConfig, "--from=a").source == "a"
    values = defined(DownloadConfig)
    assert "source" not in values
    values(["program"])
    assert cli.read_flags(DownloadConfig, values, {"from": "b"}).source == "b"
    values(["program", "--from=c"])
    assert cli.read_flags(DownloadConfig, values, {"from": "b"}).source == "c"
    [field] = [f for f in dataclasses.fields(DownloadConfig) if f.name == "source"]
    assert usage.spelling(field, str) == "--from=TEXT"


def test_options_from_a_file_give_way_to_flags(tmp_path):
    text = "batch_size: 8\nlearning_rate: 1\nmodel_name: lenet\nseed: null\n"
    options = options_of(tmp_path, text + "use_grayscale: true\n")
    assert options["learning_rate"] == 1.0 and isinstance(
        options["learning_rate"], float
    )
    values = defined(TrainConfig)
    values(["program", "--batch_size=16"])
    assert cli.read_flags(TrainConfig, values, options) == TrainConfig(
        batch_size=16, learning_rate=1.0, model_name="lenet", use_grayscale=True
    )


def test_a_written_config_reads_as_itself(tmp_path):
    config = TrainConfig(
        model_name="lenet", warmup_epochs=1.5, seed=3, clone_on_cpu=True
    )
    options = options_of(tmp_path, json.dumps(dataclasses.asdict(config)))
    assert TrainConfig(**options) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch_sise: 8", "Did you mean batch_size"),
        ("batch_size: many", "batch_size"),
        ("batch_size: 0", "batch_size"),
        ("- batch_size", "map options to values"),
        ("a: [", "cannot read"),
    ],
)
def test_mistakes_in_a_file_of_options_are_told(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        options_of(tmp_path, text)
