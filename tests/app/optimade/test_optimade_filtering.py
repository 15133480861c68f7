import contextlib
import operator
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prismat.app.optimade.errors import OptimadeError
from prismat.app.optimade.filtering import MAX_DEPTH, MAX_LENGTH, matching

SIGNS = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt}


def ids(library, text):
    """Ids of the records that a filter lets pass."""
    fields = {name: field.queryable for name, field in library.fields.items()}
    found = np.flatnonzero(matching(text, library.columns, fields, len(library)))
    return {library.table["id"][row].as_py() for row in found.tolist()}


@pytest.fixture(scope="module")
def entries(library):
    """All entries as plain values, to be looked at one by one."""
    found = library.entries(np.arange(len(library)))
    return {e["id"]: {"id": e["id"], "type": e["type"], **e["attributes"]} for e in found}


CASES = [
    ('elements HAS ALL "O","Ti"', lambda a: {"O", "Ti"} <= set(a["elements"])),
    ('elements HAS ANY "Pb", "Ti"', lambda a: {"Pb", "Ti"} & set(a["elements"])),
    ('elements HAS ONLY "Pb","S","O"', lambda a: set(a["elements"]) <= {"Pb", "S", "O"}),
    ('NOT elements HAS "S"', lambda a: "S" not in a["elements"]),
    ("elements LENGTH 3", lambda a: len(a["elements"]) == 3),
    ("elements LENGTH >= 3", lambda a: len(a["elements"]) >= 3),
    ("nelements>2", lambda a: a["nelements"] > 2),
    ("3 <= nelements", lambda a: a["nelements"] >= 3),
    ("nelements != 2 AND NOT nsites > 10", lambda a: a["nelements"] != 2 and a["nsites"] <= 10),
    (
        "nelements=2 OR nelements=3 AND nsites<4",
        lambda a: a["nelements"] == 2 or (a["nelements"] == 3 and a["nsites"] < 4),
    ),
    ("(nelements=2 OR nelements=3) AND nsites<4", lambda a: a["nelements"] in (2, 3) and a["nsites"] < 4),
    ("elements_ratios HAS > 0.6", lambda a: max(a["elements_ratios"]) > 0.6),
    (
        "elements_ratios HAS ALL <0.3, >0.6",
        lambda a: min(a["elements_ratios"]) < 0.3 and max(a["elements_ratios"]) > 0.6,
    ),
    ('chemical_formula_reduced = "PbS"', lambda a: a["chemical_formula_reduced"] == "PbS"),
    (
        'chemical_formula_anonymous STARTS WITH "A2"',
        lambda a: a["chemical_formula_anonymous"].startswith("A2"),
    ),
    ('chemical_formula_hill ENDS "S"', lambda a: a["chemical_formula_hill"].endswith("S")),
    ('_prismat_title CONTAINS "sulfide"', lambda a: "sulfide" in a["_prismat_title"]),
    ('_prismat_title CONTAINS "\\"quoted\\" \\\\"', lambda a: '"quoted" \\' in a["_prismat_title"]),
    ('structure_features HAS "disorder"', lambda a: a["structure_features"] == ["disorder"]),
    ("nperiodic_dimensions = 0", lambda a: a["nperiodic_dimensions"] == 0),
    ("dimension_types HAS 1", lambda a: a["dimension_types"] == [1, 1, 1]),
    ("_prismat_density >= 5", lambda a: a["_prismat_density"] >= 5),
    ("NOT _prismat_density >= 5", lambda a: not a["_prismat_density"] >= 5),
    ("_prismat_density IS UNKNOWN", lambda a: a["_prismat_density"] is None),
    ("NOT _prismat_density IS UNKNOWN", lambda a: a["_prismat_density"] is not None),
    ("_prismat_band_gap_pbe IS KNOWN", lambda a: a["_prismat_band_gap_pbe"] is not None),
    ('last_modified > "2020-01-01T00:00:00Z"', lambda a: a["last_modified"] > "2020"),
    ('last_modified < "2020-01-01T00:00:00+02:00"', lambda a: a["last_modified"] < "2020"),
    ('type = "structures"', lambda _: True),
    ('id > "amcsd-00030"', lambda a: a["id"] > "amcsd-00030"),
    ('immutable_id = "own:w/1"', lambda a: a["immutable_id"] == "own:w/1"),
    ("space_group_it_number = 225", lambda a: a["space_group_it_number"] == 225),
    ("_exmpl_gap > 1 OR NOT _exmpl_gap > 1", lambda _: False),
    ("_exmpl_gap IS UNKNOWN", lambda _: True),
    ("assemblies IS KNOWN", lambda _: False),
]


@pytest.mark.parametrize(("text", "holds"), CASES, ids=[text for text, _ in CASES])
def test_a_filter_finds_what_a_look_at_every_entry_finds(library, entries, text, holds):
    def true(attributes):
        try:
            return bool(holds(attributes))
        except (TypeError, AttributeError):  # a comparison with null never matches
            return False

    assert ids(library, text) == {name for name, attributes in entries.items() if true(attributes)}


NUMBERS = ("nelements", "nsites", "_prismat_density", "_prismat_band_gap_pbe", "nperiodic_dimensions")
leaves = st.tuples(st.sampled_from(NUMBERS), st.sampled_from(sorted(SIGNS)), st.integers(0, 12))
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.just("NOT"), inner), st.tuples(inner, st.sampled_from(["AND", "OR"]), inner)
    ),
    max_leaves=6,
)


def write(tree):
    if tree[0] == "NOT":
        return f"NOT ({write(tree[1])})"
    if tree[1] in ("AND", "OR"):
        return f"({write(tree[0])}) {tree[1]} ({write(tree[2])})"
    return f"{tree[0]}{tree[1]}{tree[2]}"


def judge(tree, a):
    """True, False or None, as Kleene has it."""
    if tree[0] == "NOT":
        inner = judge(tree[1], a)
        return None if inner is None else not inner
    if tree[1] in ("AND", "OR"):
        both = [judge(tree[0], a), judge(tree[2], a)]
        decides = tree[1] == "OR"
        return decides if decides in both else None if None in both else not decides
    return None if a.get(tree[0]) is None else SIGNS[tree[1]](a[tree[0]], tree[2])


@given(trees)
@settings(max_examples=60)
def test_any_combination_is_judged_as_entry_by_entry(library, entries, tree):
    assert ids(library, write(tree)) == {name for name, a in entries.items() if judge(tree, a) is True}


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (400, "foo=1", "There is no property 'foo'"),
        (400, "_prismat_foo=1", "There is no property"),
        (400, "nelements=", "ends where something must follow"),
        (400, "nelements==2", "cannot be read at character 11"),
        (400, 'elements HAS "Si', "cannot be read at character 14"),
        (400, "nelements=2 nsites=3", "without AND or OR"),
        (400, 'last_modified="yesterday"', "no time as of RFC 3339"),
        (400, 'last_modified="2020-01-01"', "no time as of RFC 3339"),
        (400, "nelements=2 OR " * 400 + "nelements=1", f"more than {MAX_LENGTH}"),
        (400, "(" * 41 + "nelements=2" + ")" * 41, f"More than {MAX_DEPTH} parentheses"),
        (400, 'id="\ud800"', "surrogate"),
        (501, 'nelements="2"', "types are not converted"),
        (501, "_prismat_title=2", "quote the value"),
        (501, 'elements="Si"', "HAS ALL"),
        (501, 'nelements HAS "2"', "is no list"),
        (501, "elements HAS 2", "quote the value"),
        (501, 'nelements CONTAINS "2"', "is no string"),
        (501, "id LENGTH 2", "has no LENGTH"),
        (501, 'species_at_sites HAS "Si"', "cannot be asked for"),
        (501, "elements.name=2", "Nothing within elements"),
        (501, "elements:elements_ratios HAS 1:2", "position by position"),
        (501, "nelements=nsites", "property on both sides"),
        (501, "5<7", "Two constants"),
        (501, '"a"="b"', "Two constants"),
        (501, "nelements=TRUE", "TRUE or FALSE"),
        (501, "nelements<1e999", "beyond the numbers"),
        (501, "nelements=" + "9" * 400, "beyond the numbers"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_refusals_have_the_status_of_the_standard(library, status, text, said):
    with pytest.raises(OptimadeError, match=r"(?s)") as caught:
        ids(library, text)
    assert (caught.value.status, caught.value.parameter) == (status, "filter")
    assert said in caught.value.detail


@given(st.one_of(st.text(max_size=60), st.text(alphabet=list('()"\\ =<>!,:.-_19aeANDORHS'), max_size=60)))
def test_any_text_is_answered_or_refused(library, text):
    with contextlib.suppress(OptimadeError):
        assert ids(library, text or "nsites=1") <= set(library.rows)


@pytest.mark.parametrize(
    "text",
    ['"' * MAX_LENGTH, "\\" * MAX_LENGTH, 'id="' + '\\"' * 1990, "nelements=1 AND " * 249 + "nsites=1"],
)
def test_the_longest_filters_take_no_long_time(library, text):
    started = time.process_time()  # others may be using the processor
    with contextlib.suppress(OptimadeError):
        ids(library, text)
    assert time.process_time() - started < 5
