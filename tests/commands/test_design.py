"""The verbs design and campaign on a small real training."""

import json

import numpy as np
import pytest

import helpers_compute as compute
import helpers_small as small
import helpers_windows as windows
from helpers_cli import call
from prismat.compute.calculation import Computed
from prismat.compute.results import result_path, write_result
from prismat.compute.settings import Suitable
from prismat.errors import BadInputError
from prismat.formats import to_cif
from prismat.prepare import prepare
from prismat.store import Store
from prismat.tasks.active.campaign import LOG
from prismat.tasks.design.candidates import candidates, usable_rows
from prismat.tasks.design.estimate import estimate, formula_features, labelled_rows, structure_features
from prismat.tasks.design.pages import verified_table
from prismat.tasks.design.trials import TrialConfig, draw_trials, judge_trials
from prismat.tasks.design.verify import VerifyConfig, read_computed_dos, verify
from prismat.tasks.opened import open_run
from prismat.tasks.prediction import target_of
from prismat.tasks.quickstart import train_recipe
from prismat.training.session import open_prepared

SHORT = ("--config.initial", 6, "--config.batch", 4, "--config.rounds", 2, "--config.seeds", 2)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A store with properties and DOS, and runs of structure with each of the two."""
    root = tmp_path_factory.mktemp("design")
    store = prepare(small.SmallSource(windows.materials()), root / "store", windows.settings())
    prepared = open_prepared(store, small.SPLIT)
    for name, window in (("run", "properties"), ("dos", "phonon_dos"), ("electrons", "dos")):
        job = small.tiny_job(windows.recipe("structure", window), steps=4, evaluate_every=2)
        train_recipe(prepared, job, root / name)
    return root


@pytest.fixture(scope="module")
def opened(folders):
    return open_run(folders / "run", Store(folders / "store"))


def design(folders, *words, run="run"):
    """Results as JSON."""
    said = call("design", "--run", folders / run, "--store", folders / "store", *words, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_known_values_meet_the_range_first(folders):
    found = design(folders, "--want", "cell_volume=30:60:Å³", "--mode", "known", "--k", 5)
    assert all(30 <= h["parts"]["cell_volume"]["value"] <= 60 for h in found["hits"])
    assert found["checks"]["cell_volume"]["first_inside"] == 5
    text = (folders / "run" / "tasks" / "design" / "design.html").read_text()
    assert found["hits"][0]["id"] in text
    assert (folders / "run" / "tasks" / "design" / "task_design.svg").is_file()


def test_hidden_values_are_shown_and_not_used(folders):
    found = design(folders, "--want", "cell_volume=30:60:Å³", "--part", "test", "--k", 4)
    hit = found["hits"][0]["parts"]["cell_volume"]
    assert set(hit) == {"score", "value", "deviation", "known"}
    assert hit["value"] != hit["known"]


def test_several_wishes_with_weights_and_conditions(folders):
    wanted, path = ("--want", "cell_volume=min"), folders / "like.cif"
    path.write_text(to_cif(small.crystal("rock_salt_Mg-O"), name="x"))
    found = design(
        folders, *wanted, "--structure", path, "--weights", "structure", 2, "--with", "O", "--n-sites", 2, 2
    )
    assert found["weights"] == pytest.approx({"cell_volume": 1 / 3, "structure": 2 / 3})
    assert 0 < found["passing"] < found["candidates"]
    assert all("O" in h["formula"] and h["n_sites"] == 2 for h in found["hits"])
    assert set(found["correlations"]) == {"cell_volume | structure"}
    likest = max(found["hits"], key=lambda h: h["parts"]["structure"]["value"])
    assert likest["parts"]["structure"]["value"] == pytest.approx(1, abs=1e-3)
    assert found["hits"][0]["front"] == 1


def test_joint_mode_compares_with_the_property_window(folders):
    found = design(folders, "--want", "cell_volume=30:60:Å³", "--mode", "joint", "--k", 3)
    assert all(-1 <= h["parts"]["cell_volume"]["value"] <= 1 for h in found["hits"])


def test_designs_are_judged_on_true_values(folders):
    found = design(folders, "--evaluate", "cell_volume", "--targets", 12, "--part", "val")
    assert list(found["systems"]) == [
        *("predicted", "joint", "predicted from composition", "nearest composition", "random"),
    ]
    assert all(0 <= f["precision"][0] <= 1 for f in found["systems"].values())
    assert (folders / "run" / "tasks" / "design" / "design_trials.html").is_file()


def test_densities_of_states_are_judged(folders):
    found = design(folders, "--evaluate", "phonon_dos", "--k", 3, "--part", "val", run="dos")
    assert found["systems"]["best possible"]["top_1"][0] <= found["systems"]["model"]["top_1"][0]
    assert found["systems"]["best possible"]["top_k"][0] <= found["systems"]["random"]["top_k"][0]
    assert (folders / "dos" / "tasks" / "design" / "task_design_dos.svg").is_file()


def test_said_without_json(folders):
    said = call("design", "--run", folders / "run", "--store", folders / "store", "--want", "cell_volume=max")
    assert said.code == 0, said.err
    assert "candidates meet the conditions" in said.out
    assert "Next: prismat design" in said.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing is wanted"),
        (("--want", "hardness=1:2:GPa"), "no record has the property 'hardness'"),
        (("--want", "cell_volume=1:2:eV"), "cell_volume"),
        (("--want", "band_gap=1:2:eV", "--mode", "joint"), "this model does not embed 'band_gap'"),
        (("--want", "cell_volume=max", "--with", "Xe"), "Loosen the conditions"),
        (("--want", "cell_volume=max", "--stable", 0.1), "e_above_hull"),
        (("--text", "perovskite"), "no text window"),
        (("--evaluate", "phonon_dos"), "no phonon_dos on a grid"),
        (("--evaluate", "phonon_dos", "cell_volume"), "Judge a DOS alone"),
        (("--want", "cell_volume=max", "--predictor", "nowhere"), "nowhere"),
    ],
    ids=lambda x: "-".join(map(str, x))[:40] if isinstance(x, tuple) else None,
)
def test_what_cannot_be_designed_is_said(folders, words, said):
    found = call("design", "--run", folders / "run", "--store", folders / "store", *words)
    assert found.code == 1
    assert said in found.err


def test_a_campaign_is_simulated_and_goes_on(folders):
    words = ("campaign", "--run", folders / "run", "--store", folders / "store", "--target", "cell_volume")
    words += ("--part", "all", *SHORT, "--config.strategies", "random", "greedy", "diversity")
    first, again = call(*words), call(*words, "--json")
    assert first.code == 0, first.err
    assert "measurements" in first.out
    found = json.loads(again.out)
    assert set(found["curves"]) == {
        *("random", "greedy, structure", "greedy, composition"),
        *("diversity, structure", "diversity, composition"),
    }
    assert found["budget"] == 14
    log = (folders / "run" / "tasks" / "campaign" / LOG).read_text().splitlines()
    assert len(log) == 1 + 5 * 2 * 3
    other = call(*words, "--goal", "minimise")
    assert other.code == 1
    assert "another campaign" in other.err


def test_a_campaign_over_a_pool_that_is_too_small_is_refused(folders):
    words = ("--run", folders / "run", "--store", folders / "store", "--target", "cell_volume")
    said = call("campaign", *words, "--out", folders / "small")
    assert said.code == 1
    assert "records for 320 measurements" in said.err


def test_next_measurements_are_suggested_for_records_without_a_value(folders):
    """A third of the records have a gap."""
    words = ("--run", folders / "run", "--store", folders / "store", "--target", "gap", "--suggest", 3)
    found = json.loads(call("campaign", *words, "--json").out)
    store = Store(folders / "store")
    have = {i for i, p in zip(store.ids, store.column("properties"), strict=True) if "gap" in str(p)}
    chosen = {row["id"] for row in found["rows"]}
    assert (len(chosen), found["known"], found["candidates"]) == (3, len(have), len(store) - len(have))
    assert not chosen & have
    said = call("campaign", *words[:-1], 2, "--goal", "0:1")
    assert "measure these" in said.out


def test_predictions_are_learnt_from_training_records_alone(opened):
    rows, values = labelled_rows(opened, target_of(opened.prepared.store, "cell_volume"))
    assert set(rows.tolist()) <= set(opened.rows["train"].tolist())
    test = usable_rows(opened, "test")
    found = estimate(formula_features(opened, rows), values, formula_features(opened, test))
    assert len(found.mean) == len(test)
    assert (found.deviation > 0).all()
    assert structure_features(opened, test).shape[0] == len(test)


def test_a_perfect_ranking_is_judged_perfect(opened):
    pool = candidates([opened], "all")
    trials, kept = draw_trials(pool, TrialConfig(("cell_volume",), targets=20, k=1))
    perfect = -np.abs(trials.values[None, :, 0] - trials.centres)
    found = judge_trials(trials, {"perfect": perfect, "worst": -perfect}, pool.groups[kept], 1)
    systems = found["systems"]
    assert systems["perfect"]["precision"][0] == 1
    assert systems["perfect"]["error"][0] == 0
    assert systems["worst"]["gain"][0] > 0.5
    assert systems["random"]["enrichment"] == pytest.approx((1, 1, 1))
    assert systems["random"]["precision"][0] == pytest.approx(trials.right().mean())


def test_records_of_a_training_composition_are_left_out(opened):
    fresh, all_ = usable_rows(opened, "test", fresh=True), usable_rows(opened, "test")
    groups = set(opened.groups[opened.rows["train"]].tolist())
    assert fresh.tolist() == [r for r in all_.tolist() if opened.groups[r] not in groups]


@pytest.fixture
def checked(folders, tmp_path, monkeypatch):
    """Candidates of a model of structure and DOS, with a stand-in for Abinit that fails."""
    program = compute.fake_abinit(tmp_path / "program", "crash")
    files = compute.pseudopotentials(tmp_path / "files")
    monkeypatch.setattr("prismat.tasks.design.verify.find_program", lambda: program)
    monkeypatch.setattr("prismat.tasks.design.verify.Pseudopotentials", lambda: files)
    return candidates([open_run(folders / "electrons", Store(folders / "store"))])


def test_computed_dos_are_compared_and_failures_are_told(checked, tmp_path):
    measured = {m.id: m.measurements["dos"] for m in windows.materials()}
    target, out, order = measured["rock_salt_Mg-O"], tmp_path / "verified", np.arange(len(checked))
    config = VerifyConfig(2, without=(checked.ids[0],))
    failed = verify(checked, order, target, out, config)
    assert (len(failed["hits"]), len(failed["random"]), failed["mean_hits"]) == (2, 2, None)
    assert checked.ids[0] not in {line["id"] for line in failed["hits"]}
    assert all(line["failure"] for line in (*failed["hits"], *failed["random"]))
    crystals = dict(zip(checked.ids, checked.opened[0].prepared.store.crystals(checked.rows[0]), strict=True))
    for line in (*failed["hits"], *failed["random"]):
        computed = Computed(measured[line["id"]], None, {"method": "none"})
        write_result(out, line["id"], crystals[line["id"]], computed, "settings")
    found = verify(checked, order, target, out, config)
    assert all(0 <= line["error"] <= 1 for line in found["hits"])
    assert found["mean_hits"] == pytest.approx(np.mean([line["error"] for line in found["hits"]]))
    name, dos = read_computed_dos(result_path(out, found["hits"][0]["id"]).with_suffix(".json"))
    assert name == found["hits"][0]["id"]
    assert np.allclose(dos.density, measured[name].density)
    assert [row[0] for row in verified_table(found).rows] == ["first", "first", "random", "random"]


def test_what_cannot_be_verified_is_said(folders, checked, tmp_path):
    said = call(
        *("design", "--run", folders / "electrons", "--store", folders / "store"),
        *("--want", "cell_volume=max", "--verify", 1),
    )
    assert said.code == 1
    assert "no DOS to compare with" in said.err
    with pytest.raises(BadInputError, match="not a result with a DOS"):
        read_computed_dos(tmp_path / "results" / "x.json")
    target = windows.materials()[0].measurements["dos"]
    with pytest.raises(BadInputError, match="Screen smaller cells"):
        verify(checked, np.arange(5), target, tmp_path, VerifyConfig(1, Suitable(1, 1)))
