import http.server
import pathlib
import socket
import threading

import pytest

from slimbase.errors import UserError
from slimbase.fetch import download, mirrors

HOST, PATH = "example.com", "pub/pets/pets.gz"
URL = f"http://{HOST}/{PATH}"
PLACES = [f"{HOST}/{PATH}", PATH, "pets/pets.gz", "pets.gz"]


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch):
    monkeypatch.delenv(mirrors.VARIABLE, raising=False)
    monkeypatch.setattr(download, "WAITS", ())


@pytest.fixture
def put(tmp_path):
    """`f(place, content)` writes a file of the mirror in `tmp_path / "mirror"`."""

    def write(place, content="pets"):
        path = tmp_path / "mirror" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    return write


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", [str, pathlib.Path, pathlib.Path.as_uri, "variable"])
def test_file_may_be_at_any_end_of_its_path(tmp_path, put, monkeypatch, kind, place):
    there = put(place)
    target = tmp_path / "target"
    if kind == "variable":
        monkeypatch.setenv(mirrors.VARIABLE, str(tmp_path / "mirror"))
        found = mirrors.fetch(URL, target)
    else:
        found = mirrors.fetch(URL, target, kind(tmp_path / "mirror"))
    remote = kind == pathlib.Path.as_uri
    assert found == (target if remote else there)
    assert found.read_text() == "pets"
    assert target.exists() == remote
    assert there.exists()


@pytest.mark.parametrize("kind", [str, pathlib.Path.as_uri])
def test_the_longest_place_is_the_right_one(tmp_path, put, kind):
    put("pets.gz", "of another set")
    put("pets/pets.gz")
    path = mirrors.fetch(URL, tmp_path / "target", kind(tmp_path / "mirror"))
    assert path.read_text() == "pets"


def test_what_is_given_goes_before_the_variable(tmp_path, monkeypatch):
    assert mirrors.chosen() == ""
    monkeypatch.setenv(mirrors.VARIABLE, "there")
    assert mirrors.chosen() == "there"
    assert mirrors.chosen("") == "there"
    assert mirrors.chosen(pathlib.Path("here")) == "here"


def test_without_a_mirror_it_comes_from_where_it_was_published(tmp_path, put):
    url = put("pets.gz").as_uri()
    assert mirrors.fetch(url, tmp_path / "target") == tmp_path / "target"
    assert (tmp_path / "target").read_text() == "pets"


def test_directory_without_it_is_told(tmp_path, put):
    put("dogs.gz")
    message = rf"does not have what was published at {URL}: .*holds dogs\.gz\."
    with pytest.raises(UserError, match=message):
        mirrors.fetch(URL, tmp_path / "target", tmp_path / "mirror")


@pytest.fixture
def bucket():
    """A server that, as S3, answers 403 for what is not there."""
    places, asked = ["/m/pets.gz"], []

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            asked.append(self.path)
            is_there = self.path in places
            self.send_response(200 if is_there else 403)
            self.end_headers()
            self.wfile.write(b"pets" if is_there else b"")

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_forbidden_may_mean_that_it_is_elsewhere(tmp_path, bucket):
    url, asked = bucket
    path = mirrors.fetch(URL, tmp_path / "target", f"{url}/m")
    assert path.read_text() == "pets"
    assert asked == [f"/m/{place}" for place in PLACES]


def test_forbidden_everywhere_is_told(tmp_path, bucket):
    url, _ = bucket
    with pytest.raises(UserError, match=rf"{url}/n/pets\.gz: .*403"):
        mirrors.fetch(URL, tmp_path / "target", f"{url}/n")


def test_url_without_it_is_told(tmp_path):
    mirror = (tmp_path / "nowhere").as_uri()
    with pytest.raises(download.NotFoundError) as error:
        mirrors.fetch(URL, tmp_path / "target", f"{mirror}/")
    text = str(error.value)
    assert f"the mirror {mirror}/ does not have" in text
    assert f"these places were tried: {', '.join(PLACES)}. Put it at one" in text
    assert text.endswith("by --mirror or SLIMZOO_MIRROR.")
    assert "without a network" not in text


def test_a_mirror_that_does_not_answer_is_asked_once(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        mirror = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(UserError) as error:
            mirrors.fetch(URL, tmp_path / "target", mirror)
    text = str(error.value)
    assert f"{mirror}/{PLACES[0]}: " in text
    assert "refused" in text
    assert "This is the mirror that --mirror or SLIMZOO_MIRROR names" in text
    assert "without a network" not in text


def test_without_a_mirror_a_machine_without_a_network_gets_advice(tmp_path):
    url = (tmp_path / "pets.gz").as_uri()
    with pytest.raises(UserError, match=f"put {url} into a directory and name it by"):
        mirrors.fetch(url, tmp_path / "target")
