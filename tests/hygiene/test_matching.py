import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import helpers_crystals as real
from helpers_hygiene import polymorph
from prismat.crystal import Crystal
from prismat.hygiene import matching
from prismat.hygiene.matching import OTHER, SAME, UNDECIDED, Matcher, Matching, match_pairs

ALONE = Matching(workers=1)


def answer(first, second, settings=ALONE):
    return int(match_pairs([first, second], np.array([[0, 1]]), settings)[0])


@pytest.mark.parametrize("name", ["diamond", "quartz", "calcite", "baddeleyite", "spinel", "ice"])
def test_one_crystal_in_other_writing_is_the_same(name):
    rng, crystal = np.random.default_rng(2), real.crystals()[name]
    other = real.reordered(real.translated(real.rotated(real.other_axes(crystal, rng), rng), rng), rng)
    scaled = Crystal(other.lattice * 1.009, other.frac, other.sites)
    assert answer(crystal, scaled) == SAME
    assert answer(crystal, real.supercell(scaled, (1, 2, 1))) == SAME


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("quartz", "cristobalite"),
        ("quartz", "coesite-like stishovite"),
        ("diamond", "graphite"),
        ("diamond", "lonsdaleite"),
        ("rutile", "anatase"),
        ("zincblende ZnS", "wurtzite ZnS"),
        ("wurtzite ZnS", "4H ZnS"),
        ("zincblende ZnS", "4H ZnS"),
        ("2H MoS2", "3R MoS2"),
    ],
)
def test_polymorphs_and_polytypes_are_others(first, second):
    assert answer(polymorph(first), polymorph(second)) == OTHER


def mixed(magnesium):
    return real.build(
        "F m -3 m",
        (4.25,) * 3 + (90,) * 3,
        [({"Mg": magnesium, "Fe": 1 - magnesium}, 0, 0, 0), ("O", 0.5, 0.5, 0.5)],
    )


def test_occupancies_agree_within_the_tolerance():
    assert answer(mixed(0.50), mixed(0.54)) == SAME
    assert answer(mixed(0.50), mixed(0.56)) == OTHER
    assert answer(mixed(0.50), mixed(0.56), Matching(occupancy=0.1, workers=1)) == SAME
    # A pure site is no mixture that holds its element.
    assert answer(mixed(0.50), mixed(1.0)) == OTHER


def test_processes_and_threads_give_the_answers_of_this_process(monkeypatch):
    crystals = [polymorph(n) for n in ("quartz", "cristobalite", "diamond", "graphite")]
    crystals += [real.supercell(c, (1, 1, 2)) for c in crystals]
    pairs = np.array([(i, j) for i in range(8) for j in range(8)])
    pairs = pairs[[(i < 4) == (j < 4) or i % 2 == j % 2 for i, j in pairs]]
    pairs = np.array([p for p in pairs if set(crystals[p[0]].elements) == set(crystals[p[1]].elements)])
    alone = match_pairs(crystals, pairs, ALONE)
    monkeypatch.setattr(matching, "_WORTH_A_POOL", 0)
    assert match_pairs(crystals, pairs, Matching(workers=2)).tolist() == alone.tolist()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(match_pairs, crystals, pairs, ALONE).result().tolist() == alone.tolist()
    assert set(alone.tolist()) == {SAME, OTHER}


def test_a_pair_that_takes_too_long_stays_undecided(monkeypatch):
    class Slow:
        def fit(self, *_, **__):
            until = time.process_time() + 10
            while time.process_time() < until:
                sum(range(1000))

    monkeypatch.setattr(matching, "_matcher", lambda _: Slow())
    crystal, started = real.crystals()["NaCl"], time.process_time()
    assert answer(crystal, crystal, Matching(seconds=0.2, workers=1)) == UNDECIDED
    assert time.process_time() - started < 5


def test_no_pairs_and_rows_without_a_crystal():
    with Matcher(ALONE) as matcher:
        assert matcher.match([], np.zeros((0, 2), np.int64)).tolist() == []
        with pytest.raises(ValueError, match="row 1 is no periodic crystal"):
            matcher.match([real.crystals()["NaCl"], None], np.array([[0, 1]]))
