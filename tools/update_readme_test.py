import pytest

from nets.registry import NETWORKS
from slimzoo.zoo import listing, networks
from tools import update_readme


@pytest.mark.parametrize(
    ("file", "name"),
    [(file, name) for file, tables in update_readme.TABLES.items() for name in tables],
)
def test_tables_are_fresh(file, name):
    text = (update_readme.ROOT / file).read_text("utf-8")
    fresh = update_readme.updated(text, name, update_readme.TABLES[file][name]())
    assert text == fresh, "run python -m tools.update_readme"


def test_record_that_list_models_reads_is_fresh():
    fresh = listing.record(networks.rows())
    text = listing.RECORD.read_text("utf-8")
    assert text == fresh, "run python -m tools.update_readme"


def test_tables_have_all_networks_and_checkpoints():
    tables = {n: t() for its in update_readme.TABLES.values() for n, t in its.items()}
    for network in NETWORKS.values():
        assert f"\n| `{network.name}` |" in tables["models"]
        assert f"\n| `{network.name}` |" in tables["networks"]
        for checkpoint in network.checkpoints:
            assert f"({checkpoint.url}) |" in tables["checkpoints"]


def test_only_what_is_between_the_comments_changes():
    text = "a\n<!-- models: by a tool -->\nold\n<!-- end of models -->\nb\n"
    expected = "a\n<!-- models: by a tool -->\n\nnew\n\n<!-- end of models -->\nb\n"
    assert update_readme.updated(text, "models", "new") == expected
    assert update_readme.updated(expected, "models", "new") == expected


@pytest.mark.parametrize("text", ["", "<!-- models -->\n", "<!-- end of models -->"])
def test_missing_comments_are_an_error(text):
    with pytest.raises(ValueError, match="one pair of comments for models, found 0"):
        update_readme.updated(text, "models", "new")
