from dataclasses import replace

import pytest

from prismat.encoders.masked_language import MaskingConfig
from prismat.errors import BadInputError
from prismat.modalities.properties import PropertySpec
from prismat.objectives.config import ObjectiveConfig
from prismat.recipes.base import FineTune, Job, Recipe
from prismat.recipes.build import build_model
from prismat.recipes.scale import at_laptop_scale, properties_of, with_structure, with_windows
from prismat.recipes.serial import from_json, to_json
from prismat.training.loop import TrainConfig
from prismat.training.optimizer import OptimizerConfig

ENCODERS = {
    "cgcnn": "Cgcnn",
    "mpgnn": "Mpgnn",
    "mpgnn-filtered": "Mpgnn",
    "painn": "Painn",
    "alignn": "Alignn",
    "potnet": "PotNet",
    "megnet": "Megnet",
    "gatgnn": "Gatgnn",
    "matformer": "Matformer",
    "chgnet": "Chgnet",
    "composition": "CompositionEncoder",
}


@pytest.mark.parametrize(("name", "kind"), ENCODERS.items())
def test_one_encoder_alone(name, kind):
    recipe = with_structure(Recipe(windows=("structure", "xrd")), name)
    job = at_laptop_scale(Job(recipe=recipe))
    model = build_model(job.recipe, 0, 0)
    (part,) = model.encoders["structure"].parts.values()
    assert type(part).__name__ == kind
    assert job.recipe.name == name
    assert (job.train.steps, job.train.batch) == (600, 128)
    assert from_json(Job, to_json(job)) == job


def test_what_an_encoder_reads_beside_the_graph():
    assert with_structure(Recipe(), "potnet").graph.extras == ("potentials",)
    assert with_structure(Recipe(), "chgnet").graph.extras == ("chgnet",)
    assert with_structure(Recipe(), "painn").graph.extras == ()


def test_only_the_filtered_network_reads_distances():
    plain, filtered = (with_structure(Recipe(), name) for name in ("mpgnn", "mpgnn-filtered"))
    assert not plain.encoders.structure.graphs.mpgnn.filtered
    for recipe in (filtered, at_laptop_scale(Job(recipe=filtered)).recipe):
        assert recipe.encoders.structure.graphs.mpgnn.filtered


def test_the_default_stays_as_it_is():
    assert with_structure(Recipe(), "default") == Recipe()


def test_an_unknown_encoder():
    with pytest.raises(BadInputError, match=r"unknown structure encoder 'schnet'.*painn"):
        with_structure(Recipe(), "schnet")


def test_windows_are_read_as_the_store_was_prepared(small_store):
    recipe = with_windows(Recipe(), ("structure", "properties"), small_store)
    assert recipe.windows == ("structure", "properties")
    assert recipe.measured.properties.properties == (PropertySpec("gap", "eV"),)
    assert recipe.views.strain == 0
    assert with_windows(Recipe(), ("structure", "xrd"), small_store).views.strain == Recipe().views.strain


def test_properties_of_a_store(small_store):
    assert properties_of(small_store).properties == (PropertySpec("gap", "eV"),)


def test_the_second_stage_at_laptop_scale():
    """Its rate keeps its share of the first's, and never falls under a tenth."""
    train = TrainConfig(optimizer=OptimizerConfig(learning_rate=1e-4, clip=0.05, schedule="one_cycle"))
    job = Job(train=train, fine_tune=FineTune(steps=1000, learning_rate=5e-5, text={"keywords": 1.0}))
    found = at_laptop_scale(job)
    assert (found.train.optimizer.learning_rate, found.train.optimizer.clip) == (2e-3, 1.0)
    assert found.train.optimizer.schedule == "one_cycle"
    assert (found.fine_tune.steps, found.fine_tune.learning_rate) == (150, pytest.approx(1e-3))
    assert found.fine_tune.text == {"keywords": 1.0}
    slow = at_laptop_scale(replace(job, fine_tune=FineTune(steps=20, learning_rate=1e-9)))
    assert (slow.fine_tune.steps, slow.fine_tune.learning_rate) == (20, pytest.approx(2e-4))
    without = replace(job, fine_tune=FineTune(learning_rate=7e-5))
    assert at_laptop_scale(without).fine_tune == without.fine_tune


def test_only_the_windows_decide_how_many_steps():
    steps = {
        ("structure", "xrd"): 600,
        ("structure", "text", "image"): 300,
        ("structure", "dos"): 300,
        ("structure", "dos", "charge_density"): 150,
    }
    for windows, expected in steps.items():
        train = at_laptop_scale(Job(recipe=Recipe(windows=windows))).train
        assert (train.steps, train.evaluate_every) == (expected, expected // 3)


def test_a_published_scale_of_chunks_is_not_needed():
    job = Job(train=TrainConfig(batch=16_384, chunk=1_024))
    assert (at_laptop_scale(job).train.batch, at_laptop_scale(job).train.chunk) == (128, 0)


def test_windows_that_go_take_their_weights_along(small_store):
    objective = ObjectiveConfig(weights={"structure-text": 0.5, "text-xrd": 2.0}, anchor="text")
    recipe = Recipe(objective=objective, masked_language=MaskingConfig())
    fewer = with_windows(recipe, ("structure", "xrd"), small_store)
    assert (fewer.objective.weights, fewer.objective.anchor, fewer.masked_language) == ({}, "", None)
    kept = with_windows(recipe, ("structure", "text"), small_store)
    assert (kept.objective.weights, kept.objective.anchor) == ({"structure-text": 0.5}, "text")
    assert kept.masked_language == MaskingConfig()
