import json

import numpy as np
import pytest

import helpers_small as small
from helpers_cli import call
from prismat.errors import BadInputError
from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.base import SplitConfig
from prismat.store import Store
from prismat.tasks.embedding import embed_rows
from prismat.tasks.retrieval import retrieval_metrics
from prismat.tasks.transfer import learnt_overlap, open_models, transfer, transfer_page


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The same crystals in other shards: another store, divided anew."""
    settings = PrepareSettings(profile=small.tiny_recipe().profile, shard_rows=40, workers=1)
    return prepare(small.SmallSource(), tmp_path_factory.mktemp("other") / "others", settings)


@pytest.fixture(scope="module")
def models(small_whole, other):
    return open_models(small_whole.folder, other, SplitConfig(seed=5))


def test_model_and_baselines_are_measured_on_the_same_rows(models, other):
    assert {"main", "composition", "text+structure only"} == set(models)
    result = transfer(models)
    part = result["parts"]["all"]
    assert part["records"] == len(models["main"].rows["test"])
    assert part["retrieval"]["composition"].keys() == part["retrieval"]["main"].keys()
    assert "structure->xrd" in part["differences"]["composition"]
    found = part["retrieval"]["main"]["xrd->structure"]
    opened = models["main"]
    rows = np.sort(opened.rows["test"])
    left = opened.prismat.embed(structures=other.crystals(rows))["structure@xrd"]
    right = embed_rows(opened.prismat, opened.data, rows, ["xrd"])[0]["xrd@structure"]
    label = opened.records.structure_label[rows]
    expected = retrieval_metrics(right @ left.T, label[:, None] == label[None, :])
    assert found["recall@10"] == pytest.approx(expected.recall[10])
    assert found["mrr"] == pytest.approx(expected.mrr, abs=1e-6)


def test_what_was_learnt_is_counted_and_the_rest_measured_alone(small_whole, models, other):
    learnt = Store(small_whole.folder / "store")
    overlap = learnt_overlap(small_whole.folder, learnt, models["main"])
    result = transfer(models, overlap)
    # The same crystals divided another way: most were learnt from.
    shared = result["overlap"]["shared"]["structure"]["records"]
    assert 0 < shared <= result["records"]
    unseen = result["parts"].get("unseen", {"records": 0})["records"]
    assert unseen <= result["records"] - shared


def test_the_page_says_it_in_words(models):
    page = transfer_page(transfer(models), "tiny", "others")
    assert "tiny on " in page.lede
    assert "over composition alone" in page.lede
    assert page.pictures[0].svg.startswith("<svg")


def test_a_run_without_a_split_has_learnt_nobody_knows_what(small_whole, models):
    with pytest.raises(BadInputError, match=r"no split\.json"):
        learnt_overlap(
            small_whole.folder / "run" / "model", Store(small_whole.folder / "store"), models["main"]
        )


def test_all_records_of_another_store_may_be_asked_for_but_not_of_its_own(small_whole, models, other):
    assert transfer(models, part="all")["parts"]["all"]["records"] == len(other)
    own = open_models(small_whole.folder, Store(small_whole.folder / "store"))
    with pytest.raises(BadInputError, match="trained on records of this store"):
        transfer(own, part="all")


def test_the_verb_writes_a_page_and_a_table(small_whole, other, tmp_path):
    said = call("transfer", "--run", small_whole.folder, "--store", other.folder, "--out", tmp_path / "out")
    assert "structure → xrd" in said.out
    found = json.loads((tmp_path / "out" / "transfer.json").read_text())
    assert found["model_hash"] == small_whole.engine.prismat.hash
    assert (tmp_path / "out" / "transfer.svg").is_file()
