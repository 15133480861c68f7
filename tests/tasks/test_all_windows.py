"""Every window from a material to a search: prepare, train, save, load, embed, index, ask."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch

import helpers_small as small
import helpers_windows as windows
from prismat.api import load, recipe_modalities
from prismat.errors import BadInputError, MismatchError
from prismat.material import Material, Property
from prismat.modalities.promolecule import promolecule_density
from prismat.modalities.properties import PropertiesSettings
from prismat.modalities.standard_cell import standardize
from prismat.prepare import prepare
from prismat.recipes.scale import with_structure
from prismat.search.engine import SearchEngine
from prismat.tasks.evaluation import Evaluator
from prismat.tasks.indexing import build_index
from prismat.tasks.quickstart import train_recipe
from prismat.training.session import open_prepared
from prismat.training.windows import StoreData

needs_timm = pytest.mark.skipif(find_spec("timm") is None, reason="needs the extra image")
PAIRS = [
    ("structure", "dos"),
    ("structure", "phonon_dos"),
    ("structure", "charge_density"),
    ("structure", "properties"),
    pytest.param("structure", "image", marks=needs_timm),
    pytest.param("image", "properties", marks=needs_timm),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    source = small.SmallSource(windows.materials())
    store = prepare(source, tmp_path_factory.mktemp("windows") / "store", windows.settings())
    assert store.info["rejected"] == 0
    return open_prepared(store, small.SPLIT)


def something(window):
    """Data of one window, of the first material that has it."""
    if window == "properties":
        return windows.materials()[0].properties
    if window == "charge_density":
        return promolecule_density(standardize(windows.materials()[0].structure).primitive, (8, 8, 8))
    return next(m.measurements[window] for m in windows.materials() if window in m.measurements)


def job(*names, **train):
    return small.tiny_job(windows.recipe(*names), **{"steps": 4, "evaluate_every": 2, **train})


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_from_a_store_to_a_search(prepared, tmp_path, first, second):
    trained = train_recipe(prepared, job(first, second), tmp_path / "run")
    assert {f"{first}->{second}/recall@10", f"{second}->{first}/recall@10", "score"} <= set(
        trained.validation
    )
    again = load(tmp_path / "run")
    assert again.hash == trained.prismat.hash
    engine = SearchEngine(again, build_index(again, prepared.store, tmp_path / "index"))
    hits = engine.search(measured={second: something(second)}, k=3)
    assert len(hits) == 3
    assert np.isfinite([h.score for h in hits]).all()
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


def test_presence_follows_the_records(prepared, tmp_path):
    trained = train_recipe(prepared, job("structure", "dos", "phonon_dos"), tmp_path / "run")
    rows = np.arange(len(prepared.store))
    batches = trained.data.batches(rows, None)
    made = {m.id: m for m in windows.materials()}
    for window in ("dos", "phonon_dos"):
        wanted = [window in made[i].measurements for i in prepared.store.ids]
        assert batches[window].present.tolist() == wanted
        assert not all(wanted) or window == "dos"


def test_two_trainings_give_the_same_weights(prepared, tmp_path):
    weights = []
    for name in ("a", "b"):
        trained = train_recipe(prepared, job("structure", "charge_density", "properties"), tmp_path / name)
        weights.append(trained.prismat.model.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(*(w.values() for w in weights), strict=True))


def test_a_target_is_a_query(prepared, tmp_path):
    """The properties of a crystal, in other units or beside another query, embed as its record does."""
    trained = train_recipe(prepared, job("structure", "properties"), tmp_path / "run")
    prismat, row = trained.prismat, 4
    values = {e["name"]: Property(e["value"], e["unit"]) for e in prepared.store.column("properties")[row]}
    batch = trained.data.batches(np.array([row]), None)["properties"]
    stored = prismat.embed_batch("properties", batch)["properties@structure"]
    np.testing.assert_allclose(prismat.embed(properties=[values])["properties@structure"], stored, atol=1e-6)
    milli = values | ({"gap": Property(values["gap"].value * 1000, "meV")} if "gap" in values else {})
    np.testing.assert_allclose(prismat.embed(properties=[milli])["properties@structure"], stored, atol=1e-5)
    pair = prismat.embed(properties=[values, {"gap": Property(1.1, "eV")}])["properties@structure"]
    np.testing.assert_allclose(pair[:1], stored, atol=1e-6)


def test_errors_before_any_training(prepared, tmp_path):
    other = replace(windows.MEASURED, dos=replace(windows.MEASURED.dos, points=30))
    recipe = replace(windows.recipe("structure", "dos"), measured=other)
    with pytest.raises(MismatchError, match="dos settings"):
        train_recipe(prepared, small.tiny_job(recipe), tmp_path / "a")
    recipe = with_structure(windows.recipe("structure", "xrd"), "potnet")
    with pytest.raises(MismatchError, match=r"without potentials.*--settings\.structure\.extras potentials"):
        train_recipe(prepared, small.tiny_job(recipe), tmp_path / "c")
    empty = replace(windows.MEASURED, properties=PropertiesSettings())
    recipe = replace(windows.recipe("structure", "properties"), measured=empty)
    with pytest.raises(BadInputError, match="a properties window without properties"):
        train_recipe(prepared, small.tiny_job(recipe), tmp_path / "b")
    assert not (tmp_path / "a" / "checkpoint").exists()


def test_errors_of_raw_input(prepared, tmp_path):
    prismat = train_recipe(prepared, job("structure", "dos", "properties"), tmp_path / "run").prismat
    with pytest.raises(BadInputError, match="no image window"):
        prismat.embed(image=[windows.materials()[0].measurements["dos"]])
    with pytest.raises(BadInputError, match="a Image where a Dos belongs"):
        prismat.embed(
            dos=[next(m for m in windows.materials() if "image" in m.measurements).measurements["image"]]
        )
    with pytest.raises(BadInputError, match="properties"):
        prismat.embed(properties=[{"mass": Property(1.0, "g")}])
    with pytest.raises(BadInputError, match="gap"):
        prismat.embed(properties=[{"gap": Property(1.0, "")}])


def test_records_equal_in_all_properties_answer_for_one_another(prepared):
    records, rows = prepared.records, np.arange(len(prepared.store))
    evaluator = Evaluator(records, rows, properties=windows.MEASURED.properties)
    values = [tuple(sorted((e["name"], e["value"]) for e in p)) for p in records.table["properties"]]
    same = np.array([[a == b for b in values] for a in values])
    found = evaluator.relevant["properties"]
    assert (found >= same).all()
    assert (found <= (same | evaluator.relevant["structure"])).all()


def test_strain_moves_drawn_patterns_with_their_structures(prepared, tmp_path):
    drawn = replace(windows.MEASURED, image=replace(windows.MEASURED.image, source="xrd"))
    settings = replace(windows.settings(), measured=drawn)
    rows = (*windows.materials()[:6],)
    store = prepare(small.SmallSource(rows), tmp_path / "store", settings)
    recipe = replace(windows.recipe("structure", "image"), measured=drawn)
    recipe = replace(recipe, views=replace(recipe.views, strain=0.05, image=None))
    data = StoreData(store, recipe.windows, recipe_modalities(recipe), None, recipe.views, [])
    still, moved = data.batches(np.arange(6), None), data.batches(np.arange(6), np.random.default_rng(0))
    assert not torch.equal(still["image"].pixels, moved["image"].pixels)
    assert still["image"].present.all()


def test_drawn_patterns_have_the_wavelength_of_the_recipe():
    """Half the wavelength brings the same lines to about half the angle."""
    material = windows.materials()[0]
    drawn = replace(windows.MEASURED, image=replace(windows.MEASURED.image, source="xrd"))
    recipe = replace(windows.recipe("image", "xrd"), measured=drawn)
    short = replace(recipe, profile=replace(recipe.profile, wavelength=0.7709))
    for wanted in (recipe, short):
        made = recipe_modalities(wanted)
        lines = made["xrd"].featurize(material)["xrd.two_theta"]
        np.testing.assert_array_equal(made["image"].featurize(material)["image.two_theta"], lines)
    first = [recipe_modalities(r)["image"].featurize(material)["image.two_theta"][0] for r in (recipe, short)]
    assert first[1] < 0.6 * first[0]


def test_molecules_have_no_pattern_but_all_else(tmp_path):
    from ase.build import molecule

    rows = tuple(Material.of(molecule(name), id=name) for name in ("H2O", "CH4", "NH3"))
    store = prepare(small.SmallSource(rows), tmp_path / "store", replace(windows.settings(), shard_rows=2))
    assert store.info["rejected"] == 0
    assert not store.lengths("xrd.two_theta").any()
    assert store.column("spacegroup_number") == [0, 0, 0]
    assert store.column("formula") == ["H2O", "H4C", "H3N"]


def test_windows_of_a_store_are_those_of_its_model(prepared, tmp_path):
    trained = train_recipe(prepared, job("structure", "dos"), tmp_path / "run")
    assert list(trained.data.batches(np.arange(3), None)) == ["structure", "dos"]
