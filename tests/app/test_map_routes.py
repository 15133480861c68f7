from dataclasses import replace

import numpy as np
import pytest
from helpers_problems import problem_of

from prismat.app.limits import Limits
from prismat.app.tiles import in_tile, levels_of
from prismat.maps.build import MapConfig, make_map


@pytest.fixture(scope="module")
def world(served):
    return make_map(served.prismat, served.index, MapConfig(method="pca", clusters=4)).bound(served.index)


@pytest.fixture(scope="module")
def mapped(served, world, calls):
    with calls(replace(served, world=world), Limits(per_second=0.0)) as client:
        yield client


def test_the_map_as_a_whole(mapped, world):
    found = mapped.get("/v1/map").json()
    assert (found["method"], found["count"]) == ("pca", len(world))
    assert found["bounds"] == pytest.approx(world.bounds)
    assert sum(c["size"] for c in found["clusters"]) == len(world)
    assert {o["name"] for o in found["overlays"]} == set(world.overlays)


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_all_points_in_one_file(mapped, world, encoding):
    found = mapped.get("/v1/map/points.bin", headers={"Accept-Encoding": encoding})
    assert found.headers.get("content-encoding") == ("gzip" if encoding == "gzip" else None)
    n = len(world)
    assert len(found.content) == 10 * n
    np.testing.assert_array_equal(np.frombuffer(found.content, "<f4", n), world.xy[:, 0])
    np.testing.assert_array_equal(np.frombuffer(found.content, "<f4", n, 4 * n), world.xy[:, 1])
    np.testing.assert_array_equal(np.frombuffer(found.content, "<u2", n, 8 * n), world.cluster)
    assert mapped.get("/v1/map/ids").json()["ids"] == list(world.ids)


def test_tiles_of_a_level_hold_every_point_once(mapped, world):
    tiles = [mapped.get(f"/v1/map/tiles/1/{x}/{y}").json() for x in (0, 1) for y in (0, 1)]
    assert sum(t["total"] for t in tiles) == len(world)
    ids = [p["id"] for t in tiles for p in t["points"]]
    assert sorted(ids) == sorted(world.ids)
    top_left = mapped.get("/v1/map/tiles/1/0/0").json()["points"]
    assert all(p["x"] <= 0 <= p["y"] for p in top_left)
    problem_of(mapped.get("/v1/map/tiles/99/0/0"), 422, "z")


def test_a_crowded_tile_shows_the_same_sample_and_a_closer_look_adds():
    xy = np.random.default_rng(0).uniform(-1, 1, size=(5000, 2)).astype(np.float32)
    shown, total = in_tile(xy, 0, 0, 0, most=300)
    again, _ = in_tile(xy, 0, 0, 0, most=300)
    np.testing.assert_array_equal(shown, again)
    assert (len(shown), total) == (300, 5000)
    closer = set(np.concatenate([in_tile(xy, 1, x, y, most=300)[0] for x in (0, 1) for y in (0, 1)]).tolist())
    assert set(shown.tolist()) <= closer
    assert levels_of(xy, 300) >= 3
    assert levels_of(xy, 5000) == 1


def test_heat_is_a_rank_for_each_point(mapped, world):
    found = mapped.post("/v1/map/heat", json={"text": "rock salt"}).json()
    values = np.array(found["values"])
    assert len(values) == len(world)
    assert values.min() >= 0
    assert values.max() <= 255
    assert found["low"] <= found["high"]
    problem_of(mapped.post("/v1/map/heat", json={"text": ""}), 422, "text")
    problem_of(mapped.post("/v1/map/heat", json={"text": "!!"}), 422, "no letter")


def test_overlays_have_null_where_unknown(mapped, world):
    for name, overlay in world.overlays.items():
        values = mapped.get(f"/v1/map/overlay/{name}").json()["values"]
        assert [v is None for v in values] == (~np.isfinite(overlay.values)).tolist()
    problem_of(mapped.get("/v1/map/overlay/smell"), 404, "smell", "It has")


def test_a_query_has_a_place(mapped, world):
    found = mapped.post("/v1/map/place", json={"text": "rock salt"}).json()
    assert abs(found["x"]) <= 1.5
    assert set(found["neighbours"]) <= set(world.ids)
    problem_of(mapped.post("/v1/map/place", json={}), 422, "empty")


def test_a_material_knows_its_place(mapped, world):
    found = mapped.get(f"/v1/materials/{world.ids[3]}").json()
    assert found["map"] == pytest.approx(world.xy[3].tolist())


@pytest.mark.parametrize("path", ["", "/ids", "/points.bin", "/tiles/0/0/0", "/overlay/density"])
def test_without_a_map_the_remedy_is_told(api, path):
    problem_of(api.get(f"/v1/map{path}"), 404, "no map", "prismat map")


def test_without_a_map_there_is_neither_heat_nor_place(api):
    for path in ("heat", "place"):
        problem_of(api.post(f"/v1/map/{path}", json={"text": "x"}), 404, "prismat map")
