import subprocess
import sys

from slimbase.testing import ROOT


def _run(body):
    load = "from slimbase.command_line import exit_status"
    program = f"{load}\ndef main(arguments):\n {body}\n"
    return subprocess.run(
        [sys.executable, "-c", f"{program}exit_status.run(main)", "a", "b"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_arguments_come_and_a_mistake_is_a_line():
    result = _run("print(arguments)")
    assert (result.returncode, result.stdout) == (0, "['a', 'b']\n")
    result = _run("from slimbase.errors import UserError; raise UserError('no')")
    assert (result.returncode, result.stderr) == (1, "error: no\n")


def test_nobody_reads_the_output():
    result = _run("raise BrokenPipeError")
    assert (result.returncode, result.stderr) == (141, "")
