import pytest

from prismat.sources.synthesis_steps import Step
from prismat.sources.synthesis_text import compose, listed

HEAT = Step("heat", "calcine", temperatures=((900.0, 900.0),), hours=((12.0, 12.0),), atmosphere=("air",))


def test_a_recipe_in_words():
    steps = (
        Step("mix", "mill", liquids=("ethanol",), tools=("zirconia", "agate")),
        HEAT,
        Step("mix", "grind", again=True),
        Step("shape", "press"),
        Step("heat", "sinter", temperatures=((1200.0, 1350.5),), hours=((2.0, 2.0), (0.5, 0.5))),
    )
    assert compose("BaTiO3", ["BaCO3", "TiO2"], steps) == (
        "Mill BaCO3 and TiO2 in ethanol using zirconia and agate; calcine at 900 °C for 12 h in air; "
        "grind again; press; sinter at 1200 to 1350.5 °C for 2 and 0.5 h. Product: BaTiO3."
    )


def test_without_mixing_the_precursors_come_first():
    assert compose("AB", ["A", "B", "C"], (HEAT,)).startswith("React A, B and C; calcine at 900 °C")
    assert compose("AB", ["A", "B"], ()) == "React A and B. Product: AB."


def test_drying_before_mixing_stays_first():
    steps = (Step("dry", "dry", temperatures=((100.0, 100.0),)), Step("mix", "grind"))
    assert compose("AB", ["A", "B"], steps, name_target=False) == "Dry at 100 °C; grind A and B."


def test_repeats_are_told_once():
    mix, again = Step("mix", "mix"), Step("mix", "mix", again=True)
    assert compose("A", ["B"], (mix, mix, mix, again), name_target=False) == "Mix B; mix again."
    assert compose("A", ["B"], (HEAT, HEAT), name_target=False).count("calcine") == 2


def test_variables_are_told_with_the_product():
    told = compose("La1-xSrxMO3", ["A"], (), {"x": ["0.1", "0.2"], "M": ["Co", "Fe"], "y": []})
    assert told.endswith("Product: La1-xSrxMO3 (x = 0.1, 0.2; M = Co, Fe).")


@pytest.mark.parametrize(
    ("words", "text"), [((), ""), (("a",), "a"), (("a", "b"), "a and b"), (("a", "b", "c"), "a, b and c")]
)
def test_lists(words, text):
    assert listed(words) == text
