"""From a store of real minerals to an answer, with a model of few steps."""

import json

import numpy as np
import pytest

import helpers_small as small
from helpers_cli import call
from prismat.confidence import direction as room
from prismat.confidence.calibrate import calibrate
from prismat.confidence.gallery import Direction
from prismat.confidence.judge import new_compositions
from prismat.confidence.scored import embed_space, scored
from prismat.errors import BadInputError
from prismat.prepare import PrepareSettings, prepare
from prismat.store import Store
from prismat.tasks.indexing import build_index
from prismat.tasks.opened import open_run
from prismat.tasks.quickstart import train_recipe
from prismat.training.session import open_prepared

FEW = 8


@pytest.fixture(scope="module")
def minerals(amcsd, tmp_path_factory):
    """A trained run on 150 crystals of AMCSD, its store and its index."""
    root = tmp_path_factory.mktemp("minerals")
    rows = tuple(amcsd.read(0, 150))
    settings = PrepareSettings(profile=small.tiny_recipe().profile, shard_rows=80, workers=1)
    store = prepare(small.SmallSource(rows), root / "store", settings)
    job = small.tiny_job(steps=4, evaluate_every=4)
    trained = train_recipe(open_prepared(store, job.split), job, root / "run")
    build_index(trained.prismat, store, root / "run" / "index")
    return root


@pytest.fixture(scope="module")
def calibrated(minerals):
    """What ``prismat calibrate`` says, with fewer groups than it asks of real work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "LEAST_CLUSTERS", FEW)
        return call("calibrate", "--run", minerals / "run", "--store", minerals / "store", "--json")


def test_calibrate_writes_a_page_and_says_the_figures(calibrated, minerals):
    assert calibrated.code == 0, calibrated.err
    found = json.loads(calibrated.out)["directions"]
    assert {"xrd->xrd", "xrd->structure", "text->structure"} <= set(found)
    one = found["xrd->structure"]
    assert [c["alpha"] for c in one["sets"]] == [0.05, 0.1, 0.2]
    assert 0 <= one["match"]["calibrated"]["best"]["ece"][0] <= 1
    assert one["next"]["measurements"] == ["text", "elements", "crystal system", "density"]
    folder = minerals / "run" / "confidence"
    assert {"confidence.json", "confidence.safetensors", "report.html", "report.json", "confidence.svg"} <= {
        p.name for p in folder.iterdir()
    }


def test_identify_ranks_and_doubts(calibrated, minerals):
    assert calibrated.code == 0
    said = call("identify", "--run", minerals / "run", "--text", "crystal structure of galena", "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert found["direction"] == "text->structure"
    p = [c["probability"] for c in found["candidates"]]
    assert len(p) == 5
    assert p == sorted(p, reverse=True)
    assert found["candidates"][0]["row"] == found["set"]["rows"][0]
    assert 0 < found["none_of_these"]["probability"] < 1
    assert found["next"] == sorted(found["next"], key=lambda r: -r["gain_bits"])
    assert len(found["next"]) == 4


def test_identify_reads_a_measured_pattern(calibrated, minerals, tmp_path):
    assert calibrated.code == 0
    pattern = small.measured("rock_salt_Na-Cl")
    lines = zip(pattern.two_theta, pattern.intensity, strict=True)
    (tmp_path / "halite.xy").write_text("\n".join(f"{x:.4f} {y:.4f}" for x, y in lines))
    said = call("identify", "--run", minerals / "run", "--xrd", tmp_path / "halite.xy")
    assert said.code == 0, said.err
    assert "(xrd->xrd)" in said.out
    assert "Measure next:" in said.out
    assert "measured ones are harder" in said.out


def test_two_windows_at_once_are_refused(calibrated, minerals, tmp_path):
    assert calibrated.code == 0
    (tmp_path / "a.cif").write_text("data_a\n")
    said = call("identify", "--run", minerals / "run", "--text", "galena", "--structure", tmp_path / "a.cif")
    assert said.code == 1
    assert "2 windows are given" in said.err


def test_identify_without_a_calibration_says_how_to_make_one(minerals, tmp_path):
    said = call("identify", "--run", minerals / "run", "--confidence", tmp_path, "--text", "galena")
    assert said.code == 1
    assert "No calibration in" in said.err
    assert "prismat calibrate" in said.err


def test_a_small_store_and_a_foreign_one_cannot_be_calibrated(minerals, small_store):
    opened = open_run(minerals / "run", Store(minerals / "store"))
    with pytest.raises(BadInputError, match=r"No direction can be calibrated .*30 are needed\)"):
        calibrate(embed_space(opened), [Direction("xrd", "structure")])
    foreign = open_run(minerals / "run", small_store)
    with pytest.raises(BadInputError, match="was not trained on a part of this store"):
        calibrate(embed_space(foreign))


def test_right_entries_and_groups_of_queries(minerals):
    opened = open_run(minerals / "run", Store(minerals / "store"))
    space = embed_space(opened)
    test = scored(space, Direction("xrd", "xrd"), "test")
    assert len(test.gallery) == len(opened.records)
    assert test.relevant[np.arange(len(test)), test.rows].all()
    # A distorted pattern is still nearest to its own clean one, mostly.
    assert (test.scores.argmax(1) == test.rows).mean() > 0.5
    assert not np.allclose(test.scores.max(1), 1, atol=1e-4)
    assert (test.clusters == opened.groups[test.rows]).all()


def test_new_compositions_are_those_nobody_has():
    known = np.array([[0.5, 0.5, 0], [0, 0, 0]])
    others = np.array([[0.51, 0.49, 0], [0.2, 0.8, 0], [0, 0, 0], [0, 0, 1]])
    assert new_compositions(others, known).tolist() == [1, 3]


def test_quality_of_the_same_run(minerals):
    said = call("quality", "--run", minerals / "run", "--store", minerals / "store")
    assert said.code == 0, said.err
    assert "element fractions" in said.out
    folder = minerals / "run" / "tasks" / "quality"
    found = json.loads((folder / "quality.json").read_text())
    cell = found["classes"]["crystal system"]["structure@xrd"]
    assert -1 <= cell["silhouette"][0] <= 1
    assert 0 <= cell["purity@10 of other groups"][0] <= 1
    assert set(found["pairs"]) == {"structure and text", "structure and xrd", "text and xrd"}
    assert found["probes"]["crystal system"]["spaces"]["most frequent"]["accuracy"][0] > 0
    assert (folder / "task_quality.svg").is_file()
