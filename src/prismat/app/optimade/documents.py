"""The endpoint's documents in the OpenAPI description, as JSON schemas.

OPTIMADE specification v1.2, "JSON Response Schema: Common Fields".
"""

from typing import Any

from prismat.app.optimade.envelope import MEDIA_TYPE

_META = {
    "type": "object",
    "required": ["query", "api_version", "more_data_available"],
    "properties": {
        "query": {"type": "object", "required": ["representation"]},
        "api_version": {"type": "string"},
        "more_data_available": {"type": "boolean"},
        "data_returned": {"type": "integer", "minimum": 0},
        "data_available": {"type": "integer", "minimum": 0},
    },
}
_RESOURCE = {
    "type": "object",
    "required": ["id", "type", "attributes"],
    "properties": {
        "id": {"type": "string"},
        "type": {"type": "string"},
        "attributes": {"type": "object"},
    },
}
_INFO = {"type": "object", "required": ["id", "type"]}
_ERROR = {
    "type": "object",
    "required": ["detail", "status", "title"],
    "properties": {name: {"type": "string"} for name in ("detail", "status", "title")},
}


def _document(**members: dict[str, Any]) -> dict[str, Any]:
    """Schema of a document with some members beside meta."""
    named = {"meta": _META, **members}
    return {"type": "object", "required": list(named), "properties": named}


ENTRY_DOCUMENT = _document(data={"anyOf": [_RESOURCE, {"type": "null"}]})
LISTING_DOCUMENT = _document(data={"type": "array", "items": _RESOURCE})
INFO_DOCUMENT = _document(data=_INFO)
ERROR_DOCUMENT = _document(errors={"type": "array", "minItems": 1, "items": _ERROR})
_ERRORS = {
    400: "The request is wrong.",
    403: "The page is too large.",
    404: "There is no such entry.",
    501: "An optional feature that is not offered.",
    553: "Another version of the standard.",
}


def answers(schema: dict[str, Any], *errors: int) -> dict[int | str, dict[str, Any]]:
    """What a route answers with, for the OpenAPI description.

    Args:
        schema: of the answer.
        *errors: statuses of its errors.
    """
    good: dict[int | str, dict[str, Any]] = {
        200: {"description": "As asked.", "content": {MEDIA_TYPE: {"schema": schema}}}
    }
    return good | {
        status: {"description": _ERRORS[status], "content": {MEDIA_TYPE: {"schema": ERROR_DOCUMENT}}}
        for status in errors
    }
