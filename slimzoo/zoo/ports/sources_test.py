import io
import pathlib
import shutil
import tarfile
import zipfile

import pytest

from slimbase.errors import UserError
from slimzoo.zoo.ports import sources

# A graph of one operation.
GRAPH = b"\n\x10\n\x01x\x12\x0bPlaceholder"


def module(path):
    """What looks like a Hub module."""
    path.mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"\x08\x01")
    return path


def tarball(path, folder, *extra):
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, ".")
        for member in extra:
            archive.addfile(member, io.BytesIO(b""))
    return path


def found(source, tmp_path):
    work = tmp_path / "work"
    with sources.opened(source, work) as (path, kind):
        assert path.exists()
        result = path, kind.name
    assert not work.exists()
    return result


def test_kind_is_decided_by_content(tmp_path):
    graph = tmp_path / "graph.h5"  # sic
    graph.write_bytes(GRAPH)
    assert found(graph, tmp_path) == (graph, "a frozen graph")
    weights = tmp_path / "weights.pb"  # sic
    weights.write_bytes(b"\x89HDF\r\n\x1a\n")
    assert found(weights, tmp_path) == (weights, "a file of Keras")
    folder = module(tmp_path / "module")
    assert found(folder, tmp_path) == (folder, "a SavedModel or Hub module")


def test_archives_are_unpacked(tmp_path):
    folder = module(tmp_path / "top" / "inner").parent
    archive = tarball(tmp_path / "archive", folder)
    assert found(archive, tmp_path)[0] == tmp_path / "work" / "inner"
    archive = tarball(tmp_path / "flat", folder / "inner")
    assert found(archive, tmp_path)[0] == tmp_path / "work"
    zipped = shutil.make_archive(str(tmp_path / "zipped"), "zip", folder)
    assert found(pathlib.Path(zipped), tmp_path)[0] == tmp_path / "work" / "inner"


def test_cache_of_tensorflow_hub(tmp_path):
    cache = tmp_path / "tfhub_modules"
    first = module(cache / "0b0e8d")
    (cache / "0b0e8d.descriptor.txt").write_text(
        "Module: https://tfhub.dev/google/one/5\nDownload Time: now"
    )
    assert found(cache, tmp_path)[0] == first
    module(cache / "1a2b3c")
    with pytest.raises(UserError) as error:
        found(cache, tmp_path)
    assert "several sources of weights" in str(error.value)
    assert "0b0e8d (https://tfhub.dev/google/one/5), 1a2b3c" in str(error.value)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (tarfile.TarInfo("../../evil"), "'../../evil' would be outside"),
        (tarfile.TarInfo("/evil"), "'/evil' would be outside"),
    ],
)
def test_hostile_archives_are_refused(tmp_path, member, message):
    archive = tarball(tmp_path / "archive.tar.gz", module(tmp_path / "m"), member)
    with pytest.raises(UserError, match=message):
        found(archive, tmp_path)
    assert not list(tmp_path.rglob("evil"))
    assert not (tmp_path / "work").exists()


def test_links_in_archives_are_refused(tmp_path):
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    archive = tarball(tmp_path / "archive.tar.gz", module(tmp_path / "m"), link)
    with pytest.raises(UserError, match="neither a file nor a folder"):
        found(archive, tmp_path)


def test_pickles_are_not_read(tmp_path):
    plain = tmp_path / "model.bin"
    plain.write_bytes(b"\x80\x02}q\x00.")
    zipped = tmp_path / "model.pth"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
    for path in (plain, zipped):
        with pytest.raises(UserError, match="is a pickle"):
            found(path, tmp_path)


def test_what_holds_no_weights_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"there is no --from=.*nowhere: .* holds"):
        found(tmp_path / "nowhere", tmp_path)
    page = tmp_path / "page.h5"
    page.write_text("<html>Forbidden</html>")
    with pytest.raises(UserError, match="holds no weights that can be read"):
        found(page, tmp_path)
    with pytest.raises(UserError, match="there are no weights in"):
        found(tmp_path, tmp_path)
