"""What the records of a store say of a target: numbers, or classes, or nothing."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from prismat.errors import BadInputError
from prismat.heads.model import HeadTarget
from prismat.modalities.properties import PropertiesModality, PropertiesSettings, PropertySpec
from prismat.modalities.text_views import crystal_system
from prismat.store import Store
from prismat.tasks.property.config import PropertyConfig

CRYSTAL_SYSTEM = "crystal_system"
LEAST_IN_CLASS = 2
MOST_CLASSES = 50


@dataclass(frozen=True, eq=False)
class Labelled:
    """A target over a store.

    Attributes:
        target: name, unit and classes.
        values: what a head is to say, in its own unit, or the class number; NaN where unknown,
            shape (records,).
        left_out: why records have none, counted.
    """

    target: HeadTarget
    values: Float[np.ndarray, " records"]
    left_out: dict[str, int]

    @property
    def is_class(self) -> bool:
        """Whether classes are predicted."""
        return bool(self.target.classes)


def read_target(store: Store, train: Int[np.ndarray, " train"], config: PropertyConfig) -> Labelled:
    """The target of every record.

    Args:
        store: the records.
        train: its training rows, which decide the classes there are.
        config: what is wanted.

    Raises:
        BadInputError: no record has the target, borders or a logarithm of what is no number, or too many
            classes.
    """
    units, name = store.property_units(), config.target
    if name in units:
        return _numbers(store, PropertySpec(name, min(units[name])), config)
    if config.log or config.classes:
        raise BadInputError(
            f"{name!r} is no property with numbers",
            field="target",
            remedy=f"Name one of: {', '.join(sorted(units)) or 'none in this store'}.",
        )
    return _words(store, name, train)


def _numbers(store: Store, spec: PropertySpec, config: PropertyConfig) -> Labelled:
    column = PropertiesModality(PropertiesSettings((spec,))).rows(store.table["properties"], store.ids)
    values = np.full(len(store), np.nan)
    values[column.lengths > 0] = column.values
    left_out = {"no value": int(np.isnan(values).sum())}
    if config.classes:
        # What is unknown stays so.
        numbers = np.digitize(values, config.classes, right=True).astype(np.float64)
        names = _border_names(config.classes, spec.unit)
        target = HeadTarget(spec.name, spec.unit, classes=names)
        return Labelled(target, np.where(np.isnan(values), np.nan, numbers), left_out)
    if config.log:
        no_log = values <= 0
        left_out["not positive"] = int(no_log.sum())
        values = np.log10(np.where(no_log, np.nan, values))
    return Labelled(HeadTarget(spec.name, spec.unit, config.log), values, left_out)


def _border_names(borders: tuple[float, ...], unit: str) -> tuple[str, ...]:
    unit = f" {unit}" if unit else ""
    between = [f"{low:g} to {high:g}{unit}" for low, high in pairwise(borders)]
    return (f"≤ {borders[0]:g}{unit}", *between, f"> {borders[-1]:g}{unit}")


def _words(store: Store, name: str, train: Int[np.ndarray, " train"]) -> Labelled:
    """Classes by crystal system or tag; those too rare in training are left out."""
    if name == CRYSTAL_SYSTEM:
        words = [crystal_system(n) if n else "" for n in store.column("spacegroup_number")]
    else:
        words = [dict(tags).get(name, "") for tags in store.column("tags")]
    if not any(words):
        tags = sorted({k for row in store.column("tags") for k, _ in row})
        there = ", ".join([*sorted(store.property_units()), *tags, CRYSTAL_SYSTEM])
        raise BadInputError(
            f"no record has {name!r}",
            record=str(store.folder),
            field="target",
            remedy=f"Name one of: {there}.",
        )
    counts = Counter(words[row] for row in train if words[row])
    classes = tuple(sorted(w for w, n in counts.items() if n >= LEAST_IN_CLASS))
    if len(classes) > MOST_CLASSES:
        raise BadInputError(
            f"{len(classes)} classes of {name!r}",
            field="target",
            remedy=f"Choose a target of {MOST_CLASSES} classes at most.",
        )
    number = {word: i for i, word in enumerate(classes)}
    values = np.array([number.get(word, np.nan) for word in words], dtype=np.float64)
    rare = sum(bool(w) and w not in number for w in words)
    return Labelled(
        HeadTarget(name, classes=classes), values, {"no value": words.count(""), "rare class": rare}
    )
