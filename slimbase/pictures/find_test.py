import io

import pytest

from slimbase.errors import UserError
from slimbase.pictures import find


def test_find(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        *("a/10.jpg", "a/2.JPG", "a/notes.txt", "a/.hidden.jpg", "a/._2.jpg"),
        *(
            "a/.thumbnails/1.jpg",
            "a/__MACOSX/1.jpg",
            "a/b/1.webp",
            "text.txt",
            "[x].png",
        ),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
    (tmp_path / "a" / "b" / "loop").symlink_to(tmp_path / "a")
    inside = ["a/2.JPG", "a/10.jpg", "a/b/1.webp"]
    assert find.find(["a"]) == inside
    assert find.find(["*.txt", "a/.hidden.jpg"]) == [
        "text.txt",
        "a/.hidden.jpg",
    ]
    assert find.find(["[x].png"]) == ["[x].png"]
    assert find.find(["a/*g", "a/*G"]) == ["a/10.jpg", "a/2.JPG"]
    assert find.find(["a*"]) == inside
    assert find.find(["**/*.webp"]) == ["a/b/1.webp"]
    lines = io.StringIO("a/10.jpg\r\n\n none.jpg\n")
    assert find.find(["text.txt", "-"], lines) == [
        *("text.txt", "a/10.jpg", " none.jpg"),
    ]


@pytest.mark.parametrize(
    ("operands", "reason"),
    [
        (["none.jpg"], "there is no picture none.jpg"),
        (["*.png"], r"there is no picture \*.png"),
        (["."], "there is no picture in the directory .; expected JPEG, PNG,"),
        (["-"], "no file names on standard input"),
        ([], "give the pictures"),
    ],
)
def test_nothing_is_found(tmp_path, monkeypatch, operands, reason):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=reason):
        find.find(operands, io.StringIO())
