import json
from dataclasses import replace

import numpy as np
import pytest

import helpers_prediction as predicting
import helpers_small as small
from helpers_studies import DOOMED, LAST, enter_or_die, interrupting, moment
from prismat.api import load
from prismat.errors import BadInputError, MismatchError
from prismat.prepare import PrepareSettings, prepare
from prismat.studies import runner as running
from prismat.studies.ablation import ablate, arms, judge_test, record_groups, trials_of
from prismat.studies.compare import SHARED, arm_of, difference, verdict
from prismat.studies.measure import ERROR, chance, load_measured
from prismat.studies.runner import Runner
from prismat.studies.study import looks_so_far, read_study
from prismat.studies.trial import run_trial, trial_of
from prismat.studies.variant import BASE, Variant
from prismat.tasks.bootstrap import paired_difference

HERE = Runner(workers=0)
FAILING = "train.optimizer.learning_rate=1e30"


def comparable(result):
    """A result without what a clock has measured."""
    return json.dumps([{k: v for k, v in arm.items() if k != "cost"} for arm in result["arms"]])


@pytest.fixture(scope="module")
def variants(small_store):
    found = arms(moment(), small_store, (), ("recipe.windows=structure+text", FAILING), baseline=False)
    # Six steps at an absurd rate: the loss is no number soon.
    return [v if v.settings == {} or "windows" in str(v.settings) else _longer(v) for v in found]


def _longer(variant):
    return replace(variant, job=replace(variant.job, train=replace(variant.job.train, steps=6)))


@pytest.fixture(scope="module")
def ablated(small_store, variants, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablation")
    return folder, ablate(small_store, folder, variants, 2, HERE)


def test_a_failing_variant_is_recorded_and_the_rest_goes_on(ablated):
    base, two, failing = ablated[1]["arms"]
    assert (base["seeds"], two["seeds"], failing["seeds"]) == ([1, 2], [1, 2], [])
    assert all("Lower the learning rate" in reason for reason in failing["failed"].values())
    assert set(failing["failed"]) == {"1", "2"}
    assert failing["differences"] == {}


def test_differences_are_paired_over_queries_and_seeds(ablated, small_store, variants):
    folder, result = ablated
    found = result["arms"][1]["differences"]
    assert set(found) == {"structure->text", "text->structure", SHARED}
    trials = trials_of(variants, 2, folder)
    hits = {
        (t.name, t.seed): load_measured(t.folder / "val.npz")["text->structure"]
        for t in trials
        if t.record()["state"] == "done"
    }
    one, base = variants[1].name, BASE
    rows = hits[base, 1].rows
    values = {n: np.mean([hits[n, s].values for s in (1, 2)], axis=0) for n in (one, base)}
    groups = record_groups(small_store, trials[0].job)[rows]
    expected = paired_difference(values[one], values[base], groups, resamples=2000)
    got = found["text->structure"]
    assert (got["mean"], got["low"], got["high"]) == pytest.approx(expected)
    each = [float((hits[one, s].values - hits[base, s].values).mean()) for s in (1, 2)]
    assert got["seeds"] == pytest.approx(each)
    both = [found[d]["mean"] for d in ("structure->text", "text->structure")]
    assert found[SHARED]["mean"] == pytest.approx(np.mean(both))


def test_the_score_is_that_of_the_checkpoint(ablated):
    for arm in ablated[1]["arms"][:2]:
        means = [v[0] for v in arm["figures"].values()]
        assert np.mean(means) == pytest.approx(arm["score"], abs=1e-6)


def test_a_trial_is_an_ordinary_run(ablated, variants):
    trial = trials_of(variants, 1, ablated[0])[0]
    names = {p.name for p in trial.folder.iterdir()}
    assert {"config.json", "split.json", "metrics.jsonl", "checkpoint", "model", "trial.json"} <= names
    assert load(trial.folder).recipe == variants[0].job.recipe
    cost = trial.record()["cost"]
    assert cost["train_s"] > 0
    assert cost["device_hours"] == pytest.approx(cost["train_s"] / 3600)
    assert cost["parameters"] > 1000


def test_another_definition_is_refused(ablated, small_store, variants):
    with pytest.raises(
        MismatchError, match=r"another definition \(variants\..* differs\)\. Give another --out"
    ):
        ablate(small_store, ablated[0], variants[:2], 2, HERE)
    other = arms(moment(batch=20), small_store, (), ("recipe.windows=structure+text",), baseline=False)
    with pytest.raises(MismatchError, match=r"another definition"):
        ablate(small_store, ablated[0], other, 2, HERE)


def test_finished_trials_are_kept_and_failed_ones_tried_again_on_request(ablated, small_store, variants):
    folder, result = ablated
    before = {p: p.stat().st_mtime_ns for p in folder.glob("trials/*/trial.json")}
    assert comparable(ablate(small_store, folder, variants, 2, HERE)) == comparable(result)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    ablate(small_store, folder, variants, 2, Runner(workers=0, retry=True))
    changed = [p for p in before if p.stat().st_mtime_ns != before[p]]
    assert {json.loads(p.read_text())["state"] for p in changed} == {"failed"}


def test_an_interrupted_trial_goes_on_from_its_checkpoint(small_store, tmp_path):
    variant = Variant(BASE, moment(steps=6, evaluate_every=2))
    whole, cut = trial_of(variant, 1, tmp_path / "whole"), trial_of(variant, 1, tmp_path / "cut")
    run_trial(small_store, whole, "val")
    with pytest.raises(KeyboardInterrupt):
        Runner(workers=0).run(small_store, [cut], talk=interrupting(5))
    assert cut.record() is None
    steps = []
    run_trial(small_store, cut, "val", replace(interrupting(0), bar=lambda s, d, t, e: steps.append(d)))
    assert steps[-2:] == [5, 6]
    for name in ("metrics.jsonl", "model/model.safetensors"):
        assert (whole.folder / name).read_bytes() == (cut.folder / name).read_bytes()
    one, other = (load_measured(t.folder / "val.npz") for t in (whole, cut))
    assert all((one[n].values == other[n].values).all() for n in one)


def test_the_test_part_is_looked_at_once(ablated, small_store, variants):
    folder, _ = ablated
    trials = trials_of(variants[:1], 1, folder)
    found = judge_test(small_store, folder, trials, HERE, again=False)
    assert (found["part"], found["looks"], len(looks_so_far(folder))) == ("test", 1, 1)
    assert found["arms"][0]["queries"] != {}
    with pytest.raises(BadInputError, match=r"test part of this study was looked at on .* --again"):
        judge_test(small_store, folder, trials, HERE, again=False)
    assert judge_test(small_store, folder, trials, HERE, again=True)["looks"] == 2


def test_an_interrupted_look_is_the_same_look(small_store, variants, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    trials = trials_of(variants[:1], 1, tmp_path)
    HERE.run(small_store, trials)
    with monkeypatch.context() as patched:
        patched.setattr(Runner, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            judge_test(small_store, tmp_path, trials, HERE, again=False)
    assert judge_test(small_store, tmp_path, trials, HERE, again=False)["looks"] == 1


def test_processes_give_what_one_process_gives_and_a_killed_one_fails_alone(
    small_store, ablated, variants, tmp_path, monkeypatch
):
    monkeypatch.setattr(running, "_enter", enter_or_die)
    base, other = trials_of(variants[:2], 1, tmp_path)
    found = Runner(workers=2, threads=1).run(small_store, [base, replace(other, name=DOOMED)])
    assert [r["state"] for r in found] == ["done", "failed"]
    assert found[1]["reason"] == f"its process ended with code {LAST}"
    here = trials_of(variants[:1], 1, ablated[0])[0]
    assert (base.folder / "val.npz").read_bytes() == (here.folder / "val.npz").read_bytes()
    weights = "model/model.safetensors"
    assert (base.folder / weights).read_bytes() == (here.folder / weights).read_bytes()
    assert found[0]["cost"]["threads"] == 1


def test_a_study_without_its_base_says_why(small_store, variants, tmp_path):
    bad = [Variant(BASE, variants[2].job)]
    with pytest.raises(BadInputError, match=r"no trial of base was finished: .*loss is"):
        ablate(small_store, tmp_path, bad, 1, HERE)


def test_seeds_are_one_or_more(variants, tmp_path):
    with pytest.raises(BadInputError, match=r"seeds: 0 seeds\. Use one or more"):
        trials_of(variants, 0, tmp_path)


def test_a_broken_study_file_is_told(tmp_path):
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(
        BadInputError, match=r"study: .*study\.json cannot be read\. Give the folder of a study"
    ):
        read_study(tmp_path)


def test_a_predictor_is_ablated_by_its_error(tmp_path):
    source = small.SmallSource(predicting.rows())
    store = prepare(
        source, tmp_path / "store", PrepareSettings(profile=small.tiny_recipe().profile, workers=1)
    )
    base = predicting.job(parts="graph", steps=2, evaluate_every=2)
    found = arms(base, store, (), ("train.optimizer.learning_rate=1e-3",))
    result = ablate(store, tmp_path / "study", found, 1, HERE)
    names = [a["name"] for a in result["arms"]]
    assert names == [BASE, "composition only", "train.optimizer.learning_rate=1e-3"]
    for arm in result["arms"]:
        assert -arm["figures"][ERROR][0] == pytest.approx(arm["score"])
    assert set(result["arms"][1]["differences"]) == {ERROR}


def test_verdicts():
    assert verdict(0.1, 0.05, 0.2, [0.1, 0.1, 0.1], False) == "better"
    assert verdict(0.1, 0.05, 0.2, [0.1, 0.1, 0.1], True) == "worse"
    assert verdict(0.1, 0.05, 0.2, [0.1, 0.1], False) == "likely better"
    assert verdict(-0.1, -0.2, 0.01, [-0.1, -0.1, -0.1], False) == "not told apart"
    assert verdict(0.1, 0.05, 0.2, [0.3, -0.1, 0.1], False) == "not told apart"


def test_chance_is_that_of_random_orders():
    rng = np.random.default_rng(0)
    relevant = np.zeros((3, 40), dtype=bool)
    relevant[0, :1] = relevant[1, :5] = relevant[2, :] = True
    ranked = np.argsort(rng.random((20_000, 40)), axis=1)[:, :10]
    simulated = np.mean([relevant[q][ranked].any(axis=1).mean() for q in range(3)])
    assert chance(relevant) == pytest.approx(simulated, abs=0.005)


def test_nothing_in_common_is_no_difference(ablated, small_store, variants):
    folder, _ = ablated
    groups = record_groups(small_store, variants[0].job)
    first = arm_of(trials_of(variants[:1], 1, folder), "val")
    failed = arm_of([t for t in trials_of(variants, 1, folder) if t.name == variants[2].name], "val")
    assert difference(failed, first, ["text->structure"], groups) is None
