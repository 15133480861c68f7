"""Verbs that use a trained model: embed, search."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from prismat.api import Prismat, load
from prismat.commands.talk import Run, answer_table
from prismat.confidence.confidence import Confidence
from prismat.errors import BadInputError
from prismat.files import read_limited, replacing, write_text
from prismat.formats_measured import read_measured
from prismat.formats_xrd import read_xy
from prismat.material import Property
from prismat.search.engine import SearchEngine
from prismat.search.filters import Filter
from prismat.search.language import Words, parse_words
from prismat.search.query import Measured, Query
from prismat.search.steer import Steer
from prismat.tasks.opened import run_folder


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
class FilterOptions:
    """Hard conditions on the results.

    Attributes:
        with_: elements that must be there.
        without: elements that must not.
        only: no elements but these.
        n_sites: least and greatest number of atoms in the primitive cell.
        ranges: properties, each as ``name:low:high``; a side may be empty.
        spacegroup: least and greatest space group number.
        systems: crystal systems, any of which will do.
        n_elements: least and greatest number of different elements.
    """

    with_: Annotated[tuple[str, ...], tyro.conf.arg(name="with")] = ()
    without: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    n_sites: tuple[int, int] | None = None
    ranges: Annotated[tuple[str, ...], tyro.conf.arg(name="range")] = ()
    spacegroup: tuple[int, int] | None = None
    systems: Annotated[tuple[str, ...], tyro.conf.arg(name="system")] = ()
    n_elements: tuple[int, int] | None = None

    def filter(self) -> Filter:
        """As the search takes it."""
        return Filter(
            with_elements=self.with_,
            without_elements=self.without,
            only_elements=self.only,
            n_sites=self.n_sites or (None, None),
            properties=dict(_range(text) for text in self.ranges),
            spacegroup_number=self.spacegroup or (None, None),
            crystal_systems=self.systems,
            n_elements=self.n_elements or (None, None),
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
class SteerOptions:
    """What pushes the results.

    Attributes:
        not_text: words that results should not mean; quote each.
        like: ids of records of the index that results should resemble.
        unlike: ids of records that they should not resemble.
    """

    not_text: tuple[str, ...] = ()
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()

    def joined(self, steer: Steer) -> Steer:
        """Together with what the words say."""
        pairs = ((steer.not_text, self.not_text), (steer.like, self.like), (steer.unlike, self.unlike))
        return Steer(*(tuple(dict.fromkeys((*a, *b))) for a, b in pairs))


@dataclass(frozen=True)
class Search:
    """Find crystals by words, a structure, a measured pattern, or several at once.

    Attributes:
        run_folder: a quickstart folder or a run with an index.
        index: an index made with the same model, in any back end; ``RUN/index`` where not given.
        q: words and conditions as in the search box: ``"garnet not iron +Ca density:3..5"``.
        text: words alone, nothing of which is read as a condition.
        structure: a CIF or POSCAR file.
        xrd: a .xy or .xye file of a powder pattern.
        wavelength: of the pattern in Å.
        others: data of any other window.
        steer: what pushes the results.
        weights: by part where several are given.
        filter: hard conditions.
        query: a file with a whole query as JSON, instead of its parts.
        save_query: a file to write the query to as JSON, for ``--query``, the HTTP API and Python.
        confidence: the folder of ``prismat calibrate``; that of the run where there is one.
        k: results wanted, 10 where nothing is said.
        json: print JSON.
    """

    run_folder: Run = Path("runs/quickstart")
    index: str | None = None
    q: str | None = None
    text: str | None = None
    structure: Path | None = None
    xrd: Path | None = None
    wavelength: float = 1.54184
    others: Annotated[OtherOptions, tyro.conf.arg(name="")] = field(default_factory=OtherOptions)
    steer: Annotated[SteerOptions, tyro.conf.arg(name="")] = field(default_factory=SteerOptions)
    weights: dict[str, float] = field(default_factory=dict)
    filter: Annotated[FilterOptions, tyro.conf.arg(name="")] = field(default_factory=FilterOptions)
    query: Path | None = None
    save_query: Path | None = None
    confidence: Path | None = None
    k: int | None = None
    json: bool = False

    def run(self) -> None:
        """Searches and prints the results."""
        query = self.asked()
        if self.save_query:
            write_text(self.save_query, query.to_json() + "\n")
        prismat = load(self.run_folder)
        engine = SearchEngine.open(prismat, self.index or self.run_folder / "index")
        answer = engine.respond(query, self._calibration(prismat))
        if self.json:
            print(json.dumps(answer.to_dict(), indent=2, ensure_ascii=False))
            return
        print(answer_table(answer))
        if self.save_query:
            print(f"\nNext: prismat search --run {self.run_folder} --query {self.save_query}")

    def asked(self) -> Query:
        """The typed query that the options make.

        Raises:
            BadInputError: a query file beside parts of a query, words given twice, or a query that is not
                valid.
        """
        parts = (self.q, self.text, self.structure, self.xrd, self.weights or None)
        others, conditions = self.others.read(), self.filter.filter()
        if self.query is not None:
            if any(part is not None for part in parts) or others or self.steer != SteerOptions():
                raise BadInputError(
                    "a query file and parts of a query", field="query", remedy="Give the one or the others."
                )
            read = Query.from_json(read_limited(self.query, _LARGEST_QUERY).decode("utf-8", "replace"))
            return replace(read, k=self.k or read.k, filter=read.filter.joined(conditions))
        words = parse_words(self.q) if self.q is not None else Words()
        if words.text is not None and self.text is not None:
            raise BadInputError("words are given twice", field="text", remedy="Give --q or --text.")
        pattern = read_xy(self.xrd, record=str(self.xrd), wavelength=self.wavelength) if self.xrd else None
        return Query(
            self.text if words.text is None else words.text,
            self.structure,
            pattern,
            {**words.weights, **self.weights},
            words.filter.joined(conditions),
            self.k if self.k is not None else words.k or 10,
            others,
            self.steer.joined(words.steer),
        )

    def _calibration(self, prismat: Prismat) -> Confidence | None:
        """The calibration asked for, or the run's own where it has one."""
        folder = self.confidence or run_folder(self.run_folder) / "confidence"
        if self.confidence is None and not (folder / "confidence.json").is_file():
            return None
        return Confidence.load(folder, prismat.hash)


_LARGEST_QUERY = 1 << 28
