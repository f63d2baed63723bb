import pytest

from datasets.ilsvrc import classes as imagenet_classes
from slimbase.errors import UserError


def test_shipped_files_are_the_published_ones(shared_data):
    labels = shared_data / "imagenet_labels"
    for path in (imagenet_classes.SYNSETS_FILE, imagenet_classes.VALIDATION_FILE):
        assert path.read_bytes() == (labels / path.name).read_bytes()
    assert imagenet_classes.read_classes() == imagenet_classes.read_classes(
        labels / "imagenet_lsvrc_2015_synsets.txt", labels / "imagenet_metadata.txt"
    )


def test_classes():
    classes = imagenet_classes.read_classes()
    assert len(classes.synsets) == len(classes.words) == 1000
    assert classes.numbers["n01440764"] == 1
    assert classes.names[0] == "background"
    assert classes.names[1] == "tench, Tinca tinca"
    assert classes.names[classes.numbers["n02085620"]] == "Chihuahua"


def test_validation_synsets():
    synsets = imagenet_classes.validation_synsets()
    assert len(synsets) == 50_000
    known = imagenet_classes.read_classes().numbers
    assert all(synsets.count(synset) == 50 for synset in list(known)[::100])
    assert set(synsets) == set(known)


@pytest.mark.parametrize(
    ("synsets", "words", "message"),
    [
        ("", "", "has no synsets"),
        ("tench\n", "", "has the line 'tench'"),
        ("n01440764\nn01440764\n", "n01440764\ttench\n", "has n01440764 twice"),
        ("n01440764\n", "n01443537\tgoldfish\n", "no words for n01440764"),
        ("n01440764\n", "n01440764\t\n", "no words for n01440764"),
        (b"\xff\xff", "", "cannot read"),
        (None, "", "cannot read"),
    ],
)
def test_mistakes(synsets, words, message, tmp_path):
    if synsets is not None:
        content = synsets if isinstance(synsets, bytes) else synsets.encode()
        (tmp_path / "synsets.txt").write_bytes(content)
    (tmp_path / "words.txt").write_text(words)
    with pytest.raises(UserError, match=message):
        imagenet_classes.read_classes(tmp_path / "synsets.txt", tmp_path / "words.txt")
