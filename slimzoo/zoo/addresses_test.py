import dataclasses
import http.server
import json
import pathlib
import threading
import urllib.parse

import keras
import numpy as np
import pytest

import download_checkpoint
from nets import published, weight_ports
from slimbase.errors import UserError
from slimbase.fetch import checksums, download, mirrors
from slimzoo.config.zoo import DownloadConfig
from slimzoo.zoo import addresses, pretrained

SMALL = {"model_name": "mobilenet_v2_035", "image_size": 96, "quantized": False}
NAME = "mobilenet_v2_0.35_96"
KERAS_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96.h5"
NETWORK = "mobilenet_v2_035"


def checkpoint(**facts):
    return pretrained.choose(DownloadConfig(**facts))


def kinds(**facts):
    found = addresses.addresses(checkpoint(**facts))
    return [(address.kind, address.has_the_weights) for address in found]


def test_each_row_is_of_a_published_checkpoint():
    keys = {(c.network, c.depth_multiplier, c.image_size): c for c in _all()}
    ports = weight_ports._ports()
    assert set(ports) <= set(keys)
    for key, found in ports.items():
        dates = {c.date or "" for c in _all() if _key(c) == key}
        for port in found:
            assert port.origin in {*dates, "2018-02-22", "unknown", "keras"}
            assert port.md5 is None or len(port.md5) == 32


def _all():
    return published.checkpoints()


def _key(c):
    return c.network, c.depth_multiplier, c.image_size


def test_the_published_file_comes_first_and_https_before_http():
    found = addresses.addresses(checkpoint(model_name="vgg_16"))
    path = "download.tensorflow.org/models/vgg_16_2016_08_28.tar.gz"
    assert [a.url for a in found[:2]] == [f"https://{path}", f"http://{path}"]
    assert [a.kind for a in found] == ["checkpoint", "checkpoint", "keras"]
    assert not found[0].note and "as Keras has them" in found[2].note


def test_ports_of_the_same_weights_come_first():
    same = [("checkpoint", True), *[("hub", True)] * 4, ("keras", True)]
    assert kinds(model_name="mobilenet_v2") == same
    found = kinds(model_name="mobilenet_v1_025", image_size=128, date="2018-08-02")
    assert found == [
        *[("checkpoint", True)] * 2,
        *[("hub", False)] * 4,
        ("keras", False),
    ]
    assert ("hub", True) in kinds(model_name="mobilenet_v1", date="2018-02-22")
    last = addresses.addresses(checkpoint(model_name="inception_v3"))[-1]
    assert (last.kind, last.has_the_weights) == ("keras", False)
    assert "Keras trained them itself" in last.note
    assert last.directory == "inception_v3_2016_08_28_of_keras"


def test_quantized_ones_have_no_ports():
    assert kinds(model_name="mobilenet_v2", quantized=True) == [("checkpoint", True)]


@pytest.mark.parametrize(
    "name", [c.name for c in published.checkpoints() if "mobilenet_v2" in c.url]
)
def test_each_float_mobilenet_v2_can_be_had_elsewhere(name):
    """Its own bucket answers 403 since March 2025."""
    [found] = [c for c in _all() if c.name == name]
    elsewhere = [a for a in addresses.addresses(found) if a.kind != "checkpoint"]
    assert bool(elsewhere) != found.quantized


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves all addresses: `answers` has a status or a file by the end of a path."""
    answers = {}
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            [answer] = [a for end, a in answers.items() if end in self.path] or [404]
            self.send_response(answer if isinstance(answer, int) else 200)
            content = b"" if isinstance(answer, int) else answer.read_bytes()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        found = addresses.addresses

        def moved(checkpoint):
            for address in found(checkpoint):
                parts = urllib.parse.urlsplit(address.url)
                url = f"http://127.0.0.1:{listener.server_port}/{parts.netloc}"
                yield dataclasses.replace(address, url=f"{url}{parts.path}")

        monkeypatch.setattr(addresses, "addresses", lambda c: tuple(moved(c)))
        monkeypatch.delenv(mirrors.VARIABLE, raising=False)
        monkeypatch.setattr(download, "WAITS", ())
        yield answers, asked
        listener.shutdown()


@pytest.fixture(scope="session")
def port(tmp_path_factory):
    """The model of Keras, with random weights, and its file."""
    keras.utils.set_random_seed(1)
    model = keras.applications.MobileNetV2(
        input_shape=(96, 96, 3), alpha=0.35, weights=None
    )
    path = tmp_path_factory.mktemp("port") / KERAS_FILE
    model.save(path)
    return model, path


def config(tmp_path, **options):
    return DownloadConfig(**SMALL | {"checkpoint_dir": str(tmp_path)} | options)


def test_the_next_address_is_tried(tmp_path, server, port, capsys, caplog):
    answers, asked = server
    model, path = port
    answers |= {"mobilenet_v2/checkpoints": 403, "classification": 410}
    answers[KERAS_FILE] = path
    download_checkpoint.main(config(tmp_path))
    prefix = capsys.readouterr().out.strip()
    assert prefix == f"{tmp_path}/{NAME}/model.ckpt"
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len(warnings) == len(asked) == 6
    assert "HTTP Error 403: Forbidden; trying the next address" in warnings[0]
    assert all("HTTP Error 410: Gone; trying" in text for text in warnings[1:5])
    assert f"the weights of {NAME}, as Keras has them: http://" in warnings[5]
    record = json.loads((pathlib.Path(prefix).parent / "model.json").read_text())
    assert record["fetched"]["sha256"] == checksums.sha256(path)
    assert record["fetched"]["url"].endswith(KERAS_FILE)
    assert (record["num_classes"], record["labels_offset"]) == (1000, 1)
    assert record["image_size"] == [96, 96]
    _same_weights(prefix, model)
    download_checkpoint.main(config(tmp_path))  # It is there.
    assert len(asked) == 6


def _same_weights(prefix, model):
    import tensorflow as tf

    reader = tf.train.load_checkpoint(prefix)
    kernel = reader.get_tensor("MobilenetV2/Conv/weights")
    np.testing.assert_array_equal(kernel, model.get_layer("Conv1").get_weights()[0])


def test_other_weights_get_another_directory(tmp_path, server, port, caplog):
    answers, _ = server
    _, path = port
    answers |= {KERAS_FILE: path}
    changed = dataclasses.replace(checkpoint(**SMALL), date="2030-01-01")
    [*_, last] = addresses.addresses(changed)
    assert last.directory == f"{NAME}_2030_01_01_of_keras"
    assert "for the same network and size, but not those of" in last.note


def test_nothing_left(tmp_path, server):
    _, asked = server
    with pytest.raises(UserError) as error:
        pretrained.fetch(config(tmp_path))
    text = str(error.value)
    assert f"{NAME} cannot be had from its 6 addresses. The first failure was:" in text
    assert "HTTP Error 404" in text
    assert text.count("\n  http://") == 6
    assert f"--model_name={NETWORK} as --from=FILE" in text
    assert len(asked) == 6
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == []


def test_a_mirror_may_have_any_of_them(tmp_path, port):
    _, path = port
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / KERAS_FILE).write_bytes(path.read_bytes())
    prefix = pretrained.fetch(config(tmp_path / "there", mirror=str(mirror)))
    assert prefix == f"{tmp_path}/there/{NAME}/model.ckpt"


def test_files_of_the_same_name_on_a_mirror_are_no_module(tmp_path):
    """The modules of all networks are called 5.tar.gz."""
    (tmp_path / "5.tar.gz").write_bytes(b"of another network")
    with pytest.raises(UserError, match="cannot be had from"):
        pretrained.fetch(config(tmp_path / "there", mirror=str(tmp_path)))


def test_a_mirror_has_to_have_what_was_published(tmp_path):
    name = "weights_mobilenet_v3_small_224_1.0_float.h5"
    (tmp_path / name).write_bytes(b"something else")
    options = {"model_name": "mobilenet_v3_small", "image_size": 224}
    with pytest.raises(UserError, match="cannot be had from"):
        pretrained.fetch(config(tmp_path / "there", mirror=str(tmp_path), **options))
    with pytest.raises(download.UnavailableError, match=r"its MD5 is .*, expected 876"):
        mirrors.fetch(
            f"https://example.com/{name}",
            tmp_path / "target",
            tmp_path,
            md5="8768d4c2e7dee89b9d02b2d03d65d862",
        )
