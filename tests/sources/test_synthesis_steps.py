import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismat.errors import BadInputError
from prismat.sources.synthesis_steps import read_steps


def amount(unit, *values, low=None, high=None):
    return [{"values": list(values), "min_value": low, "max_value": high or max(values), "units": unit}]


def operation(token, type_="HeatingOperation", **conditions):
    return {"token": token, "type": type_, "conditions": conditions}


def only(found):
    (step,) = read_steps([found])
    return step


@pytest.mark.parametrize(
    ("token", "type_", "verb", "again"),
    [
        ("calcined", "HeatingOperation", "calcine", False),
        ("Calcination", "HeatingOperation", "calcine", False),
        ("re-sintered", "HeatingOperation", "sinter", True),
        ("reheated", "HeatingOperation", "heat", True),
        ("preheated", "HeatingOperation", "preheat", False),
        ("pre-fired", "HeatingOperation", "prefire", False),
        ("reacted", "HeatingOperation", "heat", False),
        ("fired", "HeatingOperation", "fire", False),
        ("reground", "Mixing", "grind", True),
        ("ballmilled", "LiquidGrinding", "mill", False),
        ("done", "LiquidGrinding", "mix", False),
        ("pelletized", "ShapingOperation", "press into pellets", False),
        ("dried", "DryingOperation", "dry", False),
        ("quenched", "QuenchingOperation", "quench", False),
        ("dissolved", "SolutionMixing", "dissolve", False),
        ("washed", "Purification", "wash", False),
    ],
)
def test_verbs(token, type_, verb, again):
    step = only(operation(token, type_))
    assert (step.verb, step.again) == (verb, again)


def test_what_has_no_verb_is_left_out():
    assert read_steps([operation("obtained", "StartingSynthesis"), {"type": "Unknown"}]) == ()


@pytest.mark.parametrize(
    ("unit", "given", "celsius"),
    [("C", 900, 900), ("°C", 900, 900), ("K", 1173.15, 900), ("F", 1652, 900), ("K", 4, -269.1)],
)
def test_temperatures_become_celsius(unit, given, celsius):
    step = only(operation("heated", heating_temperature=amount(unit, given)))
    assert step.temperatures == ((pytest.approx(celsius, abs=0.06),) * 2,)


@pytest.mark.parametrize(
    ("unit", "given", "hours"),
    [
        ("h", 12, 12),
        ("hours", 12, 12),
        ("min", 30, 0.5),
        ("minutes", 6, 0.1),
        ("days", 2, 48),
        ("s", 36, 0.01),
        ("weeks", 1, 168),
    ],
)
def test_times_become_hours(unit, given, hours):
    assert only(operation("heated", heating_time=amount(unit, given))).hours == ((hours, hours),)


def test_ranges_stay_ranges_and_values_stay_values():
    found = [*amount("C", low=800.0, high=900.0), *amount("C", 950.0, 700.0, low=700.0), *amount("C", 950.0)]
    step = only(operation("heated", heating_temperature=found))
    assert step.temperatures == ((800.0, 900.0), (950.0, 950.0), (700.0, 700.0))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("heating_temperature", amount("C", 4720.0)),
        ("heating_temperature", amount("C", -300.0)),
        ("heating_temperature", amount("GPa", 5.0)),
        ("heating_temperature", [{"values": ["hot"], "units": "C"}]),
        ("heating_temperature", [{"values": [], "min_value": None, "max_value": None, "units": "C"}]),
        ("heating_temperature", [{"values": [float("nan")], "units": "C"}]),
        ("heating_temperature", ["900 C"]),
        ("heating_temperature", 900),
        ("heating_time", amount("h", 0.0)),
        ("heating_time", amount("h", 1e6)),
        ("heating_time", amount("moons", 1.0)),
    ],
)
def test_what_cannot_be_is_left_out(name, found):
    step = only(operation("heated", **{name: found}))
    assert (step.temperatures, step.hours) == ((), ())


def test_words_of_the_solution_data_set():
    step = only(
        {
            "string": "Stirred",
            "type": "Mixing",
            "conditions": {
                "temperature": amount("K", 373.15),
                "time": amount("min", 90),
                "atmosphere": "Air",
                "mixing_media": "Ethanol",
                "mixing_device": None,
            },
        }
    )
    assert (step.verb, step.temperatures, step.hours) == ("stir", ((100.0, 100.0),), ((1.5, 1.5),))
    assert (step.atmosphere, step.liquids, step.tools) == (("air",), ("ethanol",), ())


def test_liquids_and_tools_are_told_apart():
    step = only(
        operation(
            "milled", mixing_media=["alcohol", "ethyl", "zirconia"], mixing_device=["agate", "zirconia"]
        )
    )
    assert (step.liquids, step.tools) == (("ethyl alcohol",), ("zirconia", "agate"))
    assert only(operation("heated", heating_atmosphere=["PbO", "Air"])).atmosphere == ("PbO", "air")


@pytest.mark.parametrize("operations", ["heat", 5, [5], ["heat"]])
def test_what_is_no_list_of_operations(operations):
    with pytest.raises(BadInputError, match="operations"):
        read_steps(operations)


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=6)
    | st.sampled_from(["C", "h"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["values", "units", "min_value", "max_value", "time", "temperature"]), inner
        )
    ),
    max_leaves=10,
)


@given(
    st.fixed_dictionaries(
        {"type": ANY, "token": ANY},
        optional={
            "conditions": st.dictionaries(
                st.sampled_from(["heating_time", "temperature", "mixing_media"]), ANY
            )
        },
    )
)
def test_any_operation_gives_a_step_with_numbers_that_can_be(found):
    for step in read_steps([found]):
        assert step.verb
        assert all(-273.15 <= low <= high <= 3000 for low, high in step.temperatures)
        assert all(0 < low <= high <= 10_000 for low, high in step.hours)
