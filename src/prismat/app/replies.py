"""JSON as this service writes it: UTF-8 that any client can read, and never NaN."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from starlette.responses import Response, StreamingResponse

NDJSON = "application/x-ndjson"


def to_json(content: Any) -> bytes:
    """JSON bytes.

    Raises:
        ValueError: NaN or infinity, which JSON does not have.
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate, which JSON input may hold, has no bytes in UTF-8.
    return text.encode("utf-8", errors="replace")


class Json(Response):
    """A JSON answer."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Bytes of the content."""
        return to_json(content)


def ndjson(rows: Iterable[Any]) -> StreamingResponse:
    """One JSON document a line, written while the client reads."""

    def lines() -> Iterator[bytes]:
        for row in rows:
            yield to_json(row) + b"\n"

    return StreamingResponse(lines(), media_type=NDJSON)
