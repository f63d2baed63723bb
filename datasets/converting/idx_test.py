import contextlib
import gzip
import random
import struct
import tracemalloc

import numpy as np
import pytest

from datasets.conftest import write_idx
from datasets.converting import idx
from datasets.testing import mutated
from slimbase.errors import UserError


@pytest.mark.parametrize("name", ["values", "values.gz"])
@pytest.mark.parametrize("shape", [(7,), (2, 3), (2, 3, 4), (0, 3)])
def test_arrays_are_read(tmp_path, name, shape):
    array = np.arange(np.prod(shape)).reshape(shape)
    write_idx(tmp_path / name, array)
    read = idx.read_idx(tmp_path / name)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged"),
        (struct.pack(">HBB", 0, 8, 0), "does not begin as one"),
        (struct.pack(">HBBI", 0, 8, 1, 3) + b"12", "but it has 2"),
        (struct.pack(">HBBI", 0, 8, 1, 3) + b"1234", "but it has more"),
        (struct.pack(">HBB3I", 0, 8, 3, *[2**32 - 1] * 3), "more than 268,435,456"),
        (struct.pack(">HBB255I", 0, 8, 255, *[2**32 - 1] * 255), "more than"),
    ],
)
@pytest.mark.parametrize("name", ["values", "values.gz"])
def test_what_is_none_is_named(tmp_path, content, message, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(UserError, match=f"{name} is not an idx file.*{message}"):
        idx.read_idx(path)


def test_much_that_is_packed_small_is_not_unpacked(tmp_path):
    content = struct.pack(">HBBI", 0, 8, 1, 10) + bytes(100_000_000)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(content, 1))
    tracemalloc.start()
    with pytest.raises(UserError, match="but it has more"):
        idx.read_idx(tmp_path / "bomb.gz")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize("name", ["values", "values.gz"])
def test_fuzzed_files_are_read_or_named(tmp_path, name):
    path = tmp_path / name
    write_idx(path, np.arange(60).reshape(3, 4, 5))
    content, rng = path.read_bytes(), random.Random(0)
    for _ in range(200):
        path.write_bytes(mutated(content, rng))
        with contextlib.suppress(UserError):
            assert idx.read_idx(path).dtype == np.uint8
