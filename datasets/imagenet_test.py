from datasets import imagenet


def test_names_are_shipped():
    names = imagenet.create_readable_names_for_imagenet_labels()
    assert list(names) == list(range(1001))
    assert names[0] == "background"
    assert names[1] == "tench, Tinca tinca"
    assert names[1000].startswith("toilet tissue")


def test_names_agree_with_the_published_tables(shared_data):
    labels = shared_data / "imagenet_labels"
    synsets = (labels / "imagenet_lsvrc_2015_synsets.txt").read_text().split()
    lines = (labels / "imagenet_metadata.txt").read_text().splitlines()
    words = dict(line.split("\t") for line in lines)
    names = imagenet.create_readable_names_for_imagenet_labels()
    assert [names[i + 1] for i in range(1000)] == [words[s] for s in synsets]


def test_missing_label_file_is_not_written(tmp_path):
    dataset = imagenet.get_split("train", tmp_path)
    assert dataset.labels_to_names[1] == "tench, Tinca tinca"
    assert dataset.num_classes == 1001
    assert list(tmp_path.iterdir()) == []


def test_label_file_goes_before_the_shipped_names(tmp_path):
    (tmp_path / "labels.txt").write_text("0:background\n1:fish\n")
    dataset = imagenet.get_split("train", tmp_path)
    assert dataset.labels_to_names == {0: "background", 1: "fish"}
    assert dataset.num_classes == 2


def test_shipped_names_can_be_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(imagenet, "LOAD_READABLE_NAMES", False)
    dataset = imagenet.get_split("train", tmp_path)
    assert dataset.labels_to_names is None
    assert dataset.num_classes == 1001
