"""JSON:API documents around what the endpoint answers.

OPTIMADE specification v1.2, "JSON Response Schema: Common Fields"; JSON:API v1.0.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import JSONResponse

from prismat.app.optimade.errors import OptimadeError
from prismat.app.optimade.listing import VERSION

MEDIA_TYPE = "application/vnd.api+json"
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
PROVIDER = {
    "name": "Prismat",
    "description": "Materials of a Prismat index, prepared on the machine that serves them.",
    "prefix": "prismat",
}


def base_url(request: Request) -> str:
    """Address of the unversioned endpoint as the client reached it, without a slash at its end."""
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        name, port = request.scope.get("server") or ("127.0.0.1", None)
        host = f"{name}:{port}" if port else str(name)
    return f"{request.scope.get('scheme', 'http')}://{host}{request.scope.get('root_path', '')}/optimade"


def meta(
    request: Request, available: int, returned: int = 1, more: bool = False, warnings: Sequence[str] = ()
) -> dict[str, Any]:
    """What is told beside the data.

    Args:
        request: that is answered.
        available: entries of the whole database.
        returned: entries that match, on whatever page.
        more: whether there are further pages.
        warnings: what was overlooked.
    """
    path = re.sub(r"^.*?/optimade(?:/v1(?:\.2(?:\.0)?)?)?(?=/|$)", "", request.url.path) or "/"
    query = request.url.query
    told: dict[str, Any] = {
        "query": {"representation": f"{path}?{query}" if query else path},
        "api_version": VERSION,
        "time_stamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "data_available": available,
        "data_returned": returned,
        "more_data_available": more,
        "schema": f"{base_url(request).removesuffix('/optimade')}/openapi.json",
        "provider": PROVIDER,
        "implementation": {"name": "prismat", "version": version("prismat")},
    }
    noted = [{"type": "warning", "title": "Overlooked", "detail": detail} for detail in warnings]
    return told | ({"warnings": noted} if noted else {})


def next_link(request: Request, offset: int | None) -> str | None:
    """Address of the page that starts at an offset."""
    if offset is None:
        return None
    asked = dict(request.query_params) | {"page_offset": str(offset)}
    return f"{base_url(request)}/v1/structures?{urlencode(asked)}"


def document(data: Any, told: dict[str, Any], **others: Any) -> JSONResponse:
    """An answer with data."""
    return JSONResponse({"data": data, "meta": told, **others}, media_type=MEDIA_TYPE)


def error_document(request: Request, error: OptimadeError, available: int) -> JSONResponse:
    """An answer that says what was wrong."""
    told: dict[str, Any] = {"status": str(error.status), "title": error.title, "detail": error.detail}
    if error.parameter:
        told["source"] = {"parameter": error.parameter}
    around = meta(request, available, returned=0)
    return JSONResponse({"errors": [told], "meta": around}, error.status, media_type=MEDIA_TYPE)
