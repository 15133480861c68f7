"""Requests as the OpenAPI document describes them; ``Query.from_json`` has the last word on a query."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from prismat.errors import BadInputError
from prismat.measurements import Pattern
from prismat.search.query import MAX_TEXT, Query

Number = Annotated[float, Field(allow_inf_nan=False)]
Limits = Annotated[list[Number | None], Field(min_length=2, max_length=2)]


class Strict(BaseModel):
    """A request without unknown fields."""

    model_config = ConfigDict(extra="forbid")


class PatternBody(Strict):
    """A powder pattern: as many intensities as ascending angles (2θ in degrees); λ in Å."""

    two_theta: list[Number] = Field(min_length=2)
    intensity: list[Number] = Field(min_length=2)
    wavelength: Annotated[float, Field(gt=0.1, lt=10, allow_inf_nan=False)] = 1.54184


class SteerBody(Strict):
    """Words to stay away from, and records of the index to be more or less like."""

    not_text: list[str] = []
    like: list[str] = []
    unlike: list[str] = []


class FilterBody(Strict):
    """Hard conditions; a range is ``[least, greatest]`` with null for open."""

    with_elements: list[str] = []
    without_elements: list[str] = []
    only_elements: list[str] = []
    n_sites: Limits = [None, None]
    properties: dict[str, Limits] = {}
    spacegroup_number: Limits = [None, None]
    crystal_systems: list[str] = []
    n_elements: Limits = [None, None]


class QueryBody(Strict):
    """A search by any mixture of words, a structure, a pattern and other measurements."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "text": "garnet",
                    "filter": {"with_elements": ["Ca"], "properties": {"density": [3, 5]}},
                    "k": 5,
                }
            ]
        },
    )

    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)] | None = None
    structure: str | None = Field(None, description="The text of a CIF or POSCAR file.")
    xrd: PatternBody | None = None
    measured: dict[str, dict[str, Any]] = Field(
        {}, description="By window: image, dos, phonon_dos, charge_density, properties."
    )
    steer: SteerBody | None = None
    weights: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = {}
    filter: FilterBody = FilterBody()
    k: Annotated[int, Field(ge=1, le=10_000)] = 10


class MatchBody(Strict):
    """A measured pattern to be laid over a material's own."""

    xrd: PatternBody


class EmbedBody(Strict):
    """One kind of input; each of it becomes one vector under every key that the model has for its kind."""

    texts: Annotated[list[Annotated[str, Field(max_length=MAX_TEXT)]], Field(min_length=1)] | None = None
    structures: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="Texts of CIF or POSCAR files."
    )
    patterns: Annotated[list[PatternBody], Field(min_length=1)] | None = None


class PredictBody(Strict):
    """A structure, and which heads shall say something of it: all where left out."""

    structure: str = Field(description="The text of a CIF or POSCAR file.")
    heads: list[str] | None = None
    level: Annotated[float, Field(gt=0, lt=1)] = 0.9


class ExplainBody(Strict):
    """A query and one of its results."""

    query: QueryBody
    id: str
    method: Literal["occlusion", "integrated-gradients", "both"] = "occlusion"
    direction: str | None = Field(None, description="Explain this one comparison, such as text->structure.")


class HeatBody(Strict):
    """Words."""

    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


def read_pattern(body: PatternBody) -> Pattern:
    """The pattern of a request.

    Raises:
        BadInputError: not a powder pattern.
    """
    if len(body.two_theta) != len(body.intensity):
        raise BadInputError(
            f"{len(body.two_theta)} angles but {len(body.intensity)} intensities",
            field="xrd",
            remedy="Give one intensity for each angle.",
        )
    pattern = Pattern(np.array(body.two_theta), np.array(body.intensity), body.wavelength)
    Query(xrd=pattern)
    return pattern
