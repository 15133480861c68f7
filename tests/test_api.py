import json
import logging
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import helpers_small as small
from prismat.api import FORMAT_VERSION, Prismat, load, upgrade
from prismat.encoders.text_head import TextHeadConfig
from prismat.errors import BadInputError, VersionError
from prismat.files import sha256
from prismat.measurements import Pattern
from prismat.objectives.config import ObjectiveConfig
from prismat.objectives.infonce import InfoNceConfig
from prismat.recipes.base import TextConfig
from prismat.search.engine import open_index
from prismat.tasks.indexing import build_index
from prismat.tasks.quickstart import train_recipe

NAMES = ("rock_salt_Na-Cl", "rutile_Ti-O", "marmatite")


@pytest.fixture(scope="module")
def prismat(small_run):
    return small_run.trained.prismat


@pytest.fixture
def folder(small_run, tmp_path):
    """A copy of the saved model, to be damaged."""
    return shutil.copytree(small_run.folder / "model", tmp_path / "model")


@pytest.fixture(scope="module")
def shared(small_prepared, tmp_path_factory):
    """A model of two windows with one head each, and its folder."""
    projection = replace(small.tiny_recipe().projection, heads="shared")
    recipe = small.tiny_recipe(projection=projection, windows=("structure", "text"))
    run = tmp_path_factory.mktemp("shared")
    return train_recipe(small_prepared, small.tiny_job(recipe, steps=2), run).prismat, run


def kinds():
    return {
        "structures": [small.crystal(n) for n in NAMES],
        "texts": ["Rock salt at high pressure", "titanium dioxide"],
        "patterns": [small.measured("rutile_Ti-O")],
    }


def rewrite(folder, **changes):
    """Changes entries of config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("kind", ["structures", "texts", "patterns"])
def test_a_loaded_model_gives_the_same_vectors(prismat, small_run, kind):
    again = load(small_run.folder)
    assert again.hash == prismat.hash
    assert again.recipe == prismat.recipe
    expected, found = prismat.embed(**{kind: kinds()[kind]}), again.embed(**{kind: kinds()[kind]})
    window = {"structures": "structure", "texts": "text", "patterns": "xrd"}[kind]
    keys = {f"{window}@{p}" for p in ("structure", "text", "xrd") if p != window}
    assert set(found) == keys | ({"profile"} if window == "xrd" else set())
    for key, vectors in found.items():
        assert vectors.shape == (len(kinds()[kind]), 256 if key == "profile" else 16)
        np.testing.assert_array_equal(vectors, expected[key])
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_a_model_folder_loads_like_its_run_and_saves_like_itself(prismat, small_run, tmp_path):
    again = load(str(small_run.folder / "model"))
    again.save(tmp_path / "copy")
    assert load(tmp_path / "copy").hash == prismat.hash
    names = {p.name for p in (tmp_path / "copy").iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "README.md"}
    there = small_run.folder / "model"
    assert all((tmp_path / "copy" / n).read_bytes() == (there / n).read_bytes() for n in names)
    assert json.loads((there / "config.json").read_text())["model_hash"] == prismat.hash


def test_rows_do_not_depend_on_their_company(prismat):
    """A crystal's vector is its own, whatever else is embedded with it."""
    crystals = kinds()["structures"]
    together = prismat.embed(structures=crystals)["structure@xrd"]
    alone = np.concatenate([prismat.embed(structures=[c])["structure@xrd"] for c in crystals])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_raw_input_is_embedded_like_the_store(prismat, small_run, small_prepared):
    ids = small_prepared.records.ids
    rows = np.array([ids.index(n) for n in NAMES])
    batches = small_run.trained.data.batches(rows, None)
    expected = prismat.embed_batch("structure", batches["structure"])["structure@text"]
    found = prismat.embed(structures=kinds()["structures"])["structure@text"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    titles = [small_prepared.records.titles[r] for r in rows]
    expected = prismat.embed_batch("text", batches["text"])["text@xrd"]
    np.testing.assert_allclose(prismat.embed(texts=titles)["text@xrd"], expected, atol=1e-5)


def test_shared_heads_give_one_vector_per_window(shared):
    prismat, run = shared
    assert prismat.key("text", "structure") == "text"
    found = load(run).embed(texts=["halite"])
    assert list(found) == ["text"]
    np.testing.assert_array_equal(found["text"], prismat.embed(texts=["halite"])["text"])
    assert list(prismat.embed(structures=kinds()["structures"])) == ["structure"]


def test_the_hash_follows_every_weight(small_run):
    first = load(small_run.folder)
    for name in ("encoders.xrd.", "projections.text@xrd."):
        other = load(small_run.folder)
        parameter = next(p for n, p in other.model.named_parameters() if n.startswith(name))
        with torch.no_grad():
            parameter.view(-1)[0] += 1e-3
        assert other.hash != first.hash
    other = load(small_run.folder)
    other.recipe = replace(other.recipe, name="renamed")
    assert other.hash != first.hash


def test_embed_takes_one_kind_of_input(prismat):
    with pytest.raises(
        BadInputError,
        match=r"embed: 0 kinds of input given\. Give structures, texts, patterns",
    ):
        prismat.embed()
    with pytest.raises(BadInputError, match="2 kinds of input given"):
        prismat.embed(texts=["a"], structures=kinds()["structures"])
    with pytest.raises(BadInputError, match=r"text: nothing to embed\. Give at least one"):
        prismat.embed(texts=[])


def test_a_window_the_model_lacks_is_named(shared):
    with pytest.raises(BadInputError, match=r"this model has no xrd window\. It has structure, text"):
        shared[0].embed(patterns=kinds()["patterns"])


@pytest.mark.parametrize("text", ["", "  \n", "?!"])
def test_a_text_that_says_nothing_is_refused(prismat, text):
    with pytest.raises(BadInputError, match=r"text: query (is empty|has no letter and no digit)"):
        prismat.embed(texts=["halite", text])


def test_a_text_in_another_script_is_taken_with_a_warning(prismat, caplog):
    with caplog.at_level(logging.WARNING, logger="prismat"):
        found = prismat.embed(texts=["кристаллическая структура"])
    assert np.isfinite(found["text@structure"]).all()
    assert "Cyrillic" in caplog.text


def test_patterns_that_cannot_be_used_are_named(prismat):
    good = small.measured("rutile_Ti-O")
    bad = good.intensity.copy()
    bad[7] = np.nan
    with pytest.raises(
        BadInputError, match=r"record 'pattern 1', xrd: NaN or infinity in the pattern\. Remove"
    ):
        prismat.embed(patterns=[good, Pattern(good.two_theta, bad)])
    with pytest.raises(BadInputError, match=r"pattern 0.*nothing but background and noise"):
        prismat.embed(patterns=[Pattern(good.two_theta, np.ones_like(bad))])


def test_structures_that_cannot_be_read_are_named(prismat, tmp_path):
    with pytest.raises(BadInputError, match="structure 1"):
        prismat.embed(structures=[small.crystal("rutile_Ti-O"), "not\na crystal"])
    (tmp_path / "empty.cif").write_text("data_x\n")
    with pytest.raises(BadInputError, match=r"empty\.cif"):
        prismat.embed(structures=[tmp_path / "empty.cif"])


def test_an_empty_folder_names_the_remedy(tmp_path):
    with pytest.raises(BadInputError, match=r"No model in .*\. Train one: prismat quickstart"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["cut", "gone", "empty"])
def test_damaged_files_are_refused(folder, name, damage):
    path = folder / name
    content = path.read_bytes()
    path.unlink() if damage == "gone" else path.write_bytes(
        content[: len(content) // 2 if damage == "cut" else 0]
    )
    with pytest.raises(BadInputError, match=r"damaged|no tokeniser|No model in"):
        load(folder)


def test_one_changed_byte_of_the_weights_is_seen(folder):
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(content))
    with pytest.raises(
        BadInputError, match=r"model\.safetensors is missing or damaged\. Copy the model again"
    ):
        load(folder)


class Trap:
    """Would write a file if it were ever unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("form", ["pickle", "torch"])
@pytest.mark.parametrize("hidden", [False, True])
def test_a_pickle_in_place_of_the_weights_is_never_opened(folder, tmp_path, form, hidden):
    path, mark = folder / "model.safetensors", tmp_path / "executed"
    with path.open("wb") as stream:
        torch.save(Trap(mark), stream) if form == "torch" else pickle.dump(Trap(mark), stream)
    if hidden:
        rewrite(folder, weights_sha256=sha256(path))
    with pytest.raises(BadInputError, match="damaged"):
        load(folder)
    assert not mark.exists()


def test_weights_of_another_shape_are_refused(folder):
    path = folder / "model.safetensors"
    save_file({"encoders.text.token.weight": torch.zeros(2, 2)}, path)
    rewrite(folder, weights_sha256=sha256(path))
    with pytest.raises(BadInputError, match="damaged"):
        load(folder)


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, None, "1"])
def test_an_unknown_format_is_refused(folder, version):
    rewrite(folder, format_version=version)
    with pytest.raises(VersionError, match=rf"model format {version}, this program reads {FORMAT_VERSION}"):
        load(folder)


def test_a_model_of_the_first_format_is_read(folder, prismat):
    """Its graph networks stood among the other parts of the structure encoder."""
    config = json.loads((folder / "config.json").read_text())
    structure = config["recipe"]["encoders"]["structure"]
    graphs = structure.pop("graphs")
    structure |= {name: graphs[name] for name in ("cgcnn", "mpgnn")}
    for name in ("image", "dos", "phonon_dos", "charge_density", "properties"):
        del config["recipe"]["encoders"][name]
    del config["recipe"]["measured"], config["recipe"]["graph"]["extras"]
    rewrite(folder, format_version=1, recipe=with_infonce_alone(config["recipe"]))
    again = load(folder)
    assert again.recipe == prismat.recipe
    assert again.hash == prismat.hash


def with_infonce_alone(recipe, **changes):
    """A recipe as the second format had it: one loss, and no token or structure views."""
    objective = recipe["objective"]
    infonce = {k: objective["infonce"][k] for k in ("temperature", "min_temperature", "learn_temperature")}
    recipe["objective"] = {**infonce, "weights": objective["weights"], **changes}
    del recipe["masked_language"], recipe["views"]["structure"], recipe["views"]["tokens"]
    for noise in (recipe["views"]["noise"], recipe["views"]["image"]["noise"]):
        del noise["sample"], noise["instrument"]
    return recipe


def test_a_model_of_the_second_format_is_read(folder, prismat):
    """It had settings of InfoNCE where the objective is now, with the weights among them."""
    recipe = json.loads((folder / "config.json").read_text())["recipe"]
    weights = {"structure-text": 0.5, "text-xrd": 0.0}
    recipe = with_infonce_alone(recipe, weights=weights, temperature=0.2, learn_temperature=False)
    rewrite(folder, format_version=2, recipe=recipe)
    again = load(folder)
    infonce = InfoNceConfig(temperature=0.2, learn_temperature=False)
    assert again.recipe == replace(
        prismat.recipe, objective=ObjectiveConfig("infonce", weights=weights, infonce=infonce)
    )
    for name, value in prismat.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value)
    again.save(folder)
    config = json.loads((folder / "config.json").read_text())
    assert config["format_version"] == FORMAT_VERSION == 3
    assert load(folder).hash == again.hash


def test_the_third_format_is_left_as_it_is(folder):
    config = json.loads((folder / "config.json").read_text())
    assert upgrade(json.loads(json.dumps(config)), folder) == config


def test_a_config_that_fits_no_recipe_is_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    rewrite(folder, recipe={**config["recipe"], "colour": "red"})
    with pytest.raises(BadInputError, match="unknown setting 'colour'"):
        load(folder)
    rewrite(folder, recipe=config["recipe"], shapes={"vocabulary": "many"})
    with pytest.raises(BadInputError, match="'many' is not of type int"):
        load(folder)
    (folder / "config.json").write_text("[1, 2]")
    with pytest.raises(BadInputError, match=r"config\.json is missing or damaged"):
        load(folder)


def test_models_are_never_in_training_mode(prismat, small_run):
    assert not prismat.model.training
    model = load(small_run.folder).model.train()
    assert not Prismat(model, prismat.recipe, prismat.reader, prismat.shapes).model.training


@pytest.fixture(scope="module", params=["frozen", "tuned"])
def pretrained(request, small_prepared, small_store, tmp_path_factory):
    """A model around a Hugging Face encoder, its run, and the encoder's folder."""
    pytest.importorskip("transformers")
    root = tmp_path_factory.mktemp(request.param)
    bert = small.write_bert(root / "bert")
    text = TextConfig(kind=request.param, model=str(bert), head=TextHeadConfig(hidden=16, out=16))
    encoders = replace(small.tiny_recipe().encoders, text=text)
    recipe = small.tiny_recipe(encoders=encoders, windows=("structure", "text"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRISMAT_CACHE", str(root / "cache"))
        prismat = train_recipe(small_prepared, small.tiny_job(recipe, steps=3), root / "run").prismat
        build_index(prismat, small_store, root / "run/index")
    return prismat, root / "run", bert


def test_models_around_a_pretrained_encoder_come_back(pretrained):
    prismat, run, _ = pretrained
    again = load(run)
    assert again.hash == prismat.hash
    texts = ["Refinement of halite", "an unknown word"]
    expected, found = prismat.embed(texts=texts), again.embed(texts=texts)
    frozen = prismat.recipe.encoders.text.kind == "frozen"
    assert set(found) == {"text@structure"} | ({"sentence"} if frozen else set())
    for key, vectors in found.items():
        np.testing.assert_array_equal(vectors, expected[key])
    names = {"config.json", "model.safetensors", "README.md"} | ({"lexicon.json"} if frozen else set())
    assert {p.name for p in (run / "model").iterdir()} == names


def test_their_indexes_search(pretrained):
    prismat, run, _ = pretrained
    title = "High-pressure study of potassium fluoride"
    hits = open_index(run / "index", load(run)).search(text=title, k=111)
    key = "sentence" if prismat.recipe.encoders.text.kind == "frozen" else "text@structure"
    texts = [h for h in hits if key in h.scores]
    assert all(set(h.scores) == {"structure@text", key} for h in texts)
    assert len(texts) < len(hits)
    best = max(texts, key=lambda h: h.scores[key])
    assert (best.title, best.scores[key]) == (title, pytest.approx(1, abs=1e-4))


def test_other_weights_of_a_frozen_encoder_are_refused(pretrained):
    prismat, run, bert = pretrained
    texts = ["Refinement of halite"]
    expected = prismat.embed(texts=texts)
    changed = bytearray((bert / "model.safetensors").read_bytes())
    changed[-1] ^= 1
    # Renamed, not overwritten: the model in memory may still look at the old file.
    (bert / "new").write_bytes(bytes(changed))
    (bert / "model.safetensors").rename(bert / "old")
    (bert / "new").rename(bert / "model.safetensors")
    try:
        if prismat.recipe.encoders.text.kind == "frozen":
            with pytest.raises(BadInputError, match=r"the model needs .*the version of its weights"):
                load(run)
        else:
            # All weights of a tuned encoder lie in the model's own file.
            found = load(run).embed(texts=texts)
            np.testing.assert_array_equal(found["text@structure"], expected["text@structure"])
    finally:
        (bert / "old").rename(bert / "model.safetensors")
