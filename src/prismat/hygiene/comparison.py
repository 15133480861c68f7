"""Duplicates within and across stores: by structure, by text, by formula."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from prismat.hygiene.keys import Keys, formula_keys, text_keys
from prismat.hygiene.parts import Part, different_parts
from prismat.hygiene.structures import CompareSettings, groups_of, same_within
from prismat.store import Store

Kind = Literal["structure", "text", "formula"]
KINDS: tuple[Kind, ...] = ("structure", "text", "formula")


class Pair(NamedTuple):
    """Two records that are the same in one respect.

    Attributes:
        store: name of the store of the first.
        id: of the first.
        other_store: name of the store of the second.
        other: id of the second.
        kind: in what they are the same.
    """

    store: str
    id: str
    other_store: str
    other: str
    kind: Kind


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Records that are the same.

    Attributes:
        names: of the stores.
        records: number of records by store.
        pairs: as many as connect each group: of n records that are the same, n − 1.
        groups: (store, id) of the members of each group by kind, largest group first.
        structures: figures of the comparison of structures.
        undecided: pairs of (store, id) for which the matcher ran out of time.
    """

    names: tuple[str, ...]
    records: tuple[int, ...]
    pairs: tuple[Pair, ...]
    groups: dict[Kind, list[list[tuple[str, str]]]]
    structures: dict[str, float | int | None]
    undecided: list[tuple[tuple[str, str], tuple[str, str]]]

    def counts(self, kind: Kind) -> dict[str, int]:
        """Groups, members, records that could go, and groups that reach across stores."""
        groups = self.groups[kind]
        members = sum(len(g) for g in groups)
        across = sum(len({store for store, _ in g}) > 1 for g in groups)
        return {
            "groups": len(groups),
            "records": members,
            "superfluous": members - len(groups),
            "largest": max(map(len, groups), default=0),
            "across_stores": across,
        }

    def describe(self) -> dict[str, Any]:
        """Figures as JSON, without the lists."""
        return {
            "stores": dict(zip(self.names, self.records, strict=True)),
            **{kind: self.counts(kind) for kind in KINDS},
            "comparison": self.structures,
        }


def find_duplicates(stores: Sequence[Store | Part], settings: CompareSettings | None = None) -> Duplicates:
    """Duplicates within and across stores, the same whatever the number of processes.

    Structures are proposed by a fingerprint and confirmed by pymatgen's StructureMatcher. Texts of one kind
    are compared whatever their case and blanks, formulas as they are written in the store.

    Args:
        stores: one or more stores, or parts of them.
        settings: tolerances, time for a pair, processes.

    Raises:
        BadInputError: no store, one store twice, or one that was prepared before stores kept crystals.
    """
    parts = different_parts(stores)
    owners = [(part.name, identifier) for part in parts for identifier in part.ids]
    same = same_within(parts, settings or CompareSettings())
    linked: dict[Kind, Int[np.ndarray, "pairs 2"]] = {
        "structure": same.pairs,
        "text": _equal_keys([k for part in parts for k in text_keys(part)]),
        "formula": _equal_keys([k for part in parts for k in formula_keys(part)]),
    }
    pairs = [Pair(*owners[i], *owners[j], kind) for kind in KINDS for i, j in linked[kind].tolist()]
    groups = {kind: _groups(linked[kind], owners) for kind in KINDS}
    undecided = [(owners[i], owners[j]) for i, j in same.undecided.tolist()]
    return Duplicates(
        tuple(p.name for p in parts), tuple(map(len, parts)), tuple(pairs), groups, same.counts(), undecided
    )


def _equal_keys(keys: Keys) -> Int[np.ndarray, "pairs 2"]:
    """Each row paired with the first one that has one of its keys."""
    first: dict[str, int] = {}
    pairs = {(first.setdefault(key, row), row) for row, owned in enumerate(keys) for key in owned}
    return np.array(sorted(p for p in pairs if p[0] != p[1]), dtype=np.int64).reshape(-1, 2)


def _groups(pairs: np.ndarray, owners: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Members of the groups that pairs connect."""
    if not len(pairs):
        return []
    label = groups_of(pairs, len(owners))
    members: dict[int, list[tuple[str, str]]] = {}
    for row in np.unique(pairs).tolist():
        members.setdefault(int(label[row]), []).append(owners[row])
    return sorted(members.values(), key=lambda group: (-len(group), group))
