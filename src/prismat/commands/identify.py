"""Verbs of confidence: calibrate a run, and identify with it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from prismat.api import load
from prismat.commands.talk import Run, plain_table, talking
from prismat.commands.use import OtherOptions
from prismat.confidence.calibrate import calibrate
from prismat.confidence.confidence import Confidence
from prismat.confidence.gallery import Direction
from prismat.confidence.identify import Identification, Identifier
from prismat.confidence.judge import Judged, judge
from prismat.confidence.page import confidence_page, told
from prismat.confidence.scored import embed_space
from prismat.formats_xrd import read_xy
from prismat.search.index import Index
from prismat.search.query import Query
from prismat.store import Store
from prismat.tasks.opened import open_run, run_folder
from prismat.tasks.report import to_plain
from prismat.tasks.result import write_result


@dataclass(frozen=True)
class Calibrate:
    """Calibrate match probabilities, candidate sets and 'none of these', and judge them on test records.

    Attributes:
        run_folder: a finished run or quickstart folder.
        store: the store it was trained on; the one of the quickstart folder where not given.
        foreign: another store, whose crystals of new compositions are queries without an answer.
        directions: such as ``xrd->structure``; all where not given.
        out: the folder; ``RUN/confidence`` where not given.
        seed: of all draws.
        json: print the figures as JSON.
    """

    run_folder: Run = Path("runs/quickstart")
    store: Path | None = None
    foreign: Path | None = None
    directions: tuple[str, ...] = ()
    out: Path | None = None
    seed: int = 0
    json: bool = False

    def run(self) -> None:
        """Calibrates, judges, and says what was written."""
        opened = open_run(self.run_folder, Store(self.store or self.run_folder / "store"))
        foreign = open_run(self.run_folder, Store(self.foreign)) if self.foreign else None
        wanted = [Direction.named(name) for name in self.directions]
        with talking() as talk:
            space = embed_space(opened, self.seed)
            bar = lambda stage: lambda done, total: talk.bar(stage, done, total, {})  # noqa: E731
            confidence = calibrate(space, wanted, self.seed, bar("calibrate"))
            judged = judge(confidence, space, foreign, self.seed, bar("judge"))
        folder = self.out or run_folder(self.run_folder) / "confidence"
        confidence.save(folder)
        result = {"model_hash": confidence.model_hash, "left_out": dict(confidence.left_out)}
        result["directions"] = {name: one.figures for name, one in judged.items()}
        page = write_result(folder, "report", result, confidence_page(judged, confidence.left_out))
        if self.json:
            print(json.dumps(to_plain(result), indent=2, ensure_ascii=False, allow_nan=False))
            return
        print(calibration_table(judged))
        for name, reason in confidence.left_out.items():
            print(f"{name} is left out: {reason}")
        print(f"\nCalibration and report: {page}")
        print(f'Next: prismat identify --run {self.run_folder} --text "your words"')


def calibration_table(judged: dict[str, Judged]) -> str:
    """The figures of a calibration as text."""
    rows = []
    for name, one in judged.items():
        level = one.figures["sets"][1]
        flag = one.figures["none_of_these"]["answer removed"]["roc_auc"]
        rows.append(
            [
                name, told(one.top.figures["ece"]), f"{level.covered}/{level.groups}",
                f"{level.low}–{level.high}", f"{level.median:,.0f}", f"{level.top_k:,.0f}", told(flag),
            ]
        )  # fmt: skip
    head = (
        "direction",
        "calibration error",
        "90 % sets hold",
        "binomial",
        "median size",
        "top-k",
        "absent, AUC",
    )
    return plain_table(head, rows)


@dataclass(frozen=True)
class Identify:
    """Say which known crystal a pattern, a structure or words belong to, and how sure that is.

    Attributes:
        run_folder: a quickstart folder or a run with an index and a calibration.
        index: an index folder made with the same model; ``RUN/index`` where not given.
        confidence: the folder of ``prismat calibrate``; that of the run where not given.
        text: words.
        structure: a CIF or POSCAR file.
        xrd: a .xy or .xye file of a powder pattern.
        wavelength: of the pattern in Å.
        others: data of any other window.
        gallery: window of the records to compare with; the preferred one where not given.
        promised: share of candidate sets that hold the answer.
        group: thresholds by how crowded the gallery is around the query, by crystal system, or one for all.
        k: candidates shown.
        json: print JSON.
    """

    run_folder: Run = Path("runs/quickstart")
    index: Path | None = None
    confidence: Path | None = None
    text: str | None = None
    structure: Path | None = None
    xrd: Path | None = None
    wavelength: float = 1.54184
    others: Annotated[OtherOptions, tyro.conf.arg(name="")] = field(default_factory=OtherOptions)
    gallery: str | None = None
    promised: float = 0.9
    group: Literal["crowding", "crystal system", "none"] = "crowding"
    k: int = 5
    json: bool = False

    def run(self) -> None:
        """Identifies and prints the answer."""
        pattern = read_xy(self.xrd, record=str(self.xrd), wavelength=self.wavelength) if self.xrd else None
        query = Query(self.text, self.structure, pattern, k=self.k, measured=self.others.read())
        prismat = load(self.run_folder)
        index = Index.open(self.index or self.run_folder / "index", prismat.hash)
        folder = self.confidence or run_folder(self.run_folder) / "confidence"
        identifier = Identifier(prismat, index, Confidence.load(folder, prismat.hash))
        group = None if self.group == "none" else self.group
        found = identifier.identify(query, 1 - self.promised, group, self.gallery)
        if self.json:
            print(json.dumps(to_plain(found.to_dict()), indent=2, ensure_ascii=False, allow_nan=False))
        else:
            print(identification_text(found))


def identification_text(found: Identification) -> str:
    """An answer for people."""
    rows = [
        [c.id, f"{100 * c.probability:.1f} %", f"{c.score:.3f}", c.formula[:24], c.spacegroup, c.title[:60]]
        for c in found.candidates
    ]
    lines = [plain_table(("id", "probability", "score", "formula", "space group", "title"), rows), ""]
    chosen, verdict = found.candidate_set, found.verdict
    lines.append(
        f"The answer is among the first {len(chosen.columns):,} of {found.entries:,} "
        f"with {100 * (1 - chosen.alpha):.0f} % ({found.direction})."
    )
    said = "none of these, it seems" if verdict.is_flagged else "it may well be one of these"
    if verdict.is_flagged and found.direction.startswith("xrd"):
        said = "none of these if it were a simulated pattern; measured ones are told so far too often"
    lines.append(f"Probability that the answer is missing: {100 * verdict.probability:.0f} %: {said}.")
    if found.next:
        told_ = ", ".join(f"{r.name} ({r.gain_bits:.1f} bits)" for r in found.next)
        lines.append(f"Measure next: {told_}.")
    lines += [note for note in (chosen.note, *found.notes) if note]
    return "\n".join(lines)
