import numpy as np
import pytest

import helpers_crystals as real
from helpers_hygiene import make_store, material, polymorph
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.hygiene import matching
from prismat.hygiene.comparison import Pair, find_duplicates
from prismat.hygiene.matching import Matching
from prismat.hygiene.structures import CompareSettings

ALONE = CompareSettings(matching=Matching(workers=1))


def variants(name):
    rng, crystal = np.random.default_rng(3), polymorph(name)
    moved = real.translated(real.rotated(crystal, rng), rng)
    return [
        crystal,
        Crystal(moved.lattice * 1.008, moved.frac, moved.sites),
        real.supercell(real.reordered(real.other_axes(crystal, rng), rng), (2, 1, 1)),
    ]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    root = tmp_path_factory.mktemp("stores")
    quartz, rutile = variants("quartz"), variants("rutile")
    first = make_store(
        root / "first",
        material("q0", quartz[0], texts={"title": "On  Quartz"}),
        material("q1", quartz[1], texts={"title": "Another"}),
        material("cristobalite", polymorph("cristobalite"), texts={"title": "on quartz "}),
        material("diamond", polymorph("diamond"), texts={"keywords": "on quartz"}),
        material("words", texts={"title": "Words alone"}),
    )
    second = make_store(
        root / "second",
        material("q2", quartz[2]),
        material("graphite", polymorph("graphite")),
        material("r0", rutile[0]),
        material("r1", rutile[2]),
        material("anatase", polymorph("anatase"), texts={"title": "WORDS ALONE"}),
        material("water", Crystal.molecule(np.eye(3), tuple(((z, 1.0),) for z in (8, 1, 1)))),
    )
    return first, second


def members(found, kind):
    return [[identifier for _, identifier in group] for group in found.groups[kind]]


def test_structures_within_and_across_stores(stores):
    found = find_duplicates(stores, ALONE)
    assert members(found, "structure") == [["q0", "q1", "q2"], ["r0", "r1"]]
    assert found.counts("structure") == {
        "groups": 2, "records": 5, "superfluous": 3, "largest": 3, "across_stores": 1,
    }  # fmt: skip
    assert Pair("second", "r0", "second", "r1", "structure") in found.pairs
    assert sum(p.kind == "structure" for p in found.pairs) == 3
    assert found.structures["compared"] == 9
    assert found.structures["molecules_not_compared"] == 1
    assert found.structures["confirmed_pairs"] == 3


def test_texts_of_one_kind_and_formulas(stores):
    found = find_duplicates(stores, ALONE)
    assert members(found, "text") == [["q0", "cristobalite"], ["words", "anatase"]]
    assert [sorted(g) for g in members(found, "formula")] == [
        ["cristobalite", "q0", "q1", "q2"], ["anatase", "r0", "r1"], ["diamond", "graphite"],
    ]  # fmt: skip


def test_the_same_with_more_processes(stores, monkeypatch):
    alone = find_duplicates(stores, ALONE)
    monkeypatch.setattr(matching, "_WORTH_A_POOL", 0)
    pooled = find_duplicates(stores, CompareSettings(matching=Matching(workers=2)))
    assert pooled.pairs == alone.pairs
    assert pooled.groups == alone.groups


def test_undecided_pairs_are_told(stores, monkeypatch):
    monkeypatch.setattr(matching, "_answer", lambda *_: matching.UNDECIDED)
    found = find_duplicates(stores, ALONE)
    assert members(found, "structure") == []
    assert (("first", "q0"), ("first", "q1")) in found.undecided
    assert found.structures["undecided_pairs"] == len(found.undecided)
    assert found.structures["fingerprint_precision"] is None


def test_a_group_gives_up_another_after_some_tries(tmp_path, monkeypatch):
    quartz = variants("quartz")[0]
    items = [
        material(f"q{k}", Crystal(quartz.lattice * (1 + 0.0005 * k), quartz.frac, quartz.sites))
        for k in range(6)
    ]
    store = make_store(tmp_path / "six", *items)
    monkeypatch.setattr(matching, "_answer", lambda *_: matching.OTHER)
    found = find_duplicates([store], CompareSettings(matching=Matching(workers=1), tries=1))
    # Groups of one record have one pair with each other, which is tested once.
    assert found.structures["tested_pairs"] == found.structures["proposed_pairs"] == 15


def test_errors(stores):
    with pytest.raises(BadInputError, match="nothing to compare"):
        find_duplicates([])
    with pytest.raises(BadInputError, match="Give each store once"):
        find_duplicates([stores[0], stores[0]])


def test_a_store_without_structures_has_text_duplicates(tmp_path):
    store = make_store(
        tmp_path / "words", *(material(f"w{k}", texts={"title": f"Title {k % 2}"}) for k in range(4))
    )
    found = find_duplicates([store], ALONE)
    assert members(found, "text") == [["w0", "w2"], ["w1", "w3"]]
    assert found.structures["compared"] == 0


def test_stores_in_folders_of_one_name_are_told_apart(tmp_path):
    one = make_store(tmp_path / "a" / "store", material("x", texts={"title": "One"}))
    two = make_store(tmp_path / "b" / "store", material("y", texts={"title": "One"}))
    assert find_duplicates([one, two], ALONE).names == ("a/store", "b/store")
