import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

import helpers_crystals as real
import helpers_small as small
from prismat.explain.crystal_picture import drawn_atoms, projected
from prismat.explain.explanation import Item, Part
from prismat.explain.match import ExplainSettings, explain_match
from prismat.explain.page import check_words, lede, names, write_explanation
from prismat.explain.pictures import check_svg, part_svg, strengths
from prismat.explain.source import material_of
from prismat.search.query import Query


@pytest.fixture(scope="module")
def found(small_engine, small_store):
    query = Query(text="calcium <b>oxide</b> & co", xrd=small.measured("rock_salt_Ca-O"))
    material = material_of(small_store, "rock_salt_Ca-O")
    return explain_match(small_engine.prismat, query, material, ExplainSettings("both", orders=3, points=4))


@pytest.fixture(scope="module")
def folder(found, small_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    crystals = {"material": material_of(small_store, "rock_salt_Ca-O").structure}
    write_explanation(folder, found, "calcium <b>oxide</b>", crystals)
    return folder


def test_every_part_has_its_picture_and_its_check(found, folder):
    files = {p.name for p in folder.iterdir()}
    assert {"explanation.json", "explanation.html"} <= files
    pictures = [n for n in files if n.endswith(".svg")]
    assert len(pictures) == len(found.parts) + sum(p.check is not None for p in found.parts)
    for name in pictures:
        assert ElementTree.parse(folder / name).getroot().tag.endswith("svg")


def test_the_page_says_the_checks_result_beside_each_picture(found, folder):
    page = (folder / "explanation.html").read_text(encoding="utf-8")
    assert page.count("Check: when") == sum(p.check is not None for p in found.parts)
    assert page.count("<svg") >= 2 * len(found.parts) - 1
    assert "<script" not in page


def test_what_users_wrote_is_escaped(folder):
    for path in folder.glob("*.*"):
        if path.suffix in {".html", ".svg"}:
            assert "<b>oxide" not in path.read_text(encoding="utf-8")


def test_ids_of_one_page_are_its_own(folder):
    page = (folder / "explanation.html").read_text(encoding="utf-8")
    svgs = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    clips = [set(re.findall(r'clipPath id="([^"]+)"', svg)) for svg in svgs]
    flat = [name for names_ in clips for name in names_]
    assert len(flat) == len(set(flat))


def test_the_lede_names_what_matters_once(found):
    said = lede(found)
    assert found.id in said
    assert said.count("of the words of the query") == 1


def test_names_of_equivalent_atoms_come_once(found):
    part = next(p for p in found.parts if p.unit == "atom")
    assert sorted(names(part, 5)) == ["Ca", "O"]


def test_the_verdict_follows_the_check(found):
    part = next(p for p in found.parts if p.check is not None)
    told = check_words(part)
    assert (" no sooner " in told) != part.check.beats_random
    assert "one part only" in check_words(replace(part, check=None))


def test_strengths_run_from_minus_one_to_one(found):
    for part in found.parts:
        assert np.abs(strengths(part)).max() == pytest.approx(1)
    flat = replace(found.parts[0], items=(Item("a", 0.0), Item("b", 0.0)))
    assert (strengths(flat) == 0).all()


@pytest.mark.parametrize("unit", ["energy", "voxel"])
def test_spectra_and_densities_are_drawn(unit):
    energy = np.linspace(-5, 5, 50)
    if unit == "energy":
        data = {"energies": energy.tolist(), "densities": np.exp(-(energy**2)).tolist(), "unit": "eV"}
        items = tuple(Item(f"{a}", a / 5, x=a + 0.5, low=float(a), high=a + 1.0) for a in range(-5, 5))
    else:
        data = {"lattice": np.eye(3).tolist(), "blocks": [2, 2, 2]}
        items = tuple(Item(str(i), float(i - 3)) for i in range(8))
    part = Part("query", "dos", unit, "occlusion", 0.5, ("k",), items, "masked", data=data)
    svg = part_svg(part)
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "var(--s0)" in svg
    assert "var(--s1)" in svg


def test_the_check_is_drawn_with_its_labels(found):
    check = next(p.check for p in found.parts if p.check is not None)
    svg = check_svg(check, "words")
    assert "deletion" in svg
    assert "insertion" in svg
    assert "var(--muted)" in svg


def test_atoms_on_faces_are_drawn_on_both_sides():
    site, frac = drawn_atoms(real.crystals()["SrTiO3"])
    # One strontium in the middle, eight titaniums at the corners, six oxygen faces or twelve edges.
    counts = np.bincount(site)
    symbols = [s[0][0] for s in real.crystals()["SrTiO3"].sites]
    assert counts[symbols.index(38)] == 1
    assert counts[symbols.index(22)] == 8
    assert frac.min() >= -0.03
    assert frac.max() <= 1.03


def test_projection_keeps_lengths_that_lie_in_the_page():
    rng = np.random.default_rng(0)
    positions = rng.normal(size=(30, 3))
    flat, depth = projected(positions)
    np.testing.assert_allclose((flat**2).sum(1) + depth**2, (positions**2).sum(1))
