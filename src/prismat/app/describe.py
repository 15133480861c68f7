"""The OpenAPI document: every route with every problem that it may answer with."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from prismat.app.answers import ProblemDocument
from prismat.app.guard import PROTECTED, is_under
from prismat.app.problems import MEDIA_TYPE

_EVERYWHERE = {
    400: "The request cannot be read.",
    413: "The body is too long.",
    421: "The server does not go by this host name.",
    422: "The request can be read, but not used.",
    429: "Too many requests.",
    500: "The server failed.",
    503: "The server is busy, or gave the request up.",
}
_BY_PATH = {
    "/v1/upload": {415: "A kind of file that is not taken."},
    "/v1/materials/": {404: "No such record, or it lacks what is asked for."},
    "/v1/map": {404: "The server has no map."},
    "/v1/explain": {404: "No such record, or the server has no store."},
    "/v1/predict": {404: "The server has no head."},
}
_DESCRIPTION = """Search materials by words, structures, powder patterns and other measurements.

Errors are problem documents (RFC 9457) with the field that is wrong and the remedy. Every answer carries
`X-Request-ID`, which the server's log names too. Results of `POST /v1/search` are those of
`SearchEngine.respond` in Python and of `prismat search --json`.
"""


def describe(app: FastAPI, has_token: bool) -> None:
    """Makes ``app.openapi()`` tell the whole of it; made once, when first asked for.

    Args:
        app: with all its routes.
        has_token: whether requests must carry one.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, has_token)
        return app.openapi_schema

    app.openapi = openapi


def _document(app: FastAPI, has_token: bool) -> dict[str, Any]:
    found = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=_DESCRIPTION,
        routes=app.routes,
    )
    parts = found.setdefault("components", {})
    schema = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    parts.setdefault("schemas", {})["Problem"] = schema
    if has_token:
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, operations in found["paths"].items():
        for operation in operations.values():
            _add_problems(path, operation, has_token and is_under(path, PROTECTED))
    return found


def _add_problems(path: str, operation: dict[str, Any], is_guarded: bool) -> None:
    """Adds the problems of one operation; what it declares itself stays, but for the framework's own 422."""
    problems = dict(_EVERYWHERE)
    for start, further in _BY_PATH.items():
        problems |= further if path.startswith(start) else {}
    if is_guarded:
        problems[401] = "The token is missing or wrong."
        operation["security"] = [{"token": []}]
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses = operation["responses"]
    for status, description in problems.items():
        known = responses.get(str(status))
        if known is None or "HTTPValidationError" in str(known):
            responses[str(status)] = {"description": description, "content": dict(content)}
        else:
            known.setdefault("content", {}).setdefault(MEDIA_TYPE, content[MEDIA_TYPE])
    operation["responses"] = dict(sorted(responses.items()))
