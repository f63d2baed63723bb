import pytest

from slimbase import errors


def test_user_error_is_a_value_error():
    assert issubclass(errors.UserError, ValueError)


def test_unknown_name_suggests_the_close_ones_and_lists_all():
    error = errors.unknown("No such fruit", "aple", iter(["pear", "apple", "ape"]))
    assert isinstance(error, errors.UserError)
    assert str(error) == (
        "No such fruit. Did you mean apple or ape? Known: ape, apple, pear."
    )


@pytest.mark.parametrize("name", ["xyz", None, 7])
def test_unknown_name_far_from_all_suggests_nothing(name):
    error = errors.unknown("No such fruit", name, ["pear", "apple"])
    assert str(error) == "No such fruit. Known: apple, pear."


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Invalid PNG. Failed.\n\t [[{{node Decode}}]]\n\t [[Next]]", "Invalid PNG."),
        ("Graph execution error:\n\nno data\n\t [[{{node a}}]]", "no data"),
        ("not an sstable", "not an sstable"),
        ("\t [[{{node a}}]]", "no reason given"),
        ("", "no reason given"),
    ],
)
def test_reason_is_the_line_before_the_node(message, reason):
    assert errors.reason(message).startswith(reason.rstrip("."))
    assert not errors.reason(message).endswith((".", "\n"))
    assert "{{node" not in errors.reason(message)
