"""The verb that explains a match."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from prismat.api import Prismat, load
from prismat.commands.talk import Run, plain_table
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.explain.explanation import Explanation, Part
from prismat.explain.match import ExplainSettings, explain_match
from prismat.explain.page import names, title, write_explanation
from prismat.explain.settings import MethodName
from prismat.explain.source import material_of, stored_windows
from prismat.formats_xrd import read_xy
from prismat.material import Material
from prismat.search.engine import SearchEngine
from prismat.search.query import Query
from prismat.store import Store
from prismat.tasks.report import to_plain


@dataclass(frozen=True)
class Explain:
    """Show what makes a query and a record match: atoms, bonds, peaks, words, energies, voxels.

    Every attribution is checked: its parts are taken away in its order, and the score has to fall sooner than
    in random orders.

    Attributes:
        run_folder: a quickstart folder, or a run with an index.
        id: the record; the best hit of the search where not given.
        text: words.
        structure: a CIF or POSCAR file.
        xrd: a .xy or .xye file of a powder pattern.
        wavelength: of the pattern in Å.
        like: id of a record whose structure is the query.
        method: how attributions are made.
        direction: ``text->structure`` and the like, to explain that one cosine instead of the search's score.
        store: the records; beside the run where not given.
        index: for the best hit; ``RUN/index`` where not given.
        orders: random orders of the check.
        out: folder for explanation.json, its page and its pictures.
        json: print the explanation as JSON.
    """

    run_folder: Run = Path("runs/quickstart")
    id: str | None = None
    text: str | None = None
    structure: Path | None = None
    xrd: Path | None = None
    wavelength: float = 1.54184
    like: str | None = None
    method: MethodName = "both"
    direction: str | None = None
    store: Path | None = None
    index: Path | None = None
    orders: int = 20
    out: Path = Path("explanation")
    json: bool = False

    def run(self) -> None:
        """Explains, writes and says what was found."""
        settings = ExplainSettings(method=self.method, direction=self.direction, orders=self.orders)
        prismat, store = load(self.run_folder), Store(self.store or self.run_folder / "store")
        query = self._query(store)
        identifier = self.id or self._best(prismat, query)
        material = material_of(store, identifier)
        stored = stored_windows(prismat, store, identifier)
        found = explain_match(prismat, query, material, settings, stored=stored)
        written = write_explanation(self.out, found, self._asked(), _crystals(query, material))
        if self.json:
            print(json.dumps(to_plain(found.to_dict()), indent=2, ensure_ascii=False))
            return
        print(_report(found))
        print(f"page, pictures and JSON → {written}")
        print(f"Next: open {written}")

    def _query(self, store: Store) -> Query:
        if self.like is not None and self.structure is not None:
            raise BadInputError("two structures given", field="like", remedy="Give --like or --structure.")
        pattern = read_xy(self.xrd, record=str(self.xrd), wavelength=self.wavelength) if self.xrd else None
        structure = material_of(store, self.like).structure if self.like else self.structure
        if self.like and structure is None:
            raise BadInputError("no structure", record=self.like, field="like", remedy="Take another record.")
        return Query(self.text, structure, pattern).resolved()

    def _best(self, prismat: Prismat, query: Query) -> str:
        """The best hit that is not the example itself."""
        engine = SearchEngine.open(prismat, self.index or self.run_folder / "index")
        hits = [hit.id for hit in engine.answer(replace(query, k=2)) if hit.id != self.like]
        if not hits:
            raise BadInputError("the search finds nothing", field="id", remedy="Give --id.")
        return hits[0]

    def _asked(self) -> str:
        told = [f"“{self.text[:60]}”" if self.text else "", self.like or ""]
        told += [path.name if path else "" for path in (self.structure, self.xrd)]
        return " with ".join(t for t in told if t)


def _crystals(query: Query, material: Material) -> dict:
    asked = query.structure if isinstance(query.structure, Crystal) else None
    return {"query": asked, "material": material.structure}


def _report(found: Explanation) -> str:
    """What matters most in every part, and whether the check agrees."""
    head = ("part", "most important", "deletion", "random", "beats random")
    rows = [(title(part), ", ".join(names(part, 3)), *_checked(part)) for part in found.parts]
    score = f"{found.id} {found.formula} scores {found.score:.3f}"
    return "\n".join([score, "", plain_table(head, rows), *found.notes])


def _checked(part: Part) -> tuple[str, str, str]:
    if part.check is None:
        return "–", "–", "one part"
    told = part.check.to_dict()
    verdict = "yes" if told["beats_random"] else "no"
    return f"{told['deletion']:.3f}", f"{told['deletion_random']:.3f}", verdict
