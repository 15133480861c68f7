"""Questions to a finished map: where words are warm, and where a new material would stand."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, UInt8
from scipy.stats import rankdata

from prismat.api import SENTENCE, Prismat
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.maps.nearest import nearest
from prismat.maps.umap import fuzzy_weights
from prismat.maps.world import MaterialsMap
from prismat.search.engine import SearchEngine
from prismat.search.query import Query

NEIGHBOURS = 15


@dataclass(frozen=True, eq=False)
class Heat:
    """How near every point of a map is to some words.

    Attributes:
        cosines: shape (n,).
        percentiles: share of points that are colder, from 0 to 100.
        levels: the percentiles from 0 to 255.
    """

    cosines: Float[np.ndarray, " n"]
    percentiles: Float[np.ndarray, " n"]
    levels: UInt8[np.ndarray, " n"]


@dataclass(frozen=True)
class Placement:
    """Where something new stands on a map.

    Attributes:
        x: on the map.
        y: on the map.
        neighbours: ids of the nearest records, nearest first.
        how: it was placed, in words.
    """

    x: float
    y: float
    neighbours: tuple[str, ...]
    how: str


def comparable_key(window: str, key: str) -> str | None:
    """The key under which a window's vectors can be compared with those of ``key``; None where there is none.

    A model with heads per pair has many spaces: words in that of ``text@structure`` stand beside structures
    in that of ``structure@text``, and beside no other.
    """
    own, _, partner = key.partition("@")
    if window == own or (key == SENTENCE and window == "text"):
        return key
    if key == SENTENCE:
        return None
    if not partner:
        return window
    return f"{window}@{own}" if window == partner else None


def heat_of(cosines: Float[np.ndarray, " n"]) -> Heat:
    """Cosines with their percentiles; equal ones share the mean of theirs."""
    ranks = (rankdata(cosines) - 0.5) / len(cosines)
    return Heat(cosines, (100 * ranks).astype(np.float32), np.floor(256 * ranks).astype(np.uint8))


def heat_of_text(world: MaterialsMap, prismat: Prismat, text: str) -> Heat:
    """How near each point is to some words.

    Args:
        world: bound to its index.
        prismat: the model that made it.
        text: any words.

    Raises:
        BadInputError: the map's vectors cannot be compared with words, or the map is not bound.
        MismatchError: another model.
    """
    world.check_model(prismat.hash)
    found = prismat.embed(texts=[text])
    key = comparable_key("text", world.key)
    if key is None or key not in found:
        raise BadInputError(
            f"words cannot be compared with {world.key!r}", field="heat", remedy="Map --key structure@text."
        )
    return heat_of(world.heat(found[key][0]))


def place_query(world: MaterialsMap, engine: SearchEngine, query: Query) -> Placement:
    """Where what a query asks for would stand.

    A single structure or text whose vector lives in the map's space is placed by it. Anything else (a
    pattern, a mixture, data of another window) stands at the weighted mean of its best hits, which are found
    by all that the search compares.

    Raises:
        BadInputError: the query cannot be read, or none of its hits is on the map.
    """
    query = query.resolved()
    vector = _own_vector(world, engine.prismat, query)
    if vector is not None:
        rows, _ = nearest(vector, world.reference, NEIGHBOURS)
        x, y = world.place(vector)[0].tolist()
        return Placement(x, y, tuple(world.ids[r] for r in rows[0]), f"by its vector under {world.key}")
    return _among_hits(world, engine, query)


def _own_vector(world: MaterialsMap, prismat: Prismat, query: Query) -> Float[np.ndarray, "1 dim"] | None:
    if len(query.parts) != 1 or query.parts[0] not in ("text", "structure"):
        return None
    key = comparable_key(query.parts[0], world.key)
    if query.text is not None:
        return prismat.embed(texts=[query.text]).get(key or "")
    if isinstance(query.structure, Crystal):
        return prismat.embed(structures=[query.structure]).get(key or "")
    return None


def _among_hits(world: MaterialsMap, engine: SearchEngine, query: Query) -> Placement:
    hits = [h for h in engine.answer(replace(query, k=2 * NEIGHBOURS)) if h.id in world.rows][:NEIGHBOURS]
    if not hits:
        raise BadInputError(
            "no hit of the query is on the map", field="query", remedy="Ask for something else."
        )
    distances = np.sqrt(np.maximum(2 - 2 * np.array([[h.score for h in hits]]), 0))
    weights = fuzzy_weights(distances)[0]
    x, y = (weights / weights.sum()) @ world.xy[[world.rows[h.id] for h in hits]]
    return Placement(float(x), float(y), tuple(h.id for h in hits), "at the weighted mean of its best hits")
