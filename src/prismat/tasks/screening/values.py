"""A number for every crystal of a gallery: the store's own, or one that a head or predictor of ours gives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from prismat.errors import BadInputError, PrismatError
from prismat.model_files import read_object
from prismat.predictor import load_predictor
from prismat.store import Store
from prismat.tasks.prediction import target_of

_CHUNK = 128
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Values:
    """A property of some rows of a store.

    Attributes:
        name: of the property.
        unit: of the values.
        values: NaN where unknown, shape (rows,).
        source: where they come from, as a figure names it.
        failed: reason by record of those that could not be predicted.
    """

    name: str
    unit: str
    values: Float[np.ndarray, " rows"]
    source: str
    failed: dict[str, str] = field(default_factory=dict)


@runtime_checkable
class _Predicts(Protocol):
    """What heads and predictors have in common."""

    def predict(self, structures: Any) -> Any:
        """Name, unit and values of crystals."""
        ...


def true_values(store: Store, name: str, rows: Int[np.ndarray, " n"]) -> Values:
    """A property as the store has it.

    Raises:
        BadInputError: no record of the store has it, or it comes in several units.
    """
    unit = target_of(store, name).unit
    if len(store.property_units()[name]) > 1:
        raise BadInputError(f"{name!r} comes in several units", record=str(store.folder), remedy="Use one.")
    table = store.column("properties")
    found = [next((e["value"] for e in table[r] if e["name"] == name), None) for r in rows.tolist()]
    values = np.array([np.nan if v is None else v for v in found], dtype=np.float64)
    return Values(name, unit, values, f"{_spoken(name)} as {store_name(store)} has it")


def predicted_values(
    folder: Path, store: Store, rows: Int[np.ndarray, " n"], progress: Progress | None = None
) -> Values:
    """A property of crystals as a saved head, or a saved predictor, says it.

    A crystal that cannot be predicted is listed with its reason.

    Args:
        folder: of ``prismat fit`` or of ``prismat train --target``.
        store: where the crystals are.
        rows: which of them.
        progress: called with (crystals done, crystals).

    Raises:
        BadInputError: the folder holds neither, or one of something else than a number.
    """
    predictor, source = load_numbers(folder)
    crystals = store.crystals(rows)
    values, failed, told = np.full(len(rows), np.nan), {}, ("", "")
    known = np.array([i for i, crystal in enumerate(crystals) if crystal is not None], dtype=np.int64)
    for start in range(0, len(known), _CHUNK):
        for some, found in _predicted(predictor, crystals, known[start : start + _CHUNK]):
            if isinstance(found, PrismatError):
                failed[store.ids[int(rows[some[0]])]] = str(found)
            else:
                values[some], told = found.values, (found.name, found.unit)
        if progress is not None:
            progress(min(start + _CHUNK, len(known)), len(known))
    if not np.isfinite(values).any():
        raise BadInputError(
            "it predicts none of the crystals", record=str(folder), remedy="Give another one."
        )
    return Values(*told, values, source, failed)


def _predicted(
    predictor: _Predicts, crystals: list, chunk: Int[np.ndarray, " n"]
) -> Iterator[tuple[Int[np.ndarray, " m"], Any]]:
    """Positions and what was predicted of them; where a crystal fails its chunk, each by itself."""
    try:
        found = predictor.predict(structures=[crystals[i] for i in chunk])
    except PrismatError as error:
        if len(chunk) == 1:
            yield chunk, error
            return
        for i in chunk:
            yield from _predicted(predictor, crystals, np.array([i]))
        return
    yield chunk, found


def load_numbers(folder: Path) -> tuple[_Predicts, str]:
    """A saved head or predictor of a number, and how a figure names it.

    Raises:
        BadInputError: the folder holds neither, or a head that says classes.
    """
    folder = Path(folder)
    kinds = {_kind(place) for place in (folder, folder / "head", folder / "model")}
    if "property_head" in kinds:
        return _head(folder)
    if "predictor" not in kinds:
        raise BadInputError(
            f"{folder} holds no predictor",
            field="predictor",
            remedy="Give the folder of 'prismat fit', or of 'prismat train' with --target.",
        )
    predictor = load_predictor(folder)
    return (
        predictor,
        f"{_spoken(predictor.target.spec.name)} predicted by our own {predictor.recipe.name} predictor",
    )


def _head(folder: Path) -> tuple[_Predicts, str]:
    # Heads are a room of their own, which is not needed for the store's own numbers.
    from prismat.heads.files import load_head

    head = load_head(folder)
    if head.spec.target.classes or "structure" not in head.spec.windows:
        raise BadInputError(
            f"{folder} holds a head that says no number of a structure",
            field="predictor",
            remedy="Give one of a number, such as the band gap.",
        )
    read = " and ".join(head.spec.windows)
    return (
        head,
        f"{_spoken(head.spec.target.name)} predicted by our own {head.spec.head.kind} head on {read}",
    )


def store_name(store: Store) -> str:
    """What people call a store: its folder's name, or its source where the folder says nothing."""
    return store.info["job"]["source"] if store.folder.name == "store" else store.folder.name


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _kind(folder: Path) -> str:
    path = folder / "config.json"
    return str(read_object(path).get("kind", "")) if path.is_file() else ""
