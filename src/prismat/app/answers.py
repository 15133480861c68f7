"""Answers as the OpenAPI document describes them."""

from typing import Any

from pydantic import BaseModel, Field


class ProblemDocument(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(examples=["urn:prismat:problem:bad-input"])
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["K is 0."])
    instance: str = Field(examples=["urn:request:5f0c4c0f9b0e4f6f8f1f0b6f0d9a7c11"])
    field: str | None = Field(None, examples=["k"])
    remedy: str | None = Field(None, examples=["Ask for at least one result."])


class Quantity(BaseModel):
    """A number with its unit."""

    value: float
    unit: str


class Record(BaseModel):
    """What the index knows of a material."""

    id: str = Field(examples=["amcsd-00008"])
    formula: str = Field(examples=["FeS2"])
    spacegroup: str = Field(examples=["Pnnm"])
    spacegroup_number: int | None = Field(examples=[58])
    title: str
    elements: list[str]
    n_sites: int | None
    properties: dict[str, Quantity]


class Result(Record):
    """One result of a search."""

    rank: int = Field(description="From 1.")
    score: float = Field(description="Weighted mean cosine.")
    scores: dict[str, float] = Field(description="Cosine under each key.")
    parts: dict[str, float] = Field(description="Score that each part of the query gives alone.")
    probability: float | None = Field(description="That this is the record asked for, if it is in the index.")


class NoneOfThese(BaseModel):
    """Whether what was asked for is missing from the index."""

    probability: float
    flagged: bool
    reliable: bool = Field(description="Whether it may be believed; the notes say why not.")


class Trust(BaseModel):
    """How far the probabilities can be trusted."""

    direction: str | None
    none_of_these: NoneOfThese | None
    notes: list[str]


class Answer(BaseModel):
    """Results of a search."""

    hits: list[Result]
    matching: int = Field(description="Records that meet the conditions.")
    gallery: int = Field(description="Records of the index.")
    confidence: Trust
    notes: list[str] = Field(description="About the query.")
    took_ms: float


class UnderstoodAnswer(Answer):
    """Results, with the query as it was understood."""

    query: dict[str, Any]


class WordsAnswer(BaseModel):
    """The part of a query that words are."""

    query: dict[str, Any]


class Uploaded(BaseModel):
    """A file as part of a query."""

    kind: str
    name: str
    part: dict[str, Any] = Field(description="Put it into the JSON of a query.")
    summary: dict[str, Any]


class Lattice(BaseModel):
    """Conventional cell: Å, degrees, Å³."""

    a: float
    b: float
    c: float
    alpha: float
    beta: float
    gamma: float
    volume: float


class MaterialAnswer(Record):
    """Everything known of one material."""

    texts: dict[str, str]
    tags: dict[str, str]
    provenance: dict[str, str]
    lattice: Lattice | None
    has: dict[str, bool]
    map: list[float] | None = Field(description="x and y on the map.")


class LineAnswer(BaseModel):
    """One line of a powder pattern."""

    two_theta: float
    intensity: float = Field(description="Integrated, the strongest 100.")
    hkl: list[list[int]] = Field(description="In the conventional cell, one for each family of planes.")
    multiplicity: int


class PatternAnswer(BaseModel):
    """A simulated powder pattern."""

    two_theta: list[float]
    intensity: list[float]
    peaks: list[LineAnswer]
    wavelength: float


class Curve(BaseModel):
    """Intensity against 2θ, the highest point 100."""

    two_theta: list[float]
    intensity: list[float]


class PairAnswer(BaseModel):
    """A measured peak and the line that it is."""

    measured: float
    simulated: float
    intensity: float
    hkl: list[list[int]]


class PeakAnswer(BaseModel):
    """A measured peak."""

    two_theta: float
    intensity: float


class MatchAnswer(BaseModel):
    """A measured pattern over a simulated one."""

    measured: Curve
    simulated: PatternAnswer
    matches: list[PairAnswer]
    unmatched_measured: list[PeakAnswer]
    unmatched_simulated: list[LineAnswer]
    offset: float = Field(description="Zero error in degrees, taken off before pairing.")
    tolerance: float = Field(description="Degrees.")
    matched_share: dict[str, float] = Field(description="Of the measured and of the simulated intensity.")


class DosAnswer(BaseModel):
    """A density of states."""

    energies: list[float]
    densities: list[float | None]
    zero: str
    kind: str
    unit: str
    per: str


class EmbedAnswer(BaseModel):
    """Unit vectors by key."""

    vectors: dict[str, list[list[float]]]
    model: str


class PredictAnswer(BaseModel):
    """A prediction for each head."""

    predictions: dict[str, dict[str, Any]]


class ExplainAnswer(BaseModel):
    """What holds a match up."""

    id: str
    formula: str
    score: float
    parts: list[dict[str, Any]]
    notes: list[str]


class ClusterAnswer(BaseModel):
    """A region of the map."""

    name: str
    words: list[str]
    size: int
    x: float
    y: float
    colour_index: int


class OverlayFacts(BaseModel):
    """What points can be coloured by."""

    name: str
    unit: str
    min: float | None
    max: float | None
    categories: list[str]


class MapAnswer(BaseModel):
    """The map as a whole."""

    method: str
    bounds: list[float]
    clusters: list[ClusterAnswer]
    overlays: list[OverlayFacts]
    count: int
    levels: int


class MapPoint(BaseModel):
    """One material on the map."""

    id: str
    x: float
    y: float
    cluster: int
    formula: str
    title: str


class TileAnswer(BaseModel):
    """Points of one tile."""

    points: list[MapPoint]
    total: int


class IdsAnswer(BaseModel):
    """Ids in the order of the points."""

    ids: list[str]


class OverlayAnswer(BaseModel):
    """Values in the order of the points."""

    name: str
    unit: str
    categories: list[str]
    values: list[float | None]


class HeatAnswer(BaseModel):
    """Ranks from 0 to 255 in the order of the points, and the least and greatest cosine."""

    values: list[int]
    low: float
    high: float


class PlaceAnswer(BaseModel):
    """Where a query stands on the map."""

    x: float
    y: float
    neighbours: list[str]
    how: str


class StatusAnswer(BaseModel):
    """Whether the service can answer."""

    status: str


class AboutAnswer(BaseModel):
    """What is served."""

    name: str
    version: str
    model: dict[str, Any]
    index: dict[str, Any]
    features: dict[str, Any]
    limits: dict[str, int]
    examples: list[dict[str, str]]
