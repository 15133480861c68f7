import html
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import helpers_crystals as real
from helpers_hygiene import make_store, material, reject
from prismat.crystal import Crystal
from prismat.hygiene.data_card import data_card, histogram, quantiles, write_data_card
from prismat.hygiene.data_card_page import render_page
from prismat.material import Property
from prismat.measurements import Image
from prismat.store import Store
from prismat.store_texts import write_texts

EVIL = '<script>alert("x")</script>&\'|'


class Page(HTMLParser):
    """Tags of a page; checks that they close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("href", "src", "xlink:href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("href", "src", "xlink:href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full") / "full"
    rows = [
        ("NaCl", "1931", "J. Salt"), ("NaCl", "1931", "J. Salt"), ("quartz", "1990", "Quartz"),
        ("spinel", "", EVIL), ("wuestite", "unknown", ""), ("baddeleyite", "2001", "Quartz"),
    ]  # fmt: skip
    items = [
        material(
            f"{name}-{k}",
            real.crystals()[name],
            licence="CC BY-NC 4.0" if k == 0 else "CC0",
            texts={"title": f"On {name} {'and more ' * k}".strip()},
            tags={"year": year, "journal": journal, "split": "test" if k == 5 else "train"},
            properties={"gap": Property(float(k), "eV")},
        )
        for k, (name, year, journal) in enumerate(rows)
    ]
    items += [material("words", texts={"title": EVIL, "abstract": "Found."})]
    items += [material("water", Crystal.molecule(np.eye(3), tuple(((z, 1.0),) for z in (8, 1, 1))))]
    rejects = [reject("r0", "occupancy of 1.25"), reject("r1", "occupancy of -3"), reject("r2", EVIL)]
    make_store(folder, *items, *rejects)
    write_texts(folder, "keywords", {"NaCl-0": "salt"}, {"method": EVIL, "licence": "MIT"})
    return Store(folder)


def test_what_is_counted(full):
    card = data_card(full)
    counts = card["counts"]
    assert (counts["records"], counts["rejected"], counts["with_structure"]) == (8, 3, 7)
    assert (counts["ordered"], counts["disordered"], counts["molecules"], counts["formulas"]) == (5, 2, 1, 6)
    assert card["windows"] == {"structure": 7, "text": 7, "xrd, simulated": 6, "properties": 6}
    assert card["elements"]["O"] == 5
    assert card["elements"]["Na"] == 2
    assert card["symmetry"]["systems"] == {
        "triclinic": 0, "monoclinic": 1, "orthorhombic": 0, "tetragonal": 0, "trigonal": 1, "hexagonal": 0,
        "cubic": 4,
    }  # fmt: skip
    assert card["cells"]["sites"]["max"] == 14
    assert sum(card["cells"]["sites_histogram"]["counts"]) == 7
    assert card["cells"]["elements_per_record"] == {"2": 6, "3": 1}
    assert card["splits"] == {"train": 5, "test": 1}
    assert card["rejects"] == {"occupancy of #": 2, EVIL: 1}
    assert card["duplicates"]["structure"] == {"groups": 1, "records": 2, "largest": 2}


def test_texts_years_journals_and_properties(full):
    card = data_card(full)
    title = card["texts"]["title"]
    assert (title["records"], title["distinct"]) == (7, 7)
    assert sum(title["words_histogram"]["counts"]) == 7
    assert title["words"]["max"] == 12
    assert card["texts"]["keywords"]["made_by"]["method"] == EVIL
    assert card["years"]["counts"] == {"1931": 2, "1990": 1, "2001": 1}
    assert (card["years"]["first"], card["years"]["last"], card["years"]["records"]) == (1931, 2001, 4)
    assert card["journals"]["most"] == {"J. Salt": 2, "Quartz": 2, EVIL: 1}
    assert card["journals"]["first_ten_share"] == 1.0
    (gap,) = card["properties"]
    assert (gap["unit"], gap["records"], gap["quantiles"]["median"]) == ("eV", 6, 2.5)
    assert card["manifest"]["terms"]["non_commercial"]["records"] == 1


def test_the_page_is_whole_and_everything_in_it_is_escaped(full, tmp_path):
    card = write_data_card(full, tmp_path / "card", markdown=True)
    assert json.loads((tmp_path / "card" / "data_card.json").read_text()) == card
    text = (tmp_path / "card" / "data_card.html").read_text()
    page = Page(text)
    assert "script" not in page.tags
    assert page.tags.count("svg") == 8
    assert all(link.startswith("#") for link in page.links)
    assert html.escape(EVIL) in text
    assert "1 of 8 records for non-commercial use" in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    markdown = (tmp_path / "card" / "data_card.md").read_text()
    assert "<script>" not in markdown
    assert "\\|" in markdown
    assert markdown.startswith("# Data card: full\n")


def test_the_same_store_gives_the_same_page(full):
    page = render_page(data_card(full))
    assert page == render_page(data_card(full))
    # Colours are the page's own, light or dark.
    assert "var(--s0)" in page
    assert "#010203" not in page


def test_a_store_of_images_alone(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8)
    items = [
        material(f"i{k}", measurements={"image": Image(pixels)}, properties={"defect": Property(0.5, "")})
        for k in range(3)
    ]
    store = make_store(tmp_path / "cells", *items)
    card = write_data_card(store, tmp_path)
    assert card["windows"] == {"image": 3, "properties": 3}
    assert card["texts"] == card["years"] == card["journals"] == card["symmetry"] == card["cells"] == {}
    assert card["duplicates"] == {}
    page = Page((tmp_path / "data_card.html").read_text())
    assert "svg" not in page.tags


def test_quantiles_and_histograms_agree_with_numpy():
    values = np.random.default_rng(0).normal(size=500)
    found = quantiles([*values, float("nan")])
    assert found["q25"] == pytest.approx(np.quantile(values, 0.25), rel=1e-4)
    assert found["max"] == pytest.approx(values.max(), rel=1e-4)
    assert quantiles([float("nan")]) == {}
    assert histogram([0.0, 1.0, 1.0, 4.0, 5.0], [0.0, 1.0, 5.0]) == {
        "edges": [0.0, 1.0, 5.0],
        "counts": [1, 4],
    }
