"""Routes of the OPTIMADE endpoint, versioned and not.

OPTIMADE specification v1.2: https://github.com/Materials-Consortia/OPTIMADE. Unversioned addresses answer in
the one version there is.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from prismat.app.optimade.documents import ENTRY_DOCUMENT, INFO_DOCUMENT, LISTING_DOCUMENT, answers
from prismat.app.optimade.envelope import base_url, document, error_document, meta, next_link
from prismat.app.optimade.errors import OptimadeError
from prismat.app.optimade.info import VERSIONS, base_info, links, structures_info
from prismat.app.optimade.library import Library
from prismat.app.optimade.listing import ENTRY, INFO, LISTING, read_parameters, rows_of
from prismat.app.optimade.opened import library_of

if TYPE_CHECKING:
    from prismat.app.state import Served

_BASES = ("/v1", "/v1.2", "/v1.2.0", "")
"""All answer in the same version; the first is the one that is described."""
_TAGS: list[str | Enum] = ["OPTIMADE"]
_FILTER = Query(description='Condition in the language of OPTIMADE: elements HAS ALL "Si","O".')
_Text = Annotated[str | None, Query()]


class Csv(PlainTextResponse):
    """Comma-separated values."""

    media_type = "text/csv"


def router(served: "Served") -> APIRouter:
    """Routes to be mounted under ``/optimade``.

    Args:
        served: what the server answers from.
    """
    return routes_of(lambda: library_of(served))


def routes_of(opened: Callable[[], Library]) -> APIRouter:
    """Routes over a library that is opened at the first request."""
    answering = _Answering(opened)
    made = APIRouter()
    for base in _BASES:
        described = base == _BASES[0]
        _add_listing(made, base, described, answering)
        _add_about(made, base, described, answering)
    made.add_api_route("/versions", _versions, include_in_schema=True, tags=_TAGS, response_class=Csv)
    for base in _BASES:
        made.add_api_route(f"{base}/", _home, include_in_schema=False)
        made.add_api_route(base, _home, include_in_schema=False)
    made.add_api_route("/{path:path}", answering.nowhere, include_in_schema=False)
    return made


@dataclass(eq=False)
class _Answering:
    """Opens the library once, and tells errors the way the standard wants."""

    opened: Callable[[], Library]
    _library: Library | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def library(self) -> Library:
        """All records; the first request waits until they are read."""
        with self._lock:
            if self._library is None:
                library = self.opened()
                _ = library.columns, library.rows
                self._library = library
        return self._library

    def __call__(self, request: Request, answer: Callable[[Library], Response]) -> Response:
        """An answer, or the error document of what stood in its way."""
        try:
            return answer(self.library)
        except OptimadeError as error:
            return error_document(request, error, len(self.library))

    def nowhere(self, request: Request, path: str) -> Response:
        """Addresses that are none, and versions that are not served."""
        first = path.split("/", 1)[0]
        version = first[:1] == "v" and first[1:2].isdigit()
        error = OptimadeError(553, f"Version {first[:20]!r} is not served; /versions lists those that are.")
        if not version or first in ("v1", "v1.2", "v1.2.0"):
            error = OptimadeError(404, f"There is nothing at {path[:100]!r}.")
        return error_document(request, error, len(self.library))


def _add_listing(made: APIRouter, base: str, described: bool, answering: _Answering) -> None:
    """Structures, many and one."""

    def structures(
        request: Request,
        filter: Annotated[str | None, _FILTER] = None,  # noqa: ARG001 - named for the description
        page_limit: _Text = None,  # noqa: ARG001
        page_offset: _Text = None,  # noqa: ARG001
        sort: _Text = None,  # noqa: ARG001
        response_fields: _Text = None,  # noqa: ARG001
        response_format: _Text = None,  # noqa: ARG001
    ) -> Response:
        """Structures that match an OPTIMADE filter, page by page."""
        return answering(request, lambda library: _listing(request, library))

    def one(
        request: Request,
        id: Annotated[str, Path(description="Identifier of the entry.")],
        response_fields: _Text = None,  # noqa: ARG001
        response_format: _Text = None,  # noqa: ARG001
    ) -> Response:
        """One structure."""
        return answering(request, lambda library: _one(request, library, id))

    for path, endpoint, schema, errors in (
        ("/structures", structures, LISTING_DOCUMENT, (400, 403, 501, 553)),
        ("/structures/{id:path}", one, ENTRY_DOCUMENT, (400, 404, 553)),
    ):
        made.add_api_route(
            base + path,
            endpoint,
            responses=answers(schema, *errors),
            include_in_schema=described,
            tags=_TAGS,
            response_class=Response,
        )


def _add_about(made: APIRouter, base: str, described: bool, answering: _Answering) -> None:
    """What the endpoint says of itself."""

    def told(data: Callable[[Request, Library], Any]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            return answering(request, lambda library: _about(request, library, data(request, library)))

        return answer

    for name, words, data in (
        ("info", "Versions and endpoints served.", lambda r, lib: base_info(base_url(r), lib)),
        ("info/structures", "Properties of a structure.", lambda _, lib: structures_info(lib)),
        ("links", "This server and the list of providers.", lambda r, _: links(base_url(r))),
    ):
        schema = LISTING_DOCUMENT if name == "links" else INFO_DOCUMENT
        made.add_api_route(
            f"{base}/{name}",
            told(data),
            responses=answers(schema, 400, 553),
            include_in_schema=described,
            tags=_TAGS,
            response_class=Response,
            name=f"optimade {name}",
            description=words,
        )


def _listing(request: Request, library: Library) -> Response:
    """One page of the entries that are asked for."""
    asked = read_parameters(request.query_params, LISTING, library.fields)
    rows = rows_of(library, asked)
    end = asked.offset + asked.limit
    more = end < len(rows)
    page = library.entries(rows[asked.offset : end], asked.fields)
    _add_foreign(page, asked.foreign)
    told = meta(request, len(library), len(rows), more, asked.warnings)
    return document(page, told, links={"next": next_link(request, end if more else None)})


def _one(request: Request, library: Library, id: str) -> Response:
    """One entry."""
    asked = read_parameters(request.query_params, ENTRY, library.fields)
    row = library.rows.get(id)
    if row is None:
        raise OptimadeError(404, f"There is no entry {id[:100]!r}.")
    page = library.entries(np.array([row]), asked.fields)
    _add_foreign(page, asked.foreign)
    return document(page[0], meta(request, len(library), warnings=asked.warnings))


def _about(request: Request, library: Library, data: Any) -> Response:
    read_parameters(request.query_params, INFO)
    return document(data, meta(request, len(library), len(data) if isinstance(data, list) else 1))


def _add_foreign(page: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    """Properties that were asked for and that no entry has: null."""
    for entry in page:
        entry["attributes"] |= dict.fromkeys(names)


def _versions() -> Csv:
    """Major versions of OPTIMADE that are served, as CSV."""
    return Csv(VERSIONS, headers={"Content-Type": "text/csv; header=present"})


def _home(request: Request) -> RedirectResponse:
    """The address without anything leads to what the endpoint says of itself."""
    return RedirectResponse(f"{base_url(request)}/v1/info", 307)
