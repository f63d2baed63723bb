"""Fetching a published checkpoint where its first addresses are gone."""

import functools
import hashlib
import http.server
import json
import pathlib
import re
import threading

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import download_checkpoint
from nets import addresses
from nets.addresses import Address
from slimbase.errors import UserError
from slimbase.fetch import mirrors
from slimzoo.config.zoo import DownloadConfig
from slimzoo.zoo import pretrained
from slimzoo.zoo.ports import keras_models

# Keras' own arrays, when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

STATUS = {"/first.tgz": 403, "/second.tar.gz": 404}


class _Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path in STATUS:
            self.send_error(STATUS[self.path])
        else:
            super().do_GET()

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(_Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listener.server_port}", folder
        listener.shutdown()


@pytest.fixture
def places(server, monkeypatch):
    """Two addresses that are gone, a third that may serve, and other weights."""
    monkeypatch.delenv(mirrors.VARIABLE, raising=False)
    url, _ = server
    lacks = ("the background class",)
    found = (
        Address(kind=addresses.ORIGINAL, url=f"{url}/first.tgz"),
        Address(kind=addresses.HUB, url=f"{url}/second.tar.gz"),
        Address(kind=addresses.KERAS, url=f"{url}/third.h5", lacks=lacks),
        Address(kind=addresses.TIMM, url=f"{url}/other.h5", same=False),
    )
    monkeypatch.setattr(addresses, "of", lambda _: found)
    return found


def _config(tmp_path, **more):
    facts = {"model_name": "mobilenet_v1_025", "image_size": 128, "date": "2018-02-22"}
    return DownloadConfig(**facts, checkpoint_dir=str(tmp_path / "there"), **more)


def test_third_address_is_taken_where_two_are_gone(
    server, places, tmp_path, capsys, caplog
):
    url, folder = server
    model = keras_models.build(keras_models.FAMILIES["mobilenet_v1_025"], 0.25, 1000)
    model.save(folder / "third.h5")
    caplog.clear()
    download_checkpoint.main(_config(tmp_path))
    checkpoint = capsys.readouterr().out.strip()

    first, second, took = [
        r.getMessage()
        for r in caplog.records
        if r.module == "pretrained" and r.levelname == "WARNING"
    ]
    assert first == f"original gives no weights: {url}/first.tgz is gone (403)."
    assert second == f"Hub gives no weights: {url}/second.tar.gz is gone (404)."
    assert f"Took {url}/third.h5 (Keras) in place of http://download.tensor" in took
    assert took.endswith("it has the same weights and lacks the background class.")

    read = tf.train.load_checkpoint(checkpoint)
    np.testing.assert_array_equal(
        read.get_tensor("MobilenetV1/Conv2d_0/weights"), model.weights[0].numpy()
    )
    record = json.loads((pathlib.Path(checkpoint).parent / "model.json").read_text())
    served = (folder / "third.h5").read_bytes()
    assert record["source_url"] == f"{url}/third.h5"
    assert record["source_sha256"] == hashlib.sha256(served).hexdigest()
    assert (record["num_classes"], record["labels_offset"]) == (1000, 1)
    assert [p.name for p in (tmp_path / "there").glob(".mobilenet*")] == []


def test_what_to_do_by_hand_is_listed_where_all_are_gone(server, places, tmp_path):
    url, folder = server
    (folder / "other.h5").write_bytes(b"never taken")
    with pytest.raises(UserError) as error:
        download_checkpoint.main(_config(tmp_path))
    for text in (
        *("first.tgz is gone (403)", "second.tar.gz is gone (404)"),
        *("third.h5 is gone (404)", "--from=FILE --model_name=mobilenet_v1_025"),
        *("--mirror or SLIMZOO_MIRROR", "Other weights of this network, not those"),
        f"are at {url}/other.h5 (timm)",
    ):
        assert text in str(error.value)


def test_file_of_a_mirror_is_compared_with_the_published_checksum(
    places, tmp_path, monkeypatch
):
    address = Address(kind=addresses.KERAS, url="https://a.org/x.h5", md5="0" * 32)
    monkeypatch.setattr(addresses, "of", lambda _: (address,))
    (tmp_path / "x.h5").write_bytes(b"another")
    with pytest.raises(UserError, match=r"x\.h5 is not what was published.*its MD5"):
        download_checkpoint.main(_config(tmp_path, mirror=str(tmp_path)))


def test_mirrored_file_of_a_common_name_must_be_in_its_folder(
    places, tmp_path, monkeypatch
):
    url = "https://a.org/google/imagenet/net/classification/1.tar.gz"
    address = Address(kind=addresses.HUB, url=url)
    monkeypatch.setattr(addresses, "of", lambda _: (address,))
    (tmp_path / "1.tar.gz").write_bytes(b"of another network")
    with pytest.raises(UserError, match=r"the mirror does not have https://a\.org"):
        download_checkpoint.main(_config(tmp_path, mirror=str(tmp_path)))


@pytest.mark.parametrize("page", ["README.md", "docs/own_pictures.md"])
def test_walks_begin_with_weights_of_two_places(page):
    text = pathlib.Path(__file__).parents[2].joinpath(page).read_text("utf-8")
    command = text.partition("download_checkpoint.py ")[2].partition(")")[0]
    given = dict(re.findall(r"--(\w+)=(\S+)", command))
    given["image_size"] = int(given["image_size"])
    chosen = pretrained.choose(DownloadConfig(**given))
    assert len(addresses.kinds(chosen)) >= 2
