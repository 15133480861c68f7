"""The service itself: alive, ready, counted, and what it is."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.responses import Response

from prismat.app.answers import AboutAnswer, StatusAnswer
from prismat.app.context import Context
from prismat.app.problems import Problem
from prismat.app.replies import Json
from prismat.app.routes.explaining import explained_windows
from prismat.search.query import MAX_TEXT

if TYPE_CHECKING:
    from prismat.search.backends.base import SearchIndex

_CHUNK = 4096
EXAMPLES = (
    ("Words", "layered titanium oxide"),
    ("A mineral", "garnet +Ca -Fe"),
    ("A range", "silicate density:3.5..5"),
    ("Not like that", "perovskite not lead"),
    ("Only these elements", "only:Cu,S sulfide"),
)


def router(context: Context) -> APIRouter:
    """``/healthz``, ``/readyz``, ``/metrics`` and ``/v1/about``."""
    routes = APIRouter(tags=["service"])
    told = about(context)

    @routes.get("/healthz", response_model=StatusAnswer)
    async def alive() -> Response:
        """The process answers."""
        return Json({"status": "ok"})

    @routes.get("/readyz", response_model=StatusAnswer)
    async def ready() -> Response:
        """There is room for work."""
        pool = context.pool
        room = pool.workers + pool.queue
        if pool.taken >= room:
            raise Problem(503, "The server is busy.", "busy", headers={"Retry-After": "1"})
        return Json({"status": "ready", "pool": {"taken": pool.taken, "room": room}})

    @routes.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(context.metrics.text(), headers={"Content-Type": context.metrics.media_type})

    @routes.get("/v1/about", response_model=AboutAnswer)
    async def tell() -> Response:
        """Model, index, features and limits."""
        return Json(told)

    return routes


def about(context: Context) -> dict[str, Any]:
    """What ``/v1/about`` says."""
    served, limits = context.served, context.limits
    prismat, index = served.prismat, served.index
    return {
        "name": "prismat",
        "version": version("prismat"),
        "model": {
            "name": served.name,
            "hash": prismat.hash,
            "windows": list(prismat.recipe.windows),
            "card": prismat.card,
        },
        "index": {
            "kind": index.kind,
            "size": len(index),
            "version": index.version,
            "properties": _ranges(index),
        },
        "features": {
            "store": served.store is not None,
            "map": served.world is not None,
            "confidence": served.confidence is not None,
            "heads": sorted(served.heads),
            "explain": explained_windows(served),
        },
        "limits": {"upload_bytes": limits.upload_bytes, "k": limits.k, "text": MAX_TEXT},
        "examples": [{"label": label, "q": q} for label, q in EXAMPLES],
    }


def _ranges(index: "SearchIndex") -> dict[str, Any]:
    """Unit, least and greatest value of each property of the index."""
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(index), _CHUNK):
        for hit in index.records(start, min(start + _CHUNK, len(index))):
            for name, known in hit.properties.items():
                ends = found.setdefault(name, {"unit": known.unit, "min": known.value, "max": known.value})
                ends["min"], ends["max"] = min(ends["min"], known.value), max(ends["max"], known.value)
    return found
