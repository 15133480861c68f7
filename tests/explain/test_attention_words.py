"""What kind of word a word is, and the steps and parts of a recipe."""

import pytest

from prismat.explain.attention.kinds import CHEMISTRY, is_kind, kinds_of
from prismat.explain.attention.steps import parts_of, step_of_words, steps_of
from prismat.explain.attention.tokens import words_of
from prismat.modalities.lexicon import Lexicon
from prismat.sources.synthesis_steps import Step
from prismat.sources.synthesis_text import compose

RECIPE = compose(
    "BaTiO3",
    ["BaCO3", "TiO2"],
    [
        Step("mix", "mill", liquids=("ethyl alcohol",), tools=("zirconia",), hours=((4.5, 4.5),)),
        Step("dry", "dry"),
        Step(
            "heat",
            "calcine",
            temperatures=((850.0, 900.0), (1000.0, 1000.0)),
            hours=((12.0, 12.0),),
            atmosphere=("O2",),
        ),
        Step("shape", "press into pellets"),
        Step("heat", "sinter", temperatures=((1350.0, 1350.0),), atmosphere=("air",)),
        Step("cool", "quench"),
    ],
)


def test_kinds_of_the_words_of_a_title():
    text = "The tetragonal structure of pyrope, Mg3Al2(SiO4)3, and of silicon at 5 GPa, space group I41/acd"
    found = dict(zip((w.text for w in words_of(text)), kinds_of(words_of(text), text), strict=True))
    assert found["tetragonal"] == "symmetry"
    assert found["I41/acd"] == "symmetry"
    assert found["Mg3Al2(SiO4)3,"] == "formula"
    assert found["silicon"] == "element"
    assert found["5"] == found["GPa,"] == "condition"
    assert found["of"] == found["The"] == "glue"
    assert found["structure"] == "other"


def test_a_lexicon_tells_minerals_that_do_not_look_like_one():
    text, lexicon = "New pyrope of Norway", Lexicon.from_names(["Pyrope"])
    assert kinds_of(words_of(text), text, lexicon)[1] == "mineral"
    assert is_kind(kinds_of(words_of(text), text, lexicon), CHEMISTRY).tolist() == [False, True, False, False]


def test_steps_of_a_recipe_as_the_template_writes_it():
    steps = steps_of(RECIPE)
    assert [s.kind for s in steps] == [
        "mixing",
        "drying",
        "heating",
        "shaping",
        "heating",
        "cooling",
        "product",
    ]
    assert steps[0].text.startswith("Mill BaCO3")
    assert steps[-1].text == "Product: BaTiO3."
    for step in steps:
        assert RECIPE[step.start : step.end].strip() == step.text


def test_parts_of_the_words_of_a_recipe():
    words, steps = words_of(RECIPE), steps_of(RECIPE)
    parts = parts_of(words, steps)
    by_part = {}
    for word, part in zip(words, parts, strict=True):
        by_part.setdefault(part, []).append(word.text.strip(".;"))
    assert by_part["operation"] == ["Mill", "dry", "calcine", "press", "sinter", "quench"]
    assert by_part["precursors"] == ["BaCO3", "TiO2"]
    assert by_part["temperature"] == ["850", "900", "1000", "°C", "1350", "°C"]
    assert by_part["time"] == ["4.5", "h", "12", "h"]
    assert by_part["atmosphere"] == ["O2", "air"]
    assert by_part["medium"] == ["ethyl", "alcohol", "zirconia"]
    assert by_part["product"] == ["Product:", "BaTiO3"]


def test_every_word_is_in_one_step():
    words, steps = words_of(RECIPE), steps_of(RECIPE)
    owner = step_of_words(words, steps)
    assert owner == sorted(owner)
    assert set(owner) == set(range(len(steps)))
    for word, number in zip(words, owner, strict=True):
        assert word.text in steps[number].text


@pytest.mark.parametrize("text", ["garnet", "mix; dry; calcine at 3.5 °C", "a. b", "Product: NaCl"])
def test_any_text_has_steps(text):
    words = words_of(text)
    steps = steps_of(text)
    assert len(step_of_words(words, steps)) == len(words)
    assert "".join(s.text for s in steps).replace(" ", "") == text.replace(" ", "")
