"""What holds a match up: atoms, peaks, words, energies."""

import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from prismat.app.answering import read_query
from prismat.app.answers import ExplainAnswer
from prismat.app.context import Context
from prismat.app.records import stored
from prismat.app.replies import Json
from prismat.app.schemas import ExplainBody
from prismat.app.state import Served
from prismat.explain.match import WINDOWS, ExplainSettings, explain_match
from prismat.explain.source import material_of, stored_windows


def explained_windows(served: Served) -> list[str]:
    """Windows whose part in a match can be explained; none without the records."""
    return [] if served.store is None else [w for w in served.prismat.recipe.windows if w in WINDOWS]


def router(context: Context) -> APIRouter:
    """``/v1/explain``."""
    routes = APIRouter(prefix="/v1", tags=["search"])

    @routes.post("/explain", response_model=ExplainAnswer)
    async def explain(request: Request, body: ExplainBody) -> Response:
        """How much each atom, peak, word or energy counts, and the test of it by leaving them out."""
        return Json(await context.work(request, _explain, context.served, body))

    return routes


def _explain(served: Served, body: ExplainBody) -> dict[str, Any]:
    store, _ = stored(served, body.id, "what is to be explained")
    query = read_query(json.dumps(body.query.model_dump(exclude_unset=True)).encode())
    settings = ExplainSettings(method=body.method, direction=body.direction)
    material, kept = material_of(store, body.id), stored_windows(served.prismat, store, body.id)
    return explain_match(served.prismat, query, material, settings, served.engine.blend, kept).to_dict()
