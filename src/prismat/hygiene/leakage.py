"""What evaluation sets share with the data a model learns from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.spatial import KDTree

from prismat.errors import BadInputError
from prismat.files import replacing, write_json
from prismat.groups import NOISE, TOLERANCE
from prismat.hygiene.keys import KEYS, Keys
from prismat.hygiene.parts import Part, chosen, different_parts, whole
from prismat.hygiene.structures import CompareSettings, same_across
from prismat.splits import Split
from prismat.store import Store

LEAKS = ("structure", "text", "formula", *(kind for kind in KEYS if kind != "text"))
"""What can be shared, the gravest first."""
_OVERLAP = pa.schema([(name, pa.string()) for name in ("store", "id", "kind", "train_id")])


@dataclass(frozen=True, eq=False)
class SetLeakage:
    """What one evaluation set shares with the data learnt from.

    Attributes:
        name: of the set.
        records: in the set.
        shared: by kind, for each record that shares it, its id and the id of one that was learnt from.
        undecided: ids of records whose structure the matcher could not decide on in time.
        comparison: figures of the comparison of structures.
    """

    name: str
    records: int
    shared: dict[str, dict[str, str]]
    undecided: tuple[str, ...]
    comparison: dict[str, float | int | None]

    def ids(self, kinds: Sequence[str] = LEAKS) -> list[str]:
        """Ids that share any of these kinds, sorted."""
        return sorted({identifier for kind in kinds for identifier in self.shared[kind]})

    def describe(self) -> dict[str, Any]:
        """Counts and fractions by kind, as JSON."""
        counts = {kind: len(self.shared[kind]) for kind in LEAKS}
        counts["any"] = len(self.ids())
        return {
            "name": self.name,
            "records": self.records,
            "shared": {k: {"records": n, "fraction": round(n / self.records, 6)} for k, n in counts.items()},
            "undecided_structures": len(self.undecided),
            "comparison": self.comparison,
        }


@dataclass(frozen=True, eq=False)
class Leakage:
    """What evaluation sets share with the data learnt from.

    Attributes:
        train: name of the data learnt from.
        records: how many.
        sets: one for each evaluation set.
    """

    train: str
    records: int
    sets: tuple[SetLeakage, ...]

    def describe(self) -> dict[str, Any]:
        """Figures as JSON."""
        learnt = {"name": self.train, "records": self.records}
        return {"train": learnt, "evaluation": [one.describe() for one in self.sets]}

    def table(self) -> pa.Table:
        """One row for each evaluation record and kind: store, id, kind, train_id."""
        rows = [
            {"store": one.name, "id": identifier, "kind": kind, "train_id": learnt}
            for one in self.sets
            for kind in LEAKS
            for identifier, learnt in sorted(one.shared[kind].items())
        ]
        return pa.Table.from_pylist(rows, schema=_OVERLAP)

    def write(self, folder: Path) -> None:
        """Writes ``comparison.json``, and ``overlap.parquet``: the ids to leave out, with the reason."""
        with replacing(Path(folder) / "overlap.parquet") as temporary:
            pq.write_table(self.table(), temporary, compression="zstd")
        write_json(Path(folder) / "comparison.json", {"kind": "leakage", **self.describe()})


def leakage(
    train: Store | Part, evaluation: Sequence[Store | Part], settings: CompareSettings | None = None
) -> Leakage:
    """Which records of evaluation sets share something with the data learnt from.

    Shared may be the structure (confirmed by the matcher), a text of one kind, the composition within 0.02 of
    every atomic fraction, the publication or its DOI, the mineral, and the id at the source.

    Args:
        train: the data learnt from, a store or a part of one.
        evaluation: sets to judge a model on.
        settings: tolerances for structures, time for a pair, processes.

    Raises:
        BadInputError: no evaluation set, one that is the data learnt from, or a store that was prepared
            before stores kept crystals.
    """
    if not evaluation:
        raise BadInputError("nothing to compare with", field="against", remedy="Give an evaluation set.")
    first, *others = different_parts([train, *evaluation])
    sets = tuple(_one(first, other, settings or CompareSettings()) for other in others)
    return Leakage(first.name, len(first), sets)


def run_parts(store: Store, against: Sequence[Store], split: Split) -> tuple[Part, list[Part]]:
    """The part of a store that a run learnt from, and the sets to compare it with.

    Args:
        store: the store of the run.
        against: other stores; the store itself stands for the test part of the run.
        split: of the run, see its ``split.json``.

    Raises:
        BadInputError: the split is of another store.
    """
    train = chosen(store, split.train, "train part")
    tests = [
        chosen(s, split.test, "test part") if s.info["hash"] == store.info["hash"] else whole(s)
        for s in against
    ]
    return train, tests


def _one(train: Part, other: Part, settings: CompareSettings) -> SetLeakage:
    same, border = same_across(train, other, settings), len(train)
    shared: dict[str, Mapping[int, int]] = {
        "structure": _of_other(same.pairs, border),
        "formula": _same_composition(train, other),
        **{kind: _same_keys(read(train), read(other)) for kind, read in KEYS.items()},
    }
    named = {
        kind: {other.ids[row]: train.ids[learnt] for row, learnt in sorted(shared[kind].items())}
        for kind in LEAKS
    }
    undecided = sorted(set(_of_other(same.undecided, border)) - set(shared["structure"]))
    return SetLeakage(
        other.name, len(other), named, tuple(other.ids[row] for row in undecided), same.counts()
    )


def _of_other(pairs: np.ndarray, border: int) -> dict[int, int]:
    """Row of the training data by row of the evaluation set; rows count through both."""
    return {j - border: i for i, j in pairs.tolist()}


def _same_composition(train: Part, other: Part) -> dict[int, int]:
    """Rows whose composition lies within the tolerance of one learnt from, and which."""
    known, asked = (np.flatnonzero(part.fractions.any(axis=1)) for part in (train, other))
    if not (len(known) and len(asked)):
        return {}
    tree = KDTree(train.fractions[known], balanced_tree=False, compact_nodes=False)
    reach = TOLERANCE + NOISE
    distance, nearest = tree.query(other.fractions[asked], p=np.inf, distance_upper_bound=reach + NOISE)
    near = distance <= reach
    return dict(zip(asked[near].tolist(), known[nearest[near]].tolist(), strict=True))


def _same_keys(train: Keys, other: Keys) -> dict[int, int]:
    """Rows with a key that a row learnt from has too, and the first such row."""
    first: dict[str, int] = {}
    for row, owned in enumerate(train):
        for key in owned:
            first.setdefault(key, row)
    found = ((row, [first[key] for key in owned if key in first]) for row, owned in enumerate(other))
    return {row: min(rows) for row, rows in found if rows}
