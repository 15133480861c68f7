"""Searching: by words in the address, by a typed query, and as a stream."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from prismat.app.answering import checked, parts_of_words, respond, respond_to
from prismat.app.answers import Answer, UnderstoodAnswer, WordsAnswer
from prismat.app.context import Context
from prismat.app.replies import NDJSON, Json, ndjson
from prismat.app.schemas import QueryBody
from prismat.app.state import Served
from prismat.search.language import parse_words
from prismat.search.query import MAX_TEXT

DEFAULT_K = 20
Words = Annotated[str, Query(min_length=1, max_length=MAX_TEXT, examples=["garnet not iron +Ca"])]


def router(context: Context) -> APIRouter:
    """``/v1/search`` and its stream."""
    routes = APIRouter(prefix="/v1", tags=["search"])
    served, limits = context.served, context.limits

    @routes.get("/words", response_model=WordsAnswer)
    async def words(request: Request, q: Words) -> Response:
        """What words mean, without a search: the parts of a query that they give."""
        return Json(await context.work(request, lambda: {"query": parts_of_words(parse_words(q))}))

    @routes.get("/search", response_model=UnderstoodAnswer)
    async def search_words(
        request: Request,
        q: Words,
        k: Annotated[int | None, Query(ge=1, le=limits.k, description="results; 20 where not given")] = None,
    ) -> Response:
        """Search by the words of one box; answers with the typed query as it was understood."""
        return Json(await context.work(request, _by_words, served, q, k, limits.k))

    @routes.post("/search", response_model=Answer)
    async def search(request: Request, body: QueryBody) -> Response:  # noqa: ARG001 - documents the body
        """Search by a typed query."""
        return Json(await context.work(request, respond_to, served, await request.body(), limits.k))

    @routes.post("/search/stream", response_class=Response, responses={200: {"content": {NDJSON: {}}}})
    async def stream(request: Request, body: QueryBody) -> Response:  # noqa: ARG001 - documents the body
        """Search for a long list: one hit a line, and a last line that says how many records match."""
        answer = await context.work(request, respond_to, served, await request.body(), limits.stream_k)
        return ndjson(_lines(answer))

    return routes


def _by_words(served: Served, words: str, k: int | None, most: int) -> dict[str, Any]:
    query = parse_words(words).query(DEFAULT_K)
    query = checked(query if k is None else replace(query, k=k), most)
    return {**respond(served, query), "query": json.loads(query.to_json())}


def _lines(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from answer["hits"]
    yield {"end": True, "matching": answer["matching"]}
