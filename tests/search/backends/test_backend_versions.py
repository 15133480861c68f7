"""Edits that are killed, readers that stay, compaction, and folders that were tampered with."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

import helpers_backends as given_
from prismat.errors import BadInputError, VersionError
from prismat.search.backends.milvus_index import MilvusIndex
from prismat.search.backends.milvus_store import Collections
from prismat.search.backends.opening import build_any, open_any
from prismat.search.backends.options import BuildOptions
from prismat.search.index import Index
from prismat.search.segments import Header, one_writer

SMALL = 30
QUERY = {"a": np.ones(8), "b": np.ones(5)}


@pytest.fixture(params=["exact", "usearch"])
def index(request, tmp_path):
    pytest.importorskip("numpy" if request.param == "exact" else "usearch")
    return build_any(request.param, tmp_path / "index", given_.records(0, SMALL), "abc")


def shown(index):
    return index.search(QUERY, {"b": -0.5}, k=500), index.records(0, 500)


def test_a_killed_edit_loses_nothing_and_hinders_nothing(index, monkeypatch):
    before = shown(index)

    def killed(*_):
        raise KeyboardInterrupt

    for edit in (
        lambda: index.add(*given_.records(SMALL, SMALL + 5)),
        lambda: index.update(*given_.records(10, 12, seed=4)),
        lambda: index.delete(["r12"]),
        index.compact,
    ):
        with monkeypatch.context() as patch:
            patch.setattr(Header, "write", killed)
            with pytest.raises(KeyboardInterrupt):
                edit()
        assert open_any(index.folder, "abc").version == index.version
        assert shown(open_any(index.folder, "abc")) == before
    assert index.add(*given_.records(SMALL, SMALL + 5)) == index.version + 1
    assert len(index.latest()) == SMALL + 5
    assert shown(index) == before


def test_compaction_frees_space_and_changes_no_answer(index):
    index.delete([f"r{i}" for i in range(10, 20)])
    index.add(*given_.records(SMALL, SMALL + 4))
    index.update(*given_.records(20, 22, seed=3))
    edited = index.latest()
    reader, before = edited.latest(), shown(edited)
    assert edited.compact() == edited.version + 1
    compacted = index.latest()
    assert shown(compacted) == before
    assert shown(reader) == before
    folders = sorted(p.name for p in index.folder.iterdir() if not p.name.startswith("."))
    assert folders == ["index.json", f"segment-{compacted.version:06d}"]
    if index.kind == "exact":
        assert isinstance(compacted.vectors["a"], np.memmap)
    assert compacted.delete([hit.id for hit in compacted.records(0, 500)]) == compacted.version + 1
    empty = index.latest()
    assert shown(empty) == ([], [])
    empty.add(*given_.records(0, 3))
    assert len(index.latest()) == 3


def test_an_added_record_may_lack_keys_and_properties(index):
    vectors, _ = given_.vectors(SMALL, SMALL + 1)
    index.add({"a": vectors["a"]}, {}, given_.table(SMALL, SMALL + 1).drop_columns(["property.density"]))
    found = index.latest().search({"a": vectors["a"][0], "b": np.ones(5)}, k=1)[0]
    assert (found.id, set(found.scores), "density" in found.properties) == ("r30", {"a"}, False)


def test_one_writer_at_a_time(index):
    with (
        one_writer(index.folder),
        pytest.raises(BadInputError, match="another process is changing this index"),
    ):
        index.delete(["r12"])
    assert index.delete(["r12"]) == 2


def test_building_again_gives_a_newer_version(index):
    again = build_any(index.kind, index.folder, given_.records(0, 5), "def")
    assert (again.version, len(again), again.model_hash) == (index.version + 1, 5, "def")


def tamper(folder, change):
    path = folder / "index.json"
    header = json.loads(path.read_text())
    change(header)
    path.write_text(json.dumps(header))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h["segments"][0].update(folder="../elsewhere"), "index.json is damaged"),
        (lambda h: h["dead"].update(name="/etc/passwd"), "index.json is damaged"),
        (lambda h: h.update(segments=[]), "index.json is damaged"),
        (lambda h: h["segments"][1].pop("records"), "index.json is damaged"),
        (lambda h: h["segments"][1].update(records=99), "the files disagree in length"),
        (lambda h: h.update(kind="milvus"), "written by the back end 'milvus'"),
    ],
)
def test_a_tampered_header_is_refused(index, change, message):
    index.add(*given_.records(SMALL, SMALL + 2))
    index.delete(["r12"])
    tamper(index.folder, change)
    with pytest.raises(BadInputError, match=message):
        type(index).open(index.folder)


def test_a_list_of_the_dead_beyond_the_records_is_refused(index):
    index.delete(["r12"])
    name = json.loads((index.folder / "index.json").read_text())["dead"]["name"]
    np.save(index.folder / name, np.array([10**6]))
    with pytest.raises(BadInputError, match=f"{name} is damaged"):
        open_any(index.folder)


def test_a_missing_segment_is_named(index):
    index.add(*given_.records(SMALL, SMALL + 2))
    (index.folder / "segment-000002" / "present_1.npy").unlink()
    with pytest.raises(BadInputError, match=r"present_1.npy is missing or damaged. Run prismat index"):
        open_any(index.folder)


def test_an_index_of_the_first_format_opens_and_can_be_edited(tmp_path):
    Index.build(tmp_path / "old", *given_.records(0, SMALL), "abc")
    tamper(tmp_path / "old", lambda h: [h.pop(name) for name in ("kind", "version", "dims")])
    old = open_any(tmp_path / "old", "abc")
    assert (old.version, old.keys) == (1, {"a": 8, "b": 5, "c": 3})
    assert old.add(*given_.records(SMALL, SMALL + 2)) == 2
    assert len(old.latest()) == SMALL + 2


def test_a_damaged_usearch_file_is_refused(tmp_path):
    pytest.importorskip("usearch")
    index = build_any("usearch", tmp_path / "u", given_.records(0, SMALL), "abc")
    path = index.folder / "vectors_0.usearch"
    path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(BadInputError, match=r"vectors_0.usearch is damaged"):
        open_any(index.folder)


APPROXIMATE = {"HNSW": BuildOptions(approximate=True), "f16": BuildOptions(dtype="f16")}


@pytest.mark.parametrize("name", [*APPROXIMATE, "IVF"])
def test_approximate_search_finds_nearly_all(tmp_path, name):
    pytest.importorskip("lancedb" if name == "IVF" else "usearch")
    rng = np.random.default_rng(1)
    records = (
        {"a": rng.standard_normal((300, 8)), "b": rng.standard_normal((300, 5))},
        {"b": np.arange(300) % 5 > 0},
        given_.table(0, 300),
    )
    options = APPROXIMATE.get(name, BuildOptions(approximate=True))
    index = build_any("lancedb" if name == "IVF" else "usearch", tmp_path / "i", records, "abc", options)
    exact = build_any("exact", tmp_path / "e", records, "abc")
    shared = []
    for _ in range(10):
        query = {"a": rng.standard_normal(8), "b": rng.standard_normal(5)}
        ours, theirs = (i.search(query, {"b": 0.5}, k=10) for i in (index, exact))
        assert [h.score for h in ours] == pytest.approx([h.score for h in theirs], abs=0.05)
        shared.append(len({h.id for h in ours} & {h.id for h in theirs}) / 10)
    assert np.mean(shared) >= 0.9


def test_milvus_survives_kills_and_restarts(tmp_path, monkeypatch):
    """A graph, a killed edit, compaction, and another process that opens the file."""
    pytest.importorskip("pymilvus")
    place = str(tmp_path / "m.db#minerals")
    index = MilvusIndex.build(place, given_.records(0, SMALL), "abc", BuildOptions(approximate=True))
    before = shown(index)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Collections, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            index.update(*given_.records(9, 14, seed=7))
    assert shown(open_any(place, "abc")) == before
    index.update(*given_.records(9, 11, seed=8))
    index.delete(["r12"])
    edited = shown(index.latest())
    assert len(edited[1]) == SMALL - 1
    assert edited != before
    assert index.compact() == 4
    assert shown(index.latest()) == edited
    # What lies on the disk at this moment is what a process sees that starts after a kill.
    shutil.copytree(tmp_path / "m.db", tmp_path / "copy.db", ignore=shutil.ignore_patterns("LOCK"))
    words = [sys.executable, "-c", CHILD, f"{tmp_path}/copy.db#minerals"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    best = index.latest().search({"a": np.ones(8)}, k=1)[0].id
    assert done.stdout.splitlines() == [str(SMALL - 1), "4", best], done.stderr


CHILD = """
import sys
import numpy as np
from prismat.search.backends.opening import open_any
index = open_any(sys.argv[1], "abc")
print(len(index), index.version, index.search({"a": np.ones(8)}, k=1)[0].id, sep="\\n")
"""


def test_another_format_of_lance_or_milvus_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("lancedb")
    from prismat.search.backends import lance_index

    with monkeypatch.context() as patch:
        patch.setattr(lance_index, "FORMAT_VERSION", 99)
        build_any("lancedb", tmp_path / "l", given_.records(0, 5), "abc")
    with pytest.raises(VersionError, match="format version 99, this program reads 1"):
        open_any(tmp_path / "l")
