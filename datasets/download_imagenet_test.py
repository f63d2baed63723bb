"""The shell scripts as people run them, with a server of this machine."""

import base64
import hashlib
import http.server
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from datasets import imagenet
from datasets.conftest import write_tar
from slimbase.testing import ROOT

NAME, KEY = 'me "and" \\you', "se:cret\\1\"'$x"
SCRIPT = ROOT / "datasets" / "download_imagenet.sh"
BOTH_SCRIPT = ROOT / "datasets" / "download_and_convert_imagenet.sh"
BOXES = "ILSVRC2012_bbox_val_v3.tgz"
COUNTED = "12 train images, 3 validation images"


class Server:
    """Serves files to whom it knows; can go on in the middle, and can do harm.

    Attributes:
      contents: by name.
      bytes_per_answer: after so many the connection is dropped, if not None.
      resumes: whether it understands ranges.
      seconds_per_block: how slow it is.
      requests: name, first byte and status of each.
    """

    def __init__(self, contents):
        self.contents = contents
        self.bytes_per_answer = None
        self.resumes = True
        self.seconds_per_block = 0.0
        self.requests = []
        login = base64.b64encode(f"{NAME}:{KEY}".encode()).decode()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                name = self.path.strip("/")
                content = server.contents.get(name, b"")
                header = self.headers.get("Range", "") if server.resumes else ""
                start = int(header[6:-1]) if header else 0
                status = 206 if header else 200
                if self.headers.get("Authorization") != f"Basic {login}":
                    status = 401
                elif name not in server.contents:
                    status = 404
                elif start and start >= len(content):
                    status = 416
                server.requests.append((name, start, status))
                self.send_response(status)
                if status == 206:
                    size = len(content)
                    self.send_header(
                        "Content-Range", f"bytes {start}-{size - 1}/{size}"
                    )
                body = content[start:] if status in (200, 206) else b"an error"
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                for position in range(0, len(body), 8192):
                    if (server.bytes_per_answer or len(body)) <= position:
                        break
                    self.wfile.write(body[position : position + 8192])
                    time.sleep(server.seconds_per_block)

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        serve = self.http.serve_forever
        threading.Thread(target=serve, args=[0.01], daemon=True).start()


@pytest.fixture
def server(imagenet_source):
    serving = Server({p.name: p.read_bytes() for p in imagenet_source.iterdir()})
    yield serving
    serving.http.shutdown()
    serving.http.server_close()


NOT_COUNTED = {"PYTHON": "true"}  # Which takes some seconds.


@pytest.fixture
def environment(server, tmp_path):
    sums = tmp_path / "md5sums.txt"
    names = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")
    lines = (f"{md5(server.contents[name])}  {name}\n" for name in names)
    sums.write_text("".join(lines))
    return os.environ | {
        "IMAGENET_URL": server.url,
        "IMAGENET_MD5SUMS": str(sums),
        "IMAGENET_SPACE_GB": "0",
        "IMAGENET_USERNAME": NAME,
        "IMAGENET_ACCESS_KEY": KEY,
        "PYTHON": sys.executable,
    }


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def run(environment, *arguments, script=SCRIPT, typed="", cwd=None):
    result = subprocess.run(
        [script, *arguments],
        env=environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cwd,
    )
    assert KEY not in result.stdout + result.stderr
    return result


def refused(environment, *arguments, **options):
    result = run(environment, *arguments, **options)
    assert result.returncode == 1
    return result.stderr


def test_downloads_and_counts(environment, server, tmp_path):
    result = run(environment, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == COUNTED
    assert "There is no ILSVRC2012_bbox_val_v3.tgz; going on" in result.stdout
    data = tmp_path / "imagenet-data"
    assert {p.name: p.read_bytes() for p in data.iterdir()} == server.contents
    # Again: nothing is downloaded, and some classes are counted.
    server.requests.clear()
    (tmp_path / "some.txt").write_text("n01440764\nn01751748\n")
    result = run(environment, data, "some.txt", cwd=tmp_path)
    assert result.stdout.splitlines()[-1] == "4 train images, 1 validation images"
    assert {name for name, _, status in server.requests if status == 200} == set()


def test_asks_for_the_account(environment, server, tmp_path):
    del environment["IMAGENET_USERNAME"], environment["IMAGENET_ACCESS_KEY"]
    assert "set IMAGENET_USERNAME" in refused(environment, tmp_path / "data")
    assert "without an account" in refused(environment, tmp_path, typed="\n\n")
    assert not server.requests
    result = run(environment | NOT_COUNTED, tmp_path / "data", typed=f"{NAME}\n{KEY}\n")
    assert result.returncode == 0, result.stderr
    assert "User name at image-net.org: Access key or password: " in result.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"IMAGENET_ACCESS_KEY": "wrong"}, "does not accept the user name or the acc"),
        ({"IMAGENET_ACCESS_KEY": "a\nurl = x"}, "has a character that cannot be"),
        ({"IMAGENET_SPACE_GB": "999999999"}, "need 999999999 GB"),
        ({"IMAGENET_MD5SUMS": "/none"}, "cannot read /none"),
    ],
)
def test_mistakes(changes, message, environment, tmp_path):
    assert message in refused(environment | changes, tmp_path / "data")
    assert not [p for p in (tmp_path / "data").iterdir() if p.stat().st_size]


def test_wrong_arguments(environment, tmp_path):
    assert "usage" in refused(environment, "a", "b", "c", cwd=tmp_path)
    assert "no file none" in refused(environment, "data", "none", cwd=tmp_path)


def test_five_hundred_gigabytes_are_wanted(environment, tmp_path):
    del environment["IMAGENET_SPACE_GB"]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "df").write_text("#!/bin/sh\necho head; echo d 1 1 488000000\n")
    (tmp_path / "bin" / "df").chmod(0o755)
    environment["PATH"] = f"{tmp_path / 'bin'}:{environment['PATH']}"
    told = refused(environment, tmp_path / "data")
    assert "has space for 499 GB; archives and records together need 500 GB" in told


def test_nothing_is_asked_if_all_is_there(environment, server, tmp_path):
    for name in ("IMAGENET_USERNAME", "IMAGENET_ACCESS_KEY"):
        del environment[name]
    for name, content in {**server.contents, BOXES: b""}.items():
        (tmp_path / name).write_bytes(content)
    environment["IMAGENET_SPACE_GB"] = "999999999"
    result = run(environment | NOT_COUNTED, tmp_path)
    assert result.returncode == 0, result.stderr
    assert not server.requests


def test_what_a_conversion_has_written_counts(environment, tmp_path):
    """Of 499 GB, 2 are taken by records that are not complete."""
    del environment["IMAGENET_SPACE_GB"]
    (tmp_path / "bin").mkdir()
    for command, answer in {
        "df": "echo head; echo d 1 1 486000000",
        "du": 'test -d "$2/.incomplete" && echo 3000000 || echo 0',
    }.items():
        (tmp_path / "bin" / command).write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / "bin" / command).chmod(0o755)
    environment["PATH"] = f"{tmp_path / 'bin'}:{environment['PATH']}"
    (tmp_path / "data" / ".incomplete").mkdir(parents=True)
    environment["IMAGENET_ACCESS_KEY"] = "a\n"  # What is refused next.
    told = refused(environment, tmp_path / "data", script=BOTH_SCRIPT)
    assert "has a character that cannot be" in told


def test_dropped_connections(environment, server, tmp_path):
    server.bytes_per_answer = 20_000
    result = run(environment | NOT_COUNTED, tmp_path)
    assert result.returncode == 0, result.stderr
    for name, content in server.contents.items():
        assert (tmp_path / name).read_bytes() == content
    starts = [n for name, n, _ in server.requests if name.endswith("train.tar")]
    assert len(starts) > 1
    assert starts == sorted(set(starts))


def test_server_that_cannot_go_on(environment, server, tmp_path):
    """What is there already is not lost."""
    name = "ILSVRC2012_img_val.tar"
    part = tmp_path / f".{name}.partial"
    part.write_bytes(server.contents[name][:1000])
    server.resumes = False
    assert f"delete {part} to begin anew" in refused(environment, tmp_path)
    assert part.read_bytes() == server.contents[name][:1000]
    part.unlink()
    result = run(environment | NOT_COUNTED, tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / name).read_bytes() == server.contents[name]


def test_killed_between_download_and_rename(environment, server, tmp_path):
    for name, content in server.contents.items():
        (tmp_path / f".{name}.partial").write_bytes(content)
    result = run(environment | NOT_COUNTED, tmp_path)
    assert result.returncode == 0, result.stderr
    for name, content in server.contents.items():
        assert (tmp_path / name).read_bytes() == content
    assert not list(tmp_path.glob(".*partial"))


@pytest.mark.parametrize(
    "name", ["ILSVRC2012_img_val.tar", "ILSVRC2012_bbox_train_v2.tar.gz"]
)
def test_something_else_is_sent(name, environment, server, tmp_path):
    server.contents[name] = b"<html>Please log in</html>"
    told = refused(environment, tmp_path / "data")
    assert f"sent as {name} is not what was published. It is deleted" in told
    names = {path.name for path in (tmp_path / "data").iterdir()}
    assert not {name, f".{name}.partial"} & names


def test_missing_archive(environment, server, tmp_path):
    del server.contents["ILSVRC2012_img_val.tar"]
    told = refused(environment, tmp_path)
    assert f"there is no {server.url}/ILSVRC2012_img_val.tar" in told


@pytest.mark.slow
def test_killed_again_and_again(environment, server, tmp_path):
    pictures = {f"n01440764/n01440764_{i}.JPEG": bytes(9000) for i in range(300)}
    write_tar(tmp_path / "train.tar", pictures)
    name = "ILSVRC2012_img_train.tar"
    server.contents[name] = (tmp_path / "train.tar").read_bytes()
    sums = f"{md5(server.contents[name])}  {name}\n"
    (tmp_path / "sums").write_text(sums)
    val = "ILSVRC2012_img_val.tar"
    (tmp_path / "sums").write_text(f"{sums}{md5(server.contents[val])}  {val}\n")
    environment["IMAGENET_MD5SUMS"] = str(tmp_path / "sums")
    server.seconds_per_block = 0.005
    killed = 0
    for attempt in range(20):
        process = subprocess.Popen(
            [SCRIPT, tmp_path / "data"],
            env=environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
        )
        time.sleep(0.1 + 0.03 * attempt)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed == 20
    result = run(environment, tmp_path / "data")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "300 train images, 3 validation images"
    for name, content in server.contents.items():
        assert (tmp_path / "data" / name).read_bytes() == content


@pytest.mark.slow
def test_download_and_convert(environment, server, tmp_path):
    result = run(environment, tmp_path / "data", script=BOTH_SCRIPT)
    assert result.returncode == 0, result.stderr
    for split, size in (("train", 12), ("validation", 3)):
        assert imagenet.get_split(split, tmp_path / "data").num_samples == size
    assert len(list((tmp_path / "data").glob("train-*-of-01024"))) == 1024
    server.requests.clear()
    result = run(environment, tmp_path / "data", script=BOTH_SCRIPT)
    assert result.returncode == 0, result.stderr
    assert not server.requests


def test_usage_of_download_and_convert(environment):
    result = run(environment, script=BOTH_SCRIPT)
    assert result.returncode == 2
    assert "usage: " in result.stderr


def test_key_is_no_argument_of_curl():
    """Arguments are seen by all users of a machine."""
    [command] = re.findall(r"curl --config.*?\$url/\$name", SCRIPT.read_text(), re.S)
    assert "IMAGENET" not in command
