"""What pip makes of the checkout: a wheel, an editable install, their commands."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest

try:
    import tomllib
except ModuleNotFoundError:  # Before Python 3.11.
    import tomli as tomllib

from slimbase.testing import ROOT, copy_checkout
from tools.update_readme import COMMANDS as CONFIGS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMMANDS = sorted(PROJECT["scripts"])
OFFLINE = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")


def run(*command, cwd, **environment):
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": ""} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy, as setuptools writes into what it builds."""
    path = tmp_path_factory.mktemp("packaging") / "checkout"
    copy_checkout(path)
    return path


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    directory = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel")
    run(*pip, *OFFLINE, "--wheel-dir", directory, checkout, cwd=directory)
    [path] = directory.iterdir()
    return path


@pytest.fixture
def environment(tmp_path):
    """A new environment's bin; dependencies are this one's."""
    path = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", path, cwd=tmp_path)
    [packages] = path.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return path / "bin"


def install(environment, *what):
    pip = (sys.executable, "-m", "pip", "--python", environment / "python", "install")
    run(*pip, *OFFLINE, *what, cwd=environment)


def test_every_script_is_a_command():
    scripts = {path.stem for path in ROOT.glob("*.py")} - {"conftest"}
    assert {name for name in scripts if not name.endswith("_test")} == set(COMMANDS)
    for name in COMMANDS:
        assert PROJECT["scripts"][name] == f"{name}:run"
    documented = {name.removesuffix(".py") for name in CONFIGS if "/" not in name}
    assert documented == set(COMMANDS)


@pytest.mark.slow
def test_a_wheel_has_all_that_is_read(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in ("datasets", "nets", "preprocessing", "deployment", "slimzoo"):
        tracked = [
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / package).rglob("*")
            if path.suffix in {".py", ".csv", ".tsv", ".txt", ".html", ".sh"}
        ]
        assert tracked and not set(tracked) - names
    assert {"nets/complexity.json", "slimzoo/zoo/networks.json"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["wheel", "editable"])
def test_installed_commands_work_from_anywhere(
    how, wheel, checkout, environment, tmp_path
):
    install(environment, *([wheel] if how == "wheel" else ["--editable", checkout]))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in COMMANDS:
        told = run(environment / name, "--help", cwd=elsewhere)
        assert f"usage: {name} [flags]" in told
        assert ".py " not in told.split("usage:")[0]
    assert "mobilenet_v1_025" in run(environment / "list_models", cwd=elsewhere)
    run(
        *(environment / "download_and_convert_data", "--dataset_name=shapes"),
        "--dataset_dir=shapes",
        cwd=elsewhere,
    )
    run(
        *(environment / "train_image_classifier", "--dataset_dir=shapes"),
        *("--model_name=lenet", "--train_dir=train", "--max_number_of_steps=2"),
        cwd=elsewhere,
    )
    told = run(
        *(environment / "eval_image_classifier", "--checkpoint_path=train"),
        *("--dataset_dir=shapes", "--eval_dir=eval"),
        cwd=elsewhere,
    )
    assert "lenet at step 2, 1000 images" in told


BASH = shutil.which("bash")


@pytest.mark.skipif(not BASH, reason="completion is for bash")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("list_models --fo", ["--format="]),
        ("train_image_classifier --clone", ["--clone_on_cpu"]),
        ("train_image_classifier --noclone", ["--noclone_on_cpu"]),
        ("train_image_classifier --model_name=resnet_v2_5", ["resnet_v2_50"]),
        ("classify_image --checkpoint_path=LICEN", ["LICENSE"]),
        ("classify_image CHANGE", ["CHANGELOG.md"]),
    ],
)
def test_completion(line, expected, tmp_path):
    for name in COMMANDS:
        command = tmp_path / name
        command.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/{name}.py" "$@"'
        )
        command.chmod(0o755)
    script = """
        source scripts/completion.bash
        COMP_LINE=$1 COMP_POINT=${#1} _slimzoo "${1%% *}"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    told = run(BASH, "-euc", script, "bash", line, cwd=ROOT, PATH=path)
    assert told.splitlines() == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "typed", ["classify_image --checkpoint_path=my", "classify_image my"]
)
def test_completion_of_paths_in_a_shell(typed, tmp_path):
    pexpect = pytest.importorskip("pexpect", reason="drives a terminal")
    (tmp_path / "my photos" / "in").mkdir(parents=True)
    environment = os.environ | {"PS1": "> ", "TERM": "dumb"}
    shell = pexpect.spawn(
        "bash", ["--norc", "-i"], cwd=tmp_path, env=environment, encoding="utf-8"
    )
    shell.sendline(f"source {ROOT / 'scripts' / 'completion.bash'}; echo r''eady")
    shell.expect("ready")
    shell.send(f"{typed}\t")
    shell.expect_exact("my\\ photos/")
    shell.send("\t")
    shell.expect_exact("in/")
    shell.close(force=True)


def test_completion_knows_every_command():
    text = (ROOT / "scripts" / "completion.bash").read_text()
    completed = text.split("complete -F _slimzoo")[1].replace("\\", " ").split()
    assert sorted(completed) == COMMANDS


def test_the_version_is_told_once():
    version = f"version: {PROJECT['version']}\n"
    assert version in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {PROJECT['version']}, 20" in (ROOT / "CHANGELOG.md").read_text()


def test_hosted_tests_pin_the_lower_ends():
    oldest = (ROOT / ".github" / "oldest.txt").read_text()
    stated = {d.split(">=")[0]: d for d in PROJECT["dependencies"] if ">=" in d}
    pinned = dict(s.split("==") for s in oldest.splitlines() if s[0] != "#")
    assert set(pinned) == set(stated)
    for name, version in pinned.items():
        least = stated[name].split(">=")[1].split(",")[0]
        assert version == least or version.startswith(f"{least}."), name
