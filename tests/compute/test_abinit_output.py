"""Reading what Abinit wrote: recorded runs of silicon and magnesium, whole and damaged."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import helpers_compute as help_compute
from prismat.compute.abinit_output import (
    MAX_TEXT,
    Levels,
    check_convergence,
    cpu_seconds,
    parse_dos,
    parse_levels,
    read_text,
    stated_electrons,
)
from prismat.compute.failure import CalculationError

OUTPUT = help_compute.recorded("si", "run.abo").decode()
LEVELS = help_compute.recorded("si", "runo_DS2_EIG").decode()
DOS = help_compute.recorded("si", "runo_DS2_DOS").decode()


def test_recorded_runs_converged():
    assert check_convergence(OUTPUT, 2) == 6
    assert stated_electrons(OUTPUT) == 8
    assert check_convergence(help_compute.recorded("mg", "run.abo").decode(), 2) == 6
    assert stated_electrons(help_compute.recorded("mg", "run.abo").decode()) == 4
    assert cpu_seconds(help_compute.recorded("mg", "log").decode()) == 0.4


def test_a_part_too_few_or_too_many():
    for datasets in (1, 3):
        with pytest.raises(CalculationError, match="ends before"):
            check_convergence(OUTPUT, datasets)


@pytest.mark.parametrize("part", [1, 2])
def test_too_few_steps_in_either_part(part):
    """The sentence as Abinit 9.6.2 writes it with nstep 3."""
    said = (
        "\n  nstep=    3 was not enough SCF cycles to converge;\n"
        "  maximum energy difference=  2.152E-04 exceeds toldfe=  1.000E-07\n\n--- !ResultsGS"
    )
    first, second, third = OUTPUT.split("--- !ResultsGS")
    text = said.join([first, second]) + "--- !ResultsGS" + third
    if part == 2:
        text = first + "--- !ResultsGS" + said.join([second, third])
    with pytest.raises(CalculationError, match=r"2.152E-04 exceeds toldfe") as error:
        check_convergence(text, 2)
    assert error.value.kind == "unconverged"


@pytest.mark.parametrize(
    ("old", "new", "kind", "said"),
    [
        ("etot is converged", "etot is what it is", "unconverged", "does not say that the density"),
        ("Calculation completed", "Calc", "output", "ends before"),
        ("tolwfr: 1.00E-08", "tolwfr: 1.00E-12", "unconverged", "above 1.00E-12"),
        ("residm:", "other:", "unconverged", "how well the bands"),
    ],
)
def test_what_is_not_said_did_not_happen(old, new, kind, said):
    assert old in OUTPUT
    with pytest.raises(CalculationError, match=said) as error:
        check_convergence(OUTPUT.replace(old, new), 2)
    assert error.value.kind == kind


def test_absent_figures():
    with pytest.raises(CalculationError, match="how many electrons"):
        stated_electrons("nothing")
    with pytest.raises(CalculationError, match="log ends"):
        cpu_seconds("nothing")


def test_levels_of_silicon():
    levels = parse_levels(LEVELS, 11)
    assert levels.energy.shape == (4, 11)
    assert (np.diff(levels.energy, axis=1) >= 0).all()
    # Γ first: a single level, then the threefold top of the valence bands.
    assert np.ptp(levels.energy[0, 1:4]) < 1e-4
    top, bottom = levels.gap(8)
    assert top == pytest.approx(levels.energy[0, 3])
    # Indirect gap of silicon in the local density approximation: 0.5 eV, coarse as this run is.
    assert 0.3 < (bottom - top) * 27.2114 < 0.9


def test_metals_have_no_gap():
    energy = np.array([[0.0, 1.0, 2.0], [0.5, 2.5, 3.0]])
    assert Levels(energy).gap(2) == (0.5, 1.0)
    assert Levels(energy).gap(4) is None
    assert Levels(energy).gap(3) is None
    assert Levels(energy).gap(6) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not begin"),
        ("something\nelse", "does not begin"),
        (LEVELS[: len(LEVELS) - 40], "other than 11 bands"),
        (LEVELS + "  1,5\n", "among the levels"),
        (LEVELS.splitlines()[0], "other than 11 bands"),
    ],
)
def test_damaged_levels(text, said):
    with pytest.raises(CalculationError, match=said) as error:
        parse_levels(text, 11)
    assert error.value.kind == "output"


def test_dos_of_silicon():
    table = parse_dos(DOS)
    assert table.energy[1] - table.energy[0] == pytest.approx(0.001)
    assert table.states[0] == 0
    assert np.interp(table.fermi, table.energy, table.states) == pytest.approx(8, abs=1e-3)
    # All eleven bands, two electrons each.
    assert table.states[-1] == pytest.approx(22, abs=1e-2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not begin"),
        (DOS.replace("nsppol = 1", "nsppol = 2"), "does not begin"),
        (DOS[:900], "cut off"),
        (DOS[:-8], "cut off"),
        (DOS.rstrip()[:-20] + "NaN NaN NaN\n", "is none"),
        (DOS + "   -9.0 0.0 22.0\n", "is none"),
        (DOS + "   9.0 0.0 1.0\n", "is none"),
        (DOS + "   ****** 0.0 22.0\n", "among the density"),
    ],
)
def test_damaged_dos(text, said):
    with pytest.raises(CalculationError, match=said) as error:
        parse_dos(text)
    assert error.value.kind == "output"


@given(st.text(max_size=400), st.integers(0, len(DOS)))
def test_anything_else_is_refused_and_nothing_worse(text, at):
    for content in (text, DOS[:at] + text):
        for read in (parse_dos, lambda content: parse_levels(content, 11)):
            with suppress(CalculationError):
                read(content)


def test_absent_and_large_files(tmp_path):
    with pytest.raises(CalculationError, match="no file x"):
        read_text(tmp_path / "x")
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(MAX_TEXT + 1)
    with pytest.raises(CalculationError, match="larger than"):
        read_text(tmp_path / "large")
