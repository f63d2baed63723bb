import pytest

from slimbase.errors import UserError
from slimzoo.model import scopes


def test_scopes_are_the_first_levels_in_order():
    names = ["b/x/weights", "b/x/biases", "b/w", "a/y/z/weights", "global_step"]
    assert scopes.of(names) == ["b/x", "b/w", "a/y", "global_step"]
    assert scopes.of(names, 1) == ["b", "a", "global_step"]


def test_scopes_are_separated_by_commas():
    assert scopes.split("flag", None) == []
    assert scopes.split("flag", "a/b") == ["a/b"]
    assert scopes.split("flag", "a/b, c") == ["a/b", "c"]


@pytest.mark.parametrize("value", ["", "a,", ",a", "a,,b", " "])
def test_empty_scope_is_an_error(value):
    with pytest.raises(UserError, match=f"--flag={value!r} lists an empty scope"):
        scopes.split("flag", value)


def test_scope_has_to_be_the_beginning_of_a_name():
    names = ["Net/Logits/weights", "Net/conv_1/weights", "Net/conv_1/biases"]
    scopes.check("flag", ["Net/Logits", "Net/conv", "Net"], names)
    scopes.check("flag", [], names)
    with pytest.raises(UserError) as error:
        scopes.check("flag", ["Net", "Logits"], names)
    assert str(error.value) == (
        "--flag: no variable is in the scope 'Logits'; there are Net/Logits, Net/conv_1"
    )
