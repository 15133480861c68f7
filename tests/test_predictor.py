import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import helpers_prediction as tiny
import helpers_small as small
import prismat
from prismat.api import load
from prismat.errors import BadInputError, PrismatError, VersionError
from prismat.formats import to_cif
from prismat.material import Material
from prismat.modalities.standard_cell import standardize
from prismat.modalities.text_views import description_view
from prismat.predictor import Predictor, Target, description, frozen_reader, load_predictor
from prismat.recipes.crysmmnet import FrozenTextConfig, build_predictor

TARGET = Target(tiny.DENSITY, mean=0.07, spread=0.02)
NAMES = ("rock_salt_Na-Cl", "wurtzite_Zn-O", "spinel_Mg-Al-O")


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    pytest.importorskip("transformers")
    return small.write_bert(tmp_path_factory.mktemp("bert"))


def made(bert, parts="both"):
    """A predictor of random weights."""
    torch.manual_seed(0)
    recipe = tiny.recipe(parts=parts, text=FrozenTextConfig(str(bert), "cls"))
    reader = frozen_reader(recipe.text, None) if parts != "graph" else None
    return Predictor(build_predictor(recipe, 16), recipe, TARGET, reader, "# A card\n")


def crystals():
    return [small.crystal(name) for name in NAMES]


@pytest.mark.parametrize("parts", ["both", "graph", "text"])
def test_a_loaded_predictor_is_the_saved_one(bert, tmp_path, parts):
    one = made(bert, parts)
    one.save(tmp_path / "run" / "model")
    again = load_predictor(tmp_path / "run")
    with pytest.raises(BadInputError, match=r"holds a predictor of one property\. Read it with"):
        prismat.load(tmp_path / "run")
    assert again.hash == one.hash
    assert (again.recipe, again.target, again.card) == (one.recipe, one.target, one.card)
    assert np.array_equal(again.predict(crystals()).values, one.predict(crystals()).values)
    assert sorted(p.name for p in (tmp_path / "run/model").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    config = json.loads((tmp_path / "run/model/config.json").read_text())
    assert (config["kind"], config["target"]["spec"]["unit"]) == ("predictor", "1/Å3")
    assert all(not key.startswith("reader") for key in load_file(tmp_path / "run/model/model.safetensors"))


def test_units_are_restored(bert):
    one = made(bert)
    found = one.predict(crystals())
    assert (found.name, found.unit) == ("number_density", "1/Å3")
    other = Predictor(one.model, one.recipe, Target(tiny.DENSITY, 0.0, 1.0), one.reader)
    assert np.allclose(found.values, other.predict(crystals()).values * 0.02 + 0.07)


def test_input_is_read_in_any_form_and_number(bert, tmp_path, monkeypatch):
    one = made(bert)
    path = tmp_path / "a.cif"
    path.write_text(to_cif(crystals()[0], name="a"))
    alone = one.predict([path]).values
    assert alone == pytest.approx(one.predict(crystals()).values[:1], rel=1e-4)
    many = one.predict(crystals() * 3).values
    monkeypatch.setattr("prismat.predictor.CHUNK", 2)
    assert np.allclose(one.predict(crystals() * 3).values, many, rtol=1e-5)


def test_texts_replace_the_description(bert):
    one, text = made(bert), made(bert, "text")
    words = [description(standardize(c)) for c in crystals()]
    assert np.array_equal(one.predict(crystals(), words).values, one.predict(crystals()).values)
    assert np.array_equal(text.predict(texts=words).values, text.predict(crystals()).values)
    others = one.predict(crystals(), ["chloride", "oxide", "High-pressure study"]).values
    assert not np.array_equal(others, one.predict(crystals()).values)


def test_descriptions_are_those_of_a_store(small_store):
    rows = {r["id"]: r for r in small_store.table.to_pylist()}
    bare = [m for m in small.materials() if isinstance(m, Material) and "keywords" not in m.texts]
    assert len(bare) > 50
    for m in bare:
        assert description(standardize(m.structure)) == description_view(rows[m.id])


@pytest.mark.parametrize(
    ("parts", "given", "message"),
    [
        ("graph", {"structures": [0], "texts": ["oxide"]}, "reads no text.*Give structures alone"),
        ("both", {"texts": ["oxide"]}, "reads structures and none are given"),
        ("text", {}, "nothing to predict from.*Give texts or structures"),
        ("both", {"structures": [0], "texts": ["a", "b"]}, "2 texts for 1 structures"),
        ("both", {"structures": []}, "Give at least one record"),
        ("text", {"texts": ["…"]}, "no letter and no digit"),
    ],
)
def test_wrong_input(bert, parts, given, message):
    given = {k: [crystals()[0] for _ in v] if k == "structures" else v for k, v in given.items()}
    with pytest.raises(BadInputError, match=message):
        made(bert, parts).predict(**given)


def test_an_unreadable_structure_is_named(bert, tmp_path):
    path = tmp_path / "broken.cif"
    path.write_text("data_broken\n")
    with pytest.raises(BadInputError, match=r"broken\.cif"):
        made(bert).predict([crystals()[0], path])


def damage(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_damaged_folders(bert, tmp_path):
    with pytest.raises(BadInputError, match=r"[Nn]o predictor in .*prismat train"):
        load_predictor(tmp_path)
    one = made(bert)

    def saved(name):
        one.save(tmp_path / name)
        return tmp_path / name

    folder = saved("weights")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"none")
    with pytest.raises(BadInputError, match=r"model\.safetensors is missing or damaged"):
        load_predictor(folder)
    for name, changes, error, message in (
        ("kind", {"kind": "other"}, BadInputError, "is not of a predictor"),
        ("version", {"predictor_version": 99}, VersionError, "predictor format 99"),
        ("target", {"target": {"mean": 0.0}}, BadInputError, "setting 'spec' is missing"),
        (
            "text",
            {"text": {**one.reader.describe(), "weights_hash": "0" * 64}},
            BadInputError,
            "the model needs",
        ),
    ):
        folder = saved(name)
        damage(folder, **changes)
        with pytest.raises(error, match=message):
            load_predictor(folder)
    folder = saved("words")
    (folder / "config.json").write_text("{")
    with pytest.raises(BadInputError, match=r"config\.json is missing or damaged"):
        load_predictor(Path(folder))


def test_a_predictor_is_no_embedding_model(bert, tmp_path):
    made(bert).save(tmp_path / "model")
    with pytest.raises(PrismatError):
        load(tmp_path)


def test_a_text_encoder_that_is_gone(bert, tmp_path):
    one = made(bert)
    one.save(tmp_path / "model")
    text = {**one.reader.describe(), "encoder": str(tmp_path / "gone")}
    damage(tmp_path / "model", text=text)
    with pytest.raises(BadInputError, match="neither a folder nor to be had"):
        load_predictor(tmp_path)
