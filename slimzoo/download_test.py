import http.server
import random
import re
import socket
import struct
import threading
import time

import pytest

from slimzoo import download
from slimzoo.errors import UserError

CONTENT = random.Random(0).randbytes(300_000)


class Server:
    """Serves CONTENT; answers misbehave as `script` says, one after the other.

    An entry of `script` can have: `status`, to fail with; `send`, the number of bytes
    after which the connection ends; `reset`, for that to be an error; `length` to
    claim, or None to claim nothing; `start`, to begin at, whatever was asked for.
    `ranges` are those asked for.
    """

    def __init__(self, url):
        self.url = url
        self.script = []
        self.ranges = []


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "WAITS", (0, 0))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer = server.script.pop(0) if server.script else {}
            asked = self.headers["Range"]
            server.ranges.append(asked)
            if "status" in answer:
                self.send_error(answer["status"])
                return
            start = answer.get("start", int(re.sub(r"\D", "", asked)) if asked else 0)
            if asked and start >= len(CONTENT):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            length = answer.get("length", len(CONTENT) - start)
            if start:
                content_range = f"bytes {start}-{start + length - 1}/{len(CONTENT)}"
                self.send_header("Content-Range", content_range)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(CONTENT[start:][: answer.get("send")])
            if "reset" in answer:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.rfile.close()
                self.wfile.close()
                self.connection.close()

        def finish(self):
            if not self.wfile.closed:
                super().finish()

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(
            target=listener.serve_forever, args=(0.01,), daemon=True
        )
        thread.start()
        server = Server(f"http://127.0.0.1:{listener.server_port}/data.bin")
        yield server
        listener.shutdown()
        thread.join()


def _names(directory):
    return [path.name for path in directory.iterdir()]


def _fails(url, path, error=UserError):
    with pytest.raises(error) as raised:
        download.download(url, path, "Do this.")
    assert url in str(raised.value)
    assert str(raised.value).endswith("Do this.")
    assert not path.exists()
    return str(raised.value)


@pytest.mark.parametrize(
    ("script", "ranges"),
    [
        ([], [None]),
        ([{"length": None}], [None]),
        ([{"status": 503}, {"status": 429}], [None, None, None]),
        (
            [{"send": 100_000}, {"send": 100_000}, {"status": 500}],
            [None, "bytes=100000-", "bytes=200000-", "bytes=200000-"],
        ),
        ([{"send": 100_000}, {"start": 0}], [None, "bytes=100000-"]),
        ([{"length": 300_001}], [None, "bytes=300000-"]),
        ([{"send": 100_000}, {"start": 100_001}], [None, "bytes=100000-", None]),
        ([{"send": 1}] * 2 + [{"send": 3}] * 9, None),
    ],
    ids=[
        *("simple", "length not told", "busy", "drops", "no ranges", "too long"),
        *("another range", "drops often"),
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
    server.script += [{"send": 200_000, "reset": True}] * 2
    download.download(server.url, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert len(server.ranges) == 3


def test_file_that_is_there_is_not_asked_for(server, tmp_path):
    (tmp_path / "data.bin").write_text("mine")
    download.download(server.url, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_text() == "mine"
    assert server.ranges == []


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, download.NotFoundError), (410, download.NotFoundError), (403, UserError)],
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


def test_another_call_goes_on_where_one_failed(server, tmp_path):
    server.script += [{"send": 100_000}, *[{"status": 503}] * 3]
    _fails(server.url, tmp_path / "data.bin")
    assert _names(tmp_path) == [".data.bin.partial"]
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
    (tmp_path / ".data.bin.partial").write_bytes(left)
    download.download(server.url, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.ranges == ranges


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
