"""Verbs that use a trained model: embed, index, search."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from prismat.api import load
from prismat.commands.talk import Run, hit_json, hits_table
from prismat.errors import BadInputError
from prismat.files import replacing
from prismat.formats_measured import read_measured
from prismat.formats_xrd import read_xy
from prismat.material import Property
from prismat.search.engine import SearchEngine
from prismat.search.filters import Filter
from prismat.search.query import Measured, Query
from prismat.store import Store
from prismat.tasks.indexing import build_index


@dataclass(frozen=True)
class Embed:
    """Embed structures, texts or patterns with a trained model into a .npz file.

    Attributes:
        run_folder: a run or a model folder.
        structures: CIF or POSCAR files.
        texts: words; quote each.
        patterns: .xy or .xye files.
        out: the file to write; one array per key, and ``names``.
    """

    run_folder: Run = Path("runs/quickstart")
    structures: tuple[Path, ...] = ()
    texts: tuple[str, ...] = ()
    patterns: tuple[Path, ...] = ()
    out: Path = Path("embeddings.npz")

    def run(self) -> None:
        """Embeds and says what was written."""
        prismat = load(self.run_folder)
        patterns = [read_xy(p, record=str(p)) for p in self.patterns]
        vectors = prismat.embed(list(self.structures) or None, self.texts or None, patterns or None)
        names = [str(n) for n in (*self.structures, *self.texts, *self.patterns)]
        with replacing(self.out) as temporary, temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, names=np.array(names), **vectors)
        print(f"{len(names)} embedded under {', '.join(vectors)} → {self.out}")


@dataclass(frozen=True)
class IndexCommand:
    """Embed every record of a store and write a search index.

    Attributes:
        store: made by ``prismat prepare``.
        run_folder: the run whose model embeds.
        out: the index folder; ``RUN/index`` where not given.
    """

    store: Path = Path("stores/amcsd")
    run_folder: Run = Path("runs/run")
    out: Path | None = None

    def run(self) -> None:
        """Builds the index and says what to run next."""
        prismat, store = load(self.run_folder), Store(self.store)
        folder = self.out or self.run_folder / "index"
        index = build_index(prismat, store, folder)
        print(f"{len(index):,} records under {', '.join(index.vectors)} → {folder}")
        where = f" --index {self.out}" if self.out else ""
        print(f'Next: prismat search --run {self.run_folder}{where} --text "your words"')


@dataclass(frozen=True)
class FilterOptions:
    """Hard conditions on the results.

    Attributes:
        with_: elements that must be there.
        without: elements that must not.
        only: no elements but these.
        n_sites: least and greatest number of atoms in the primitive cell.
        ranges: properties, each as ``name:low:high``; a side may be empty.
    """

    with_: Annotated[tuple[str, ...], tyro.conf.arg(name="with")] = ()
    without: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    n_sites: tuple[int, int] | None = None
    ranges: Annotated[tuple[str, ...], tyro.conf.arg(name="range")] = ()

    def filter(self) -> Filter:
        """As the search takes it."""
        return Filter(
            with_elements=self.with_,
            without_elements=self.without,
            only_elements=self.only,
            n_sites=self.n_sites or (None, None),
            properties=dict(_range(text) for text in self.ranges),
        )


def _range(text: str) -> tuple[str, tuple[float | None, float | None]]:
    parts = text.split(":")
    try:
        name, low, high = parts
        return name, (float(low) if low else None, float(high) if high else None)
    except ValueError as error:
        raise BadInputError(f"cannot read {text!r}", field="range", remedy="Write name:low:high.") from error


@dataclass(frozen=True)
class OtherOptions:
    """Data of further windows to search by.

    Attributes:
        image: a PNG, TIFF or JPEG file.
        dos: an electronic DOS: DOSCAR, vasprun.xml or a table.
        phonon_dos: a phonon DOS: phonopy's total_dos.dat or a table.
        charge_density: a CHGCAR or cube file.
        targets: wanted properties, each as ``name=value:unit``, such as ``band_gap=1.1:eV``.
    """

    image: Path | None = None
    dos: Path | None = None
    phonon_dos: Path | None = None
    charge_density: Path | None = None
    targets: Annotated[tuple[str, ...], tyro.conf.arg(name="target")] = ()

    def read(self) -> dict[str, Measured]:
        """What is given, read."""
        files = {"image": self.image, "dos": self.dos, "phonon_dos": self.phonon_dos}
        files["charge_density"] = self.charge_density
        found: dict[str, Measured] = {w: read_measured(w, path) for w, path in files.items() if path}
        return found | ({"properties": dict(_target(t) for t in self.targets)} if self.targets else {})


def _target(text: str) -> tuple[str, Property]:
    name, _, given = text.partition("=")
    value, _, unit = given.partition(":")
    try:
        return name, Property(float(value), unit)
    except ValueError as error:
        raise BadInputError(
            f"cannot read {text!r}", field="target", remedy="Write name=value:unit, such as band_gap=1.1:eV."
        ) from error


@dataclass(frozen=True)
class Search:
    """Find crystals by words, a structure, a measured pattern, or several at once.

    Attributes:
        run_folder: a quickstart folder or a run with an index.
        index: an index folder made with the same model; ``RUN/index`` where not given.
        text: words.
        structure: a CIF or POSCAR file.
        xrd: a .xy or .xye file of a powder pattern.
        wavelength: of the pattern in Å.
        others: data of any other window.
        weights: by window where several are given.
        filter: hard conditions.
        k: results wanted.
        json: print JSON.
    """

    run_folder: Run = Path("runs/quickstart")
    index: Path | None = None
    text: str | None = None
    structure: Path | None = None
    xrd: Path | None = None
    wavelength: float = 1.54184
    others: Annotated[OtherOptions, tyro.conf.arg(name="")] = field(default_factory=OtherOptions)
    weights: dict[str, float] = field(default_factory=dict)
    filter: Annotated[FilterOptions, tyro.conf.arg(name="")] = field(default_factory=FilterOptions)
    k: int = 10
    json: bool = False

    def run(self) -> None:
        """Searches and prints the results."""
        pattern = read_xy(self.xrd, record=str(self.xrd), wavelength=self.wavelength) if self.xrd else None
        others, conditions = self.others.read(), self.filter.filter()
        query = Query(self.text, self.structure, pattern, self.weights, conditions, self.k, others)
        index = self.index or self.run_folder / "index"
        hits = SearchEngine.open(load(self.run_folder), index).answer(query)
        if self.json:
            print(json.dumps({"hits": [hit_json(h) for h in hits]}, indent=2, ensure_ascii=False))
        else:
            print(hits_table(hits) if hits else "no crystal meets the conditions")
