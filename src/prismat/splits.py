"""Grouped splits: records that share a composition, a publication or a mineral stay in one part.

A split is a list of ids with a hash over the ids and the rule that made it, so that two results can be shown
to come from the same one. Leaks are counted by a second method that does not know how the groups were made.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from prismat.errors import BadInputError, MismatchError
from prismat.groups import NOISE, TOLERANCE, group_records, key_codes

__all__ = ["LeakReport", "Split", "check_leaks", "count_leaks", "group_records", "make_split"]

PARTS = ("train", "val", "test")

_LARGEST_HELD_OUT = 0.1
"""A group above this share of a held-out part would decide its figures: it goes to train where it can."""


@dataclass(frozen=True)
class Split:
    """Which records are for learning, for choosing and for the final figures.

    Attributes:
        train: ids to learn from.
        val: ids on which choices are made.
        test: ids looked at once, for the figures.
        rule: how the split was made (keys, tolerance, fractions, seed), in JSON types.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    rule: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ids = [*self.train, *self.val, *self.test]
        if len(set(ids)) < len(ids):
            twice = next(i for i in ids if ids.count(i) > 1)
            raise BadInputError("an id stands in the split twice", record=twice, remedy="Make ids unique.")

    @cached_property
    def hash(self) -> str:
        """SHA-256 over the sorted ids of each part and the rule, 64 hexadecimal digits."""
        content = {part: sorted(getattr(self, part)) for part in PARTS} | {"rule": self.rule}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> str:
        """The split as JSON text, its hash included."""
        parts = {part: list(getattr(self, part)) for part in PARTS}
        return json.dumps({"hash": self.hash, "rule": self.rule, **parts}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Split":
        """Reads what ``to_json`` wrote.

        Raises:
            BadInputError: not JSON, a part missing or not a list of strings, an id twice, or a content
                that does not match the hash.
        """
        remedy = "Restore the file from the run folder, or make the split again."
        try:
            content = json.loads(text)
            parts = {part: tuple(content[part]) for part in PARTS}
            rule, stored = dict(content["rule"]), content["hash"]
        except (ValueError, KeyError, TypeError) as error:
            raise BadInputError(f"not a split: {error}", field="split", remedy=remedy) from error
        if not all(isinstance(i, str) for ids in parts.values() for i in ids):
            raise BadInputError("an id is not a string", field="split", remedy=remedy)
        split = cls(**parts, rule=rule)
        if split.hash != stored:
            raise BadInputError("the ids do not match the hash", field="split", remedy=remedy)
        return split

    def rows(self, ids: Sequence[str]) -> dict[str, Int[np.ndarray, " part"]]:
        """Row numbers of each part among ``ids``, in the order of the split; other ids are left out.

        Raises:
            MismatchError: an id of the split is missing from ``ids``.
        """
        position = {id_: row for row, id_ in enumerate(ids)}
        missing = [i for part in PARTS for i in getattr(self, part) if i not in position]
        if missing:
            raise MismatchError(
                f"{len(missing)} ids of the split are not among the records, the first {missing[0]!r}. "
                "Use the store the split was made from, or make a new split."
            )
        return {p: np.array([position[i] for i in getattr(self, p)], dtype=np.int64) for p in PARTS}


def make_split(
    ids: Sequence[str],
    groups: Int[np.ndarray, " records"],
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    rule: Mapping[str, Any] | None = None,
) -> Split:
    """Assigns whole groups to the parts, at random and close to the sizes asked for.

    The largest group always goes to train, and so does any other group above a tenth of a held-out part
    while smaller ones can fill it. The same input gives the same split.

    Args:
        ids: unique ids of the records.
        groups: group number of each record, from :func:`group_records`.
        fractions: shares of train, val and test; they add up to 1.
        seed: of the draw.
        rule: more facts to store with the split (keys, tolerance).

    Raises:
        BadInputError: lengths differ, shares that are negative or do not add up to 1, or fewer groups
            than parts to fill.
    """
    _check_split(ids, groups, fractions)
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    part_of = np.zeros(len(sizes), np.int64)
    order = _draw_order(sizes, round(min(f for f in fractions if f > 0) * len(ids)), seed)
    for part in (2, 1):
        target = round(fractions[part] * len(ids))
        # One group is left for val, whatever fits into test.
        open_ = order[: len(order) - int(part == 2 and fractions[1] > 0)]
        taken = _fill(sizes, open_, target) if fractions[part] > 0 else order[:0]
        part_of[taken] = part
        order = order[~np.isin(order, taken)]
    ids_, record_part = np.array(ids, dtype=object), part_of[member.ravel()]
    train, val, test = (tuple(ids_[record_part == part]) for part in range(3))
    return Split(train, val, test, {**(rule or {}), "fractions": list(fractions), "seed": seed})


def _check_split(ids: Sequence[str], groups: np.ndarray, fractions: tuple[float, float, float]) -> None:
    if len(ids) != len(groups):
        raise BadInputError(
            f"{len(groups)} groups for {len(ids)} ids", field="groups", remedy="Give one each."
        )
    if min(fractions) < 0 or fractions[0] == 0 or abs(sum(fractions) - 1) > 1e-6:
        raise BadInputError(
            f"shares {fractions} do not add up to 1 with something to train on",
            field="fractions",
            remedy="Use (0.8, 0.1, 0.1).",
        )
    n_groups, n_parts = len(np.unique(groups)), sum(f > 0 for f in fractions)
    if n_groups < n_parts:
        raise BadInputError(
            f"{n_groups} groups cannot fill {n_parts} parts",
            field="groups",
            remedy="Add records, or use fewer keys or a smaller tolerance.",
        )


def _draw_order(sizes: np.ndarray, smallest_part: int, seed: int) -> Int[np.ndarray, " order"]:
    """All groups but the largest: small ones shuffled, then the large ones by size."""
    shuffled = np.random.default_rng(seed).permutation(len(sizes))
    shuffled = shuffled[shuffled != np.argmax(sizes)]
    large = sizes[shuffled] > max(1, _LARGEST_HELD_OUT * smallest_part)
    ascending = shuffled[large][np.argsort(sizes[shuffled[large]], kind="stable")]
    return np.concatenate([shuffled[~large], ascending])


def _fill(sizes: np.ndarray, order: np.ndarray, target: int) -> Int[np.ndarray, " taken"]:
    """Groups in order while they fit, then the smallest of the others into what is left; at least one."""
    first = int(np.searchsorted(np.cumsum(sizes[order]), target, side="right"))
    rest = order[first:][np.argsort(sizes[order[first:]], kind="stable")]
    room = target - int(sizes[order[:first]].sum())
    more = int(np.searchsorted(np.cumsum(sizes[rest]), room, side="right"))
    return np.concatenate([order[:first], rest[: max(more, int(first == 0))]])


@dataclass(frozen=True)
class LeakReport:
    """What stands on both sides of a border of the split.

    Attributes:
        keys: for each kind of key, the number of its values found in more than one part.
        compositions: held-out records with a composition, within the tolerance, that an earlier part has.
        tolerance: the one used.
    """

    keys: dict[str, int]
    compositions: int
    tolerance: float

    @property
    def total(self) -> int:
        """All leaks; 0 is the only good value."""
        return self.compositions + sum(self.keys.values())


def count_leaks(
    split: Split,
    ids: Sequence[str],
    fractions: Float[np.ndarray, "records elements"],
    keys: Mapping[str, Sequence[str]],
    tolerance: float = TOLERANCE,
) -> LeakReport:
    """Counts what crosses the parts, without using groups.

    Args:
        split: the one to judge.
        ids: ids of the records.
        fractions: element fractions of the records.
        keys: by kind (title, mineral, fingerprint of the structure …) one string per record.
        tolerance: of the element fractions.
    """
    rows = split.rows(ids)
    codes = {kind: key_codes(column) for kind, column in keys.items()}
    counts = {kind: _shared_keys([of[part] for part in rows.values()]) for kind, of in codes.items()}
    # A record without a structure has no composition that could leak.
    rows = {part: r[fractions[r].sum(axis=1) > 0] for part, r in rows.items()}
    near = {part: np.zeros(len(r), bool) for part, r in rows.items()}
    for earlier, later in combinations([p for p in PARTS if len(rows[p])], 2):
        tree = KDTree(fractions[rows[earlier]].astype(np.float64), balanced_tree=False, compact_nodes=False)
        distance, _ = tree.query(fractions[rows[later]], p=np.inf, distance_upper_bound=tolerance + 2 * NOISE)
        near[later] |= distance <= tolerance
    return LeakReport(counts, int(sum(n.sum() for n in near.values())), tolerance)


def _shared_keys(parts: list[np.ndarray]) -> int:
    """Number of codes ≥ 0 that occur in more than one part."""
    codes = np.concatenate([np.unique(codes[codes >= 0]) for codes in parts])
    return int((np.unique(codes, return_counts=True)[1] > 1).sum())


def check_leaks(
    split: Split,
    ids: Sequence[str],
    fractions: Float[np.ndarray, "records elements"],
    keys: Mapping[str, Sequence[str]],
    tolerance: float = TOLERANCE,
) -> LeakReport:
    """As :func:`count_leaks`, and refuses a split that leaks.

    Raises:
        BadInputError: a key or a composition stands in more than one part.
    """
    report = count_leaks(split, ids, fractions, keys, tolerance)
    if report.total:
        found = {"composition": report.compositions} | report.keys
        told = ", ".join(f"{kind} {count}" for kind, count in found.items() if count)
        raise BadInputError(
            f"the split leaks across its parts: {told}",
            field="split",
            remedy="Group by these keys with group_records before make_split.",
        )
    return report
