"""Every source that can be had without a service, prepared: records, rejects, seconds, size, data card.

Run from anywhere: ``python benchmarks/sources.py --data FOLDER [--out runs/stores] [--workers 2]``. FOLDER
holds mp2018.parquet, phonon_dos.parquet, dos_charge_density.parquet, synthesis_solid_state.json.xz,
matbench_phonons/ and, for one's own files, folder/; all else comes by package name. A store that is there is
taken as it is, with the time that its preparation took. Data cards lie in the stores.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from _machine import write

from prismat.hygiene.data_card import write_data_card
from prismat.prepare import PrepareSettings, prepare
from prismat.sources.amcsd import AmcsdOptions
from prismat.sources.base import SourceOptions
from prismat.sources.elpv import ElpvOptions
from prismat.sources.folder import FolderOptions
from prismat.sources.matbench import MatbenchOptions
from prismat.sources.packaged_sets import PackagedOptions, SetName
from prismat.sources.synthesis import SynthesisOptions
from prismat.sources.table_options import TableOptions
from prismat.store import Store


def sources(data: Path) -> Iterator[tuple[str, SourceOptions]]:
    """Name of the store and options of the source."""
    tables = {"mp2018": "mp2018", "phonon_dos": "phonon_dos", "multimat": "dos_charge_density"}
    phonons = data / "matbench_phonons"
    yield "amcsd", AmcsdOptions()
    yield "elpv", ElpvOptions()
    for name in get_args(SetName):
        yield f"packaged-{name}", PackagedOptions(name)
    for layout, file in tables.items():
        yield layout, TableOptions(data / f"{file}.parquet", layout)
    folds = phonons / "matbench_v0.1_phonons_folds.json"
    yield "matbench_phonons", MatbenchOptions(path=phonons / "matbench_phonons.json.gz", folds=folds)
    if (data / "folder").is_dir():
        yield "folder", FolderOptions(data / "folder", cube_density="valence")
    recipes, structures = data / "synthesis_solid_state.json.xz", data / "mp2018.parquet"
    yield "synthesis", SynthesisOptions(path=recipes, structures=structures)


def measured(store: Store) -> dict[str, Any]:
    """What the data card says, in brief."""
    card = write_data_card(store, store.folder)
    size = sum(path.stat().st_size for path in store.folder.rglob("*") if path.is_file())
    return {
        "records": len(store),
        "rejected": store.info["rejected"],
        "rejects": card["rejects"],
        "prepare_s": store.info["prepare_s"],
        "megabytes": round(size / 1e6, 1),
        "windows": card["windows"],
        "texts": {kind: {k: v[k] for k in ("records", "distinct")} for kind, v in card["texts"].items()},
        "elements": len(card["elements"]),
        "formulas": card["counts"]["formulas"],
        "years": {k: card["years"].get(k) for k in ("first", "median", "last")},
        "journals": card["journals"],
        "terms": card["manifest"]["notice"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/stores"))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    found = {}
    for name, source in sources(options.data):
        store = prepare(source.open(), options.out / name, PrepareSettings(workers=options.workers))
        found[name] = measured(store)
        print(f"{name:<24}{len(store):>8,} records {found[name]['prepare_s']:>8.1f} s", flush=True)
    print(write("sources", {"workers": options.workers, "sources": found}))


if __name__ == "__main__":
    main()
