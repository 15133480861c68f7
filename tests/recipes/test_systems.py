"""The published systems: their hyper-parameters, and that each can be built and trained."""

import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

import helpers_small as small
import helpers_windows as windows
from helpers_text import SPECIAL, write_model
from prismat.api import load, recipe_modalities
from prismat.errors import BadInputError, MismatchError
from prismat.material import Material
from prismat.modalities.charge_density import DensitySettings
from prismat.modalities.dos import DosSettings
from prismat.modalities.image import ImageSettings
from prismat.modalities.structure import StructureSettings
from prismat.modalities.windows import MeasuredSettings
from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.base import Job
from prismat.recipes.build import build_model, recipe_auxiliary, recipe_objective
from prismat.recipes.scale import at_laptop_scale, with_structure, with_windows
from prismat.recipes.serial import from_json, to_json
from prismat.recipes.systems import System, system_job
from prismat.tasks.quickstart import train_recipe
from prismat.training.schedule import curriculum_weights
from prismat.training.session import open_prepared

NAMES = get_args(System)
PUBLISHED = [n for n in NAMES if n != "default"]
MEASURED = MeasuredSettings(
    image=ImageSettings(size=32, source="xrd"),
    dos=DosSettings(points=24),
    charge_density=DensitySettings(points=16, promolecule=True, kinds=("promolecule",)),
)


def parts(name):
    job = system_job(name)
    return job.recipe, job.train, job.train.optimizer


def with_text(job, folder):
    """A job whose pretrained text encoder is one of random weights in a folder."""
    text = job.recipe.encoders.text
    if "text" not in job.recipe.windows or text.kind == "bpe":
        return job
    text = replace(text, model=str(folder), substitute="")
    encoders = replace(job.recipe.encoders, text=text)
    return replace(job, recipe=replace(job.recipe, encoders=encoders))


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A tiny encoder with a mask token."""
    pytest.importorskip("transformers")
    titles = [m.texts.get("title", "") for m in small.materials() if isinstance(m, Material)]
    words = [*SPECIAL, *sorted({w for t in titles for w in t.split()})]
    return write_model(tmp_path_factory.mktemp("hub") / "bert", words=tuple(words))


def test_the_default_is_the_default():
    assert system_job("default") == Job()


@pytest.mark.parametrize("name", NAMES)
def test_every_system_has_its_name_and_goes_through_json(name):
    job = system_job(name)
    assert job.recipe.name == name
    assert from_json(Job, json.loads(json.dumps(to_json(job)))) == job
    assert job == system_job(name)


def test_an_unknown_name():
    with pytest.raises(BadInputError, match=r"recipe: no recipe 'clip'\. Known: default, clasp, .*cmml"):
        system_job("clip")


def test_clasp_as_published():
    recipe, train, optimizer = parts("clasp")
    graph, text = recipe.encoders.structure, recipe.encoders.text
    assert recipe.windows == ("structure", "text")
    assert graph.parts == ("cgcnn",)
    assert (graph.graphs.cgcnn.width, graph.graphs.cgcnn.layers, graph.width) == (64, 5, 768)
    assert (recipe.graph.cutoff, recipe.graph.neighbors) == (8.0, 12)
    assert (text.kind, text.model, text.pooling, text.head.kind) == ("frozen", "scibert", "cls", "clasp")
    assert (text.head.hidden, text.head.out, recipe.projection.dim) == (768, 768, 768)
    assert recipe.objective.kind == "cosface"
    assert (recipe.objective.cosface.margin, recipe.objective.cosface.scale) == (0.5, 3.0)
    assert not recipe.objective.cosface.learn_scale
    assert (optimizer.learning_rate, optimizer.schedule, train.batch) == (2e-5, "constant", 16_384)
    # 2000 epochs and then 50 of 406,000 records.
    tune = system_job("clasp").fine_tune
    assert train.steps * train.batch / 406_000 == pytest.approx(2000, rel=0.02)
    assert tune.steps * train.batch / 406_000 == pytest.approx(50, rel=0.02)
    assert (tune.learning_rate, tune.schedule, tune.text) == (1e-6, "constant", {"keywords": 1.0})
    assert recipe.views.text == {"title": 1.0}
    assert system_job("clasp").select == "words"


def test_clac_as_published():
    recipe, train, optimizer = parts("clac")
    structure, text = recipe.encoders.structure, recipe.encoders.text
    assert structure.parts == ("cgcnn",)
    assert with_structure(recipe, "painn").encoders.structure.parts == ("painn",)
    for graph in (structure.graphs.cgcnn, structure.graphs.painn):
        assert (graph.width, graph.layers) == (1024, 3)
    assert structure.graphs.painn.functions == 20
    assert (text.kind, text.model, text.pooling) == ("tuned", "matscibert", "cls")
    assert text.tuning.rate == 1.0
    assert recipe.projection.dim == 512
    objective = recipe.objective
    assert (objective.kind, objective.auxiliary) == ("jsd", {"masked_language": 0.1})
    assert (objective.jsd.inter, objective.jsd.intra, objective.jsd.prior) == (0.9, 0.9, 0.1)
    assert objective.jsd.temperature == 0.07
    assert recipe.masked_language.share == 0.15
    assert (train.batch, optimizer.learning_rate, optimizer.clip) == (32 * 4 * 8, 2e-5, 0.05)
    assert train.chunk == 32
    assert train.steps * train.batch / 126_000 == pytest.approx(100, rel=0.02)
    assert recipe.views.structure.edge_removal > 0
    assert recipe.views.tokens.masking > 0


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("multimat")])
def test_multimat_as_published(name):
    recipe, train, optimizer = parts(name)
    structure, dos = recipe.encoders.structure, recipe.encoders.dos
    density = recipe.encoders.charge_density
    assert recipe.windows == ("structure", "dos", "charge_density")
    assert (structure.parts, structure.graphs.potnet.width) == (("potnet",), 256)
    assert structure.graphs.potnet.layers == 3
    assert (recipe.graph.extras, recipe.graph.cutoff) == (("potentials",), 8.0)
    assert (dos.width, dos.depth, dos.heads, dos.head_width, dos.hidden) == (128, 4, 8, 64, 512)
    assert (density.cardinality, density.depths, density.stem_kernel) == (32, (3, 4, 6, 3), 7)
    assert recipe.measured.charge_density.points == 32
    assert (recipe.projection.dim, recipe.projection.heads) == (128, "shared")
    assert (train.batch, optimizer.learning_rate) == (128, 1e-4 * 128 / 256)
    assert (optimizer.weight_decay, optimizer.betas, optimizer.schedule) == (0.05, (0.9, 0.95), "cosine")
    assert optimizer.warmup == 10 / 500
    kind = {"tensor": "tensor_clip", "barlow": "barlow"}.get(name.removeprefix("multimat-"), "infonce")
    objective = recipe.objective
    assert (objective.kind, objective.anchor) == (kind, "structure" if name.endswith("anchored") else "")
    assert (objective.infonce.temperature, objective.infonce.learn_temperature) == (0.2, False)
    assert (objective.tensor_clip.temperature, objective.tensor_clip.learn_temperature) == (0.2, False)
    assert objective.barlow.off_diagonal == 0.0051


@pytest.mark.parametrize("name", ["trimodal", "trimodal-curriculum"])
def test_trimodal_as_proposed(name):
    recipe, train, _ = parts(name)
    assert recipe.windows == ("structure", "text", "image")
    assert recipe.encoders.structure.parts == ("mpgnn",)
    assert (recipe.encoders.text.kind, recipe.encoders.image.backbone) == ("bpe", "resnet50")
    assert (recipe.measured.image.size, recipe.measured.image.source) == (224, "xrd")
    assert recipe.objective.kind == "infonce"
    assert recipe.objective.infonce.shared
    assert recipe.objective.infonce.learn_temperature
    assert recipe.objective.weights == {}
    early, late = (curriculum_weights(train.curriculum, p) for p in (0.2, 0.7))
    if name == "trimodal":
        assert early == late == {}
    else:
        assert early == {"image-structure": 0.0, "image-text": 0.0}
        assert late == {"image-structure": 1.0, "image-text": 1.0}


def test_cmml_as_published():
    recipe, train, optimizer = parts("cmml")
    assert recipe.windows == ("structure", "xrd")
    assert recipe.encoders.structure.parts == ("cgcnn",)
    assert recipe.projection.dim == 1024
    assert (recipe.objective.kind, recipe.objective.triplet.margin) == ("triplet", 1.0)
    assert recipe.objective.triplet.mining == "noneasy"
    assert (train.batch, optimizer.learning_rate) == (512, 1e-3)
    assert train.steps * train.batch / 122_543 == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_every_published_model_can_be_built(name, bert):
    """At full width, and with a loss that its projection serves."""
    job = with_text(system_job(name), bert)
    recipe = job.recipe
    image = replace(recipe.encoders.image, pretrained="none")
    recipe = replace(recipe, encoders=replace(recipe.encoders, image=image))
    model = build_model(recipe, 768, 8192)
    assert tuple(model.modalities) == recipe.windows
    assert all(e.width > 0 for e in model.encoders.values())
    assert {p.net[-1].out_features if recipe.projection.hidden else p.net.out_features
            for p in model.projections.values()} == {recipe.projection.dim}  # fmt: skip
    objective = recipe_objective(recipe)
    assert objective.windows == recipe.windows
    assert len(recipe_auxiliary(recipe, model)) == int(name.startswith("clac"))
    assert set(recipe_modalities(recipe)) == set(recipe.windows) - {"text"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_laptop_scale_keeps_what_makes_a_system(name):
    job = system_job(name)
    found = at_laptop_scale(job)
    recipe, made = job.recipe, found.recipe
    assert made.encoders.structure.parts == recipe.encoders.structure.parts
    assert made.objective == recipe.objective
    assert (made.windows, made.views, made.graph) == (recipe.windows, recipe.views, recipe.graph)
    assert made.masked_language == recipe.masked_language
    assert made.projection.heads == recipe.projection.heads
    assert (made.projection.dim, made.encoders.structure.width) <= (256, 256)
    ours, theirs = found.train.optimizer, job.train.optimizer
    assert (ours.schedule, ours.betas, ours.weight_decay) == (
        theirs.schedule,
        theirs.betas,
        theirs.weight_decay,
    )
    assert found.train.curriculum == job.train.curriculum
    assert (found.train.batch, found.train.chunk) == (128, 0)
    assert found.train.steps <= 600
    assert found.select == job.select
    assert (found.fine_tune.steps > 0) == (job.fine_tune.steps > 0)
    assert found.fine_tune.text == job.fine_tune.text
    assert from_json(Job, to_json(found)) == found


def test_laptop_scale_of_the_texts():
    clasp, clac, trimodal = (at_laptop_scale(system_job(n)).recipe for n in ("clasp", "clac", "trimodal"))
    text = clasp.encoders.text
    assert (text.kind, text.model, text.substitute, text.pooling) == ("frozen", "scibert", "minilm", "cls")
    assert (text.head.kind, text.head.hidden) == ("clasp", 256)
    assert clac.encoders.text.kind == trimodal.encoders.text.kind == "bpe"
    assert at_laptop_scale(Job()).recipe.encoders.text.substitute == ""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A store of few crystals with everything that the systems read."""
    graph = StructureSettings(extras=("potentials",))
    job = system_job("cmml")
    options = PrepareSettings(structure=graph, profile=job.recipe.profile, measured=MEASURED, workers=1)
    rows = windows.materials()[::2]
    store = prepare(small.SmallSource(rows), tmp_path_factory.mktemp("systems") / "store", options)
    return open_prepared(store, small.SPLIT)


def tiny(job, prepared, bert):
    """A few steps at laptop scale, with the windows as the store has them."""
    job = with_text(at_laptop_scale(job), bert)
    recipe = with_windows(job.recipe, job.recipe.windows, prepared.store)
    tune = replace(job.fine_tune, steps=min(1, job.fine_tune.steps))
    train = replace(job.train, steps=2, batch=16, evaluate_every=1)
    return replace(job, recipe=recipe, train=train, split=small.SPLIT, fine_tune=tune)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_system_trains_and_comes_back(name, prepared, bert, tmp_path, monkeypatch):
    monkeypatch.setenv("PRISMAT_CACHE", str(tmp_path / "cache"))
    job = tiny(system_job(name), prepared, bert)
    trained = train_recipe(prepared, job, tmp_path / "run")
    last = trained.outcome.history[-1]
    assert np.isfinite(last["loss"])
    assert np.isfinite(last["val/score"])
    assert last["step"] == (1 if name == "clasp" else 2)
    assert ("masked_language" in last) == name.startswith("clac")
    again = load(tmp_path / "run")
    assert again.hash == trained.prismat.hash
    assert again.recipe == job.recipe
    key = again.key("structure", job.recipe.windows[1])
    assert again.embed(structures=[small.crystal("rutile_Ti-O")])[key].shape == (1, job.recipe.projection.dim)


def test_a_store_without_lattice_sums_is_refused(small_prepared, tmp_path):
    job = system_job("multimat-allpairs")
    with pytest.raises(
        MismatchError, match=r"prepared without potentials.*--settings\.structure\.extras potentials"
    ):
        train_recipe(small_prepared, job, tmp_path)


def test_other_windows_leave_out_what_they_have_no_use_for(prepared):
    anchored = system_job("multimat-anchored").recipe
    without = with_windows(anchored, ("dos", "charge_density"), prepared.store)
    assert (anchored.objective.anchor, without.objective.anchor) == ("structure", "")
    assert with_windows(anchored, ("structure", "dos"), prepared.store).objective.anchor == "structure"
    clac = with_windows(system_job("clac").recipe, ("structure", "xrd"), prepared.store)
    assert clac.masked_language is None
    recipe_objective(clac)
    weights = {"structure-text": 0.5, "text-xrd": 0.25}
    weighted = replace(Job().recipe, objective=replace(Job().recipe.objective, weights=weights))
    found = with_windows(weighted, ("structure", "text"), prepared.store)
    assert found.objective.weights == {"structure-text": 0.5}
    assert recipe_objective(found).weights == {"structure-text": 0.5}


def test_a_loss_that_needs_one_embedding_per_window_says_so():
    recipe = system_job("clac").recipe
    pairs = replace(recipe, projection=replace(recipe.projection, heads="pair"))
    with pytest.raises(
        BadInputError, match=r"projection\.heads: jsd compares one embedding.*Set it to shared"
    ):
        recipe_objective(pairs)


def test_masked_language_modelling_needs_tokens():
    recipe = replace(Job().recipe, masked_language=system_job("clac").recipe.masked_language)
    with torch.device("meta"):
        model = build_model(recipe, 8, 0)
    with pytest.raises(BadInputError, match=r"masked_language: .*reads tokens.*kind to bpe or tuned"):
        recipe_auxiliary(recipe, model)
    without = replace(recipe, windows=("structure", "xrd"))
    with pytest.raises(BadInputError, match="masked language modelling needs a text encoder"):
        recipe_auxiliary(without, model)
