import pytest

from prismat.texts.narratives import check_narrative, narrative_input
from prismat.texts.prompts import MalformedAnswerError

FACTS = narrative_input(
    "NaCl is cubic. Its density is 2.16 g/cm³. Na is bonded to six Cl at 2.82 Å.",
    [{"name": "band_gap", "value": 5.0123, "unit": "eV"}, {"name": "factor", "value": 2.0, "unit": ""}],
)
GOOD = (
    "Sodium chloride is a cubic compound whose atoms form a three-dimensional framework of octahedra. Each "
    "sodium atom has six chlorine neighbours at 2.82 Å, and the density of the crystal is 2.2 g/cm³. Its "
    "band gap of 5.01 eV makes it an insulator."
)


def test_facts_hold_properties_with_units():
    assert FACTS.splitlines()[1:] == ["band gap: 5.012 eV", "factor: 2"]


def test_a_good_paragraph():
    assert check_narrative(f"\n{GOOD}\n ", FACTS) == GOOD


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("", "0 words"),
        ("It is salt.", "3 words"),
        (f"{GOOD} " * 12, "words, of 30 to 300"),
        ("I'm sorry, but I cannot help with that. " + GOOD, "refusal"),
        ("As a large language model, " + GOOD, "refusal"),
        (f"# Salt\n{GOOD}", "marked up"),
        (GOOD.replace("5.01", "5.73"), "states 5.73"),
        (GOOD.replace("2.2 g", "2.3 g"), r"states 2\.3"),
    ],
)
def test_malformed(answer, problem):
    with pytest.raises(MalformedAnswerError, match=problem):
        check_narrative(answer, FACTS)
