"""Composite queries on real minerals, with a model of few steps."""

import pytest

import helpers_small as small
from prismat.prepare import PrepareSettings, prepare
from prismat.search.engine import SearchEngine
from prismat.search.language import read_words
from prismat.search.query import Query
from prismat.tasks.indexing import build_index
from prismat.tasks.quickstart import train_recipe
from prismat.training.session import open_prepared


@pytest.fixture(scope="module")
def minerals(amcsd, tmp_path_factory):
    """120 crystals of AMCSD, searchable."""
    root = tmp_path_factory.mktemp("minerals")
    settings = PrepareSettings(profile=small.tiny_recipe().profile, shard_rows=80, workers=1)
    store = prepare(small.SmallSource(tuple(amcsd.read(0, 120))), root / "store", settings)
    job = small.tiny_job(steps=2, evaluate_every=2)
    trained = train_recipe(open_prepared(store, job.split), job, root / "run")
    return SearchEngine(trained.prismat, build_index(trained.prismat, store, root / "index"))


def test_conditions_on_real_records(minerals):
    answer = minerals.respond(
        read_words("silicate not iron +Si -Fe system:monoclinic elements:3..6 sites:..80 k:200")
    )
    assert answer.matches
    assert len(answer.matches) == answer.matching < answer.gallery
    for hit in answer.hits:
        assert "Si" in hit.elements
        assert "Fe" not in hit.elements
        assert 3 <= hit.spacegroup_number <= 15
        assert 3 <= len(hit.elements) <= 6
        assert hit.n_sites <= 80


def test_examples_push_real_records(minerals):
    ids = list(minerals.index.ids)
    near = minerals.respond(read_words(f"like:{ids[0]} k:200"))
    assert ids[0] not in [hit.id for hit in near.hits]
    pushed = minerals.respond(read_words(f"like:{ids[0]} unlike:{near.hits[0].id} weight:unlike=0.9 k:200"))
    assert near.hits[0].id not in [hit.id for hit in pushed.hits]
    again = minerals.respond(Query.from_json(read_words(f"like:{ids[0]} k:200").to_json()))
    assert [hit.id for hit in again.hits] == [hit.id for hit in near.hits]
