import numpy as np
import pytest

import helpers_synthesis as made
from prismat.errors import BadInputError
from prismat.tasks.synthesis.recipes import read_book, steps_of


def test_one_article_and_target_is_one_recipe(recipe_book):
    first = recipe_book.recipes[0]
    assert (first.id, first.variants, len(recipe_book.rows[0])) == ("r0", 2, 2)
    assert len(recipe_book) == len(made.recipes()) - 1
    assert sorted(np.concatenate(recipe_book.rows).tolist()) == list(range(len(made.recipes())))


def test_what_a_recipe_holds(recipe_book):
    found = next(recipe for recipe in recipe_book.recipes if recipe.id == "bare2")
    assert (found.target, found.precursors) == ("CaTiO2", ("CaCO3", "TiO"))
    assert found.steps == ("Mix CaCO3 and TiO", "calcine at 620 °C for 4 h")
    assert (found.temperature, found.hours, found.doi, found.structure) == (620.0, 4.0, "10.3/2", "")


def test_a_target_without_a_structure_has_its_composition(recipe_book):
    row = next(i for i, recipe in enumerate(recipe_book.recipes) if recipe.id == "bare2")
    assert {int(z): round(float(x), 3) for z, x in enumerate(recipe_book.fractions[row]) if x} == {
        8: 0.5,
        20: 0.25,
        22: 0.25,
    }


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("Mix A and B; fire at 900 °C. Product: C (x = 1; y = 2).", ("Mix A and B", "fire at 900 °C")),
        ("Product: C.", ()),
        ("Mix A.\nMix B. Product: C.", ("Mix A",)),
    ],
)
def test_operations_of_a_text(text, steps):
    assert steps_of(text) == steps


def test_merged_vectors_are_mean_directions(recipe_book):
    vectors = np.zeros((len(made.recipes()), 2), dtype=np.float32)
    vectors[:, 0] = 2.0
    vectors[recipe_book.rows[0][1]] = [0.0, 2.0]
    found = recipe_book.merged(vectors)
    np.testing.assert_allclose(found[0], np.sqrt([0.5, 0.5]), atol=1e-6)
    np.testing.assert_allclose(found[1], [1.0, 0.0])


def test_a_store_without_recipes_is_refused(small_store):
    with pytest.raises(BadInputError, match="no record has a recipe") as found:
        read_book(small_store)
    assert "prismat prepare synthesis" in str(found.value)
