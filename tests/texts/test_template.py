import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import helpers_crystals as real
import helpers_small as small
from prismat.crystal import Crystal, element_site
from prismat.material import Material
from prismat.modalities.standard_cell import standardize
from prismat.texts.bonds import bonded_pairs
from prismat.texts.environments import environments
from prismat.texts.template import MOST_ENVIRONMENTS, describe_cell

GRAPHITE = ("P 63/m m c", (2.464, 2.464, 6.711, 90, 90, 120), [("C", 0, 0, 0.25), ("C", 1 / 3, 2 / 3, 0.25)])
MOLYBDENITE = (
    "P 63/m m c",
    (3.16, 3.16, 12.294, 90, 90, 120),
    [("Mo", 1 / 3, 2 / 3, 0.25), ("S", 1 / 3, 2 / 3, 0.621)],
)
SELENIUM = ("P 31 2 1", (4.366, 4.366, 4.954, 90, 90, 120), [("Se", 0.2254, 0, 1 / 3)])


def said(crystal, variant="template"):
    return describe_cell(standardize(crystal), variant)


def test_rock_salt_whole():
    assert said(real.crystals()["NaCl"]) == (
        "NaCl is a binary compound of sodium and chlorine in the ratio 1 : 1. It crystallises in the cubic "
        "system, space group Fm-3m (No. 225), with two symmetry-distinct sites and two atoms in the "
        "primitive cell. Its density is 2.16 g/cm³. Its bonded network is three-dimensional (3D). Na is "
        "six-coordinate, octahedral: bonded to six Cl at 2.82 Å. Cl is six-coordinate, octahedral: bonded to "
        "six Na at 2.82 Å."
    )


def test_variants_are_the_two_halves():
    crystal = real.crystals()["diopside"]
    whole, global_, local = (said(crystal, v) for v in ("template", "template_global", "template_local"))
    assert whole == f"{global_} {local}"
    assert "bonded to" not in global_
    assert not any(word in local for word in ("density", "space group", "dimensional", "compound"))


@pytest.mark.parametrize(
    ("published", "told"),
    [
        (
            GRAPHITE,
            [
                "two-dimensional (2D), made of layers of C.",
                "three-coordinate, trigonal planar: bonded to three C at 1.42 Å",
            ],
        ),
        (
            MOLYBDENITE,
            [
                "(2D), made of layers of MoS2.",
                "Mo is six-coordinate, trigonal prismatic: bonded to six S at 2.42 Å",
            ],
        ),
        (SELENIUM, ["one-dimensional (1D), made of chains of Se.", "Se is two-coordinate, bent"]),
    ],
)
def test_layers_and_chains(published, told):
    text = said(real.build(*published))
    assert all(words in text for words in told), text


def test_ice_is_molecules_with_vacancies():
    text = said(real.crystals()["ice"])
    assert "Sites of H are partly vacant." in text
    assert "zero-dimensional (0D), made of molecules or isolated groups of H2O." in text
    assert "O is two-coordinate: bonded to two H" in text


def test_disorder_is_told():
    text = said(real.crystals()["spinel"])
    assert "It has mixed sites: 70 % Mg, 30 % Al; 85 % Al, 15 % Mg." in text
    assert "The Mg/Al mixed site is four-coordinate, tetrahedral: bonded to four O" in text
    assert "The Al/Mg mixed site is six-coordinate, octahedral: bonded to six O" in text


def test_vacancies_count_by_occupancy():
    text = said(real.crystals()["wuestite"])
    assert "O is 5.7-coordinate: bonded to 5.7 Fe" in text
    assert "Sites of Fe are partly vacant." in text


@pytest.mark.parametrize(
    ("id", "told"),
    [
        ("zincblende_Zn-S", "Zn is four-coordinate, tetrahedral"),
        ("fluorite_Ca-F", "Ca is eight-coordinate, cubic: bonded to eight F"),
        ("perovskite_Sr-Ti-O", "Sr is twelve-coordinate, cuboctahedral"),
        (
            "perovskite_Sr-Ti-O",
            "SrTiO3 is a ternary compound of strontium, titanium and oxygen in the ratio 1 : 1 : 3.",
        ),
    ],
)
def test_shapes(id, told):
    assert told in said(small.crystal(id))


def test_elements_and_hexagonal_packing():
    copper = Crystal(3.615 * (np.ones((3, 3)) - np.eye(3)) / 2, np.zeros((1, 3)), (element_site("Cu"),))
    assert said(copper).startswith("Cu is the element copper. It crystallises in the cubic system")
    assert "Cu is twelve-coordinate, cuboctahedral: bonded to twelve Cu at 2.56 Å." in said(copper)
    zinc = real.build("P 63/m m c", (2.665, 2.665, 4.35, 90, 90, 120), [("Mg", 1 / 3, 2 / 3, 0.25)])
    assert "anticuboctahedral" in said(zinc)


def test_a_molecule():
    water = Crystal.molecule(
        np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]),
        (element_site("O"), element_site("H"), element_site("H")),
    )
    text = said(water)
    assert "It is a molecule of three atoms, not a crystal." in text
    assert "O is two-coordinate, bent: bonded to two H at 0.96 Å." in text
    assert "density" not in text
    assert "nan" not in text


def test_single_atoms():
    alone = Crystal.molecule(np.zeros((1, 3)), (element_site("Ar"),))
    assert said(alone) == (
        "Ar is the element argon. It is a molecule of one atom, not a crystal. It is a single atom: Ar "
        "has no bonded neighbour."
    )
    solid = Crystal(5.31 * (np.ones((3, 3)) - np.eye(3)) / 2, np.zeros((1, 3)), (element_site("Ar"),))
    assert "zero-dimensional (0D), made of molecules or isolated groups of Ar." in said(solid)
    assert said(solid, "template_local") == "It is a single atom: Ar has no bonded neighbour."


def test_environments_of_one_element_are_told_apart():
    text = said(real.crystals()["baddeleyite"], "template_local")
    assert "O (4 of 8 atoms) is three-coordinate" in text
    assert "O (4 of 8 atoms) is four-coordinate, tetrahedral: bonded to four Zr" in text


def test_many_environments_are_counted():
    rng = np.random.default_rng(0)
    frac = rng.permutation(np.linspace(0, 1, 24, endpoint=False).reshape(24, 1).repeat(3, 1))
    text = said(
        Crystal(np.diag([60.0, 61, 62]), frac, tuple(element_site("C") for _ in frac)), "template_local"
    )
    assert text.count("C (") <= MOST_ENVIRONMENTS + 1


@pytest.mark.parametrize("name", real.PUBLISHED)
@pytest.mark.parametrize("change", [real.reordered, real.translated, real.rotated, real.other_axes])
def test_text_of_a_crystal_written_differently(name, change):
    crystal = real.crystals()[name]
    assert said(change(crystal, np.random.default_rng(3))) == said(crystal)


@given(st.sampled_from(sorted(real.PUBLISHED)), st.integers(0, 2**16))
@settings(max_examples=25)
def test_text_does_not_depend_on_order_or_cell(name, seed):
    rng = np.random.default_rng(seed)
    crystal = real.crystals()[name]
    changed = real.other_axes(real.reordered(real.translated(crystal, rng), rng), rng)
    assert said(changed) == said(crystal)


@pytest.mark.parametrize("name", ["NaCl", "quartz", "calcite"])
def test_a_supercell_is_the_same_crystal(name):
    crystal = real.crystals()[name]
    assert said(real.supercell(crystal, (2, 1, 2))) == said(crystal)


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_any_arrangement_is_described(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    sites = tuple(
        ((int(z), float(x)),) for z, x in zip(rng.integers(1, 99, n), rng.choice([1.0, 0.5], n), strict=True)
    )
    crystal = Crystal(np.eye(3) * 7 + rng.normal(0, 0.5, (3, 3)), rng.random((n, 3)), sites)
    for variant in ("template", "template_global", "template_local"):
        text = said(crystal, variant)
        assert text.endswith(".")
        assert "nan g" not in text
        assert "  " not in text


def test_amcsd_is_described(amcsd):
    described = 0
    for row in np.random.default_rng(1).permutation(len(amcsd))[:60]:
        material = next(iter(amcsd.read(int(row), int(row) + 1)))
        if isinstance(material, Material) and material.structure:
            text = said(material.structure)
            assert 80 < len(text) < 4000
            assert text.startswith(f"{standardize(material.structure).primitive.formula} is ")
            described += 1
    assert described > 50


def test_environments_agree_with_pymatgen_distances():
    cell = standardize(real.crystals()["rutile"])
    found = {e.label: e for e in environments(cell, bonded_pairs(cell.primitive))}
    near = cell.primitive.to_pymatgen().get_neighbors(cell.primitive.to_pymatgen()[0], 2.3)
    titanium = found["Ti"]
    assert titanium.coordination == len(near) == 6
    assert titanium.ligands[0].distance == pytest.approx(np.mean([n.nn_distance for n in near]), abs=1e-6)
    assert titanium.shape == "octahedral"
    assert titanium.atoms == 2
