"""The map: clusters, points by tiles or all at once, overlays, heat of words, and where a query stands."""

import gzip
from functools import cache
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from prismat.app.answering import read_query
from prismat.app.answers import HeatAnswer, IdsAnswer, MapAnswer, OverlayAnswer, PlaceAnswer, TileAnswer
from prismat.app.context import Context
from prismat.app.problems import Problem, absent
from prismat.app.replies import Json
from prismat.app.schemas import HeatBody, QueryBody
from prismat.app.state import Served
from prismat.app.tiles import MOST_LEVELS, in_tile, levels_of
from prismat.maps.ask import heat_of_text, place_query
from prismat.maps.overlays import Overlay
from prismat.maps.world import MaterialsMap

BINARY = "application/octet-stream"
_COLOURS = 12


def router(context: Context) -> APIRouter:
    """``/v1/map/…``."""
    routes = APIRouter(prefix="/v1/map", tags=["map"])
    _add_whole(routes, context)
    _add_asked(routes, context)
    return routes


def _add_whole(routes: APIRouter, context: Context) -> None:
    """What does not change while the server runs, of all points."""
    served = context.served

    @cache
    def packed() -> bytes:
        return gzip.compress(points(world_of(served)), mtime=0)

    @cache
    def levels() -> int:
        return levels_of(world_of(served).xy)

    @routes.get("", response_model=MapAnswer)
    async def overview(request: Request) -> Response:
        """Clusters, overlays and size."""
        return Json(await context.work(request, lambda: _overview(world_of(served), levels())))

    @routes.get("/ids", response_model=IdsAnswer)
    async def ids(request: Request) -> Response:
        """Ids in the order of the points."""
        return Json(await context.work(request, lambda: {"ids": list(world_of(served).ids)}))

    @routes.get("/points.bin", response_class=Response, responses={200: {"content": {BINARY: {}}}})
    async def all_points(request: Request) -> Response:
        """All x (float32), all y (float32), all clusters (uint16; 65535 for none), little endian."""
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        body = await context.work(request, lambda: packed() if zipped else points(world_of(served)))
        headers = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if zipped else {})
        return Response(body, media_type=BINARY, headers=headers)


def _add_asked(routes: APIRouter, context: Context) -> None:
    """What is asked of a map: a tile, an overlay, heat, a place."""
    served = context.served

    @routes.get("/tiles/{z}/{x}/{y}", response_model=TileAnswer)
    async def tile(
        request: Request,
        z: Annotated[int, Path(ge=0, lt=MOST_LEVELS)],
        x: Annotated[int, Path(ge=0, lt=1 << MOST_LEVELS)],
        y: Annotated[int, Path(ge=0, lt=1 << MOST_LEVELS)],
    ) -> Response:
        """Points of one tile; x from the left, y from the top."""
        return Json(await context.work(request, lambda: _tile(world_of(served), z, x, y)))

    @routes.get("/overlay/{name}", response_model=OverlayAnswer)
    async def overlay(request: Request, name: str) -> Response:
        """Values of an overlay in the order of the points; null where unknown."""
        return Json(await context.work(request, lambda: _overlay(world_of(served), name)))

    @routes.post("/heat", response_model=HeatAnswer)
    async def heat(request: Request, body: HeatBody) -> Response:
        """How near each point is to some words: its rank among all points, 0 to 255."""
        return Json(await context.work(request, _heat, served, body.text))

    @routes.post("/place", response_model=PlaceAnswer)
    async def place(request: Request, body: QueryBody) -> Response:  # noqa: ARG001 - documents the body
        """Where what a query asks for would stand."""
        return Json(await context.work(request, _place, served, await request.body()))


def world_of(served: Served) -> MaterialsMap:
    """The map.

    Raises:
        Problem: status 404, there is none.
    """
    if served.world is None:
        raise absent("map", "Make one with 'prismat map' and start the server again.")
    return served.world


def points(world: MaterialsMap) -> bytes:
    """Places and clusters as columns."""
    cluster = np.where(world.cluster < 0, 65535, world.cluster).astype("<u2")
    return b"".join([*(world.xy[:, i].astype("<f4").tobytes() for i in (0, 1)), cluster.tobytes()])


def _overview(world: MaterialsMap, levels: int) -> dict[str, Any]:
    clusters = [
        {
            "name": cluster.name,
            "words": list(cluster.words),
            "size": cluster.size,
            "x": cluster.x,
            "y": cluster.y,
            "colour_index": i % _COLOURS,
        }
        for i, cluster in enumerate(world.clusters)
    ]
    return {
        "method": world.method,
        "bounds": list(world.bounds),
        "clusters": clusters,
        "overlays": [_described(name, overlay) for name, overlay in world.overlays.items()],
        "count": len(world),
        "levels": levels,
    }


def _described(name: str, overlay: Overlay) -> dict[str, Any]:
    low, high = (float(x) if np.isfinite(x) else None for x in (overlay.low, overlay.high))
    return {
        "name": name,
        "unit": overlay.unit,
        "min": low,
        "max": high,
        "categories": list(overlay.categories),
    }


def _tile(world: MaterialsMap, z: int, x: int, y: int) -> dict[str, Any]:
    shown, total = in_tile(world.xy, z, x, y)
    found = [
        {
            "id": world.ids[row],
            "x": float(world.xy[row, 0]),
            "y": float(world.xy[row, 1]),
            "cluster": int(world.cluster[row]),
            "formula": world.formulas[row],
            "title": world.titles[row],
        }
        for row in shown.tolist()
    ]
    return {"points": found, "total": total}


def _overlay(world: MaterialsMap, name: str) -> dict[str, Any]:
    overlay = world.overlays.get(name)
    if overlay is None:
        known = ", ".join(world.overlays) or "none"
        raise Problem(
            404,
            f"The map has no overlay {name[:100]!r}.",
            "no-overlay",
            field="name",
            remedy=f"It has: {known}.",
        )
    values = [round(v, 6) if np.isfinite(v) else None for v in overlay.values.astype(float).tolist()]
    return {"name": name, "unit": overlay.unit, "categories": list(overlay.categories), "values": values}


def _heat(served: Served, text: str) -> dict[str, Any]:
    heat = heat_of_text(world_of(served), served.prismat, text)
    ends = (float(heat.cosines.min()), float(heat.cosines.max()))
    return {"values": heat.levels.tolist(), "low": ends[0], "high": ends[1]}


def _place(served: Served, body: bytes) -> dict[str, Any]:
    placed = place_query(world_of(served), served.engine, read_query(body))
    return {"x": placed.x, "y": placed.y, "neighbours": list(placed.neighbours), "how": placed.how}
