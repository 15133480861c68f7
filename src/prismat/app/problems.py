"""Errors as problem documents (RFC 9457): what went wrong, in which field, and what to do about it."""

import logging
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from prismat.app.replies import to_json
from prismat.errors import BadInputError, MissingExtraError, PrismatError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_SHOWN = 300


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it a problem
    """A request that cannot be answered as asked.

    Args:
        status: HTTP status.
        detail: what is wrong, in one sentence.
        kind: short name of this sort of problem, the end of its ``type``.
        field: which part of the request is wrong.
        remedy: what the client can do.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        kind: str = "",
        *,
        field: str = "",
        remedy: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}
        self.kind = kind or HTTPStatus(status).phrase.lower().replace(" ", "-")
        self.field, self.remedy = field, remedy

    def to_dict(self, instance: str = "") -> dict[str, Any]:
        """The problem document; ``instance`` is the request's id."""
        document: dict[str, Any] = {
            "type": f"urn:prismat:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": f"urn:request:{instance}" if instance else "about:blank",
        }
        further = {"field": self.field, "remedy": self.remedy}
        return document | {name: text for name, text in further.items() if text}

    def response(self, instance: str = "") -> Response:
        """As an HTTP answer."""
        content = to_json(self.to_dict(instance))
        return Response(content, self.status, self.headers, media_type=MEDIA_TYPE)


def absent(feature: str, remedy: str) -> Problem:
    """What the server was not given: a store, a map, a head."""
    return Problem(404, f"This server has no {feature}.", "feature-absent", remedy=remedy)


def of_error(error: PrismatError) -> Problem:
    """The problem that a library error means for a client."""
    if isinstance(error, BadInputError):
        # A record is what the client named, or a file of this machine, which is nobody's business.
        shown = error.record if not Path(error.record).is_absolute() else ""
        about = f" ({shown[:_SHOWN]})" if shown not in ("", "query") else ""
        problem = f"{error.problem[:1].upper()}{error.problem[1:]}{about}."
        return Problem(422, problem, "bad-input", field=error.field, remedy=error.remedy)
    if isinstance(error, MissingExtraError):
        return Problem(
            503, "The server lacks an optional package for this.", "not-installed", remedy=str(error)
        )
    return Problem(422, str(error), "bad-input")


def of_validation(errors: list[Any]) -> Problem:
    """The first thing that does not fit the request's schema."""
    first = errors[0] if errors else {"loc": (), "msg": "invalid"}
    place = [str(part) for part in first["loc"]]
    field = ".".join(place[1:] if place[:1] in (["body"], ["query"], ["path"]) else place)
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    remedy = "See /openapi.json for what this request takes."
    if place == ["body"]:
        remedy = "Send a JSON object with Content-Type: application/json."
    return Problem(
        422, f"{first['msg'][:_SHOWN]}{more}.", "invalid-request", field=field[:_SHOWN], remedy=remedy
    )


def handle_problems(app: FastAPI) -> None:
    """Makes every error that a route can raise a problem document."""

    def answer(request: Request, problem: Problem) -> Response:
        return problem.response(request.scope.get("request_id", ""))

    async def on_problem(request: Request, error: Exception) -> Response:
        return answer(request, error)  # ty: ignore[invalid-argument-type]

    async def on_prismat(request: Request, error: Exception) -> Response:
        return answer(request, of_error(error))  # ty: ignore[invalid-argument-type]

    async def on_validation(request: Request, error: Exception) -> Response:
        return answer(request, of_validation(error.errors()))  # ty: ignore[missing-attribute]

    async def on_http(request: Request, error: Exception) -> Response:
        return answer(request, _of_http(error, request.url.path))  # ty: ignore[invalid-argument-type]

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(PrismatError, on_prismat)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)


def _of_http(error: HTTPException, path: str) -> Problem:
    headers = dict(error.headers or {})
    if error.status_code == 404:
        return Problem(
            404, f"There is nothing at {path[:_SHOWN]!r}.", remedy="See /openapi.json for what is."
        )
    if error.status_code == 405:
        return Problem(
            405, f"{path[:_SHOWN]!r} is not asked that way.", remedy="See the Allow header.", headers=headers
        )
    return Problem(error.status_code, f"{error.detail}", headers=headers)
