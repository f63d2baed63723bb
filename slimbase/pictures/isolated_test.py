import concurrent.futures
import pathlib
import signal
import threading

import pytest

from slimbase.pictures import decode, isolated
from slimbase.pictures.errors import PictureError


@pytest.fixture
def sound(shared_data):
    return (shared_data / "odd_images" / "hopper_gray.jpg").read_bytes()


def _complaint(content):
    return isolated.call("complaint", content).description["complaint"]


def test_a_decoder_that_crashes(shared_data, sound):
    """simplejpeg writes this picture beyond its buffer; `look` refuses it before."""
    crashing = (shared_data / "odd_images" / "lossless_gray.jpg").read_bytes()
    for _ in range(2):
        with pytest.raises(PictureError, match="ends its decoder by SIG"):
            _complaint(crashing)
        assert _complaint(sound) == ""


def test_a_decoder_that_takes_too_long(sound, monkeypatch):
    monkeypatch.setattr(isolated, "MAX_SECONDS", 0.2)
    decoder = isolated._Decoder()
    decoder._process.send_signal(signal.SIGSTOP)
    with pytest.raises(PictureError, match=r"takes more than 0.2 s to decode"):
        decoder.ask(isolated.Message({"operation": "complaint"}, sound))
    assert decoder._process.poll() == -signal.SIGKILL


def test_a_decoder_that_takes_too_much_memory(shared_data, monkeypatch):
    content = (shared_data / "odd_images" / "grace_hopper.bmp").read_bytes()
    monkeypatch.setattr(isolated, "MAX_BYTES", 200 << 20)
    decoder = isolated._Decoder()
    large = bytearray(content)
    large[18:26] = (9000).to_bytes(4, "little") * 2
    answer = decoder.ask(
        isolated.Message({"operation": "pixels", "max_pixels": 1 << 40}, bytes(large))
    )
    assert answer.description["problem"] in (
        "takes too much memory to decode",
        "is truncated",
    )
    decoder.end()


def test_many_threads(sound):
    ready = threading.Barrier(4)

    def ask(_):
        ready.wait()
        return [_complaint(sound) for _ in range(5)]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [[""] * 5] * 4


def test_decoders_load_no_tensorflow(sound):
    decoder = isolated._Decoder()
    decoder.ask(isolated.Message({"operation": "complaint"}, sound))
    maps = pathlib.Path(f"/proc/{decoder._process.pid}/maps")
    if not maps.exists():
        decoder.end()
        pytest.skip("this system does not list what a process has loaded")
    loaded = maps.read_text()
    decoder.end()
    assert "simplejpeg" in loaded
    assert "tensorflow" not in loaded


def test_decoders_end_with_their_input():
    decoder = isolated._Decoder()
    assert decoder._process.stdin
    decoder._process.stdin.close()
    assert decoder._process.wait(10) == 0
    decoder.end()


def test_a_thousand_pictures_and_one_that_crashes(shared_data, sound):
    crashing = (shared_data / "odd_images" / "lossless_gray.jpg").read_bytes()
    problems = []
    for content in [sound] * 500 + [crashing] + [sound] * 499:
        try:
            decode.look(content)
        except PictureError as error:
            problems.append(str(error))
    assert problems == ["is a lossless JPEG, which TensorFlow does not decode"]
