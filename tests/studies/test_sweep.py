import builtins
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import helpers_prediction as predicting
from helpers_studies import moment
from prismat.errors import BadInputError, MismatchError, MissingExtraError
from prismat.recipes.base import Job
from prismat.recipes.scale import at_laptop_scale
from prismat.recipes.serial import from_json
from prismat.recipes.systems import system_job
from prismat.studies.runner import Runner
from prismat.studies.search import Tried, propose
from prismat.studies.space import Dimension, p12, parse_space
from prismat.studies.sweep import Sweep, SweepSettings

SPACE = ("train.optimizer.learning_rate=1e-4:1e-2:log", "recipe.projection.dim=8,16", "train.batch=8:30")
HERE = Runner(workers=0)


@pytest.fixture(scope="module")
def space(small_store):
    return parse_space(SPACE, moment(), small_store)


def test_a_space_is_read(space):
    rate, dim, batch = space
    assert (rate.kind, rate.low, rate.high, rate.log) == ("float", 1e-4, 1e-2, True)
    assert dim.choices == ("8", "16")
    assert (batch.kind, batch.low, batch.high) == ("int", 8, 30)
    assert rate.grid() == ("0.0001", "0.001", "0.01")
    assert batch.grid(2) == ("8", "30")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recipe.projection.dim", r"space: cannot read .* Write path=a,b,c or path=low:high"),
        ("recipe.projection.dmi=8,16", r"Did you mean 'dim'\?"),
        ("recipe.projection.dim=8,x", r"'x' is not a whole number"),
        ("recipe.projection.dim=0.5:2", r"'0\.5' is not a whole number"),
        ("train.batch=9:3", r"train\.batch: 9:3 is no range\. Give the lower end first"),
        ("train.optimizer.learning_rate=0:1:log", r"is no range\. .*above 0 with log"),
        ("train.batch=1:2:3", r"cannot read the range '1:2:3'"),
        ("train.optimizer.learning_rate=nan:1", r"is no range"),
        ("train.steps=0,5", r"train\.steps: 0 is not positive"),
    ],
)
def test_a_space_that_cannot_be_searched_is_told(small_store, text, message):
    with pytest.raises(BadInputError, match=message):
        parse_space([text], moment(), small_store)


def test_a_setting_is_searched_once(small_store):
    with pytest.raises(BadInputError, match=r"space: train\.batch is named twice"):
        parse_space(["train.batch=8,16", "job.train.batch=4:8"], moment(), small_store)
    with pytest.raises(BadInputError, match=r"space: the space is empty"):
        parse_space([], moment(), small_store)


def test_p12_is_the_proposals_space():
    found = p12(at_laptop_scale(system_job("trimodal")))
    assert "recipe.projection.dim=128,256,512" in found
    assert "train.batch=64,128,256" in found
    assert "train.optimizer.learning_rate=1e-4,5e-4,1e-5" in found
    assert "recipe.encoders.structure.graphs.mpgnn.layers=2,3,4" in found
    assert "recipe.encoders.text.bpe.layers=2,3,4" in found
    assert "recipe.structure.graphs.cgcnn.layers=2,3,4" in p12(predicting.job())


@given(st.floats(1e-6, 1), st.floats(1.01, 100), st.integers(0, 2**32))
def test_draws_stay_in_range(low, factor, seed):
    for log in (False, True):
        dimension = Dimension("x", "float", (), low, low * factor, log)
        value = float(dimension.draw(np.random.default_rng(seed)))
        assert low * (1 - 1e-5) <= value <= low * factor * (1 + 1e-5)


def test_a_grid_is_gone_through_once(space):
    points, tried = [], []
    while new := propose("grid", space, tried, 5, 3):
        points += new
        tried = [Tried(p, 0.0) for p in points]
    assert len(points) == len({json.dumps(p, sort_keys=True) for p in points}) == 3 * 2 * 3


def test_random_points_depend_on_their_number_alone(space):
    at_once = propose("random", space, [], 4, 1)
    first = propose("random", space, [], 2, 1)
    assert at_once == first + propose("random", space, [Tried(p, 1.0) for p in first], 2, 1)
    few = [Dimension("x", "choice", ("a", "b", "c"))]
    assert sorted(p["x"] for p in propose("random", few, [], 3, 0)) == ["a", "b", "c"]


def test_tpe_goes_where_it_is_good():
    """A score that is best at x = 0.2 and y = b: late points lie nearer than random ones."""
    space = [Dimension("x", "float", (), 0.0, 1.0), Dimension("y", "choice", ("a", "b", "c"))]

    def score(point):
        return -abs(float(point["x"]) - 0.2) - 0.5 * (point["y"] != "b")

    tried = []
    for _ in range(10):
        tried += [Tried(p, score(p)) for p in propose("tpe", space, tried, 4, 0)]
    late = np.mean([t.score for t in tried[-12:]])
    drawn = np.mean([score(p) for p in propose("random", space, [], 200, 0)])
    assert late > drawn + 0.2
    again = propose("tpe", space, tried[:8], 4, 0)
    assert again == [t.settings for t in tried[8:12]]
    assert propose("tpe", space, [*tried, Tried({"x": "0.5", "y": "a"}, None)], 1, 0)


def test_tpe_names_its_extra(space, monkeypatch):
    real = builtins.__import__

    def absent(name, *rest, **named):
        if name == "optuna":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(
        MissingExtraError, match=r"optuna is not installed. Run: pip install 'prismat\[hpo\]'"
    ):
        propose("tpe", space, [], 1, 0)


@pytest.fixture(scope="module")
def swept(small_store, space, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    settings = SweepSettings("tpe", trials=3, round=2, baseline=False)
    sweep = Sweep(small_store, folder, moment(), space, settings, HERE)
    return sweep, sweep.run()


def test_the_best_job_is_written(swept):
    sweep, result = swept
    scores = {a["name"]: a["score"] for a in result["arms"]}
    assert set(scores) == {"base", "point 0", "point 1", "point 2"}
    assert result["best"]["score"] == max(scores.values()) == scores[result["best"]["name"]]
    job = from_json(Job, json.loads((sweep.folder / "best" / "config.json").read_text()))
    settings = result["best"]["settings"]
    assert str(job.recipe.projection.dim) == settings.get("recipe.projection.dim", "16")
    assert job.train.seed == moment().train.seed


def test_a_sweep_that_goes_on_asks_the_same(swept, small_store, space, tmp_path):
    sweep, result = swept
    short = Sweep(
        small_store, tmp_path, moment(), space, SweepSettings("tpe", 2, round=2, baseline=False), HERE
    )
    assert short.run()["left"] == 0
    (tmp_path / "proposals.json").unlink()
    longer = Sweep(small_store, tmp_path, moment(), space, sweep.settings, HERE)
    assert longer.run()["best"] == result["best"]
    kept = json.loads((tmp_path / "proposals.json").read_text())
    assert kept == json.loads((sweep.folder / "proposals.json").read_text())


def test_another_space_is_refused(swept, small_store, space):
    sweep, _ = swept
    other = Sweep(small_store, sweep.folder, moment(), space[:1], sweep.settings, HERE)
    with pytest.raises(MismatchError, match=r"another definition \(space differs\)"):
        other.run()


def test_minutes_end_a_sweep(swept, small_store, space, tmp_path):
    settings = SweepSettings("random", trials=8, minutes=1e-6, round=2, baseline=False)
    result = Sweep(small_store, tmp_path, moment(), space, settings, HERE).run()
    assert (result["left"], [a["name"] for a in result["arms"]], result["best"]["name"]) == (
        8,
        ["base"],
        "base",
    )


def test_points_that_make_no_job_are_kept_with_the_reason(small_store, tmp_path):
    texts = ["recipe.objective.kind=cosface,siglip", "recipe.objective.anchor=text,xrd"]
    space = parse_space(texts, moment(), small_store)
    settings = SweepSettings("grid", trials=2, round=2, baseline=False)
    sweep = Sweep(small_store, tmp_path, moment(), space, settings, HERE)
    bad = {"recipe.objective.kind": "barlow", "recipe.objective.anchor": "text"}
    sweep.run()
    entry = sweep._entry(bad)
    assert "barlow takes no anchor" in entry["problem"]
    (tmp_path / "proposals.json").write_text(json.dumps([entry, *sweep._entries()]))
    result = Sweep(
        small_store, tmp_path, moment(), space, SweepSettings("grid", 3, round=2, baseline=False), HERE
    )
    assert "takes no anchor" in result._concluded([entry])["problems"]["point 0"]


def test_the_chosen_job_is_judged_on_the_test_part_once(swept):
    sweep, result = swept
    found = sweep.judge_test(again=False)
    assert {a["name"] for a in found["arms"]} == {"base", result["best"]["name"]}
    with pytest.raises(BadInputError, match=r"looked at on"):
        sweep.judge_test(again=False)


def test_a_budget_below_one(small_store, space, tmp_path):
    with pytest.raises(BadInputError, match=r"sweep: a budget below one"):
        Sweep(small_store, tmp_path, moment(), space, SweepSettings(trials=0), HERE).run()
    with pytest.raises(BadInputError, match=r"nothing is chosen yet"):
        Sweep(small_store, tmp_path, moment(), space).judge_test(again=False)
