import collections
import contextlib
import hashlib
import http.server
import io
import random
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

from slimbase.errors import UserError
from slimbase.fetch import download

CONTENT = random.Random(0).randbytes(300_000)
OTHER = random.Random(1).randbytes(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server:
    """Serves `content`; answers misbehave as `script` says, one after the other.

    An entry of `script` can have: `status`, to fail with; `headers` to add or replace,
    None to leave one out; `send`, the number of bytes after which the connection ends;
    `reset`, for that to be an error; `stall`, for it to go silent instead, "headers"
    for silence from the beginning; `trickle`, for a few bytes at a time, for ever;
    `start`, to begin at, whatever was asked for; `change`, the headers and content from
    then on. `ranges` are those asked for.
    """

    def __init__(self, url):
        self.url = url
        self.content = CONTENT
        self.headers = {}
        self.script = []
        self.ranges = []
        self.sent = 0
        self.pause = 0.0  # Seconds per block.
        self.closing = threading.Event()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server.state
        answer = server.script.pop(0) if server.script else {}
        asked = self.headers["Range"]
        server.ranges.append(asked)
        if answer.get("stall") == "headers":
            server.closing.wait()
        total = len(server.content)
        start = int(re.sub(r"\D", "", asked)) if asked else 0
        known = [None, *server.headers.values()]
        if (tag := self.headers["If-Range"]) not in known or str(tag).startswith("W/"):
            start = 0
        if "status" not in answer and start >= total:
            answer = {"status": 416, "headers": {"Content-Range": f"bytes */{total}"}}
        start = answer.get("start", start)
        body = server.content[start:]
        headers = {"Content-Length": str(len(body)), **server.headers}
        if start:
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        status = answer.get("status", 206 if start else 200)
        if status >= 300:
            headers, body = {"Content-Length": "0"}, b""
        self.send_response(status)
        for name, value in (headers | answer.get("headers", {})).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if answer.get("trickle"):
            while not server.closing.wait(0.01):
                self.wfile.write(b"drip")
        body = body[: answer.get("send")]
        for position in range(0, len(body), 1 << 14):
            self.wfile.write(body[position : position + (1 << 14)])
            server.sent += 1 << 14
            time.sleep(server.pause)
        if "change" in answer:
            server.headers, server.content = answer["change"]
        if answer.get("stall"):
            server.closing.wait()
        if "reset" in answer:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.rfile.close()
            self.wfile.close()
            self.connection.close()

    def handle(self):
        with contextlib.suppress(ConnectionError):  # The client may be killed.
            super().handle()

    def finish(self):
        if not self.wfile.closed:
            with contextlib.suppress(ConnectionError):
                super().finish()

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "WAITS", (0, 0))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as listener:
        thread = threading.Thread(
            target=listener.serve_forever, args=(0.01,), daemon=True
        )
        thread.start()
        server = Server(f"http://127.0.0.1:{listener.server_port}/data.bin")
        listener.state = server
        yield server
        server.closing.set()
        listener.shutdown()
        thread.join()


def _names(directory):
    return sorted(path.name for path in directory.iterdir())


def _fails(url, path, error=download.UnavailableError, **known):
    with pytest.raises(error) as raised:
        download.download(url, path, "Do this.", **known)
    assert url in str(raised.value)
    assert str(raised.value).endswith("Do this.")
    assert not path.exists()
    return str(raised.value)


@pytest.mark.parametrize(
    ("script", "ranges"),
    [
        ([], [None]),
        ([{"headers": {"Content-Length": None}}], [None]),
        ([{"headers": {"Content-Length": "many"}}], [None]),
        ([{"status": 503}, {"status": 429}], [None, None, None]),
        (
            [{"send": 100_000}, {"send": 100_000}, {"status": 500}],
            [None, "bytes=100000-", "bytes=200000-", "bytes=200000-"],
        ),
        ([{"send": 100_000}, {"start": 0}], [None, "bytes=100000-"]),
        ([{"headers": {"Content-Length": "300001"}}], [None, "bytes=300000-", None]),
        ([{"send": 100_000}, {"start": 100_001}], [None, "bytes=100000-", None]),
        ([{"send": 100_000}, {"start": 90_000}], [None, "bytes=100000-"]),
        (
            [{"send": 100_000}, {"headers": {"Content-Range": None}}],
            [None, "bytes=100000-", "bytes=100000-"],
        ),
        ([{"status": 204, "headers": {"Content-Length": None}}], [None, None]),
        ([{"send": 1}] * 2, [None, "bytes=1-", "bytes=2-"]),
        ([{"send": 70_000}] * 4, None),
        ([{"status": 302, "headers": {"Location": "/elsewhere"}}], [None, None]),
    ],
    ids=[
        *("simple", "length unknown", "no length", "busy", "drops", "no ranges"),
        *("too long", "another range", "an earlier range", "which range?", "nothing"),
        *("drops at once", "drops often", "redirected"),
    ],
)
def test_file_is_whole_however_the_server_behaves(server, tmp_path, script, ranges):
    server.script += script
    path = tmp_path / "made" / "data.bin"
    download.download(server.url, path)
    assert path.read_bytes() == CONTENT
    assert _names(path.parent) == ["data.bin"]
    assert ranges is None or server.ranges == ranges


def test_connection_that_breaks_is_taken_up(server, tmp_path):
    server.script += [{"send": 100_000, "reset": True}] * 2
    download.download(server.url, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert len(server.ranges) == 3


STALLS = [
    {"stall": "headers"},
    {"stall": True, "send": 100_000, "start": 0},
    {"trickle": True},
]


@pytest.mark.parametrize("stall", STALLS, ids=["at once", "midway", "trickles"])
def test_connection_that_stalls_is_given_up_and_taken_up(
    server, tmp_path, monkeypatch, stall
):
    monkeypatch.setattr(download, "_STALLED_SECONDS", 0.2)
    server.script += [stall]
    download.download(server.url, tmp_path / "data.bin")
    content = (tmp_path / "data.bin").read_bytes()
    assert len(content) == len(CONTENT)
    assert "trickle" in stall or content == CONTENT
    assert len(server.ranges) == 2


@pytest.mark.parametrize("stall", STALLS, ids=["at once", "midway", "trickles"])
def test_server_that_stalls_for_ever_is_told(server, tmp_path, monkeypatch, stall):
    monkeypatch.setattr(download, "_STALLED_SECONDS", 0.1)
    server.script += [stall] * 9
    message = _fails(server.url, tmp_path / "data.bin")
    assert "timed out" in message or "bytes came in 0 s" in message
    assert len(server.ranges) <= 4


def test_redirects_in_a_circle_are_told(server, tmp_path):
    server.script += [{"status": 302, "headers": {"Location": "/data.bin"}}] * 99
    assert "infinite loop" in _fails(server.url, tmp_path / "data.bin")


def test_redirect_to_a_local_file_is_refused(server, tmp_path):
    location = (tmp_path / "secret").as_uri()
    (tmp_path / "secret").write_text("mine")
    server.script += [{"status": 302, "headers": {"Location": location}}]
    assert "not allowed" in _fails(server.url, tmp_path / "data.bin")


# What is known of the file


def test_shorter_length_than_published_is_a_lie_that_may_pass(server, tmp_path):
    server.script += [{"headers": {"Content-Length": "100000"}}]
    download.download(server.url, tmp_path / "data.bin", size=300_000)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_length_that_is_not_told_is_known(server, tmp_path):
    server.script += [{"headers": {"Content-Length": None}, "send": 100_000}]
    download.download(server.url, tmp_path / "data.bin", size=300_000)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-"]


@pytest.mark.parametrize("size", [299_999, 300_001])
@pytest.mark.parametrize("known", [True, False])
def test_file_of_another_size_is_not_taken(server, tmp_path, size, known):
    if not known:
        server.headers["Content-Length"] = None
    message = _fails(server.url, tmp_path / "data.bin", size=size)
    assert "300000 bytes" in message and str(size) in message
    assert len(server.ranges) <= 4


def test_endless_file_ends_where_it_should(server, tmp_path):
    endless = {"headers": {"Content-Length": None}, "start": 0}
    server.content = CONTENT * 100
    server.script += [endless] * 9
    assert "300000" in _fails(server.url, tmp_path / "data.bin", size=300_000)
    assert server.sent < len(server.content)


def test_file_with_another_checksum_is_not_taken_and_got_anew(server, tmp_path):
    server.content = OTHER
    message = _fails(server.url, tmp_path / "data.bin", md5=MD5)
    assert f"its MD5 is {hashlib.md5(OTHER).hexdigest()}, expected {MD5}" in message
    assert _names(tmp_path) == []
    server.content = CONTENT
    download.download(server.url, tmp_path / "data.bin", md5=MD5.upper())
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


# Versions

DATES = [f"Sat, 21 Nov 2026 0{i}:00:00 GMT" for i in range(2)]


@pytest.mark.parametrize(
    ("before", "after", "content"),
    [
        ({"ETag": '"1"'}, {"ETag": '"2"'}, OTHER),
        ({"Last-Modified": DATES[0]}, {"Last-Modified": DATES[1]}, OTHER),
        (
            {"ETag": 'W/"1"', "Last-Modified": DATES[0]},
            {"ETag": 'W/"2"', "Last-Modified": DATES[1]},
            OTHER,
        ),
        ({}, {}, OTHER + b"more"),
    ],
    ids=["tag", "date", "weak tag", "size only"],
)
@pytest.mark.parametrize("later", [False, True], ids=["within a call", "later"])
@pytest.mark.parametrize("heeds", [True, False], ids=["If-Range", "no If-Range"])
def test_file_that_changes_midway_is_no_mixture(
    server, tmp_path, before, after, content, later, heeds
):
    server.headers = before
    rest = [] if heeds else [{"start": 100_000}]
    server.script += [{"send": 100_000, "change": (after, content)}]
    if later:
        server.script += [{"status": 503}] * 2
        _fails(server.url, tmp_path / "data.bin")
    server.script += rest
    download.download(server.url, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == content
    assert _names(tmp_path) == ["data.bin"]
    assert server.ranges[-1] == ("bytes=100000-" if heeds and before else None)


@pytest.mark.parametrize("tag", ['"1"', 'W/"1"'])
def test_file_that_stays_the_same_is_taken_up(server, tmp_path, tag):
    server.headers = {"ETag": tag, "Last-Modified": DATES[0]}
    server.script += [{"send": 100_000}]
    download.download(server.url, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-"]
    assert server.sent < 350_000


@pytest.mark.parametrize(
    ("md5", "asked"), [(None, None), (MD5, "bytes=100000-")], ids=["unknown", "known"]
)
def test_another_url_goes_on_if_the_checksum_is_known(server, tmp_path, md5, asked):
    _leave_100_000_bytes(server, tmp_path)
    download.download(f"{server.url}?mirror", tmp_path / "data.bin", md5=md5)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.ranges[-1] == asked


def test_file_that_is_there_is_not_asked_for(server, tmp_path):
    (tmp_path / "data.bin").write_text("mine")
    download.download(server.url, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_text() == "mine"
    assert server.ranges == []


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, download.NotFoundError),
        (410, download.NotFoundError),
        (403, download.ForbiddenError),
    ],
)
def test_what_will_not_pass_is_told_at_once(server, tmp_path, status, error):
    server.script += [{"status": status}]
    assert f"HTTP Error {status}" in _fails(server.url, tmp_path / "data.bin", error)
    assert len(server.ranges) == 1
    assert _names(tmp_path) == []


def test_what_does_not_pass_is_given_up_after_longer_and_longer(
    server, tmp_path, monkeypatch
):
    waited = []
    monkeypatch.setattr(download, "WAITS", (1, 2, 4))
    monkeypatch.setattr(time, "sleep", waited.append)
    server.script += [{"status": 503}] * 4
    assert "HTTP Error 503" in _fails(server.url, tmp_path / "data.bin")
    assert waited == [1, 2, 4]


def test_server_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "WAITS", ())
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/data.bin"
        assert "refused" in _fails(url, tmp_path / "data.bin")
    assert _names(tmp_path) == []


def test_server_that_never_sends_all_is_told(server, tmp_path):
    server.script += [{"start": 0, "send": 9}] * 3
    message = _fails(server.url, tmp_path / "data.bin")
    assert "got 9 bytes of 300000" in message
    assert len(server.ranges) == 3


def _leave_100_000_bytes(server, directory):
    server.script += [{"send": 100_000}, *[{"status": 503}] * 2]
    _fails(server.url, directory / "data.bin")
    assert _names(directory) == [".data.bin.partial", ".data.bin.partial.json"]


def test_another_call_goes_on_where_one_failed(server, tmp_path):
    _leave_100_000_bytes(server, tmp_path)
    download.download(server.url, tmp_path / "data.bin")
    assert server.ranges[-1] == "bytes=100000-"
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert _names(tmp_path) == ["data.bin"]


@pytest.mark.parametrize(
    ("left", "ranges"),
    [(CONTENT, ["bytes=300000-"]), (b"old" * 200_000, ["bytes=600000-", None])],
)
def test_what_an_earlier_call_left_may_be_all_or_too_much(
    server, tmp_path, left, ranges
):
    _leave_100_000_bytes(server, tmp_path)
    server.ranges.clear()
    (tmp_path / ".data.bin.partial").write_bytes(left)
    download.download(server.url, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.ranges == ranges


@pytest.mark.parametrize("note", [None, "", "[]", '{"url": 1}', "\xff"])
def test_what_is_left_of_something_unknown_is_not_used(server, tmp_path, note):
    (tmp_path / ".data.bin.partial").write_bytes(OTHER[:100_000])
    if note is not None:
        (tmp_path / ".data.bin.partial.json").write_text(note, "latin1")
    download.download(server.url, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.ranges == [None]
    assert _names(tmp_path) == ["data.bin"]


def test_files_can_be_downloaded_too(tmp_path):
    source = tmp_path / "there" / "data.bin"
    source.parent.mkdir()
    source.write_bytes(CONTENT)
    download.download(source.as_uri(), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    url = (tmp_path / "nowhere.bin").as_uri()
    _fails(url, tmp_path / "other.bin", download.NotFoundError)


def test_directory_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*file/data\.bin"):
        download.download("http://127.0.0.1/", tmp_path / "file" / "data.bin")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "nonsense", "http://[/a"])
def test_url_that_is_none_is_told_at_once(tmp_path, monkeypatch, url):
    monkeypatch.setattr(time, "sleep", None)
    _fails(url, tmp_path / "data.bin")


def test_untrusted_certificate_is_told_at_once(tmp_path, monkeypatch):
    def urlopen(*args, **kwargs):
        raise urllib.error.URLError(ssl.SSLCertVerificationError("expired"))

    monkeypatch.setattr(time, "sleep", None)
    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    assert "expired" in _fails("https://a/b", tmp_path / "data.bin")


# Disk


def _fails_to_write(server, path, message):
    with pytest.raises(UserError, match=f"cannot write {path}: {message}") as raised:
        download.download(server.url, path)
    assert not isinstance(raised.value, download.UnavailableError)
    assert not path.exists()


def test_too_little_space_is_told_beforehand(server, tmp_path, monkeypatch):
    usage = collections.namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(299_999))
    _fails_to_write(server, tmp_path / "data.bin", "300,000 bytes more are needed")
    assert _names(tmp_path) == []


def test_disk_that_fails_is_told_and_what_arrived_is_good(server, tmp_path):
    resource = pytest.importorskip("resource")  # Not on Windows.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        _fails_to_write(server, tmp_path / "data.bin", "File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(server.ranges) == 1
    download.download(server.url, tmp_path / "data.bin")
    assert server.ranges[1]
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_tells_rate_and_time_left(server, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", _Terminal())
    server.pause = 0.02
    download.download(server.url, tmp_path / "data.bin", md5=MD5)
    shown = sys.stderr.getvalue()
    assert re.search(r"Downloading data.bin: +\d+%.*k/300k .*<00:0\d, .*B/s", shown)
    assert "Checking the MD5: 100%" in shown


# Kills

PROGRAM = (
    "import sys; from slimbase.fetch import download; download.download(*sys.argv[1:])"
)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("changes", [False, True])
def test_killed_at_random_it_ends_with_the_right_file(server, tmp_path, seed, changes):
    chance = random.Random(seed)
    server.content = chance.randbytes(4_000_000)
    server.headers = {"ETag": '"1"'}
    server.pause = 0.008  # Two seconds in all.
    path = tmp_path / "data.bin"
    command = [sys.executable, "-c", PROGRAM, server.url, str(path)]
    for kill in range(6):
        if changes and kill == 3:
            server.headers = {"ETag": '"2"'}
            server.content = chance.randbytes(4_000_000)
        server.ranges.clear()
        with subprocess.Popen(command) as process:
            while not server.ranges and process.poll() is None:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.25))
            process.kill()
        assert not path.exists() or path.read_bytes() == server.content
    subprocess.run(command, check=True, timeout=60)
    assert path.read_bytes() == server.content
    assert _names(tmp_path) == ["data.bin"]
    assert server.ranges[-1]  # It did not begin anew.
