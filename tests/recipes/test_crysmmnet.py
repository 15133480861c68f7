from dataclasses import replace
from typing import get_args

import pytest

from prismat.encoders.alignn import Alignn
from prismat.errors import BadInputError
from prismat.modalities.properties import PropertySpec
from prismat.recipes.crysmmnet import (
    PredictorJob,
    PredictorName,
    build_predictor,
    composition_baseline,
    laptop_predictor,
    predictor_job,
    predictor_recipe,
)
from prismat.recipes.scale import LAPTOP_GRAPHS
from prismat.recipes.serial import from_json, to_json

GAP = PropertySpec("band_gap", "eV")


@pytest.mark.parametrize("name", get_args(PredictorName))
def test_every_name_is_a_network_and_survives_json(name):
    job = predictor_job(name, GAP)
    assert job.recipe.name == name
    assert from_json(PredictorJob, to_json(job)) == job
    model = build_predictor(laptop_predictor(job).recipe, 384)
    words = name.split("-")
    assert (model.text is None) == (words[-1] == "graph")
    assert (model.graph is None) == (words[-1] == "text")
    assert model.config.kind == (words[-1] if words[-1] in ("sum", "average") else "concat")
    if model.graph is not None:
        assert list(model.graph.parts) == [words[1]]
        assert model.graph.width == 256


def test_published_settings():
    job = predictor_job("crysmmnet-alignn", GAP)
    assert (job.train.batch, job.train.steps) == (64, 1000 * 60_000 // 64)
    optimizer = job.train.optimizer
    assert (optimizer.learning_rate, optimizer.weight_decay, optimizer.schedule) == (1e-3, 1e-5, "one_cycle")
    assert (job.recipe.text.model, job.recipe.text.pooling, job.recipe.text.substitute) == (
        "matscibert",
        "cls",
        "",
    )
    model = build_predictor(job.recipe, 768)
    host = model.graph.parts["alignn"]
    assert isinstance(host, Alignn)
    assert (host.width, len(host.on_angles)) == (256, 4)
    assert model.head[0].in_features == 320


def test_laptop_scale():
    job = laptop_predictor(predictor_job("crysmmnet-gatgnn-graph", GAP))
    assert job.recipe.structure.graphs == LAPTOP_GRAPHS
    assert job.recipe.text.substitute == "minilm"
    assert (job.train.steps, job.train.batch, job.recipe.parts) == (600, 64, "graph")
    assert build_predictor(job.recipe, 0).text is None


def test_the_baseline_reads_the_composition_alone():
    job = laptop_predictor(predictor_job("crysmmnet-alignn-sum", GAP))
    base = composition_baseline(job)
    assert list(build_predictor(base.recipe, 384).graph.parts) == ["composition"]
    assert base.recipe.windows == ("structure",)
    assert base.train == job.train
    assert replace(base, recipe=job.recipe) == job


def test_unknown_name():
    with pytest.raises(BadInputError, match=r"[Nn]o recipe 'crysmmnet-schnet'.*crysmmnet-alignn"):
        predictor_recipe("crysmmnet-schnet")
