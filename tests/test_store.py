import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prismat.errors import BadInputError, VersionError
from prismat.files import write_json
from prismat.ragged import pack
from prismat.store import SCHEMA_VERSION, Store, write_shard


def write_store(folder, shards):
    """A store of shards, each a list of rows; every row is a list of integer triples."""
    described, number = [], 0
    for index, rows in enumerate(shards):
        name = f"shard-{index:05d}"
        table = pa.table({"id": pa.array([f"r{number + i}" for i in range(len(rows))], pa.string())})
        arrays = [np.array(r, dtype=np.float32).reshape(-1, 3) for r in rows]
        packed = {"a.x": pack(arrays), "a.n": pack([a[:, 0].astype(np.int16) for a in arrays])}
        write_shard(folder / name, table, packed, [{"id": "bad", "reason": "Å"}], [None] * table.num_rows)
        described.append({"name": name, "rows": len(rows), "hash": "h"})
        number += len(rows)
    write_json(folder / "store.json", {"schema_version": SCHEMA_VERSION, "hash": "h", "shards": described})
    return Store(folder)


triples = st.lists(st.tuples(*[st.integers(-99, 99)] * 3), max_size=4)
shards = st.lists(st.lists(triples, min_size=1, max_size=5), min_size=1, max_size=4)


@settings(deadline=None, max_examples=40)
@given(shards, st.data())
def test_random_access_equals_slicing_across_shards(tmp_path_factory, content, data):
    store = write_store(tmp_path_factory.mktemp("store"), content)
    flat = [row for shard in content for row in shard]
    assert len(store) == len(flat)
    rows = data.draw(st.lists(st.integers(0, len(flat) - 1), max_size=12))
    taken = store.take(np.array(rows, dtype=np.int64), ["a.x", "a.n"])
    assert [taken["a.x"][i].tolist() for i in range(len(rows))] == [[list(t) for t in flat[r]] for r in rows]
    assert [taken["a.n"][i].tolist() for i in range(len(rows))] == [[t[0] for t in flat[r]] for r in rows]
    assert taken["a.n"].values.dtype == np.int16
    assert store.lengths("a.x").tolist() == [len(r) for r in flat]
    assert store.ids == [f"r{i}" for i in range(len(flat))]


def test_values_are_mapped_not_read(tmp_path):
    store = write_store(tmp_path, [[[(1, 2, 3)]]])
    store.take(np.array([0]), ["a.x"])
    assert isinstance(store._shards[0].column("a.x")[0], np.memmap)


def test_columns_without_a_single_value(tmp_path):
    store = write_store(tmp_path, [[[], []], [[], [(1, 2, 3)]]])
    taken = store.take(np.array([3, 0, 1]), ["a.x"])["a.x"]
    assert taken.lengths.tolist() == [1, 0, 0]
    assert taken[0].tolist() == [[1, 2, 3]]


def test_no_rows_wanted(tmp_path):
    taken = write_store(tmp_path, [[[(1, 2, 3)]]]).take(np.array([], dtype=np.int64), ["a.x"])["a.x"]
    assert len(taken) == 0
    assert taken.values.shape == (0, 3)


def test_a_row_that_is_not_there_is_an_error(tmp_path):
    store = write_store(tmp_path, [[[(1, 2, 3)], []]])
    with pytest.raises(IndexError):
        store.take(np.array([2]), ["a.x"])


def test_a_shard_lists_the_hashes_of_its_files(tmp_path):
    write_store(tmp_path, [[[(1, 2, 3)]]])
    described = json.loads((tmp_path / "shard-00000" / "shard.json").read_text())
    names = {p.name for p in (tmp_path / "shard-00000").iterdir()}
    assert set(described["files"]) == names - {"shard.json"}
    assert described["rows"] == 1
    assert json.loads((tmp_path / "shard-00000" / "rejects.jsonl").read_text()) == {
        "id": "bad",
        "reason": "Å",
    }


def test_equal_content_has_equal_hashes_and_other_content_others(tmp_path):
    hashes = []
    for name, content in (("a", (1, 2, 3)), ("b", (1, 2, 3)), ("c", (1, 2, 4))):
        write_store(tmp_path / name, [[[content]]])
        hashes.append(json.loads((tmp_path / name / "shard-00000" / "shard.json").read_text())["hash"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_an_unfinished_store_is_refused(tmp_path):
    write_store(tmp_path, [[[(1, 2, 3)]]])
    (tmp_path / "store.json").unlink()
    with pytest.raises(BadInputError, match=r"[Nn]o finished store in .*Run 'prismat prepare'; it resumes"):
        Store(tmp_path)
    with pytest.raises(BadInputError, match=r"[Nn]o finished store"):
        Store(tmp_path / "nowhere")


def test_another_schema_version_is_refused(tmp_path):
    write_store(tmp_path, [[[(1, 2, 3)]]])
    info = json.loads((tmp_path / "store.json").read_text())
    write_json(tmp_path / "store.json", info | {"schema_version": SCHEMA_VERSION + 1})
    seen = f"has store schema {SCHEMA_VERSION + 1}, this program reads {SCHEMA_VERSION}"
    message = rf"{seen}\. Run 'prismat prepare' again"
    with pytest.raises(VersionError, match=message):
        Store(tmp_path)


def test_objects_are_never_unpickled(tmp_path):
    store = write_store(tmp_path, [[[(1, 2, 3)]]])
    path = Path(tmp_path / "shard-00000" / "a.x.values.npy")
    np.save(path, np.array([{"evil": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"allow_pickle|Python objects"):
        store.take(np.array([0]), ["a.x"])
