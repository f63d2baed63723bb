import http.server
import threading

import pytest

from nets import published
from tools import address_check

STATUS = {"/there": 200, "/refused": 403, "/gone": 410}


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(STATUS[self.path])
        self.end_headers()

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as listener:
        threading.Thread(target=listener.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{listener.server_port}"
        listener.shutdown()


def test_dead_addresses_are_reported_with_their_status(server, monkeypatch, capsys):
    places = {server + path: ["net"] for path in STATUS}
    monkeypatch.setattr(address_check, "urls", lambda: places)
    assert address_check.main() == 1
    assert capsys.readouterr().out.splitlines() == [
        *("2 of 3 addresses do not answer.", ""),
        f"- {server}/refused: 403 (net)",
        f"- {server}/gone: 410 (net)",
    ]
    monkeypatch.setattr(address_check, "urls", lambda: {f"{server}/there": ["net"]})
    assert address_check.main() == 0


def test_all_published_archives_are_asked():
    assert {c.url for c in published.checkpoints()} <= set(address_check.urls())
