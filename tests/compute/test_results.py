"""Results on disk: written whole, read back, and refused when they were changed."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import helpers_compute as help_compute
from prismat.compute.calculation import Computed
from prismat.compute.results import (
    FAILURES,
    Failure,
    append_failure,
    file_name,
    mend_failures,
    read_facts,
    read_failures,
    read_measurements,
    result_path,
    write_result,
)
from prismat.errors import BadInputError
from prismat.measurements import ChargeDensity, Dos

DOS = Dos(np.linspace(-10, 5, 40), np.linspace(0, 2, 40), zero="fermi", n_atoms=2)
DENSITY = ChargeDensity(
    np.random.default_rng(0).uniform(0, 1, (4, 5, 6)), help_compute.SILICON.lattice, "valence"
)


def write(folder, id_="x", dos=DOS, density=DENSITY):
    computed = Computed(dos, density, {"method": "by hand", "seconds": 1.0, "attempts": 1})
    write_result(folder, id_, help_compute.SILICON, computed, "settings")


def test_round_trip(tmp_path):
    write(tmp_path)
    facts = read_facts(tmp_path)["x"]
    assert (facts["formula"], facts["n_atoms"], facts["method"]) == ("Si", 2, "by hand")
    found = read_measurements(tmp_path, facts)
    np.testing.assert_array_equal(found["dos"].energy, DOS.energy)
    np.testing.assert_array_equal(found["dos"].density, DOS.density)
    assert (found["dos"].zero, found["dos"].n_atoms) == ("fermi", 2)
    np.testing.assert_allclose(found["charge_density"].values, DENSITY.values, rtol=1e-6)
    np.testing.assert_array_equal(found["charge_density"].lattice, DENSITY.lattice)
    assert found["charge_density"].kind == "valence"


@pytest.mark.parametrize(
    ("dos", "density", "windows"), [(DOS, None, {"dos"}), (None, DENSITY, {"charge_density"})]
)
def test_one_quantity_alone(tmp_path, dos, density, windows):
    write(tmp_path, dos=dos, density=density)
    assert set(read_measurements(tmp_path, read_facts(tmp_path)["x"])) == windows


@given(st.text(min_size=1, max_size=300))
def test_any_id_makes_a_harmless_file_name(id_):
    name = file_name(id_)
    assert len(name) < 100
    assert name == Path(name).name
    assert name.isascii()
    assert not name.startswith(".")


def test_ids_that_look_alike_have_files_of_their_own(tmp_path):
    for id_ in ("../../etc/passwd", "......etc.passwd", "a/b", "a_b", "A_b"):
        write(tmp_path, id_)
    assert len(read_facts(tmp_path)) == 5
    assert {p.parent for p in tmp_path.rglob("*.npz")} == {tmp_path / "results"}


def test_without_the_json_there_is_no_result(tmp_path):
    """The JSON file comes last: a kill before it leaves nothing that counts."""
    write(tmp_path)
    result_path(tmp_path, "x").unlink()
    assert read_facts(tmp_path) == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "another content"),
        (lambda path: path.unlink(), "cannot be used"),
    ],
)
def test_changed_arrays_are_refused(tmp_path, change, said):
    write(tmp_path)
    facts = read_facts(tmp_path)["x"]
    change(result_path(tmp_path, "x").with_suffix(".npz"))
    with pytest.raises(BadInputError, match=said):
        read_measurements(tmp_path, facts)


def test_pickled_arrays_are_refused(tmp_path):
    from prismat.files import sha256

    write(tmp_path)
    path = result_path(tmp_path, "x").with_suffix(".npz")
    np.savez(path, density=np.array([{"evil": 1}], dtype=object))
    with pytest.raises(BadInputError, match="cannot be used"):
        read_measurements(tmp_path, read_facts(tmp_path)["x"] | {"sha256": sha256(path)})


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: "{",
        lambda facts: "[]",
        lambda facts: json.dumps({**facts, "id": "y"}),
        lambda facts: json.dumps({**facts, "volume_a3": "much"}),
        lambda facts: json.dumps({**facts, "n_atoms": 0}),
        lambda facts: json.dumps({**facts, "method": 3}),
        lambda facts: json.dumps({k: v for k, v in facts.items() if k != "sha256"}),
    ],
)
def test_other_json_files_are_refused(tmp_path, change):
    write(tmp_path)
    path = result_path(tmp_path, "x")
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises(BadInputError, match=r"not a result .*prismat compute"):
        read_facts(tmp_path)


def failure(id_, reason="for a reason"):
    return Failure(id_, "crash", reason, 1.5, "2026-01-01T00:00:00+00:00")


def test_failures_are_those_without_a_result(tmp_path):
    assert read_failures(tmp_path) == {}
    append_failure(tmp_path, failure("x", "first"))
    append_failure(tmp_path, failure("y"))
    append_failure(tmp_path, failure("x", "second “Å”"))
    assert read_failures(tmp_path)["x"].reason == "second “Å”"
    write(tmp_path)
    assert set(read_failures(tmp_path)) == {"y"}


@pytest.mark.parametrize("cut", range(1, 40, 6))
def test_a_line_that_was_cut_off_is_dropped(tmp_path, cut):
    append_failure(tmp_path, failure("x"))
    append_failure(tmp_path, failure("y"))
    path = tmp_path / FAILURES
    path.write_bytes(path.read_bytes()[:-cut])
    mend_failures(tmp_path)
    append_failure(tmp_path, failure("z"))
    assert set(read_failures(tmp_path)) == ({"x", "y", "z"} if cut == 1 else {"x", "z"})
    mend_failures(tmp_path / "nowhere")
