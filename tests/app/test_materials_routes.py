import numpy as np
import pytest
from helpers_problems import problem_of

from prismat.app.densities import density_of_states
from prismat.app.patterns import broadened
from prismat.formats import read_crystal
from prismat.modalities.xrd import powder_lines


def test_a_material_has_all_that_the_store_knows(api, served, some_id):
    found = api.get(f"/v1/materials/{some_id}")
    assert found.status_code == 200, found.text
    found, row = found.json(), served.rows[some_id]
    record = served.store.table.slice(row, 1).to_pylist()[0]
    assert found["formula"] == record["formula"]
    assert found["texts"] == dict(record["texts"])
    assert found["provenance"] == dict(record["provenance"])
    assert found["lattice"]["a"] == pytest.approx(record["cell"][0], abs=1e-5)
    assert found["has"] == {
        "structure": True,
        "dos": False,
        "phonon_dos": False,
        "charge_density": False,
        "image": False,
    }
    assert found["map"] is None
    assert "score" not in found


def test_the_volume_is_that_of_the_conventional_cell(api, served, some_id):
    lattice = api.get(f"/v1/materials/{some_id}").json()["lattice"]
    volume = served.store.crystals(np.array([served.rows[some_id]]))[0].volume
    assert round(lattice["volume"] / volume, 3) in (1, 2, 3, 4)


def test_the_structure_is_a_cif_that_is_read_back(api, served, some_id):
    found = api.get(f"/v1/materials/{some_id}/structure.cif")
    assert found.headers["content-type"] == "chemical/x-cif"
    assert "content-disposition" not in found.headers
    crystal = served.store.crystals(np.array([served.rows[some_id]]))[0]
    again = read_crystal(found.text)
    np.testing.assert_allclose(
        again.lattice @ again.lattice.T, crystal.lattice @ crystal.lattice.T, atol=1e-6
    )
    kept = api.get(f"/v1/materials/{some_id}/structure.cif?download=1").headers["content-disposition"]
    assert kept.startswith("attachment; filename=")
    assert kept.endswith('.cif"')


def test_the_pattern_has_the_lines_of_the_crystal(api, served, some_id):
    found = api.get(f"/v1/materials/{some_id}/pattern").json()
    lines = powder_lines(served.store.crystals(np.array([served.rows[some_id]]))[0])
    strong = lines.intensity >= 0.1
    assert [p["two_theta"] for p in found["peaks"]] == pytest.approx(
        lines.two_theta[strong].tolist(), abs=1e-4
    )
    assert [p["intensity"] for p in found["peaks"]] == pytest.approx(
        lines.intensity[strong].tolist(), abs=1e-3
    )
    assert max(found["intensity"]) == 100
    assert len(found["two_theta"]) == len(found["intensity"]) == 4251


@pytest.mark.parametrize("wavelength", ["0", "11", "nan", "x"])
def test_a_wavelength_that_cannot_be(api, some_id, wavelength):
    problem_of(api.get(f"/v1/materials/{some_id}/pattern?wavelength={wavelength}"), 422, "wavelength")


def test_a_pattern_without_reflections_is_told(api, some_id):
    problem_of(api.get(f"/v1/materials/{some_id}/pattern?wavelength=10"), 422, "no reflection".capitalize())


def test_like_materials_come_without_the_material_itself(api, served, some_id):
    found = api.get(f"/v1/materials/{some_id}/similar?k=5").json()
    ids = [hit["id"] for hit in found["hits"]]
    assert len(ids) == 5
    assert some_id not in ids
    problem_of(api.get(f"/v1/materials/{some_id}/similar?k=5000"), 422, "k")


def test_a_measured_pattern_is_laid_over(api, served, some_id):
    lines, grid = (
        powder_lines(served.store.crystals(np.array([served.rows[some_id]]))[0]),
        np.arange(10, 89, 0.02),
    )
    xrd = {
        "two_theta": grid.tolist(),
        "intensity": broadened(grid, lines.two_theta, lines.intensity).tolist(),
    }
    found = api.post(f"/v1/materials/{some_id}/match", json={"xrd": xrd})
    assert found.status_code == 200, found.text
    found = found.json()
    assert found["matched_share"]["simulated"] > 0.95
    assert found["matched_share"]["measured"] > 0.95
    assert found["simulated"]["wavelength"] == 1.54184
    assert abs(found["offset"]) < 0.02


@pytest.mark.parametrize(
    ("xrd", "words"),
    [
        ({"two_theta": [10, 20], "intensity": [1, 2, 3]}, "2 angles but 3 intensities"),
        ({"two_theta": [20, 10], "intensity": [1, 2]}, "powder pattern"),
        ({"two_theta": [10.0, 10.5], "intensity": [1, 2]}, "more than one degree"),
        ({"two_theta": [10, 40, 80], "intensity": [1, 1, 1]}, "No peak stands out"),
        ({"two_theta": [10], "intensity": [1]}, "xrd.two_theta"),
        ({"two_theta": [10, 20], "intensity": [1, 2], "wavelength": 99}, "xrd.wavelength"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_pattern_that_is_none_is_told_why(api, some_id, xrd, words):
    problem_of(api.post(f"/v1/materials/{some_id}/match", json={"xrd": xrd}), 422, words)


PLACES = ("", "/structure.cif", "/pattern", "/dos", "/similar")


@pytest.mark.parametrize("id", ["nobody", "..%2F..%2Fetc%2Fpasswd", "a/b/c", "%00", "%F0%9F%A7%AA", "<b>"])
@pytest.mark.parametrize("place", PLACES)
def test_an_unknown_record_is_told(api, id, place):
    problem_of(api.get(f"/v1/materials/{id}{place}"), 404, "no record")


@pytest.mark.parametrize("place", PLACES[1:4])
def test_without_a_store_the_remedy_is_told(bare, calls, some_id, place):
    with calls(bare) as api:
        problem_of(api.get(f"/v1/materials/{some_id}{place}"), 404, "store", "--store")


def test_without_a_store_the_index_tells_what_it_knows(bare, calls, some_id):
    with calls(bare) as api:
        found = api.get(f"/v1/materials/{some_id}").json()
        assert found["formula"]
        assert found["lattice"] is None
        assert found["has"]["structure"] is False
        assert api.get(f"/v1/materials/{some_id}/similar?k=2").status_code == 200


def test_a_density_of_states_comes_from_the_store(api, some_id):
    problem_of(api.get(f"/v1/materials/{some_id}/dos"), 404, "no density of states")
    problem_of(api.get(f"/v1/materials/{some_id}/dos?kind=smell"), 422, "kind")


def test_bins_that_were_not_computed_are_null(served, monkeypatch, some_id):
    from prismat.ragged import Ragged

    values = np.array([0.5, np.nan, 1.0], dtype=np.float32)
    columns = {
        "dos.density": Ragged(values, np.array([3])),
        "dos.energy": Ragged(np.array([-1.0, 0.0, 1.0], dtype=np.float32), np.array([3])),
    }
    monkeypatch.setattr(served.store, "take", lambda rows, names: {n: columns[n] for n in names})
    found = density_of_states(served, some_id, "dos")
    assert found["densities"] == [0.5, None, 1.0]
    assert found["energies"] == [-1.0, 0.0, 1.0]
    assert (found["zero"], found["kind"], found["unit"]) == ("fermi", "dos", "eV")
