"""Every query against every real engine, at every version: the answers are those of the exact index."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import helpers_backends as given_
from prismat.errors import BadInputError, MismatchError
from prismat.search.backends.base import SearchIndex
from prismat.search.backends.opening import build_any, open_any
from prismat.search.filters import SYSTEMS, Filter

ENGINES = ("usearch", "lancedb", "milvus")
STAGES = ("built", "added", "deleted", "updated")
DELETED = ["r20", "m'1", "x\\'\"", "r44", "r159"]


def edit(index, stage):
    """The edit that leads to a stage; returns the version that it made."""
    if stage == "added":
        return index.add(*given_.records(given_.N, given_.N + 12))
    if stage == "deleted":
        return index.delete(DELETED)
    return index.update(*given_.records(100, 104, seed=9))


def history(kind, place):
    """An index at each of its versions."""
    pytest.importorskip({"exact": "numpy", "milvus": "pymilvus"}.get(kind, kind))
    found = {"built": build_any(kind, place, given_.records(0, given_.N), "abc")}
    for before, stage in pairwise(STAGES):
        version = edit(found[before], stage)
        found[stage] = found[before].latest()
        assert found[stage].version >= version > found[before].version
    return found


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """By engine and stage; made when first asked for."""
    folder, made = tmp_path_factory.mktemp("engines"), {}

    def get(kind, stage):
        if kind not in made:
            place = folder / (f"{kind}.db" if kind == "milvus" else kind)
            made[kind] = SimpleNamespace(place=place, stages=history(kind, place))
        return made[kind].stages[stage]

    get.place = lambda kind: (get(kind, "built"), made[kind].place)[1]
    return get


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("kind", ENGINES)
def test_every_query_gives_the_same_hits(engines, kind, stage):
    index, exact = engines(kind, stage), engines("exact", stage)
    assert len(index) == len(exact)
    for name, (vectors, weights, k, shares) in given_.queries().items():
        expected = exact.search(vectors, weights, None, k, shares)
        assert index.search(vectors, weights, None, k, shares) == expected, name
        assert len(expected) == min(k, len(expected))
        assert expected


@pytest.mark.parametrize("stage", ["built", "updated"])
@pytest.mark.parametrize("kind", ENGINES)
def test_every_filter_gives_the_same_hits_and_counts(engines, kind, stage):
    index, exact = engines(kind, stage), engines("exact", stage)
    vectors, weights, _, _ = given_.queries()["negative"]
    for name, condition in given_.FILTERS.items():
        assert index.count(condition) == exact.count(condition), name
        expected = exact.search(vectors, weights, condition, 9)
        assert index.search(vectors, weights, condition, 9) == expected, name
        assert bool(expected) == (name != "nothing passes")
    assert index.count() == index.count(Filter()) == len(exact)


ELEMENTS = st.lists(st.sampled_from(["H", "D", "O", "Na", "Cl", "Si", "Fe", "K", "U"]), max_size=3).map(tuple)


def limits(values):
    sides = st.tuples(st.none() | values, st.none() | values)
    return sides.map(lambda r: r if None in r else (min(r), max(r)))


# Built inside the test: type checks draw random numbers, which strategies must not.
CONDITIONS = st.fixed_dictionaries(
    {
        "with_elements": ELEMENTS,
        "without_elements": ELEMENTS,
        "only_elements": ELEMENTS,
        "n_sites": limits(st.integers(-3, 50)),
        "properties": st.dictionaries(
            st.sampled_from(["band gap", "density"]),
            limits(st.floats(-1, 9) | st.floats(allow_nan=False, allow_infinity=False)),
            max_size=2,
        ),
        "spacegroup_number": limits(st.integers(1, 230)),
        "crystal_systems": st.lists(st.sampled_from(list(SYSTEMS)), max_size=3).map(tuple),
        "n_elements": limits(st.integers(0, 4)),
    }
)


@pytest.mark.parametrize("kind", ENGINES)
def test_random_filters_pass_the_same_records(engines, kind):
    index, exact = engines(kind, "deleted"), engines("exact", "deleted")
    query = {"c": np.array([1.0, -1.0, 2.0])}

    @settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
    @given(CONDITIONS)
    def agree(fields):
        condition = Filter(**fields)
        assert index.count(condition) == exact.count(condition)
        assert index.search(query, None, condition, 5) == exact.search(query, None, condition, 5)

    agree()


@pytest.mark.parametrize("stage", ["built", "updated"])
@pytest.mark.parametrize("kind", ENGINES)
def test_records_and_vectors_are_the_same(engines, kind, stage):
    index, exact = engines(kind, stage), engines("exact", stage)
    assert isinstance(index, SearchIndex)
    assert isinstance(exact, SearchIndex)
    assert (index.kind, index.model_hash) == (kind, "abc")
    assert (index.keys, index.units) == (exact.keys, {"band gap": "eV", "density": "g/cm3"})
    every = exact.records(0, 10_000)
    assert index.records(0, 10_000) == every
    assert index.records(3, 7) == every[3:7]
    assert index.records(-2, 2) == every[:2]
    assert index.records(9_999, 10_000) == []
    ids = [hit.id for hit in every]
    some = [*ids[::17], ids[1], ids[1]]
    assert [index.record(name) for name in some[:8]] == [exact.record(name) for name in some[:8]]
    for key in exact.keys:
        pairs = zip(index.vectors_of(key, some), exact.vectors_of(key, some), strict=True)
        assert all(np.array_equal(ours, theirs) for ours, theirs in pairs)
    assert index.holds(["r50", "r9999", "m'1"]) == exact.holds(["r50", "r9999", "m'1"])


@pytest.mark.parametrize("kind", ["exact", *ENGINES])
def test_a_reader_keeps_its_version(engines, kind):
    """All stages were opened before the later edits; each still shows what it showed."""
    sizes = [len(engines(kind, stage)) for stage in STAGES]
    assert sizes == [given_.N, given_.N + 12, given_.N + 12 - len(DELETED), given_.N + 12 - len(DELETED)]
    query = {"a": np.ones(8)}
    found = {stage: {h.id for h in engines(kind, stage).search(query, k=500)} for stage in STAGES}
    assert "r160" not in found["built"]
    assert {"r160", "r20"} <= found["added"]
    assert "r20" in found["built"]
    assert "r20" not in found["deleted"]
    last = engines(kind, "updated").records(len(engines(kind, "updated")) - 4, 10_000)
    assert [hit.id for hit in last] == ["r100", "r101", "r102", "r103"]
    before, after = (engines(kind, s).vectors_of("a", ["r100"])[0] for s in ("deleted", "updated"))
    assert not np.array_equal(before, after)


@pytest.mark.parametrize("kind", ["exact", *ENGINES])
def test_bad_calls_are_named_alike(engines, kind):
    index = engines(kind, "built")
    a = np.ones(8)
    for call, message in [
        (lambda: index.search({}), "the query is empty"),
        (lambda: index.search({"a": a}, {"a": 0.0}), "the query is empty"),
        (lambda: index.search({"z": a}), "unknown key 'z'. This index has: a, b, c"),
        (lambda: index.search({"a": np.ones(4)}), "a: expected a finite vector of 8 dimensions"),
        (lambda: index.search({"a": a}, {"a": np.inf}), "weights: weight inf for 'a'"),
        (lambda: index.search({"a": a}, k=0), "k: k is 0"),
        (lambda: index.search({"a": a}, shares={"a": -1.0}), "share"),
        (lambda: index.search({"a": a}, filter=Filter(properties={"x": (1, 2)})), "unknown property 'x'"),
        (lambda: index.count(Filter(properties={"x": (1, 2)})), "unknown property 'x'. .* band gap, density"),
        (lambda: index.record("nobody"), "record 'nobody', id: no such record in this index"),
        (lambda: index.vectors_of("z", []), "unknown key 'z'"),
        (lambda: index.vectors_of("a", ["nobody"]), "no such record"),
        (lambda: index.add(*given_.records(5, 9)), "has this record already. Update it instead"),
        (lambda: index.update(*given_.records(900, 901)), "record 'r900', id: no such record"),
        (lambda: index.delete(["r50", "nobody"]), "record 'nobody', id: no such record"),
    ]:
        with pytest.raises(BadInputError, match=message):
            call()
    extra = given_.table(900, 901).append_column("property.x", [[1.0]])
    for records, message in [
        ((*given_.vectors(900, 901), extra), "bring the property 'x' in ''; the index has band gap .eV."),
        (({"a": np.ones((1, 3))}, {}, given_.table(900, 901)), "no key 'a' of 3 dimensions; it has a .8."),
    ]:
        with pytest.raises(MismatchError, match=message):
            index.add(*records)
    assert index.latest().version == engines(kind, "updated").version


@pytest.mark.parametrize("kind", ["exact", *ENGINES])
def test_another_model_is_refused(engines, kind):
    engines(kind, "built")
    with pytest.raises(
        MismatchError, match=r"made with model abc, the model loaded is def. Run prismat index"
    ):
        open_any(engines.place(kind), "def")
    assert open_any(engines.place(kind), "abc").version == engines(kind, "updated").version
