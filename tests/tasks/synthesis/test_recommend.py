import numpy as np
import pytest

import helpers_small as small
from prismat.errors import BadInputError
from prismat.material import Property
from prismat.tasks.synthesis.index import COMPOSITION, open_recipes
from prismat.tasks.synthesis.recommend import SAME, Recommender, Wish


def test_a_structure_is_compared_with_the_words_of_recipes(recommender, recipe_opened, recipe_book):
    crystal = small.crystal("perovskite_Ba-Ti-O")
    found = recommender.recommend(Wish(structure=crystal, k=5)).found
    key = recipe_opened.prismat.key("text", "structure")
    query = recipe_opened.prismat.embed(structures=[crystal])[recipe_opened.prismat.key("structure", "text")][
        0
    ]
    cosine = recommender.recipes.index.vectors[key] @ query
    best = np.argsort(-cosine, kind="stable")[:5]
    assert [one.recipe.id for one in found] == [recipe_book.recipes[i].id for i in best]
    np.testing.assert_allclose([one.score for one in found], cosine[best], atol=1e-6)
    assert all(set(one.scores) == {"structure"} for one in found)


def test_the_composition_counts_by_its_weight(recommender):
    crystal = small.crystal("perovskite_Ba-Ti-O")
    found = recommender.recommend(
        Wish(structure=crystal, weights={"structure": 0.25, COMPOSITION: 0.75}, k=3)
    )
    best = found.found[0]
    assert best.score == pytest.approx(0.25 * best.scores["structure"] + 0.75 * best.scores[COMPOSITION])
    alone = recommender.recommend(Wish(structure=crystal, weights={"structure": 0.0, COMPOSITION: 1.0}, k=1))
    assert alone.found[0].recipe.target == "BaTiO3"
    assert alone.found[0].likeness == pytest.approx(1.0, abs=1e-6)


def test_the_target_itself_can_be_left_out(recommender):
    wish = Wish(structure=small.crystal("perovskite_Ba-Ti-O"), weights={COMPOSITION: 5.0}, k=4)
    with_it = recommender.recommend(wish)
    without = recommender.recommend(Wish(**{**vars(wish), "leave_out_target": True}))
    assert with_it.found[0].likeness >= SAME
    assert len(without.found) == 4
    assert all(one.likeness < SAME for one in without.found)


def test_a_formula_is_looked_up_as_a_structure(recommender):
    by_formula = recommender.recommend(Wish(formula="BaTiO3", k=5))
    by_structure = recommender.recommend(Wish(structure=small.crystal("perovskite_Ba-Ti-O"), k=5))
    assert "of that formula" in by_formula.basis
    assert [one.recipe.id for one in by_formula.found] == [one.recipe.id for one in by_structure.found]


def test_a_formula_without_a_structure_goes_by_composition_and_says_so(recommender):
    found = recommender.recommend(Wish(formula="LiCoO2", k=1))
    assert "the composition alone, for no structure of that formula is in the store" in found.basis
    assert found.found[0].recipe.id == "bare0"
    assert set(found.found[0].scores) == {COMPOSITION}


def test_properties_and_words_find_recipes(recommender):
    wanted = {"gap": Property(1200.0, "meV")}
    by_properties = recommender.recommend(Wish(properties=wanted, k=3)).found
    assert all(set(one.scores) == {"properties"} and one.likeness is None for one in by_properties)
    words = recommender.recommend(Wish(text="calcine BaCO3 and TiO", k=3))
    assert all(set(one.scores) == {"text"} for one in words.found)
    both = recommender.recommend(Wish(properties=wanted, formula="BaTiO3", k=3))
    assert len(both.found) == 3


def test_the_index_is_kept(recommender, recipe_opened, recipe_store, tmp_path):
    first = open_recipes(recipe_opened.prismat, recipe_store, tmp_path)
    (folder,) = tmp_path.iterdir()
    made = (folder / "index.json").stat().st_mtime_ns
    again = open_recipes(recipe_opened.prismat, recipe_store, tmp_path)
    assert (folder / "index.json").stat().st_mtime_ns == made
    np.testing.assert_array_equal(first.index.vectors[COMPOSITION], again.index.vectors[COMPOSITION])


@pytest.mark.parametrize(
    ("wish", "problem"),
    [
        (Wish(), "nothing is asked for"),
        (Wish(formula="no formula"), "cannot read the formula"),
        (Wish(formula="BaTiO3", k=0), "k is 0"),
        (Wish(properties={"colour": Property(1.0, "eV")}), "knows no property 'colour'"),
        (Wish(properties={"gap": Property(1.0, "GPa")}), "GPa"),
        (Wish(text="sol-gel", leave_out_target=True), "no target to leave out"),
        (Wish(text="sol-gel", weights={"smell": 1.0}), "weight 1.0 for 'smell'"),
        (Wish(text="sol-gel", weights={"text": -1.0}), "weight -1.0 for 'text'"),
        (Wish(text="sol-gel", weights={"text": 0.0}), "every part has weight 0"),
    ],
    ids=range(9),
)
def test_what_cannot_be_answered(recommender, wish, problem):
    with pytest.raises(BadInputError, match=problem):
        recommender.recommend(wish)


def test_a_structure_and_a_formula_are_one_too_many(recommender):
    wish = Wish(structure=small.crystal("perovskite_Ba-Ti-O"), formula="BaTiO3")
    with pytest.raises(BadInputError, match="a structure and a formula"):
        recommender.recommend(wish)


def test_a_model_without_the_window_is_refused(small_run, recipe_store, tmp_path):
    other = Recommender(small_run.trained.prismat, recipe_store, tmp_path)
    with pytest.raises(BadInputError, match="this model has no properties window"):
        other.recommend(Wish(properties={"gap": Property(1.0, "eV")}))


def test_a_store_without_recipes_is_refused(recipe_opened, small_store, tmp_path):
    with pytest.raises(BadInputError, match="no record has a recipe"):
        Recommender(recipe_opened.prismat, small_store, tmp_path)
