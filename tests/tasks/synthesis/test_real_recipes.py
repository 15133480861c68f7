"""A slice of the text-mined recipes of Kononova et al., where development data are."""

from itertools import islice

import numpy as np
import pytest

import helpers_small as small
from helpers_shared import SHARED
from prismat.prepare import PrepareSettings, prepare
from prismat.sources.synthesis import SynthesisOptions, SynthesisSource, read_rows
from prismat.sources.synthesis_join import StructureIndex
from prismat.tasks.synthesis.baselines import usual_precursors, usual_scores
from prismat.tasks.synthesis.composition import composition_of
from prismat.tasks.synthesis.recipes import read_book


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    path = SHARED / "synthesis_solid_state.json.xz"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in PRISMAT_SHARED_DATA")
    source = SynthesisSource(SynthesisOptions(path=path))
    rows = islice(read_rows(path, "solid-state", StructureIndex(())), 300)
    materials = tuple(source._material(number, row) for number, row in enumerate(rows))
    folder = tmp_path_factory.mktemp("real") / "store"
    settings = PrepareSettings(profile=small.tiny_recipe().profile, shard_rows=400, workers=1)
    return read_book(prepare(small.SmallSource(materials), folder, settings))


def test_real_recipes_tell_what_they_should(book):
    assert len(book) > 280
    assert np.mean([bool(recipe.steps) for recipe in book.recipes]) > 0.95
    told = book.temperature[np.isfinite(book.temperature)]
    assert 700 < np.median(told) < 1400
    assert book.known().mean() > 0.9


def test_the_usual_precursors_of_real_recipes(book):
    usual = usual_precursors(book)
    assert (usual[56], usual[22], usual[3]) == ("BaCO3", "TiO2", "Li2CO3")
    best = usual_scores(book, composition_of("BaTiO3")[None])[0].argmax()
    assert {"BaCO3", "TiO2"} <= set(book.recipes[best].precursors)
