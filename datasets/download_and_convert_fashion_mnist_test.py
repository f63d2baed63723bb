from datasets import download_and_convert_fashion_mnist, fashion_mnist
from datasets.conftest import MNIST_SIZES


def test_files_as_of_mnist_are_converted(tmp_path, mnist_source, read_features):
    target = tmp_path / "fashion_mnist"
    download_and_convert_fashion_mnist.run(target, mnist_source)
    assert sorted(p.name for p in target.iterdir()) == [
        "fashion_mnist_test.tfrecord",
        "fashion_mnist_train.tfrecord",
        "labels.txt",
        "manifest.json",
    ]
    dataset = fashion_mnist.get_split("test", target)
    assert dataset.num_samples == MNIST_SIZES["t10k"]
    assert dataset.num_classes == 10
    assert dataset.labels_to_names[9] == "Ankle boot"
    records = read_features(target / "fashion_mnist_test.tfrecord")
    assert [r["image/class/label"] for r in records] == [[i % 10] for i in range(20)]
    assert records[3]["image/filename"] == [b"t10k-images-idx3-ubyte/00003"]
