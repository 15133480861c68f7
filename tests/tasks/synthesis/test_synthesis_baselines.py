import numpy as np
from sklearn.metrics.pairwise import nan_euclidean_distances

from prismat.tasks.synthesis.baselines import frequency, property_scores, usual_precursors, usual_scores
from prismat.tasks.synthesis.composition import composition_of
from prismat.tasks.synthesis.recipes import Recipe, RecipeBook


def book_of(*rows):
    recipes = [
        Recipe(f"{i}", target, tuple(given), (), None, None, "", "", 1)
        for i, (target, given) in enumerate(rows)
    ]
    fractions = np.stack([composition_of(target) for target, _ in rows])
    return RecipeBook(recipes, [np.array([i]) for i in range(len(rows))], fractions)


BOOK = book_of(
    ("BaTiO3", ["BaCO3", "TiO2"]),
    ("BaZrO3", ["BaCO3", "ZrO2"]),
    ("Ba2TiO4", ["BaO", "TiO2"]),
    ("BaTiO3", ["BaCO3", "TiO2"]),
    ("CaO", ["CaCO3"]),
)


def test_frequency_counts_equal_sets():
    np.testing.assert_allclose(frequency(BOOK), [1.0, 0.5, 0.5, 1.0, 0.5])


def test_the_usual_precursor_of_an_element():
    usual = usual_precursors(BOOK)
    assert (usual[56], usual[22], usual[40], usual[20]) == ("BaCO3", "TiO2", "ZrO2", "CaCO3")


def test_recipes_of_the_usual_precursors_come_first():
    scores = usual_scores(BOOK, np.stack([composition_of("Ba3ZrO5"), composition_of("O2")]))
    assert scores[0].argmax() == 1
    np.testing.assert_allclose(scores[0], [1 / 3 + 1e-6, 1 + 5e-7, 5e-7, 1 / 3 + 1e-6, 5e-7])
    # Nothing but oxygen: its own usual precursor is looked for.
    assert scores[1].max() > 0


def test_nearest_properties_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    items, queries = rng.normal(size=(20, 4)) * [1, 10, 0.1, 5], rng.normal(size=(6, 4))
    items[rng.random(items.shape) < 0.3] = np.nan
    queries[:, 0] = np.nan
    mean, spread = np.nanmean(items, axis=0), np.nanstd(items, axis=0)
    # Theirs is scaled up by all coordinates over those that are shared.
    expected = nan_euclidean_distances((queries - mean) / spread, (items - mean) / spread) / np.sqrt(4)
    found = property_scores(queries, items)
    there = np.isfinite(expected)
    np.testing.assert_allclose(found[there], -expected[there], atol=1e-9)
    assert (found[~there] == -np.inf).all()


def test_a_property_that_is_the_same_everywhere_tells_nothing():
    items = np.array([[1.0, 2.0], [1.0, 4.0]])
    np.testing.assert_allclose(property_scores(np.array([[9.0, 2.0]]), items), [[0.0, -2.0]])
