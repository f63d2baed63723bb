import subprocess
import sys

from slimzoo.testing import ROOT


def _run(body):
    program = f"from slimzoo import scripts\ndef main(arguments):\n {body}\n"
    return subprocess.run(
        [sys.executable, "-c", f"{program}scripts.run(main)", "a", "b"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_arguments_come_and_a_mistake_is_a_line():
    result = _run("print(arguments)")
    assert (result.returncode, result.stdout) == (0, "['a', 'b']\n")
    result = _run("from slimzoo.errors import UserError; raise UserError('no')")
    assert (result.returncode, result.stderr) == (1, "error: no\n")


def test_nobody_reads_the_output():
    result = _run("raise BrokenPipeError")
    assert (result.returncode, result.stderr) == (141, "")
