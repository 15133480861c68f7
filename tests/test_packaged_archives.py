"""Archives from the package index: a real pip takes them from a folder, and none of their code is run."""

import hashlib
import io
import tarfile
from dataclasses import replace

import pytest

from prismat.errors import BadInputError
from prismat.packaged import PackagedFile, locate
from prismat.packaged_archives import Sdist, fetch_archive, open_archive

DATA = b"a,b\n1,2\n"
SETUP = "from pathlib import Path\nPath({marker!r}).touch()\nraise SystemExit(1)\n"
TOML = '[build-system]\nrequires = ["elsewhere"]\nbuild-backend = "elsewhere.build"\n'


def make_sdist(folder, marker, toml="", extra=None):
    """A source archive whose build would leave a mark."""
    path = folder / "toy_data-1.0.tar.gz"
    files = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: toy-data\nVersion: 1.0\n",
        "setup.py": SETUP.format(marker=str(marker)),
        "toy_data/table.csv": DATA.decode(),
        **({"pyproject.toml": toml} if toml else {}),
        **(extra or {}),
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"toy_data-1.0/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("toy_data-1.0/toy_data/link.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "table.csv"
        archive.addfile(link)
    return path


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder from which pip alone takes its archives."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    return folder


def pin(path, backend="setuptools.build_meta", member="toy_data/table.csv"):
    sdist = Sdist(hashlib.sha256(path.read_bytes()).hexdigest(), backend)
    return PackagedFile("toy-data", "1.0", member, hashlib.sha256(DATA).hexdigest(), sdist)


@pytest.mark.parametrize(("toml", "backend"), [("", "setuptools.build_meta"), (TOML, "elsewhere.build")])
def test_a_source_archive_is_read_and_never_built(tmp_path, index, toml, backend):
    marker = tmp_path / "built"
    file = pin(make_sdist(index, marker, toml), backend)
    path = locate(file, tmp_path / "cache")
    assert path == tmp_path / "cache" / "toy-data-1.0" / "toy_data" / "table.csv"
    assert path.read_bytes() == DATA
    assert not marker.exists()


def test_another_archive_is_refused_before_it_is_opened(tmp_path, index):
    marker = tmp_path / "built"
    file = pin(make_sdist(index, marker))
    make_sdist(index, marker, extra={"more": "x"})
    with pytest.raises(BadInputError, match=r"pip could not download toy-data==1\.0 .*Run: the same command"):
        locate(file, tmp_path / "cache")
    assert not marker.exists()
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_members_and_links(tmp_path):
    path = make_sdist(tmp_path, tmp_path / "built")
    with open_archive(path) as archive:
        assert archive.sizes["toy_data/table.csv"] == len(DATA)
        assert "toy_data/link.csv" not in archive.sizes
        with archive.open("toy_data/table.csv") as stream:
            assert stream.read() == DATA


def test_a_member_that_is_a_link_is_none(tmp_path, index):
    file = pin(make_sdist(index, tmp_path / "built"), member="toy_data/link.csv")
    with pytest.raises(BadInputError, match=r"toy_data-1\.0\.tar\.gz has no member toy_data/link\.csv"):
        locate(file, tmp_path / "cache")


@pytest.mark.parametrize("name", ["x.whl", "x.tar.gz"])
def test_damaged_archives(tmp_path, name):
    (tmp_path / name).write_bytes(b"no archive at all")
    with pytest.raises(BadInputError, match="the archive cannot be read"), open_archive(tmp_path / name):
        pass
    whole = make_sdist(tmp_path, tmp_path / "built")
    whole.write_bytes(whole.read_bytes()[:200])
    with pytest.raises(BadInputError, match="the archive cannot be read"), open_archive(whole):
        pass


def test_nothing_on_the_index(tmp_path, index):
    with pytest.raises(BadInputError, match=r"could not download toy-data==1\.0"):
        fetch_archive("toy-data", "1.0", tmp_path, Sdist("0" * 64))


def test_the_member_must_be_the_pinned_one(tmp_path, index):
    file = replace(pin(make_sdist(index, tmp_path / "built")), sha256="0" * 64)
    with pytest.raises(BadInputError, match=r"The package index served another toy-data==1\.0"):
        locate(file, tmp_path / "cache")
