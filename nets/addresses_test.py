import re

from nets import addresses, published

BY_NAME = {c.name: c for c in published.checkpoints()}


def _urls(name, kind):
    return [a.url for a in addresses.of(BY_NAME[name]) if a.kind == kind]


def test_https_is_tried_before_http():
    for checkpoint in BY_NAME.values():
        urls = [a.url for a in addresses.of(checkpoint)]
        assert urls[0].startswith("https:")
        assert checkpoint.url in urls[:2]
        assert len(set(urls)) == len(urls)


def test_ports_follow_from_a_checkpoints_width_and_size():
    name = "mobilenet_v2_1.3_224"
    assert _urls(name, "Hub") == [
        "https://tfhub.dev/google/imagenet/mobilenet_v2_130_224/classification/1"
        "?tf-hub-format=compressed",
        "https://storage.googleapis.com/tfhub-modules/google/imagenet/"
        "mobilenet_v2_130_224/classification/1.tar.gz",
    ]
    [keras] = _urls(name, "Keras")
    assert keras.endswith("mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.3_224.h5")
    [timm] = _urls("v3-large-minimalistic_224_1.0_float", "timm")
    assert "timm/tf_mobilenetv3_large_minimal_100.in1k/resolve/main/" in timm
    assert "imagenet/mobilenet_v2_035_96/" in _urls("mobilenet_v2_0.35_96", "Hub")[0]


def test_only_the_same_weights_are_taken():
    kinds = {name: addresses.kinds(c) for name, c in BY_NAME.items()}
    assert kinds["inception_v3_2016_08_28"] == ("original", "Hub", "timm")
    assert kinds["mobilenet_v1_0.25_128_2018_02_22"] == ("original", "Hub")
    assert kinds["mobilenet_v1_0.25_128_2018_08_02"] == ("original",)
    assert kinds["mobilenet_v2_1.0_224"] == ("original", "Hub", "Keras")
    assert {a.kind for a in addresses.of(BY_NAME["inception_v3_2016_08_28"])} == {
        *("original", "Hub", "Keras", "timm")
    }
    for name, checkpoint in BY_NAME.items():
        if checkpoint.quantized:
            assert kinds[name] == ("original",)


def test_keras_itself_has_these_addresses_and_checksums():
    import inspect

    from keras.src import applications as apps

    modules = ("inception_resnet_v2", "inception_v3", "nasnet", "vgg16", "vgg19")
    modules += ("resnet", "mobilenet_v3")
    source = "".join(inspect.getsource(getattr(apps, m)) for m in modules)
    for checkpoint in BY_NAME.values():
        for address in addresses.of(checkpoint):
            assert address.md5 is None or re.search(address.md5, source)
