import json

import numpy as np
import pytest

import helpers_small as small
from prismat.errors import BadInputError, MismatchError
from prismat.modalities.structure import StructureSettings
from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.base import SplitConfig
from prismat.tasks.embedding import embed_rows
from prismat.tasks.evaluation import Evaluator
from prismat.tasks.opened import open_run, run_folder


def test_a_run_on_its_own_store_keeps_its_split(small_run, small_store, small_prepared):
    found = open_run(small_run.folder, small_store)
    assert found.is_own
    assert found.prepared.split.hash == small_prepared.split.hash
    assert len(found.groups) == len(found.records) == len(small_store)
    assert not set(found.groups[found.rows["train"]]) & set(found.groups[found.rows["test"]])


def test_it_embeds_as_the_evaluator_does(small_run, small_store, small_prepared):
    found = open_run(small_run.folder, small_store)
    vectors, present = embed_rows(found.prismat, found.data, np.sort(found.rows["test"]))
    trained = small_run.trained
    expected = Evaluator(small_prepared.records, small_prepared.rows["test"]).embed(
        trained.prismat, trained.data
    )
    for key, wanted in expected.vectors.items():
        np.testing.assert_allclose(vectors[key], wanted, atol=1e-6, err_msg=key)
        np.testing.assert_array_equal(present[key], expected.present[key])


def test_another_store_is_divided_by_its_own_groups(small_run, tmp_path):
    settings = PrepareSettings(profile=small.tiny_recipe().profile, shard_rows=40, workers=1)
    other = prepare(small.SmallSource(), tmp_path / "other", settings)
    kept = open_run(small_run.folder, other)
    # Equal content is the same store, wherever it lies.
    assert kept.is_own
    folder = small_run.folder / "model"
    found = open_run(folder, other, SplitConfig(seed=3))
    assert not found.is_own
    assert found.prepared.split.hash != kept.prepared.split.hash
    assert sum(map(len, found.rows.values())) == len(other)


def test_a_store_of_other_graphs_is_refused(small_run, tmp_path):
    settings = PrepareSettings(StructureSettings(cutoff=4.0), profile=small.tiny_recipe().profile, workers=1)
    other = prepare(small.SmallSource(), tmp_path / "other", settings)
    with pytest.raises(MismatchError, match="was prepared with graph settings"):
        open_run(small_run.folder, other)


def test_a_split_that_was_changed_is_refused(small_run, small_store, tmp_path):
    copy = tmp_path / "run"
    copy.mkdir()
    (copy / "model").symlink_to(small_run.folder / "model")
    split = json.loads((small_run.folder / "split.json").read_text())
    split["train"], split["test"] = split["test"], split["train"]
    (copy / "split.json").write_text(json.dumps(split))
    with pytest.raises(BadInputError, match="the ids do not match the hash"):
        open_run(copy, small_store)


def test_a_quickstart_folder_holds_its_run(small_whole, tmp_path):
    assert run_folder(small_whole.folder) == small_whole.folder / "run"
    assert run_folder(tmp_path) == tmp_path
