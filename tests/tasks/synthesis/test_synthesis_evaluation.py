from dataclasses import replace

import numpy as np
import pytest

from prismat.api import Prismat
from prismat.errors import BadInputError
from prismat.tasks.opened import open_beside
from prismat.tasks.synthesis.evaluation import (
    BASELINE,
    FUSED,
    MODEL,
    MOST_FREQUENT,
    NEAREST,
    RANDOM,
    SHARES,
    WANTED,
    evaluate,
    property_table,
)
from prismat.tasks.synthesis.page import page_of, result_of
from prismat.tasks.synthesis.targets import METRICS, targets_of


@pytest.fixture(scope="module")
def found(recipe_opened, recipe_baseline):
    return evaluate(recipe_opened, recipe_baseline)


def test_known_recipes_are_those_of_training_records(found, recipe_opened, recipe_book):
    train = set(recipe_opened.rows["train"].tolist())
    assert all(train.issuperset(rows.tolist()) for rows in found.task.ranked.rows)
    test = set(recipe_opened.rows["test"].tolist())
    own = [recipe_book.rows[i] for numbers in found.targets.own for i in numbers]
    assert all(test.issuperset(rows.tolist()) for rows in own)
    assert found.is_own
    assert found.gallery["known"] == len(found.task.gallery)


def test_every_target_is_one_query(found, recipe_opened):
    labels = recipe_opened.records.structure_label[found.targets.rows]
    assert len(set(labels.tolist())) == len(found.targets)
    again = [i for numbers in found.targets.own for i in numbers]
    assert len(again) == len(set(again))


def test_all_systems_are_judged_alike(found):
    assert {MODEL, BASELINE, NEAREST, WANTED, MOST_FREQUENT, RANDOM, FUSED} <= set(found.known)
    for ranking in found.known.values():
        assert set(ranking.values) == set(METRICS)
        assert all(len(values) == len(found.task.targets) for values in ranking.values.values())
        assert ((ranking.values["ndcg@10"] >= 0) & (ranking.values["ndcg@10"] <= 1 + 1e-12)).all()


def test_the_look_up_of_a_composition_finds_its_own_recipes_at_once(found):
    assert found.held_out[NEAREST].recall[10] == 1.0
    assert found.held_out[NEAREST].mrr > found.held_out[RANDOM].mrr


def test_the_weight_of_the_composition_is_the_best_of_validation(found):
    assert list(found.validation) == [f"{share:g}" for share in SHARES]
    assert found.validation[f"{found.share:g}"] == max(found.validation.values())


def test_a_table_of_properties_is_in_the_units_of_the_model(recipe_opened, recipe_store):
    table = property_table(recipe_opened)
    rows = recipe_store.column("properties")
    first = {entry["name"]: entry["value"] for entry in rows[3]}
    np.testing.assert_allclose(table[3], [first["gap"], first["density"]], rtol=1e-6)
    bare = next(i for i, name in enumerate(recipe_store.ids) if name.startswith("bare"))
    assert np.isnan(table[bare]).all()


def test_the_page_says_who_is_better(found):
    result = result_of(found)
    page = page_of(found, result, "synthesis")
    mean, low, high, _ = result["known_differences"][MODEL][NEAREST]["ndcg@10"]
    assert low <= mean <= high
    verdict = "better than" if low > 0 else "worse than" if high < 0 else "no different from"
    assert verdict in page.lede
    assert [picture.name for picture in page.pictures] == ["task_synthesis", "task_synthesis_recall"]
    example = next(table for table in page.tables if table.title.startswith("Example"))
    assert example.rows[0][0] == "own recipe"
    assert "10." in example.rows[1][4]


def test_a_part_without_structures_has_no_targets(recipe_opened, recipe_book):
    bare = np.array(
        [i for i, r in enumerate(recipe_book.recipes) if not recipe_book.fractions[i].any()], dtype=np.int64
    )
    with pytest.raises(BadInputError, match="no recipe of the test part has a structure"):
        targets_of(recipe_opened, recipe_book.taken(bare), "test")


def test_a_model_without_properties_is_judged_by_structure_alone(small_run, recipe_opened):
    other = evaluate(open_beside(small_run.folder, recipe_opened, "synthesis"))
    assert WANTED not in other.known
    assert WANTED not in other.held_out
    assert MODEL in other.known


def test_a_model_that_reads_no_text_is_refused(recipe_opened):
    prismat = recipe_opened.prismat
    blind = Prismat(
        prismat.model, replace(prismat.recipe, windows=("structure", "properties")), None, prismat.shapes
    )
    with pytest.raises(BadInputError, match="this model has no text window"):
        evaluate(replace(recipe_opened, prismat=blind))
