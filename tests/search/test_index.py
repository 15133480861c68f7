import json

import numpy as np
import pyarrow as pa
import pytest

from prismat.errors import BadInputError, MismatchError, VersionError
from prismat.material import Property
from prismat.search.filters import Filter
from prismat.search.index import Index
from prismat.search.index_files import property_field

N = 60


def metadata(n=N):
    base = pa.table(
        {
            "id": [f"m{i}" for i in range(n)],
            "formula": ["SiO2"] * n,
            "spacegroup": ["P3_121"] * n,
            "spacegroup_number": [152] * n,
            "title": [None, *["Quartz"] * (n - 1)],
            "elements": [["Fe", "O"] if i % 3 else ["Na"] for i in range(n)],
            "n_sites": [None, *range(1, n)],
        }
    )
    gap = pa.array([None if i % 2 else float(i) for i in range(n)])
    return base.append_column(property_field("band_gap", "eV"), gap)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    embeddings = {
        "structure": rng.standard_normal((N, 8)),
        "xrd": rng.standard_normal((N, 5)).astype(np.float32),
    }
    present = {"structure": np.arange(N) != 7, "xrd": np.arange(N) % 2 == 0}
    return embeddings, present


@pytest.fixture
def index(tmp_path, data):
    return Index.build(tmp_path / "index", *data, metadata(), "abc")


def reference(data, vectors, weights):
    total, weight = np.zeros(N), np.zeros(N)
    for key, vector in vectors.items():
        gallery = data[0][key].astype(float)
        cosine = gallery @ vector / np.linalg.norm(gallery, axis=1) / np.linalg.norm(vector)
        w = weights.get(key, 1.0) * data[1][key]
        total, weight = total + w * cosine, weight + w
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1), -np.inf)


@pytest.mark.parametrize("weights", [{}, {"structure": 3.0, "xrd": 0.5}])
def test_weighted_mean_over_the_keys_present(index, data, weights):
    rng = np.random.default_rng(1)
    vectors = {"structure": rng.standard_normal(8), "xrd": 4 * rng.standard_normal(5)}
    expected = reference(data, vectors, weights)
    hits = index.search(vectors, weights, k=N + 5)
    order = np.argsort(-expected, kind="stable")[: np.isfinite(expected).sum()]
    assert [hit.row for hit in hits] == order.tolist()
    assert 7 not in order
    assert [hit.score for hit in hits] == pytest.approx(expected[order], abs=1e-6)
    assert all(
        set(hit.scores) == ({"structure", "xrd"} if hit.row % 2 == 0 else {"structure"}) for hit in hits
    )


def test_one_key_and_hit_contents(index, data):
    hit = index.search({"structure": data[0]["structure"][4]}, k=1)[0]
    assert (hit.row, hit.id, hit.formula, hit.title, hit.n_sites) == (4, "m4", "SiO2", "Quartz", 4)
    assert (hit.spacegroup, hit.spacegroup_number, hit.elements) == ("P3_121", 152, ("Fe", "O"))
    assert hit.properties == {"band_gap": Property(4.0, "eV")}
    assert hit.score == pytest.approx(1)
    assert hit.scores == {"structure": pytest.approx(1)}
    unknown = index.search({"structure": data[0]["structure"][0]}, k=1)[0]
    assert (unknown.title, unknown.n_sites) == ("", None)


def test_weight_zero_leaves_a_key_out(index, data):
    vectors = {"structure": data[0]["structure"][4], "xrd": data[0]["xrd"][2]}
    alone = index.search({"structure": vectors["structure"]}, k=5)
    assert index.search(vectors, {"xrd": 0.0}, k=5) == alone


def test_filters_apply_before_the_k_best(index, data):
    hits = index.search(
        {"structure": data[0]["structure"][4]},
        filter=Filter(with_elements=("Na",), properties={"band_gap": (10.0, None)}),
        k=100,
    )
    assert sorted(hit.row for hit in hits) == list(range(12, N, 6))
    assert index.search({"xrd": np.ones(5)}, filter=Filter(with_elements=("U",))) == []


def test_opened_again_it_answers_the_same(index, data, tmp_path):
    again = Index.open(tmp_path / "index", "abc", verify=True)
    query = {"xrd": data[0]["xrd"][2]}
    assert again.search(query) == index.search(query)
    assert len(again) == N
    assert again.ids["m9"] == 9
    assert np.allclose(np.linalg.norm(again.vectors["structure"], axis=1), np.arange(N) != 7)
    assert not again.vectors["structure"].flags.writeable


def test_building_again_replaces_and_a_failure_leaves_the_old_one(index, data, tmp_path):
    embeddings, present = data
    broken = {**embeddings, "xrd": np.full((N, 5), np.nan)}
    with pytest.raises(
        BadInputError, match="record 'row 0', embeddings xrd: the vector is zero or not finite"
    ):
        Index.build(tmp_path / "index", broken, present, metadata(), "new")
    assert Index.open(tmp_path / "index").model_hash == "abc"
    Index.build(tmp_path / "index", embeddings, {}, metadata(), "new")
    assert Index.open(tmp_path / "index", "new").present["xrd"].all()
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_absent_rows_may_hold_anything(data, tmp_path):
    embeddings, present = data
    embeddings["structure"][7] = np.nan
    index = Index.build(tmp_path / "index", embeddings, present, metadata(), "abc")
    assert len(index.search({"structure": np.ones(8)}, k=100)) == N - 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embeddings": {}}, "embeddings for \\[\\]"),
        ({"present": {"text": np.ones(N, bool)}}, "presence for \\['text'\\]"),
        (
            {"embeddings": {"xrd": np.ones((3, 2))}, "present": {}},
            "3 vectors and 3 presence values for 60 records",
        ),
        ({"table": metadata().drop_columns(["formula"])}, "table: missing columns \\['formula'\\]"),
        (
            {"table": metadata().set_column(0, "id", pa.array(["a"] * N))},
            "table id: ids are missing or not unique",
        ),
        ({"table": metadata().set_column(6, "n_sites", pa.array(["many"] * N))}, "table: .*many"),
    ],
)
def test_bad_builds_are_named(data, tmp_path, change, message):
    parts = {"embeddings": data[0], "present": data[1], "table": metadata(), "model_hash": "abc", **change}
    with pytest.raises(BadInputError, match=message):
        Index.build(tmp_path / "index", **parts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vectors": {}}, "query: the query is empty"),
        ({"vectors": {"xrd": np.ones(5)}, "weights": {"xrd": 0.0}}, "query: the query is empty"),
        ({"vectors": {"dos": np.ones(5)}}, "unknown key 'dos'. This index has: structure, xrd"),
        ({"vectors": {"xrd": np.ones(4)}}, "xrd: expected a finite vector of 5 dimensions"),
        ({"vectors": {"xrd": np.zeros(5)}}, "not zero"),
        ({"vectors": {"xrd": np.ones(5)}, "weights": {"xrd": np.nan}}, "weights: weight nan for 'xrd'"),
        (
            {"vectors": {"xrd": np.ones(5)}, "weights": {"structure": 1.0}},
            "weights: weight 1.0 for 'structure'",
        ),
        ({"vectors": {"xrd": np.ones(5)}, "k": 0}, "k: k is 0"),
        (
            {"vectors": {"xrd": np.ones(5)}, "filter": Filter(properties={"x": (None, None)})},
            "unknown property 'x'",
        ),
    ],
)
def test_bad_searches_are_named(index, arguments, message):
    with pytest.raises(BadInputError, match=message):
        index.search(**arguments)


def test_another_model_or_version_is_refused(index, tmp_path):
    with pytest.raises(
        MismatchError, match=r"made with model abc, the model loaded is def. Run prismat index"
    ):
        Index.open(tmp_path / "index", "def")
    path = tmp_path / "index" / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99}))
    with pytest.raises(
        VersionError, match=r"format version 99, this program reads 1 and 2. Run prismat index"
    ):
        Index.open(tmp_path / "index")


@pytest.mark.parametrize("name", ["vectors_0.npy", "present_1.npy", "table.parquet"])
def test_damaged_files_are_found(index, tmp_path, name):
    path = tmp_path / "index" / name
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(BadInputError, match=f"{name} is missing or damaged"):
        Index.open(tmp_path / "index", verify=True)
    path.write_bytes(content[:-1])
    with pytest.raises(BadInputError, match=f"{name} is missing or damaged. Run prismat index"):
        Index.open(tmp_path / "index")
    path.unlink()
    with pytest.raises(BadInputError, match="missing or damaged"):
        Index.open(tmp_path / "index")


def test_files_of_another_kind_are_refused_even_with_the_right_size(index, tmp_path):
    folder = tmp_path / "index"
    header = json.loads((folder / "index.json").read_text())
    for name, content in {
        "vectors_0.npy": np.array([{"a": 1}], dtype=object),
        "present_0.npy": np.ones(N),
    }.items():
        kept = (folder / name).read_bytes()
        np.save(folder / name, content, allow_pickle=True)
        header["files"][name]["bytes"] = (folder / name).stat().st_size
        (folder / "index.json").write_text(json.dumps(header))
        with pytest.raises(BadInputError, match=f"{name} is damaged"):
            Index.open(folder)
        (folder / name).write_bytes(kept)
        header["files"][name]["bytes"] = len(kept)
    (folder / "table.parquet").write_bytes(b"x" * header["files"]["table.parquet"]["bytes"])
    (folder / "index.json").write_text(json.dumps(header))
    with pytest.raises(BadInputError, match=r"table.parquet is damaged"):
        Index.open(folder)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"format_version": 1}',
        '{"format_version": 1, "keys": [[]], "files": {}, "model_hash": ""}',
    ],
)
def test_a_damaged_header_is_refused(index, tmp_path, text):
    (tmp_path / "index" / "index.json").write_text(text)
    with pytest.raises((BadInputError, VersionError), match="Run prismat index"):
        Index.open(tmp_path / "index")
    with pytest.raises(BadInputError, match="there is no index"):
        Index.open(tmp_path)
