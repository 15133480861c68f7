"""Which class a record's picture belongs to: a tag, the values of a property, or two sides of a threshold."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from prismat.errors import BadInputError
from prismat.store import Store
from prismat.training.session import Prepared

LABEL_TAG = "label"
MOST_CLASSES = 50
"""A property of more different values is no class; a threshold makes it one."""


@dataclass(frozen=True, eq=False)
class PictureClasses:
    """Classes of the records of a store.

    Attributes:
        label: the tag or property they come from.
        names: of the classes, in order.
        of: class of each record, −1 where it has none, shape (records,).
        rows: records of train, val and test with a picture and a class.
        left_out: records of the three parts without one of them, by part.
    """

    label: str
    names: list[str]
    of: Int[np.ndarray, " records"]
    rows: dict[str, Int[np.ndarray, " part"]]
    left_out: dict[str, int]


def picture_classes(
    prepared: Prepared,
    present: Bool[np.ndarray, " records"],
    label: str = "",
    threshold: float | None = None,
) -> PictureClasses:
    """Reads the classes of a store's records.

    Args:
        prepared: store, records and split.
        present: which records have a picture.
        label: a tag or a property; the tag ``label`` where some record has it, else the only property.
        threshold: of a property, in its unit: below it is one class, from it on another.

    Raises:
        BadInputError: no picture, no such label, too many different values, or training and validation rows
            that lack a class which the others have.
    """
    store = prepared.store
    if not present.any():
        raise BadInputError(
            "no record has an image", record=str(store.folder), remedy="Prepare pictures: images or elpv."
        )
    name = _label_name(store, label)
    names, of = (
        _by_property(store, name, threshold) if name in store.property_units() else _by_tag(store, name)
    )
    usable = present & (of >= 0)
    rows = {part: np.sort(found[usable[found]]) for part, found in prepared.rows.items()}
    left_out = {part: len(prepared.rows[part]) - len(found) for part, found in rows.items()}
    _check(names, of, rows)
    return PictureClasses(name, names, of, rows, left_out)


def _label_name(store: Store, label: str) -> str:
    properties = sorted(store.property_units())
    tags = {key for row in store.column("tags") for key, _ in row}
    if label:
        if label in properties or label in tags:
            return label
        known = [*properties, *sorted(tags)]
        remedy = f"Name one of: {', '.join(known)}." if known else "Prepare pictures with labels."
        raise BadInputError(
            f"no record has {label!r}", record=str(store.folder), field="label", remedy=remedy
        )
    if LABEL_TAG in tags:
        return LABEL_TAG
    if len(properties) == 1:
        return properties[0]
    problem = f"several properties: {', '.join(properties)}" if properties else "no record has a label"
    remedy = "Name one with --label." if properties else "Prepare pictures with labels."
    raise BadInputError(problem, record=str(store.folder), field="label", remedy=remedy)


def _by_tag(store: Store, name: str) -> tuple[list[str], Int[np.ndarray, " records"]]:
    found = [dict(row).get(name, "") for row in store.column("tags")]
    names = sorted(set(found) - {""})
    _check_count(len(names), name)
    place = {word: i for i, word in enumerate(names)}
    return names, np.array([place.get(word, -1) for word in found], dtype=np.int64)


def _by_property(
    store: Store, name: str, threshold: float | None
) -> tuple[list[str], Int[np.ndarray, " records"]]:
    values = np.array(
        [
            next((entry["value"] for entry in row if entry["name"] == name), np.nan)
            for row in store.column("properties")
        ],
        dtype=np.float64,
    )
    known = np.isfinite(values)
    if threshold is not None:
        of = np.where(known, (values >= threshold).astype(np.int64), -1)
        return [f"below {threshold:g}", f"{threshold:g} or more"], of
    levels = np.unique(values[known])
    _check_count(len(levels), name)
    of = np.where(known, np.searchsorted(levels, np.where(known, values, levels[0])), -1)
    return [f"{level:.4g}" for level in levels], of.astype(np.int64)


def _check_count(count: int, name: str) -> None:
    if not 1 < count <= MOST_CLASSES:
        raise BadInputError(
            f"{name!r} has {count} different values",
            field="label",
            remedy=f"Give 2 to {MOST_CLASSES} classes, or cut a property in two with --threshold.",
        )


def _check(names: list[str], of: np.ndarray, rows: dict[str, np.ndarray]) -> None:
    counts = {part: np.bincount(of[found], minlength=len(names)) for part, found in rows.items()}
    for part in ("val", "test"):
        if not len(rows[part]):
            raise BadInputError(f"no record of {part} has a picture and a class", field="label")
        unknown = np.flatnonzero((counts[part] > 0) & (counts["train"] == 0))
        if len(unknown):
            raise BadInputError(
                f"no training record is of the class {names[unknown[0]]!r}, which {part} has",
                field="label",
                remedy="Divide the records otherwise, or choose another label or threshold.",
            )
    if (counts["train"] > 0).sum() < 2:
        raise BadInputError(
            "all training records are of one class",
            field="label",
            remedy="Choose another label or threshold.",
        )
