"""Maps of a small set of crystals: made, kept, asked, drawn."""

import base64
import gzip
import json
import re
from dataclasses import replace

import numpy as np
import pytest

import helpers_small as small
from helpers_chat import fake_chat
from helpers_cli import call
from prismat.errors import BadInputError, MismatchError, VersionError
from prismat.formats import to_cif
from prismat.maps.ask import comparable_key, heat_of, heat_of_text, place_query
from prismat.maps.build import MapConfig, densest, make_map
from prismat.maps.figure import cluster_figure, heat_figure, highlight_figure, overlay_figure, write_figure
from prismat.maps.names import Name
from prismat.maps.naming import check_name, names_by_model
from prismat.maps.overlays import tags_of
from prismat.maps.page import map_page
from prismat.maps.projection import ProjectionConfig
from prismat.maps.world import MaterialsMap
from prismat.search.query import Query
from prismat.texts.language_model import Endpoint
from prismat.texts.prompts import MalformedAnswerError

CONFIG = MapConfig(
    clusters=5, heats=("spinel", "oxide"), projection=ProjectionConfig(perplexity=8.0, iterations=60)
)


@pytest.fixture(scope="module")
def world(small_engine, small_store):
    tags = dict(zip(small_store.ids, tags_of(small_store, small_store.ids), strict=True))
    return make_map(small_engine.prismat, small_engine.index, CONFIG, tags)


@pytest.fixture(scope="module")
def saved(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("map")
    world.save(folder)
    return folder


def test_a_map_of_all_records(world, small_store):
    assert list(world.ids) == small_store.ids
    assert np.abs(world.xy).max() == pytest.approx(1, abs=1e-5)
    assert [c.size for c in world.clusters] == np.bincount(world.cluster).tolist()
    assert sum(c.size for c in world.clusters) == len(world)
    assert {"crystal_system", "class", "n_elements"} <= set(world.overlays)


def test_the_same_seed_the_same_map(world, small_engine):
    again = make_map(small_engine.prismat, small_engine.index, CONFIG)
    assert np.array_equal(again.xy, world.xy)
    assert again.clusters == world.clusters


def test_what_was_saved_is_read(world, saved, small_engine):
    found = MaterialsMap.load(saved, small_engine.prismat.hash, small_engine.index)
    assert (found.ids, found.titles, found.formulas) == (world.ids, world.titles, world.formulas)
    assert found.clusters == world.clusters
    assert found.bounds == world.bounds
    for name, shown in world.overlays.items():
        assert found.overlays[name].categories == shown.categories
        assert np.array_equal(found.overlays[name].values, shown.values, equal_nan=True)
    assert np.array_equal(found.heats["spinel"], world.heats["spinel"])
    vectors = small_engine.index.vectors[world.key][:3]
    assert np.allclose(found.place(vectors), world.place(vectors))


def test_heat_is_the_cosine(world, small_engine):
    heat = heat_of_text(world, small_engine.prismat, "spinel")
    assert np.allclose(heat.cosines, world.heats["spinel"], atol=1e-6)
    assert heat.levels.argmax() == heat.cosines.argmax()
    assert 0 < heat.percentiles.min() < heat.percentiles.max() < 100


def test_equal_cosines_share_a_percentile():
    heat = heat_of(np.array([0.1, 0.5, 0.5, 0.9]))
    assert heat.percentiles.tolist() == [12.5, 50, 50, 87.5]
    assert heat.levels.tolist() == [32, 128, 128, 224]


@pytest.mark.parametrize(
    ("window", "key", "expected"),
    [
        ("text", "structure@text", "text@structure"),
        ("structure", "structure@text", "structure@text"),
        ("xrd", "structure@text", None),
        ("text", "structure@xrd", None),
        ("text", "structure", "text"),
        ("text", "sentence", "sentence"),
        ("xrd", "sentence", None),
    ],
)
def test_which_vectors_can_be_compared(window, key, expected):
    assert comparable_key(window, key) == expected


def test_a_record_is_placed_near_itself(world, small_engine):
    row = world.rows["spinel_Mg-Al-O"]
    placed = place_query(world, small_engine, Query(structure=small.crystal("spinel_Mg-Al-O")))
    assert placed.neighbours[0] == "spinel_Mg-Al-O"
    assert placed.how.startswith("by its vector")
    assert np.hypot(placed.x - world.xy[row, 0], placed.y - world.xy[row, 1]) < 0.25


def test_a_pattern_is_placed_among_its_hits(world, small_engine):
    pattern = small.measured("rock_salt_Na-Cl")
    placed = place_query(world, small_engine, Query(xrd=pattern))
    assert "best hits" in placed.how
    x0, y0, x1, y1 = world.bounds
    assert x0 <= placed.x <= x1
    assert y0 <= placed.y <= y1
    hits = [h.id for h in small_engine.answer(Query(xrd=pattern, k=15))]
    assert list(placed.neighbours) == hits


def test_a_map_needs_its_vectors_and_its_model(saved, small_engine):
    loose = MaterialsMap.load(saved)
    with pytest.raises(BadInputError, match="the map has no vectors"):
        loose.heat(np.ones(16, np.float32))
    with pytest.raises(MismatchError, match="This map was made with model"):
        MaterialsMap.load(saved, "another")
    with pytest.raises(BadInputError, match="vectors of length 3, those of the map have"):
        loose.bound(small_engine.index).place(np.ones((1, 3)))


@pytest.mark.parametrize("damage", ["no map", "json", "version", "numbers", "fields", "length"])
def test_a_damaged_map_is_told(saved, tmp_path, damage):
    kinds = {"no map": "there is no map", "json": "world.json is damaged", "version": "has format version 9"}
    kinds |= {"numbers": "world.safetensors is missing or damaged", "fields": "the map is damaged"}
    for name in ("world.json", "world.safetensors"):
        (tmp_path / name).write_bytes((saved / name).read_bytes())
    path = tmp_path / "world.json"
    content = json.loads(path.read_text())
    if damage == "no map":
        path.unlink()
    elif damage == "json":
        path.write_text("{")
    elif damage == "numbers":
        (tmp_path / "world.safetensors").write_bytes(b"x")
    else:
        change = {"version": {"format_version": 9}, "fields": {"clusters": 3}, "length": {"titles": ["one"]}}
        path.write_text(json.dumps({**content, **change[damage]}))
    error = VersionError if damage == "version" else BadInputError
    with pytest.raises(error, match=kinds.get(damage, "the map is damaged")):
        MaterialsMap.load(tmp_path)


def test_unknown_key_and_words_that_cannot_be_compared(small_engine):
    with pytest.raises(BadInputError, match="the index has no key 'smell'"):
        make_map(small_engine.prismat, small_engine.index, MapConfig(key="smell"))
    key = next(k for k in small_engine.index.vectors if k in ("xrd@structure", "profile"))
    with pytest.raises(BadInputError, match="words cannot be compared"):
        make_map(small_engine.prismat, small_engine.index, MapConfig(key=key, heats=("spinel",)))


def test_names_stand_where_points_are_densest():
    points = np.concatenate([np.full((30, 2), 0.5), np.random.default_rng(0).uniform(-1, 1, (20, 2))])
    assert np.allclose(densest(points.astype(np.float32)), 0.5, atol=0.05)


def payload(page):
    """The header and the bytes inside a page."""
    raw = gzip.decompress(base64.b64decode(re.search(r'id="data">([^<]*)<', page).group(1)))
    length = int.from_bytes(raw[:4], "little")
    return json.loads(raw[4 : 4 + length]), raw


def test_the_page_holds_the_map(world):
    head, raw = payload(map_page(world, "A map", "Of crystals."))
    xy = np.frombuffer(raw, "<i2", 2 * len(world), head["start"] + head["xy"]["offset"]).reshape(-1, 2)
    assert np.allclose(xy / 32767, world.xy, atol=2e-5)
    assert head["ids"] == list(world.ids)
    column = next(c for c in head["columns"] if c["name"] == "heat:spinel")
    codes = np.frombuffer(raw, "<u2", len(world), head["start"] + column["array"]["offset"])
    values = column["least"] + codes / 65534 * (column["most"] - column["least"])
    assert np.allclose(values, world.heats["spinel"], atol=1e-4)


def test_nothing_in_a_title_reaches_the_page_as_markup(world):
    evil = "</script><script>alert(1)</script>{{script}}"
    page = map_page(replace(world, titles=(evil,) * len(world)), evil, evil)
    assert "alert(1)</script>" not in page.replace("&lt;/script&gt;", "")
    assert page.count("<script") == 2
    assert payload(page)[0]["titles"] == [evil]
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'; script-src 'sha256-" in page


def test_pictures_in_three_formats_the_same_every_time(world, tmp_path):
    # Formulas in names and beside them: their subscripts are in few fonts, and a warning is an error here.
    told = tuple(replace(c, name=f"{c.name} · MgAl2O4", words=("spinel", "Fe3O4")) for c in world.clusters)
    world = replace(world, clusters=told)
    first = write_figure(cluster_figure(world, 4.0), tmp_path / "a" / "clusters")
    second = write_figure(cluster_figure(world, 4.0), tmp_path / "b" / "clusters")
    assert [p.suffix for p in first] == [".png", ".svg", ".pdf"]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    assert f">{world.clusters[0].name.split(' · ')[0]}<" in first[1].read_text()


def test_other_pictures(world, tmp_path):
    figures = [heat_figure(world, ["spinel", "oxide"], 2.0), overlay_figure(world, "class", 2.0)]
    figures += [overlay_figure(world, "n_elements", 2.0)]
    mark = np.arange(len(world)) < 9
    figures += [highlight_figure({"$a$": world.xy}, {"$a$": mark}, {"$a$": "b"}, 2.0)]
    for i, figure in enumerate(figures):
        (path,) = write_figure(figure, tmp_path / str(i), ["png"])
        assert path.read_bytes()[:4] == b"\x89PNG"


def test_names_by_a_language_model(tmp_path):
    names = [Name("garnet · pyrope", ("garnet", "pyrope")), Name("halide", ("halide",))]
    with fake_chat(lambda payload: '"silicate garnets"') as chat:
        endpoint = Endpoint(chat.url, "m", attempts=1)
        found = names_by_model(endpoint, names, [["Pyrope"], ["Halite"]], tmp_path / "cache.sqlite")
        assert [n.text for n in found] == ["silicate garnets"] * 2
        assert [n.words for n in found] == [n.words for n in names]
        asked = [p["messages"][-1]["content"] for p in chat.payloads]
        assert any("Telling words: garnet, pyrope" in text and "- Pyrope" in text for text in asked)


def test_a_name_of_no_use_leaves_the_one_of_the_words(tmp_path):
    with fake_chat(lambda payload: "far too long " * 20) as chat:
        endpoint = Endpoint(chat.url, "m", attempts=1)
        (found,) = names_by_model(endpoint, [Name("garnet", ("garnet",))], [["x"]], tmp_path / "cache.sqlite")
    assert found.text == "garnet"


@pytest.mark.parametrize(
    ("answer", "said"), [("", "not one line"), ("a\nb", "not one line"), ("a" * 49, "49 char")]
)
def test_what_is_no_name(answer, said):
    with pytest.raises(MalformedAnswerError, match=said):
        check_name(answer)


def test_the_command(small_run, small_engine, small_store, tmp_path):
    where = ("--run", small_run.folder, "--index", small_engine.index.folder)
    out = tmp_path / "map"
    tiny = ("--projection.perplexity", 8, "--projection.iterations", 40, "--clusters", 4)
    words = ("--heat", "фаза")
    said = call("map", *where, "--store", small_store.folder, "--out", out, *words, *tiny)
    assert said.code == 0, said.err
    assert {"map.html", "world.json", "clusters.svg"} <= {p.name for p in out.iterdir()}
    assert len(list(out.glob("heat_*.pdf"))) == 1
    assert "prismat map --run" in said.out
    cif = tmp_path / "new.cif"
    cif.write_text(to_cif(small.crystal("spinel_Mg-Al-O"), name="new"))
    said = call("map", *where, "--out", out, "--place", cif, "--place-text", "a spinel", "--json")
    placed = json.loads(said.out)["placed"]
    assert len(placed[str(cif)]["neighbours"]) == 15
    assert set(placed["a spinel"]) == {"x", "y", "neighbours", "how", "region"}


def test_the_command_says_what_is_missing(small_run, small_engine, tmp_path):
    where = ("--run", small_run.folder, "--index", small_engine.index.folder)
    said = call("map", *where, "--out", tmp_path / "none", "--place-text", "x")
    assert said.code == 1
    assert "there is no map. Run prismat map." in said.err
    said = call("map", *where, "--llm.endpoint", "ftp://x", "--llm.model", "m")
    assert "is no http or https address" in said.err
