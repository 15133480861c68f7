import pytest

import helpers_crystals as real
import helpers_pool as work
import helpers_small as small
from prismat.crystal import Crystal
from prismat.errors import BadInputError, MissingExtraError
from prismat.texts import robocrys
from prismat.texts.cache import TextCache
from prismat.texts.robocrys import RobocrysSettings, crystal_key, robocrys_text, robocrys_texts


@pytest.fixture
def cache(tmp_path):
    with TextCache(tmp_path / "c.sqlite") as opened:
        yield opened


def crystals(*ids):
    return {name: small.crystal(name) for name in ids}


def run(cache, given, timeout=2.0):
    done = []
    texts, rejects = robocrys_texts(
        given, cache, RobocrysSettings(1, timeout), lambda *now: done.append(now), describe=work.formula
    )
    return texts, {r.id: r.reason for r in rejects}, done


def test_hanging_failing_and_refused_crystals_are_rejects(cache):
    given = crystals("rock_salt_Li-F", "rock_salt_Mg-O", "rock_salt_Ca-O", "rock_salt_Na-Cl", "wuestite")
    given["again"] = given["rock_salt_Na-Cl"]
    given["molecule"] = Crystal.molecule(given["again"].frac[:1], given["again"].sites[:1])
    texts, rejects, done = run(cache, given)
    assert texts == {
        "rock_salt_Li-F": "This is LiF.",
        "rock_salt_Na-Cl": "This is NaCl.",
        "again": "This is NaCl.",
    }
    assert rejects["rock_salt_Mg-O"] == "no result within 2 s"
    assert rejects["rock_salt_Ca-O"] == "ValueError: no calcium"
    assert "disordered" in rejects["wuestite"]
    assert "molecule" in rejects["molecule"]
    assert done[-1] == (6, 6)


def test_a_second_run_makes_only_what_is_missing(cache, monkeypatch):
    run(cache, crystals("rock_salt_Li-F", "rock_salt_Mg-O", "rock_salt_Ca-O"))
    asked = []
    monkeypatch.setattr(robocrys, "run_with_deadline", lambda f, tasks, *_: asked.extend(tasks) or [])
    texts, rejects, _ = run(cache, crystals("rock_salt_Li-F", "rock_salt_Mg-O", "rock_salt_Ca-O"))
    assert texts == {"rock_salt_Li-F": "This is LiF."}
    assert set(rejects) == {"rock_salt_Mg-O", "rock_salt_Ca-O"}
    assert not asked
    # With more time the slow one is tried again, the failing one is not.
    with pytest.raises(KeyError):
        run(cache, crystals("rock_salt_Mg-O", "rock_salt_Ca-O"), timeout=4.0)
    assert [crystal.formula for crystal in asked] == ["MgO"]


def test_key_is_of_the_content():
    first, second = small.crystal("rock_salt_Na-Cl"), small.crystal("rock_salt_Na-Cl")
    assert crystal_key(first) == crystal_key(Crystal(second.lattice.copy(), second.frac + 0.0, second.sites))
    assert crystal_key(first) != crystal_key(small.crystal("halite_again"))
    assert crystal_key(first) != crystal_key(first, "another version")


def test_what_robocrystallographer_does_not_take():
    with pytest.raises(BadInputError, match="structure: disordered"):
        robocrys_text(real.crystals()["spinel"])


def test_missing_extra(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(robocrys, "import_module", absent)
    with pytest.raises(MissingExtraError, match=r"pip install 'prismat\[describe\]'"):
        robocrys_text(real.crystals()["NaCl"])


@pytest.mark.slow
def test_the_real_one(cache):
    pytest.importorskip("robocrys")
    texts, rejects = robocrys_texts({"salt": real.crystals()["NaCl"]}, cache, RobocrysSettings(1, 300.0))
    assert not rejects
    assert "Fm-3m" in texts["salt"].replace("̅", "-")
    assert "octahedra" in texts["salt"]
