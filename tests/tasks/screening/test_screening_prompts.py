import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismat.api import Prismat
from prismat.errors import BadInputError
from prismat.model import JointModel
from prismat.tasks.screening.prompts import (
    ALONE,
    CLASP_WORDS,
    FOREIGN,
    WORD_SETS,
    PromptConfig,
    check_windows,
    prompts_for,
    query_vectors,
    variations_of,
)


def test_clasp_has_six_words_and_ours():
    assert list(CLASP_WORDS) == [
        *("ferromagnetic", "ferroelectric", "semiconductor"),
        *("electroluminescence", "thermoelectric", "superconductor"),
    ]
    forms = {form for words in WORD_SETS.values() for others in words.values() for form in others}
    assert forms >= FOREIGN


def test_a_word_alone_is_one_prompt():
    assert prompts_for("  Superconductor ", ALONE) == ("Superconductor",)


def test_variations_are_asked_in_english_or_in_all_languages():
    english = prompts_for("superconductor", PromptConfig("english", ("{}",)))
    assert english[0] == "superconductor"
    assert {"superconductivity", "superconductive"} < set(english)
    assert "supraleiter" not in english
    everything = prompts_for("superconductor", PromptConfig("all", ("{}",)))
    assert set(everything) - set(english) == {"supraleiter", "supraleitend", "supraconducteur"}


@pytest.mark.parametrize("asked", ["Narrow bandgap", "narrow-bandgap material", "NARROW-BANDGAP  MATERIAL"])
def test_a_form_of_a_known_word_has_the_others(asked):
    others = variations_of(asked)
    assert "small band gap" in others
    assert len({"narrow-bandgap material", "narrow bandgap"} & set(others)) == 1


def test_an_unknown_phrase_has_templates_alone():
    assert variations_of("blue flowers on Mars") == ()
    assert prompts_for("blue flowers", PromptConfig(templates=("{}", "a {} crystal"))) == (
        "blue flowers",
        "a blue flowers crystal",
    )


def test_own_prompts_stand_in_place_of_all_others():
    config = PromptConfig(own=("solid with {}", "no place here", "solid with {}"))
    assert prompts_for("narrow gaps", config) == ("solid with narrow gaps", "no place here")


@given(st.text())
def test_any_query_gives_prompts_or_is_refused(query):
    if any(c.isalpha() for c in query):
        found = prompts_for(query)
        assert len(set(found)) == len(found) >= 1
    else:
        with pytest.raises(BadInputError, match="has no word"):
            prompts_for(query)


def test_bad_prompts_are_refused():
    with pytest.raises(BadInputError, match="has no place for the query"):
        prompts_for("garnet", PromptConfig(templates=("mineral",)))
    with pytest.raises(BadInputError, match="the prompt '123' has no word"):
        prompts_for("garnet", PromptConfig(own=("123",)))


def test_the_mean_of_prompts_lies_on_the_sphere(small_run):
    prismat = small_run.trained.prismat
    prompts = [("magnesium oxide", "oxide of magnesium"), ("spinel",)]
    found = query_vectors(prismat, prompts)
    alone = prismat.embed(texts=["magnesium oxide", "oxide of magnesium", "spinel"])["text@structure"]
    mean = alone[:2].mean(axis=0)
    np.testing.assert_allclose(found[0], mean / np.linalg.norm(mean), atol=1e-5)
    np.testing.assert_allclose(found[1], alone[2], atol=1e-5)
    # A mean of unit vectors ranks as the mean of the cosines does.
    others = np.random.default_rng(0).normal(size=(40, found.shape[1]))
    np.testing.assert_array_equal(
        np.argsort(others @ found[0]), np.argsort((others @ alone[:2].T).mean(axis=1))
    )
    with pytest.raises(BadInputError, match="a query without a prompt"):
        query_vectors(prismat, [("spinel",), ()])


def test_a_model_without_text_is_refused(small_run):
    from dataclasses import replace

    trained = small_run.trained.prismat
    recipe = replace(trained.recipe, windows=("structure", "xrd"))
    encoders = {w: trained.model.encoders[w] for w in recipe.windows}
    poor = Prismat(JointModel(encoders, recipe.projection), recipe, None, trained.shapes)
    with pytest.raises(BadInputError, match="this model has no text window"):
        check_windows(poor)
