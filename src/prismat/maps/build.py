"""From a model and its index to a map."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from prismat.api import Prismat
from prismat.errors import BadInputError
from prismat.maps.ask import comparable_key
from prismat.maps.clusters import kmeans
from prismat.maps.names import Name, name_clusters
from prismat.maps.overlays import Overlay, Rows, default_overlays, overlay
from prismat.maps.projection import Method, ProjectionConfig, fit_projection
from prismat.maps.world import Cluster, MaterialsMap, fitted_to_map
from prismat.recipes.serial import to_json
from prismat.search.index import Index

_BINS = 96
Namer = Callable[[Sequence[Name], Sequence[Sequence[str]]], Sequence[Name]]
"""Names from the words of each cluster and some of its titles, such as by a language model."""


@dataclass(frozen=True)
class MapConfig:
    """How a map is made.

    Attributes:
        method: of projection.
        key: which embedding; structures as they are compared with words where empty.
        clusters: how many regions are named.
        heats: words whose heat is kept.
        overlays: by name, see ``overlays.overlay``; all that the records offer where empty.
        projection: settings of the method.
        seed: of the clusters.
    """

    method: Method = "tsne"
    key: str = ""
    clusters: int = 20
    heats: tuple[str, ...] = ()
    overlays: tuple[str, ...] = ()
    projection: ProjectionConfig = field(default_factory=ProjectionConfig)
    seed: int = 0


def chosen_key(prismat: Prismat, index: Index, key: str = "") -> str:
    """The key that a map draws.

    Raises:
        BadInputError: the index has no such key.
    """
    wanted = [key] if key else [prismat.key("structure", "text"), "structure", *index.vectors]
    found = next((k for k in wanted if k in index.vectors), None)
    if found is None:
        raise BadInputError(
            f"the index has no key {key!r}", field="key", remedy=f"Use one of {', '.join(index.vectors)}."
        )
    return found


def make_map(
    prismat: Prismat,
    index: Index,
    config: MapConfig,
    tags: Mapping[str, Mapping[str, str]] | None = None,
    namer: Namer | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> MaterialsMap:
    """Draws every record of an index that has the key.

    Args:
        prismat: the model that made the index.
        index: records and vectors.
        config: how.
        tags: of the records by id, for overlays that need them.
        namer: better names for the clusters.
        note: told what is being done.

    Raises:
        BadInputError: a key, method or overlay that is not there, too few records, or words that the map's
            vectors cannot be compared with.
        MissingExtraError: the package of the method is not installed.
    """
    key = chosen_key(prismat, index, config.key)
    rows = np.flatnonzero(index.present[key])
    vectors = np.asarray(index.vectors[key][rows])
    table = index.table.take(rows)
    columns = {name: table[name].to_pylist() for name in table.column_names}
    heats = _heats(prismat, key, vectors, config.heats)
    shown = _overlays(columns, index.units, tags or {}, config.overlays)
    note(f"{len(rows):,} records under {key}: {config.method}")
    begun = time.perf_counter()
    xy, arrays = fitted_to_map(fit_projection(config.method, vectors, config.projection))
    seconds = time.perf_counter() - begun
    note(f"placed in {seconds:.1f} s; {config.clusters} clusters")
    labels, clusters = _clusters(vectors, xy, columns["title"], config, namer)
    settings = {
        **to_json(config),
        "projection_seconds": round(seconds, 1),
        "left_out": len(index) - len(rows),
    }
    return MaterialsMap(
        ids=tuple(columns["id"]),
        formulas=tuple(f or "" for f in columns["formula"]),
        titles=tuple(t or "" for t in columns["title"]),
        xy=xy,
        cluster=labels.astype(np.int16),
        clusters=clusters,
        overlays=shown,
        heats=heats,
        method=config.method,
        key=key,
        model_hash=index.model_hash,
        settings=settings,
        arrays=arrays,
        vectors=vectors,
    )


def _heats(
    prismat: Prismat, key: str, vectors: np.ndarray, words: Sequence[str]
) -> dict[str, Float[np.ndarray, " n"]]:
    if not words:
        return {}
    partner = comparable_key("text", key)
    found = prismat.embed(texts=list(words))
    if partner not in found:
        raise BadInputError(
            f"words cannot be compared with {key!r}", field="heat", remedy="Map --key structure@text."
        )
    return {w: (vectors @ v).astype(np.float32) for w, v in zip(words, found[partner], strict=True)}


def _overlays(
    columns: Mapping[str, list],
    units: Mapping[str, str],
    tags: Mapping[str, Mapping[str, str]],
    names: Sequence[str],
) -> dict[str, Overlay]:
    rows = Rows(columns, units, [tags.get(name, {}) for name in columns["id"]])
    # What is asked for comes on top of what is there anyway.
    return {name: overlay(rows, name) for name in dict.fromkeys([*names, *default_overlays(rows)])}


def _clusters(
    vectors: np.ndarray, xy: np.ndarray, titles: Sequence[str], config: MapConfig, namer: Namer | None
) -> tuple[Int[np.ndarray, " n"], tuple[Cluster, ...]]:
    found = kmeans(vectors.astype(np.float64), min(config.clusters, len(vectors)), config.seed)
    count = len(found.centres)
    names = name_clusters(titles, found.labels.tolist(), count)
    if namer is not None:
        names = namer(names, [_samples(titles, found.labels == c, config.seed) for c in range(count)])
    sizes = np.bincount(found.labels, minlength=count)
    places = [densest(xy[found.labels == c]) for c in range(count)]
    made = zip(names, sizes.tolist(), places, strict=True)
    return found.labels, tuple(Cluster(n.text, n.words, size, *place) for n, size, place in made)


def _samples(titles: Sequence[str], mask: np.ndarray, seed: int, count: int = 30) -> list[str]:
    """Some of the distinct titles of a cluster."""
    known = sorted({titles[i] for i in np.flatnonzero(mask)} - {""})
    drawn = np.random.default_rng(seed).permutation(len(known))[:count]
    return [known[i] for i in sorted(drawn)]


def densest(xy: Float[np.ndarray, "n 2"], width: float = 0.05) -> tuple[float, float]:
    """Where points of a map are densest: the greatest bin of a smoothed histogram.

    Args:
        xy: on a map from −1 to 1.
        width: of the smoothing, in the map's units.
    """
    from scipy.ndimage import gaussian_filter

    counts, xs, ys = np.histogram2d(xy[:, 0], xy[:, 1], bins=_BINS, range=[[-1, 1], [-1, 1]])
    smooth = gaussian_filter(counts, width * _BINS / 2)
    i, j = np.unravel_index(smooth.argmax(), smooth.shape)
    return float((xs[i] + xs[i + 1]) / 2), float((ys[j] + ys[j + 1]) / 2)
