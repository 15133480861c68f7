"""The binary density of recorded runs, and files that are none."""

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import helpers_compute as help_compute
from prismat.compute import abinit_density
from prismat.compute.abinit_density import read_density
from prismat.compute.failure import CalculationError

SILICON = help_compute.recorded("si", "runo_DS1_DEN")


@pytest.mark.parametrize(("name", "electrons"), [("si", 8), ("mg", 4)])
def test_recorded_densities(tmp_path, name, electrons):
    path = tmp_path / "density"
    path.write_bytes(help_compute.recorded(name, "runo_DS1_DEN"))
    density = read_density(path)
    assert density.kind == "valence"
    np.testing.assert_allclose(density.lattice, help_compute.CRYSTALS[name].lattice, atol=1e-6)
    assert density.electrons == pytest.approx(electrons, abs=1e-6)
    assert density.values.min() > 0


def test_axes_are_in_order(tmp_path):
    """Magnesium's grid is longer along c, and the density repeats after the 6₃ screw: a mirror at z = 1/4."""
    path = tmp_path / "density"
    path.write_bytes(help_compute.recorded("mg", "runo_DS1_DEN"))
    values = read_density(path).values
    nx, ny, nz = values.shape
    assert nx == ny < nz
    mirrored = values[:, :, (nz // 2 - np.arange(nz)) % nz]
    np.testing.assert_allclose(values, mirrored, atol=1e-6)
    assert not np.allclose(values, np.roll(values, nz // 2, axis=2), atol=1e-3)


def test_silicon_has_bonds(tmp_path):
    """The density in the middle of the bond (1/8, 1/8, 1/8) is the largest: about 0.09 e/bohr³."""
    path = tmp_path / "density"
    path.write_bytes(SILICON)
    values = read_density(path).values
    n = values.shape[0]
    middle = values[round(n / 8), round(n / 8), round(n / 8)]
    assert middle > 0.9 * values.max()
    assert 0.4 < middle < 0.75  # e/Å³; 0.6 is known


def records(content):
    found, at = [], 0
    while at < len(content):
        (size,) = struct.unpack_from("<i", content, at)
        found.append(content[at + 4 : at + 4 + size])
        at += size + 8
    return found


def written(parts):
    return b"".join(struct.pack("<i", len(p)) + p + struct.pack("<i", len(p)) for p in parts)


def changed(number, offset, form, value):
    parts = [bytearray(p) for p in records(SILICON)]
    struct.pack_into(form, parts[number], offset, value)
    return written(parts)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "without a header"),
        (b"\x00" * 7, "cut off"),
        (SILICON[: len(SILICON) // 2], "cut off"),
        (SILICON[:-2], "cut off"),
        (b"HDF" + SILICON, "cut off"),
        (written(records(SILICON)[:-1]), "another number of points"),
        (changed(0, 8, "<i", 3), "of format 3"),
        (changed(0, 12, "<i", 1), "content 1"),
        (changed(1, 9 * 4, "<i", 2), "2 spins"),
        (changed(1, 5 * 4, "<i", -4), "a density on -4"),
        (changed(1, 5 * 4, "<i", 20), "another number of points"),
        (changed(-1, 80, "<d", float("nan")), "not finite"),
    ],
)
def test_refuses_other_files(tmp_path, content, said):
    path = tmp_path / "density"
    path.write_bytes(content)
    with pytest.raises(CalculationError, match=said) as error:
        read_density(path)
    assert error.value.kind == "output"


def test_absent_and_large_files(tmp_path, monkeypatch):
    with pytest.raises(CalculationError, match="no file x"):
        read_density(tmp_path / "x")
    monkeypatch.setattr(abinit_density, "MAX_BYTES", 10)
    (tmp_path / "x").write_bytes(SILICON)
    with pytest.raises(CalculationError, match="larger than"):
        read_density(tmp_path / "x")


@given(data=st.binary(max_size=300), at=st.integers(0, 600))
def test_any_bytes_are_refused_or_read(tmp_path_factory, data, at):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(SILICON[:at] + data + SILICON[at + len(data) :])
    with suppress(CalculationError):
        assert np.isfinite(read_density(path).values).all()
