import json

import numpy as np
import pyarrow.parquet as pq
import pytest

import helpers_crystals as real
from helpers_hygiene import make_store, material, polymorph
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.hygiene import matching
from prismat.hygiene.leakage import LEAKS, leakage, run_parts
from prismat.hygiene.matching import Matching
from prismat.hygiene.structures import CompareSettings
from prismat.splits import Split

ALONE = CompareSettings(matching=Matching(workers=1))


def scaled(name, by):
    crystal = polymorph(name)
    return Crystal(crystal.lattice * by, crystal.frac, crystal.sites)


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    return make_store(
        tmp_path_factory.mktemp("train") / "train",
        material("quartz", polymorph("quartz"), source_id="17", tags={"mineral": "Quartz"}),
        material(
            "diamond", polymorph("diamond"), source_id="mp-66", tags={"doi": "https://doi.org/10.1/ABC"}
        ),
        material(
            "NaCl", polymorph("NaCl"), texts={"title": "On salt"}, tags={"publication": "J. Salt 1 (1999)"}
        ),
        material("words", texts={"abstract": "Much was found."}),
    )


@pytest.fixture(scope="module")
def tests(tmp_path_factory):
    return make_store(
        tmp_path_factory.mktemp("test") / "test",
        material("same", real.supercell(scaled("quartz", 1.005), (2, 1, 1))),
        material("formula", polymorph("cristobalite"), source_id="17", source="other"),
        material("mineral", polymorph("calcite"), tags={"mineral": " QUARTZ"}),
        material("doi", polymorph("rutile"), tags={"doi": "10.1/abc"}),
        material("publication", polymorph("anatase"), tags={"publication": "J.  Salt 1 (1999)"}),
        material("text", polymorph("wurtzite"), texts={"title": "on salt", "abstract": ""}),
        material(
            "abstract", polymorph("SrTiO3"), texts={"title": "Much was found.", "abstract": "much WAS found."}
        ),
        material("original", polymorph("kyanite"), source_id="MP-66", source="elsewhere"),
        material("original number", polymorph("diopside"), source_id="17"),
        material("clean", polymorph("baddeleyite"), texts={"abstract": "On salt"}),
    )


EXPECTED = {
    "structure": {"same": "quartz"},
    "text": {"text": "NaCl", "abstract": "words"},
    "formula": {"same": "quartz", "formula": "quartz"},
    "publication": {"doi": "diamond", "publication": "NaCl"},
    "mineral": {"mineral": "quartz"},
    "original_id": {"original": "diamond", "original number": "quartz"},
}


def test_each_kind_of_leak_is_found_with_the_record_learnt_from(train, tests):
    (found,) = leakage(train, [tests], ALONE).sets
    assert found.shared == EXPECTED
    assert "clean" not in found.ids()
    assert len(found.ids()) == 9
    assert found.ids(("structure", "mineral")) == ["mineral", "same"]


def test_counts_fractions_and_files(train, tests, tmp_path):
    found = leakage(train, [tests], ALONE)
    found.write(tmp_path / "out")
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    (one,) = told["evaluation"]
    assert told["kind"] == "leakage"
    assert told["train"] == {"name": "train", "records": 4}
    assert one["shared"]["publication"] == {"records": 2, "fraction": 0.2}
    assert one["shared"]["any"]["records"] == 9
    rows = pq.read_table(tmp_path / "out" / "overlap.parquet").to_pylist()
    assert {(r["kind"], r["id"], r["train_id"]) for r in rows} == {
        (kind, i, t) for kind in LEAKS for i, t in EXPECTED[kind].items()
    }
    assert {r["store"] for r in rows} == {"test"}


def test_a_composition_close_by_counts(tmp_path):
    def periclase(iron):
        atoms = [({"Mg": 1 - iron, "Fe": iron}, 0, 0, 0), ("O", 0.5, 0.5, 0.5)]
        return real.build("F m -3 m", (4.25,) * 3 + (90,) * 3, atoms)

    first = make_store(tmp_path / "a", material("x", periclase(0.5)))
    second = make_store(tmp_path / "b", material("near", periclase(0.53)), material("far", periclase(0.56)))
    (found,) = leakage(first, [second], ALONE).sets
    assert found.shared["formula"] == {"near": "x"}


def test_undecided_structures_are_told_apart(train, tests, monkeypatch):
    monkeypatch.setattr(matching, "_answer", lambda *_: matching.UNDECIDED)
    (found,) = leakage(train, [tests], ALONE).sets
    assert found.shared["structure"] == {}
    assert found.undecided == ("same",)


def test_parts_of_a_run(train, tests):
    split = Split(("quartz", "words"), ("NaCl",), ("diamond",))
    part, against = run_parts(train, [train, tests], split)
    found = leakage(part, against, ALONE)
    assert found.describe()["train"] == {"name": "train part", "records": 2}
    test_part, other = found.sets
    assert (test_part.name, test_part.records, test_part.ids()) == ("test part", 1, [])
    # What is shared only with the validation or the test part is no leak.
    assert other.shared["publication"] == {}
    assert other.shared["structure"] == {"same": "quartz"}


def test_errors(train, tests):
    with pytest.raises(BadInputError, match="nothing to compare with"):
        leakage(train, [])
    with pytest.raises(BadInputError, match="is compared with itself"):
        leakage(train, [train])
    with pytest.raises(BadInputError, match="is compared with itself"):
        leakage(train, [tests, tests])
    with pytest.raises(BadInputError, match="1 ids are not in"):
        run_parts(train, [tests], Split(("absent",), (), ()))
    with pytest.raises(BadInputError, match="no ids are given"):
        run_parts(train, [train], Split(("quartz",), (), ()))


def test_a_store_from_before_crystals_were_kept_is_refused(train, tests, tmp_path):
    import shutil

    from prismat.store import Store

    folder = tmp_path / "old"
    shutil.copytree(tests.folder, folder)
    for path in folder.glob("shard-*/crystals.parquet"):
        path.unlink()
    with pytest.raises(BadInputError, match="before stores kept crystals"):
        leakage(train, [Store(folder)], ALONE)


def test_closest_records_are_tried_first_and_only_some(tmp_path, monkeypatch):
    asked = []

    def answer(first, second, *_):
        asked.append(round(max(first.volume, second.volume) / min(first.volume, second.volume), 3))
        return matching.OTHER

    monkeypatch.setattr(matching, "_answer", answer)
    quartz = polymorph("quartz")
    stretched = [
        material(
            f"q{k}",
            Crystal(quartz.lattice * np.array([1, 1, 1 + 0.01 * k])[:, None], quartz.frac, quartz.sites),
        )
        for k in range(1, 6)
    ]
    first = make_store(tmp_path / "a", *stretched)
    second = make_store(tmp_path / "b", material("q", quartz))
    leakage(first, [second], CompareSettings(matching=Matching(workers=1), tries=2))
    assert asked == [1.01, 1.02]
