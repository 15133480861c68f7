"""The model itself: vectors of raw input, and properties that heads predict."""

from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from prismat.app.answers import EmbedAnswer, PredictAnswer
from prismat.app.context import Context
from prismat.app.limits import Limits
from prismat.app.problems import absent
from prismat.app.replies import Json
from prismat.app.schemas import EmbedBody, PredictBody, read_pattern
from prismat.app.state import Served
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.formats import read_crystal
from prismat.heads.model import ClassPrediction, NumberPrediction, Prediction


def router(context: Context) -> APIRouter:
    """``/v1/embed`` and ``/v1/predict``."""
    routes = APIRouter(prefix="/v1", tags=["model"])
    served, limits = context.served, context.limits

    @routes.post("/embed", response_model=EmbedAnswer)
    async def embed(request: Request, body: EmbedBody) -> Response:
        """Unit vectors of texts, structures or patterns, under every key that the model has for them."""
        return Json(await context.work(request, _embed, served, limits, body))

    @routes.post("/predict", response_model=PredictAnswer)
    async def predict(request: Request, body: PredictBody) -> Response:
        """Properties of a structure, each with the interval that holds its value with the level asked for."""
        return Json(await context.work(request, _predict, served, limits, body))

    return routes


def parse_structure(text: str, field: str, limits: Limits) -> Crystal:
    """A crystal from the text of a file.

    Raises:
        BadInputError: from ``read_crystal``; names the field.
    """
    try:
        # The reader takes a string without a line break for a path, and nobody's path is opened here.
        return read_crystal(text + "\n", record=field, max_sites=limits.sites)
    except BadInputError as error:
        raise BadInputError(error.problem, field=f"{field}: {error.field}", remedy=error.remedy) from error


def _embed(served: Served, limits: Limits, body: EmbedBody) -> dict[str, Any]:
    given = {name: items for name, items in body.model_dump(exclude_none=True).items() if items}
    if len(given) != 1:
        raise BadInputError(
            f"{len(given)} kinds of input", field="body", remedy="Give one of texts, structures and patterns."
        )
    name, items = next(iter(given.items()))
    if len(items) > limits.batch:
        raise BadInputError(
            f"{len(items):,} {name}", field=name, remedy=f"Give at most {limits.batch} at a time."
        )
    read: dict[str, Any] = given
    if body.structures is not None:
        read = {name: [parse_structure(s, f"structures[{i}]", limits) for i, s in enumerate(items)]}
    elif body.patterns is not None:
        read = {name: [read_pattern(pattern) for pattern in body.patterns]}
    vectors = served.prismat.embed(**read)
    rounded = {key: np.round(found.astype(np.float64), 7).tolist() for key, found in vectors.items()}
    return {"vectors": rounded, "model": served.prismat.hash}


def _predict(served: Served, limits: Limits, body: PredictBody) -> dict[str, Any]:
    if not served.heads:
        raise absent("head", "Fit one with 'prismat fit' and start it with 'prismat serve --head FOLDER'.")
    names = sorted(served.heads) if body.heads is None else body.heads
    unknown = sorted(set(names) - set(served.heads))
    if unknown:
        raise BadInputError(
            f"no head {unknown[0]!r}", field="heads", remedy=f"Use {', '.join(sorted(served.heads))}."
        )
    crystal = parse_structure(body.structure, "structure", limits)
    found = {name: served.heads[name].predict([crystal], level=body.level) for name in names}
    return {"predictions": {name: prediction_json(prediction) for name, prediction in found.items()}}


def prediction_json(found: Prediction) -> dict[str, Any]:
    """One record's prediction in JSON types."""
    if isinstance(found, NumberPrediction):
        return {
            "value": _number(found.values[0]),
            "unit": found.unit,
            "low": _number(found.low[0]),
            "high": _number(found.high[0]),
            "level": found.level,
        }
    return _class_json(found)


def _class_json(found: ClassPrediction) -> dict[str, Any]:
    chances = {name: float(p) for name, p in zip(found.classes, found.probabilities[0], strict=True)}
    members = [name for name, held in zip(found.classes, found.sets[0], strict=True) if held]
    return {"value": found.labels[0], "probabilities": chances, "set": members, "level": found.level}


def _number(value: float) -> float | None:
    """A number that JSON has; an interval without end is open."""
    return float(value) if np.isfinite(value) else None
