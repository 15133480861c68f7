"""The verb that compares stores: duplicates, and what evaluation sets share with the data learnt from."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
import tyro

from prismat.errors import BadInputError
from prismat.files import replacing, write_json
from prismat.hygiene.comparison import KINDS, Duplicates, Pair, find_duplicates
from prismat.hygiene.leakage import LEAKS, Leakage, leakage, run_parts
from prismat.hygiene.structures import CompareSettings
from prismat.splits import Split
from prismat.store import Store


@dataclass(frozen=True)
class Compare:
    """Find duplicates in a store, or what evaluation sets share with it.

    Attributes:
        store: the store learnt from; alone, its duplicates are listed.
        against: evaluation sets; with ``--run`` the store itself stands for the run's test part.
        run_folder: a run, of which only the train part counts as learnt from.
        out: folder for ``comparison.json`` and ids, ``overlap.parquet`` or ``duplicates.parquet``;
            nothing is written where it is not given.
        settings: tolerances, time for a pair, processes.
        json: print the figures as JSON.
    """

    store: Path = Path("stores/amcsd")
    against: tuple[Path, ...] = ()
    run_folder: Annotated[Path | None, tyro.conf.arg(name="run")] = None
    out: Path | None = None
    settings: CompareSettings = field(default_factory=CompareSettings)
    json: bool = False

    def run(self) -> None:
        """Compares, prints a table and writes the lists.

        Raises:
            BadInputError: a folder holds no store or no run, a store is given twice, or a run is given with
                nothing to compare it with.
        """
        found = self.shared() if self.against else self.duplicates()
        if self.json:
            print(json.dumps(found.describe(), indent=2, ensure_ascii=False))
        else:
            print(leakage_table(found) if isinstance(found, Leakage) else duplicates_table(found))
        if self.out is None:
            return
        found.write(self.out) if isinstance(found, Leakage) else write_duplicates(found, self.out)
        if not self.json:
            listed = "overlap" if isinstance(found, Leakage) else "duplicates"
            print(f"\nIds: {self.out / f'{listed}.parquet'}")

    def duplicates(self) -> Duplicates:
        """Duplicates within the store."""
        if self.run_folder is not None:
            raise BadInputError(
                "nothing to compare the run with", field="against", remedy="Add --against STORE."
            )
        return find_duplicates([Store(self.store)], self.settings)

    def shared(self) -> Leakage:
        """What the evaluation sets share with the store, or with the train part of the run."""
        store, against = Store(self.store), [Store(path) for path in self.against]
        if self.run_folder is None:
            return leakage(store, against, self.settings)
        train, tests = run_parts(store, against, _split(self.run_folder))
        return leakage(train, tests, self.settings)


def _split(run: Path) -> Split:
    path = run / "split.json"
    if not path.is_file():
        raise BadInputError(
            f"no split.json in {run}", field="run", remedy="Give a folder of 'prismat train'."
        )
    return Split.from_json(path.read_text(encoding="utf-8"))


def write_duplicates(found: Duplicates, folder: Path) -> None:
    """Writes ``comparison.json`` and ``duplicates.parquet``, one row for each pair."""
    schema = pa.schema([(name, pa.string()) for name in Pair._fields])
    table = pa.Table.from_pylist([pair._asdict() for pair in found.pairs], schema=schema)
    with replacing(folder / "duplicates.parquet") as temporary:
        pq.write_table(table, temporary, compression="zstd")
    write_json(folder / "comparison.json", {"kind": "duplicates", **found.describe()})


def leakage_table(found: Leakage) -> str:
    """Counts and percentages as text, one column for each evaluation set."""
    described = found.describe()["evaluation"]
    wide = max(18, *(len(one["name"]) + 2 for one in described))
    head = f"{'shared with ' + found.train:<28}" + "".join(f"{one['name']:>{wide}}" for one in described)
    lines = [head, "-" * len(head)]
    lines.append(f"{'records':<28}" + "".join(f"{one['records']:>{wide},}" for one in described))
    lines += [_leak_line(kind, described, wide) for kind in (*LEAKS, "any")]
    undecided = sum(one["undecided_structures"] for one in described)
    if undecided:
        lines.append(f"{undecided:,} structures were not decided in time: raise --settings.matching.seconds")
    return "\n".join(lines)


def _leak_line(kind: str, described: list[dict[str, Any]], wide: int) -> str:
    cells = (
        f"{one['shared'][kind]['records']:,} ({one['shared'][kind]['fraction']:.1%})" for one in described
    )
    return f"{kind.replace('_', ' '):<28}" + "".join(f"{cell:>{wide}}" for cell in cells)


def duplicates_table(found: Duplicates) -> str:
    """Counts of duplicates as text."""
    columns = ("groups", "records", "superfluous", "largest")
    head = f"{'the same':<14}" + "".join(f"{name:>14}" for name in columns)
    lines = [f"{sum(found.records):,} records of {', '.join(found.names)}", head, "-" * len(head)]
    for kind in KINDS:
        counts = found.counts(kind)
        lines.append(f"{kind:<14}" + "".join(f"{counts[name]:>14,}" for name in columns))
    figures = found.structures
    lines.append(
        f"\n{figures['proposed_pairs']:,} pairs by fingerprint in {figures['fingerprint_s']:.1f} s; "
        f"{figures['tested_pairs']:,} given to the matcher, {figures['confirmed_pairs']:,} confirmed, "
        f"{figures['undecided_pairs']:,} undecided, in {figures['matcher_s']:.1f} s"
    )
    return "\n".join(lines)
