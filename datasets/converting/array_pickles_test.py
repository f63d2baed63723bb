import contextlib
import os
import pickle
import random

import numpy as np
import pytest

from datasets.converting import array_pickles
from datasets.testing import mutated
from slimbase.errors import UserError

BATCH = {
    b"data": np.arange(6144, dtype=np.uint8).reshape(2, 3072),
    b"labels": [0, 1],
    b"filenames": [b"a.png", b"b.png"],
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("numpy", [b"numpy._core.", b"numpy.core."])
def test_all_protocols_are_loaded(tmp_path, protocol, numpy):
    content = pickle.dumps(BATCH, protocol)
    if protocol < 4:  # In others, names have their length before them.
        content = content.replace(b"numpy._core.", numpy)
    (tmp_path / "batch").write_bytes(content)
    loaded = array_pickles.load_arrays(tmp_path / "batch")
    np.testing.assert_array_equal(loaded.pop(b"data"), BATCH[b"data"])
    assert loaded == {key: BATCH[key] for key in (b"labels", b"filenames")}


def test_arrays_in_columns_are_loaded(tmp_path):
    array = np.asfortranarray(BATCH[b"data"])
    (tmp_path / "batch").write_bytes(pickle.dumps({b"data": array}))
    loaded = array_pickles.load_arrays(tmp_path / "batch")
    np.testing.assert_array_equal(loaded[b"data"], array)


class _Attack:
    """Calls a function when it is unpickled without care."""

    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


def _pickled(path, value):
    path.write_bytes(pickle.dumps(value))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda p: _pickled(p, _Attack(os.system, f"touch {p}.hacked")),
            "posix.system",
        ),
        (
            lambda p: _pickled(p, {b"data": _Attack(open, f"{p}.hacked", "w")}),
            "it asks for _?io.open",
        ),
        (
            lambda p: _pickled(p, _Attack(eval, f"open('{p}.hacked', 'w')")),
            "it asks for builtins.eval",
        ),
        (
            lambda p: _pickled(p, _Attack(np.memmap, f"{p}.hacked", "u1", "w+", 0, 9)),
            "it asks for numpy.*memmap",
        ),
        # That would change the function itself, for pickles to come.
        (
            lambda p: p.write_bytes(b"c_codecs\nencode\n}S'a'\nI1\nsb."),
            "object of an unknown kind",
        ),
        (lambda p: _pickled(p, {b"data": np.zeros(3)}), "array of 'f8'"),
        (lambda p: _pickled(p, {b"data": np.array([{}])}), "array of 'O8'"),
        (lambda p: _pickled(p, [1]), "it holds a list"),
        (lambda p: _pickled(p, {b"labels": {1}}), "operation EMPTY_SET"),
        (lambda p: p.write_bytes(b""), ""),
        (lambda p: p.write_bytes(pickle.dumps(BATCH)[:-100]), "remain"),
    ],
)
def test_nothing_is_executed_and_the_file_is_named(tmp_path, write, message):
    write(tmp_path / "batch")
    with pytest.raises(UserError, match=f"batch is damaged, or not a .*{message}"):
        array_pickles.load_arrays(tmp_path / "batch")
    assert [path.name for path in tmp_path.iterdir()] == ["batch"]


# A tuple of 2**60 parts, most of them shared; a deep one; one with itself.
SHARED, DEEP, ROUND = b")" + b"2\x86" * 60, b")" + b"\x85" * 300_000, b"]q\0h\0\x85a"
TEXT = b"X" + (1 << 20).to_bytes(4, "little") + b"a" * (1 << 20) + b"q\0"
ENCODED = b"c_codecs\nencode\nh\0\x85R"


@pytest.mark.parametrize("value", [SHARED, ROUND], ids=["shared", "round"])
@pytest.mark.parametrize(
    "place",
    [
        b"\x80\x02}%sK\1s.",  # As a key, which is hashed.
        b"\x80\x02(%sK\1d.",
        b"\x80\x02cnumpy\ndtype\n%s\x85R.",
        b"\x80\x02cnumpy\ndtype\n%sR.",
        b"\x80\x02c_codecs\nencode\n%s\x85R.",
        b"\x80\x02%s)R.",
        b"\x80\x04%s\x8c\1a\x93.",
        b"\x80\x02%sNb.",
        b"\x80\x02cnumpy._core.numeric\n_frombuffer\n(U\1aNK\1\x85%stR.",
        b"\x80\x02cnumpy._core.numeric\n_frombuffer\n(U\1aN%sU\1CtR.",
        b"\x80\x02cnumpy._core.numeric\n_frombuffer\n(%sNK\1\x85U\1CtR.",
        b"\x80\x02%s.",
    ],
)
def test_what_has_no_end_or_is_deep_is_refused(tmp_path, place, value):
    (tmp_path / "batch").write_bytes(place % value)
    with pytest.raises(UserError, match=r"batch is damaged, or not a pickle") as error:
        array_pickles.load_arrays(tmp_path / "batch")
    assert len(str(error.value)) < 400


def test_deep_key_does_not_fill_the_stack(tmp_path):
    (tmp_path / "batch").write_bytes(b"\x80\x02}" + DEEP + b"K\1s.")
    with pytest.raises(UserError, match="it has a key that is no text"):
        array_pickles.load_arrays(tmp_path / "batch")


def test_copies_of_a_text_do_not_fill_the_memory(tmp_path):
    content = b"\x80\x02}U\1a(" + TEXT + ENCODED * 100_000 + b"ls."
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(UserError, match="encodes a text again and again"):
        array_pickles.load_arrays(tmp_path / "batch")


@pytest.mark.parametrize("operation", [b"r\xff\xff\xff\xff", b"p4000000000\n"])
def test_far_place_of_the_memo_takes_no_memory(tmp_path, operation):
    (tmp_path / "batch").write_bytes(b"\x80\x02}" + operation + b".")
    assert array_pickles.load_arrays(tmp_path / "batch") == {}


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_fuzzed_files_are_loaded_or_named(tmp_path, protocol):
    path, rng = tmp_path / "batch", random.Random(protocol)
    small = BATCH | {b"data": BATCH[b"data"][:, :9]}
    content = pickle.dumps(small, protocol)
    pieces = [
        SHARED,
        b"s",
        b"\x85",
        b"\x86",
        b"R",
        b"b",
        b"a",
        b"(",
        b"2",
        b"0",
        b"h\1",
    ]
    for number in range(200):
        crafted = bytearray(mutated(content, rng))
        for _ in range(number % 4):
            start = rng.randrange(len(crafted) + 1)
            crafted[start:start] = rng.choice(pieces)
        path.write_bytes(crafted)
        with contextlib.suppress(UserError):
            array_pickles.load_arrays(path)
