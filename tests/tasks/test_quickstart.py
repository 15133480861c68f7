import json
import shutil
from dataclasses import replace

import pytest

import helpers_small as small
from fixtures_small import quick
from prismat.api import load
from prismat.modalities.rendering import ProfileSettings
from prismat.objectives.build import build_objective
from prismat.prepare import PrepareSettings
from prismat.recipes.base import Job, Recipe
from prismat.recipes.serial import from_json
from prismat.recipes.systems import system_job
from prismat.search.engine import open_index
from prismat.tasks.quickstart import Talk, baseline_jobs, quickstart, store_settings


def test_everything_is_written(small_whole):
    folder = small_whole.folder
    assert {p.name for p in folder.iterdir()} == {"store", "run", "index"}
    names = {"config.json", "split.json", "metrics.jsonl", "report.json", "report.html"}
    assert {p.name for p in (folder / "run").iterdir()} == names | {"checkpoint", "model", "baselines"}
    assert {p.name for p in (folder / "run/baselines").iterdir()} == {"composition", "text+structure_only"}
    assert from_json(Job, json.loads((folder / "run/config.json").read_text())) == small_whole.job
    assert "111" in small_whole.said[1] or any("111 crystals" in str(s) for s in small_whole.said)


def test_what_was_written_searches(small_whole):
    model = load(small_whole.folder / "run")
    hits = open_index(small_whole.folder / "index", model).search(text="rock salt", k=4)
    expected = small_whole.engine.search(text="rock salt", k=4)
    assert [(h.id, h.score) for h in hits] == [(h.id, h.score) for h in expected]


def test_progress_of_every_stage_is_told(small_whole):
    stages = {}
    for said in small_whole.said:
        if isinstance(said, tuple):
            stages.setdefault(said[0], []).append(said[1:])
    assert list(stages) == ["prepare", "tiny", "composition", "text+structure only"]
    for stage in ("tiny", "composition", "text+structure only"):
        assert stages[stage] == [(step, 6) for step in range(1, 7)]
    assert stages["prepare"][-1][0] == stages["prepare"][-1][1]


def test_a_second_call_takes_no_step(small_whole, tmp_path):
    folder = shutil.copytree(small_whole.folder, tmp_path / "again")
    again = quick(folder, small_whole.job)
    assert not [s for s in again.said if isinstance(s, tuple) and s[0] != "prepare"]
    assert again.engine.prismat.hash == small_whole.engine.prismat.hash
    assert again.report["retrieval"] == small_whole.report["retrieval"]
    assert again.report["differences"] == small_whole.report["differences"]


def test_an_interrupted_one_goes_on(small_whole, tmp_path):
    """Stopped within a baseline: store and main model are kept, the figures come out the same."""
    job = small_whole.job

    def stop(stage, done, total, entry):
        if (stage, done) == ("composition", 4):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quickstart(small.SmallSource(), tmp_path, job, Talk(bar=stop), store_settings(job.recipe, workers=1))
    assert not (tmp_path / "run/report.json").exists()
    again = quick(tmp_path, job)
    told = [s for s in again.said if isinstance(s, tuple) and s[0] == "composition"]
    assert told == [("composition", 4, 6), ("composition", 5, 6), ("composition", 6, 6)]
    assert "tiny" not in {s[0] for s in again.said if isinstance(s, tuple)}
    assert again.report["retrieval"] == small_whole.report["retrieval"]
    assert again.report["baselines"] == small_whole.report["baselines"]


def test_baselines_change_one_thing_each():
    job = small.tiny_job()
    jobs = baseline_jobs(job)
    assert set(jobs) == {"composition", "text+structure only"}
    one, two = (jobs[k].recipe for k in jobs)
    assert one.encoders.structure == replace(job.recipe.encoders.structure, parts=("composition",))
    assert (one.windows, one.encoders.text, one.encoders.xrd) == (
        job.recipe.windows,
        job.recipe.encoders.text,
        job.recipe.encoders.xrd,
    )
    assert replace(two, windows=job.recipe.windows, name="tiny") == job.recipe
    assert all(j.train == job.train and j.split == job.split for j in jobs.values())
    pair = small.tiny_job(small.tiny_recipe(windows=("structure", "xrd")))
    assert set(baseline_jobs(pair)) == {"composition"}


def test_a_store_is_prepared_as_its_recipe_needs():
    assert store_settings(Recipe()) == PrepareSettings()
    recipe = small.tiny_recipe(profile=ProfileSettings(points=256, wavelength=0.7))
    settings = store_settings(recipe, workers=3)
    assert (settings.xrd.wavelength, settings.profile, settings.workers) == (0.7, recipe.profile, 3)


def test_without_structures_there_is_no_composition_to_compare_with():
    recipe = small.tiny_recipe(windows=("image", "properties"))
    assert baseline_jobs(small.tiny_job(recipe)) == {}


@pytest.mark.parametrize("name", ["default", "multimat-anchored", "multimat-tensor", "multimat-barlow"])
def test_every_system_has_baselines_that_its_loss_can_train(name):
    """Without diffraction two windows are left, of which no loss over triples can be built."""
    recipe = replace(system_job(name).recipe, windows=("structure", "text", "xrd"))
    jobs = baseline_jobs(replace(system_job(name), recipe=recipe))
    assert set(jobs) == {"composition", "text+structure only"}
    for job in jobs.values():
        build_objective(job.recipe.objective, job.recipe.windows, 16)


def test_an_anchor_that_is_left_out_anchors_nothing():
    recipe = replace(system_job("multimat-anchored").recipe, windows=("structure", "text", "xrd"))
    recipe = replace(recipe, objective=replace(recipe.objective, anchor="xrd"))
    two = baseline_jobs(Job(recipe=recipe))["text+structure only"].recipe
    assert two.objective.anchor == ""
