import json

from prismat.material import Property
from prismat.search.answer import Answer, Match, Trust, hit_dict
from prismat.search.index import Hit

HIT = Hit(
    3, "a", 0.1234567891, {"structure@text": 0.5}, "NaCl", "Fm-3m", 225, "Halite", ("Na", "Cl"), 2,
    {"density": Property(2.16, "g/cm3")},
)  # fmt: skip


def test_the_answer_in_json_types():
    trust = Trust("xrd->xrd", 0.25, True, False, ("a note",))
    answer = Answer((Match(1, HIT, {"xrd": 0.7654321}, 0.5), Match(2, HIT, {})), 4, 9, trust, ("b",), 12.345)
    found = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert found == {
        "hits": [
            {
                **{"rank": 1, "id": "a", "score": 0.123457, "scores": {"structure@text": 0.5}},
                **{"formula": "NaCl", "spacegroup": "Fm-3m", "spacegroup_number": 225, "title": "Halite"},
                **{"elements": ["Na", "Cl"], "n_sites": 2},
                "properties": {"density": {"value": 2.16, "unit": "g/cm3"}},
                "parts": {"xrd": 0.765432},
                "probability": 0.5,
            },
            {**hit_dict(HIT), "rank": 2, "parts": {}, "probability": None},
        ],
        "matching": 4,
        "gallery": 9,
        "confidence": {
            "direction": "xrd->xrd",
            "none_of_these": {"probability": 0.25, "flagged": True, "reliable": False},
            "notes": ["a note"],
        },
        "notes": ["b"],
        "took_ms": 12.3,
    }
    assert answer.hits == [HIT, HIT]


def test_without_a_calibration():
    assert Answer((), 0, 9).to_dict()["confidence"] == {"direction": None, "none_of_these": None, "notes": []}
