from dataclasses import replace

import pytest

import helpers_prediction as predicting
import helpers_small as small
from helpers_studies import moment
from prismat.errors import BadInputError
from prismat.recipes.base import Job
from prismat.recipes.scale import at_laptop_scale
from prismat.recipes.systems import system_job
from prismat.studies.ablation import arms
from prismat.studies.presets import variants_over
from prismat.studies.variant import BASE, COMPOSITION, check_job, with_settings

THREE = ("structure", "text", "xrd")


def named(variants):
    return {v.name: v.job for v in variants}


def test_windows_are_every_subset_that_has_a_pair(small_store):
    found = named(variants_over("windows", moment(), small_store))
    assert {n: j.recipe.windows for n, j in found.items()} == {
        "structure+text": ("structure", "text"),
        "structure+xrd": ("structure", "xrd"),
        "text+xrd": ("text", "xrd"),
    }


def test_growth_adds_one_window_at_a_time(small_store):
    recipe = small.tiny_recipe(windows=("structure", "text", "xrd", "image"))
    found = variants_over("growth", replace(moment(), recipe=recipe), small_store)
    assert [v.name for v in found] == ["2: structure+text", "3: structure+text+xrd"]


def test_fewer_windows_take_a_loss_that_fits(small_store):
    job = at_laptop_scale(system_job("multimat-tensor"))
    job = replace(job, recipe=replace(job.recipe, windows=THREE))
    made = with_settings(job, {"recipe.windows": "structure+xrd"}, small_store)
    assert (made.recipe.objective.kind, made.recipe.windows) == ("infonce", ("structure", "xrd"))
    weighted = with_settings(moment(), {"recipe.objective.weights.text-xrd": "0.5"}, small_store)
    fewer = with_settings(weighted, {"recipe.windows": "structure+text"}, small_store)
    assert fewer.recipe.objective.weights == {}


def test_parts_objectives_views_texts_and_heads(small_store):
    base = moment()
    parts = named(variants_over("parts", base, small_store))
    assert set(parts) == {
        *("cgcnn", "composition", "lattice"),
        *("cgcnn+composition", "cgcnn+lattice", "composition+lattice"),
    }
    kinds = named(variants_over("objective", base, small_store))
    assert kinds["barlow, one head"].recipe.projection.heads == "shared"
    assert kinds["cosface"].recipe.projection.heads == "pair"
    assert "infonce" not in kinds
    weights = variants_over("weights", base, small_store)
    assert [v.settings for v in weights][:2] == [
        {"recipe.objective.weights.structure-text": "0.3"},
        {"recipe.objective.weights.structure-text": "3"},
    ]
    assert len(weights) == 6
    views = named(variants_over("views", base, small_store))
    assert views["no noise"].recipe.views.noise is None
    assert "no image views" not in views
    texts = named(variants_over("texts", base, small_store))
    assert texts["keywords alone"].recipe.views.text == {"keywords": 1.0}
    assert set(named(variants_over("heads", base, small_store))) >= {"one head per window", "linear heads"}


def test_a_predictor_has_graph_and_text(small_store):
    base = predicting.job()
    found = {v.name: v.job.recipe.parts for v in variants_over("windows", base, small_store)}
    assert found == {"graph alone": "graph", "text alone": "text"}
    assert variants_over("heads", base, small_store)[1].job.recipe.fusion.kind == "sum"
    views = {v.job.recipe.text.view for v in variants_over("texts", base, small_store)}
    assert views >= {"title", "description", "keywords"}
    with pytest.raises(BadInputError, match=r"over: the job has no views to vary"):
        variants_over("views", base, small_store)


def test_arms_stand_beside_the_base_and_the_baseline_once_each(small_store):
    found = arms(moment(), small_store, ("heads", "parts"), ("recipe.projection.heads=shared,pair",))
    names = [v.name for v in found]
    assert names[:2] == [BASE, COMPOSITION]
    # "a head per pair" is the base, "composition" the baseline, "heads=shared" is "one head per window".
    assert not {"a head per pair", "composition", "projection.heads=shared"} & set(names)


@pytest.mark.parametrize(
    ("over", "vary", "message"),
    [
        ((), (), r"over: nothing is varied\. Give --over or --vary"),
        (
            (),
            ("recipe.projection.dim",),
            r"vary: cannot read 'recipe\.projection\.dim'\. Write path=value,value",
        ),
        ((), ("recipe.projection.dimm=8",), r"Did you mean 'dim'\?"),
        ((), ("train.steps=0",), r"train\.steps: 0 is not positive"),
        ((), ("recipe.objective.kind=jsd",), r"projection\.heads: .*Set it to shared"),
        (("weights",), ("train.batch=many",), r"train\.batch: 'many' is not a whole number"),
    ],
)
def test_what_cannot_be_varied_is_told_before_any_training(small_store, over, vary, message):
    with pytest.raises(BadInputError, match=message):
        arms(moment(), small_store, over, vary)


def test_there_is_no_such_preset(small_store):
    with pytest.raises(BadInputError, match=r"over: no ablation 'colours'\. Use one of windows, growth"):
        variants_over("colours", Job(), small_store)


def test_lengths_are_positive():
    with pytest.raises(BadInputError, match=r"train\.batch: 0 is not positive"):
        check_job(moment(batch=0))
