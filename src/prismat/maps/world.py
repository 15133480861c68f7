"""A finished map: points, named clusters, overlays, and what heat and new points need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError, MismatchError
from prismat.maps.overlays import Overlay
from prismat.maps.projection import Arrays, Fitted, projection_of
from prismat.maps.world_files import read_world, write_world


@runtime_checkable
class VectorSource(Protocol):
    """Where the vectors of a map's points come from: any search index."""

    @property
    def model_hash(self) -> str:
        """The model that made the vectors."""
        ...

    def vectors_of(
        self, key: str, ids: Sequence[str]
    ) -> tuple[Float[np.ndarray, "n dim"], Bool[np.ndarray, " n"]]:
        """Vectors of records under a key, and which of them have it."""
        ...


@dataclass(frozen=True)
class Cluster:
    """A region of the space.

    Attributes:
        name: two or three telling words.
        words: more of them, the best first.
        size: number of points.
        x: of its name on the map, where its points are densest.
        y: likewise.
    """

    name: str
    words: tuple[str, ...]
    size: int
    x: float
    y: float


@dataclass(frozen=True, eq=False)
class MaterialsMap:
    """Materials in a plane.

    Attributes:
        ids: of the records.
        formulas: likewise.
        titles: likewise.
        xy: places; the box around them has its middle at the origin and its longer side from −1 to 1.
        cluster: of each record, index into ``clusters``.
        clusters: the largest first.
        overlays: by name.
        heats: cosine of each point with the words asked beforehand, by those words.
        method: tsne, umap or pca.
        key: which embedding was drawn.
        model_hash: the model that made it.
        settings: how the map was made.
        arrays: what placing needs: ``scale`` (units of the method per unit of the map) and ``middle``, and
            what the method keeps for itself.
        vectors: unit vectors of the records; None until ``bound``.
    """

    ids: tuple[str, ...]
    formulas: tuple[str, ...]
    titles: tuple[str, ...]
    xy: Float[np.ndarray, "n 2"]
    cluster: Int[np.ndarray, " n"]
    clusters: tuple[Cluster, ...]
    overlays: Mapping[str, Overlay]
    heats: Mapping[str, Float[np.ndarray, " n"]]
    method: str
    key: str
    model_hash: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)
    vectors: Float[np.ndarray, "n dim"] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each id."""
        return {name: row for row, name in enumerate(self.ids)}

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """Least x and y, greatest x and y."""
        low, high = self.xy.min(axis=0), self.xy.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def save(self, folder: Path) -> None:
        """Writes ``world.json`` and ``world.safetensors``; vectors stay in the index."""
        arrays = {"xy": self.xy, "cluster": self.cluster}
        arrays |= {f"overlay.{i}": o.values for i, o in enumerate(self.overlays.values())}
        arrays |= {f"heat.{i}": h for i, h in enumerate(self.heats.values())}
        arrays |= {f"projection.{name}": a for name, a in self.arrays.items()}
        content = {
            "method": self.method,
            "key": self.key,
            "model_hash": self.model_hash,
            "settings": dict(self.settings),
            "clusters": [vars(c) for c in self.clusters],
            "overlays": [[n, o.unit, o.categories] for n, o in self.overlays.items()],
            "heats": list(self.heats),
            "ids": self.ids,
            "formulas": self.formulas,
            "titles": self.titles,
        }
        write_world(Path(folder), content, arrays)

    @classmethod
    def load(
        cls, folder: Path, model_hash: str | None = None, index: VectorSource | None = None
    ) -> "MaterialsMap":
        """Reads a map.

        Args:
            folder: made by ``save``.
            model_hash: the model that will make queries; unchecked where None.
            index: made with the same model; without it neither heat nor new points are to be had.

        Raises:
            BadInputError: no map there, or its files are damaged.
            VersionError: another format version.
            MismatchError: made with another model.
        """
        content, arrays = read_world(Path(folder))
        try:
            world = _from_content(content, arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise BadInputError(
                "the map is damaged", record=str(folder), remedy="Run prismat map."
            ) from error
        world.check_model(model_hash)
        return world if index is None else world.bound(index)

    def check_model(self, model_hash: str | None) -> None:
        """Refuses another model than the map's; any where None is given.

        Raises:
            MismatchError: another model.
        """
        if model_hash is not None and self.model_hash != model_hash:
            raise MismatchError(
                f"This map was made with model {self.model_hash[:12]}, the model loaded is "
                f"{model_hash[:12]}. Run prismat map to make it again with this model."
            )

    def bound(self, index: VectorSource) -> "MaterialsMap":
        """The same map with its points' vectors, from the index it was made of.

        Raises:
            MismatchError: the index was made with another model.
            BadInputError: it lacks a record or the key.
        """
        self.check_model(index.model_hash)
        vectors, present = index.vectors_of(self.key, self.ids)
        if not np.all(present):
            raise BadInputError(
                "the index lacks a vector of the map",
                record=self.ids[int(np.argmin(present))],
                field=self.key,
                remedy="Run prismat map again.",
            )
        return replace(self, vectors=np.asarray(vectors, dtype=np.float32))

    @property
    def reference(self) -> Float[np.ndarray, "n dim"]:
        """Vectors of the points.

        Raises:
            BadInputError: the map is not bound to its index.
        """
        if self.vectors is None:
            raise BadInputError(
                "the map has no vectors", field="map", remedy="Load it with its index, or call bound(index)."
            )
        return self.vectors

    def place(self, vectors: Float[np.ndarray, "m dim"]) -> Float[np.ndarray, "m 2"]:
        """Where new vectors of the map's key would be, all else staying where it is.

        Raises:
            BadInputError: the map has no vectors, or these have another length.
        """
        reference = self.reference
        self._check_width(vectors, reference)
        scale, middle = float(self.arrays["scale"][0]), self.arrays["middle"]
        fitted = Fitted(self.xy.astype(np.float64) * scale + middle, self.arrays)
        method = projection_of(self.method)
        found = method.place(np.asarray(vectors, np.float64), reference.astype(np.float64), fitted)
        return ((found - middle) / scale).astype(np.float32)

    def heat(self, vector: Float[np.ndarray, " dim"]) -> Float[np.ndarray, " n"]:
        """Cosine of every point with a query's vector.

        Raises:
            BadInputError: the map has no vectors, or this one has another length.
        """
        reference = self.reference
        self._check_width(vector[None], reference)
        return (reference @ (vector / max(float(np.linalg.norm(vector)), 1e-12))).astype(np.float32)

    def _check_width(self, vectors: np.ndarray, reference: np.ndarray) -> None:
        if vectors.shape[1] != reference.shape[1]:
            raise BadInputError(
                f"vectors of length {vectors.shape[1]}, those of the map have {reference.shape[1]}",
                field=self.key,
                remedy="Embed with the map's model under its key.",
            )


def fitted_to_map(fitted: Fitted) -> tuple[Float[np.ndarray, "n 2"], Arrays]:
    """Places brought to the box from −1 to 1, and the arrays that tell how."""
    low, high = fitted.xy.min(axis=0), fitted.xy.max(axis=0)
    middle, scale = (low + high) / 2, max(float((high - low).max()) / 2, 1e-12)
    arrays = {**fitted.arrays, "middle": middle, "scale": np.array([scale])}
    return ((fitted.xy - middle) / scale).astype(np.float32), arrays


def _from_content(content: dict, arrays: Arrays) -> MaterialsMap:
    ids = tuple(content["ids"])
    named = enumerate(content["overlays"])
    overlays = {n: Overlay(u, _of(arrays, f"overlay.{i}", ids), tuple(c)) for i, (n, u, c) in named}
    kept = {n.removeprefix("projection."): a for n, a in arrays.items() if n.startswith("projection.")}
    if arrays["xy"].shape != (len(ids), 2) or not np.isfinite(arrays["xy"]).all():
        raise ValueError("places that do not fit")
    told = content["clusters"]
    clusters = tuple(Cluster(c["name"], tuple(c["words"]), c["size"], c["x"], c["y"]) for c in told)
    cluster = _of(arrays, "cluster", ids)
    if len(cluster) and not 0 <= cluster.min() <= cluster.max() < len(clusters):
        raise ValueError("clusters that do not fit")
    return MaterialsMap(
        ids=ids,
        formulas=_texts(content["formulas"], ids),
        titles=_texts(content["titles"], ids),
        xy=arrays["xy"],
        cluster=cluster,
        clusters=clusters,
        overlays=overlays,
        heats={n: _of(arrays, f"heat.{i}", ids) for i, n in enumerate(content["heats"])},
        method=content["method"],
        key=content["key"],
        model_hash=content["model_hash"],
        settings=content["settings"],
        arrays=kept,
    )


def _of(arrays: Arrays, name: str, ids: tuple[str, ...]) -> np.ndarray:
    if arrays[name].shape != (len(ids),):
        raise ValueError(f"{name} does not fit")
    return arrays[name]


def _texts(values: list, ids: tuple[str, ...]) -> tuple[str, ...]:
    if len(values) != len(ids) or not all(isinstance(v, str) for v in values):
        raise ValueError("texts that do not fit")
    return tuple(values)
