"""A small store of recipes and a tiny model of it for the whole session."""

import pytest

import helpers_small as small
import helpers_synthesis as made
from prismat.prepare import PrepareSettings, prepare
from prismat.tasks.opened import open_beside, open_run
from prismat.tasks.quickstart import Talk, run_baselines, train_recipe
from prismat.tasks.synthesis.recipes import read_book
from prismat.tasks.synthesis.recommend import Recommender
from prismat.training.session import open_prepared


@pytest.fixture(scope="session")
def recipe_store(tmp_path_factory):
    """About 130 recipes, most with the structure of their product."""
    settings = PrepareSettings(profile=small.tiny_recipe().profile, shard_rows=64, workers=1)
    return prepare(made.source(), tmp_path_factory.mktemp("recipes") / "store", settings)


@pytest.fixture(scope="session")
def recipe_run(recipe_store, tmp_path_factory):
    """A tiny model of structures, recipes and properties, and its composition-only baseline."""
    folder, job = tmp_path_factory.mktemp("recipes") / "run", made.job(steps=6, evaluate_every=6)
    prepared = open_prepared(recipe_store, job.split)
    train_recipe(prepared, job, folder)
    run_baselines(prepared, job, folder, Talk())
    return folder


@pytest.fixture(scope="session")
def recipe_opened(recipe_run, recipe_store):
    """The model on the store, reading recipes."""
    return open_run(recipe_run, recipe_store, text_view="synthesis")


@pytest.fixture(scope="session")
def recipe_baseline(recipe_run, recipe_opened):
    """Its composition-only baseline on the same parts."""
    return open_beside(recipe_run / "baselines" / "composition", recipe_opened, "synthesis")


@pytest.fixture(scope="session")
def recipe_book(recipe_store):
    """The recipes."""
    return read_book(recipe_store)


@pytest.fixture(scope="session")
def recommender(recipe_opened, recipe_store, tmp_path_factory):
    """Answers from them."""
    return Recommender(recipe_opened.prismat, recipe_store, tmp_path_factory.mktemp("recipes") / "index")
