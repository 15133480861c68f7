import json

import numpy as np
import pytest

from prismat.errors import BadInputError
from prismat.material import Property
from prismat.measurements import ChargeDensity, Dos, Image
from prismat.search.payload import from_payloads, to_payload
from prismat.search.query import Query

RNG = np.random.default_rng(0)
DATA = {
    "dos": Dos(np.linspace(-5, 5, 7), RNG.random(7), zero="vbm", spin="up", n_atoms=2),
    "phonon_dos": Dos(np.linspace(0, 9, 4), RNG.random(4), kind="phonon", unit="THz", per="atom"),
    "charge_density": ChargeDensity(RNG.random((2, 3, 4)), np.diag([3.0, 4.0, 5.0]), "valence"),
    "image": Image(RNG.integers(0, 255, (5, 6, 3), dtype=np.uint8), "sem"),
    "properties": {"band_gap": Property(1.1, "eV"), "density": Property(5.0, "g/cm3")},
}


def test_a_query_with_every_window_survives_json():
    query = Query(text="oxide", measured=DATA, weights={"dos": 0.5}, k=3)
    again = Query.from_json(query.to_json())
    assert again.parts == ("text", *DATA)
    assert again.measured["properties"] == DATA["properties"]
    for window in ("dos", "phonon_dos", "charge_density", "image"):
        for name, value in vars(DATA[window]).items():
            found = getattr(again.measured[window], name)
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(found, value)
                assert found.dtype == value.dtype
            else:
                assert found == value


def test_lists_of_numbers_are_arrays():
    payload = {"dos": {"energy": [0, 1, 2], "density": [1, 1, 0], "zero": "fermi"}}
    np.testing.assert_array_equal(from_payloads(payload)["dos"].energy, [0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ([], "not an object"),
        ({"sound": {}}, "not data of a window 'sound'"),
        ({"dos": 3}, "not data of a window 'dos'"),
        ({"dos": {"energy": [0, 1]}}, "does not fit the window"),
        ({"dos": {"energy": [0, 1], "density": ["a", 1]}}, "does not fit the window"),
        ({"dos": {"energy": [0, 1], "density": [1, 1], "mass": 2}}, "missing or unknown"),
        ({"properties": {"gap": 3}}, "does not fit the window"),
        ({"properties": {"gap": {"value": "wide", "unit": "eV"}}}, "does not fit the window"),
        ({"image": {"pixels": {"shape": [2, 2], "dtype": "object", "base64": ""}}}, "an array of object"),
        ({"image": {"pixels": {"shape": [2, 2], "dtype": "uint8", "base64": "AA=="}}}, "does not fit"),
        ({"image": {"pixels": {"shape": [2, -2], "dtype": "uint8", "base64": "AA=="}}}, "shape"),
        ({"image": {"pixels": {"shape": [99999, 99999], "dtype": "uint8", "base64": "AA=="}}}, "shape"),
        ({"image": {"pixels": {"shape": [1], "dtype": "uint8", "base64": "!"}}}, "does not fit"),
    ],
)
def test_errors(payload, said):
    with pytest.raises(BadInputError, match=said):
        from_payloads(payload)


def test_arrays_of_other_types_become_double():
    dos = Dos(np.arange(3.0), np.arange(3.0))
    payload = to_payload(dos)
    assert payload["energy"]["dtype"] == "float64"
    assert json.loads(json.dumps(payload)) == payload


def test_an_unknown_window_is_no_query():
    with pytest.raises(BadInputError, match="unknown window 'sound'"):
        Query(measured={"sound": DATA["dos"]})
