import pytest

from prismat.errors import BadInputError
from prismat.modalities.properties import PropertySpec
from prismat.recipes.base import Job, Recipe
from prismat.recipes.build import build_model
from prismat.recipes.scale import at_laptop_scale, properties_of, with_structure, with_windows
from prismat.recipes.serial import from_json, to_json

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
