"""The verb that shows what a text encoder attends to, and whether that explains anything."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from prismat.api import Prismat, load
from prismat.commands.talk import Run, plain_table, talking
from prismat.errors import BadInputError
from prismat.explain.attention.page import Page
from prismat.explain.attention.record import Record, record_of
from prismat.explain.attention.source import TextSource, bare_source, open_source, source_of
from prismat.explain.attention.told import Shown, Told, tell
from prismat.modalities.lexicon import Lexicon
from prismat.model_files import read_object
from prismat.predictor import KIND
from prismat.store import Store
from prismat.tasks.opened import run_folder
from prismat.tasks.report import to_plain
from prismat.tasks.result import write_result
from prismat.tasks.text_tasks.encoders import LANGUAGE, open_rivals
from prismat.text_reader import FrozenReader

RANDOM = "random"


@dataclass(frozen=True)
class AttentionCommand:
    """Show what a text encoder attends to, by layer and head, and check it against random orders of words.

    Attributes:
        text: words; with ``--id`` they are compared with that record's crystal.
        id: a record of the store: its text, if none is given, and its crystal.
        run_folder: a run or quickstart folder, a predictor, or a Hugging Face model's folder or name.
        store: the records; that of the quickstart folder where not given.
        view: which text of the record; its title, or the only one, where not given.
        layer: from 1; the last one where not given.
        head: from 1; the mean of all heads where not given.
        beside: other encoders for the same text: runs, folders or names of Hugging Face models, ``random``
            for fresh weights, ``language`` for the same encoder trained on the run's texts by masked language
            modelling alone (trained once; needs the run's own store).
        matrices: write all token × token weights to the JSON file too.
        out: the folder; ``RUN/tasks/attention`` where not given.
        json: print JSON.
    """

    text: str = ""
    id: str = ""
    run_folder: Run = Path("runs/quickstart")
    store: Path | None = None
    view: str = ""
    layer: int | None = None
    head: int | None = None
    beside: tuple[str, ...] = ()
    matrices: bool = False
    out: Path | None = None
    json: bool = False

    def run(self) -> None:
        """Reads, checks and says what was written."""
        record = record_of(self.opened_store(), self.id) if self.id else None
        text = self.text or _text_of(record, self.view)
        shown = Shown(self.layer, self.head)
        prismat = self.model()
        own = source_of(prismat) if prismat else open_source(self.run_folder)
        told = _tell(own, prismat, text, shown, record)
        page = Page(told, tuple(self.others(prismat, text, shown, record)), shown, _lexicon(prismat))
        folder = self.out or run_folder(self.run_folder) / "tasks" / "attention"
        result, shown_page = to_plain(page.result(self.matrices)), page.page()
        path = write_result(folder, "attention", result, shown_page)
        if self.json:
            print(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))
            return
        print(shown_page.lede)
        for table in shown_page.tables:
            print(f"\n{table.title}\n{plain_table(table.head, table.rows)}")
        print(f"\nReport: {path}")
        if prismat is not None:
            about = f"--id {self.id} " if self.id else ""
            print(f"Next: prismat explain --run {self.run_folder} {about}--text {shlex.quote(text)}")

    def opened_store(self) -> Store:
        """The records."""
        return Store(self.store or self.run_folder / "store")

    def model(self) -> Prismat | None:
        """The joint model, or None where the folder holds another model with a text encoder."""
        inside = (self.run_folder / "run" / "model", self.run_folder / "model", self.run_folder)
        config = next((f / "config.json" for f in inside if (f / "config.json").is_file()), None)
        content = read_object(config) if config is not None else {}
        is_joint = content.get("kind") != KIND and ("recipe" in content or "format_version" in content)
        return load(self.run_folder) if is_joint else None

    def others(self, prismat: Prismat | None, text: str, shown: Shown, record: Record | None) -> list[Told]:
        """The same text in the encoders beside."""
        found = []
        for name in self.beside:
            if name == "language":
                found.append(_tell(self.language(), None, text, shown, None))
            elif name == RANDOM:
                source = source_of(prismat, seed=0) if prismat else open_source(self.run_folder, seed=0)
                found.append(_tell(source, None, text, shown, None))
            else:
                other = AttentionCommand(run_folder=Path(name)).model()
                source = source_of(other) if other else open_source(name)
                found.append(_tell(source, other, text, shown, record))
        return found

    def language(self) -> TextSource:
        """The run's text encoder trained on the run's texts alone; trained the first time."""
        folder = run_folder(self.run_folder) / "tasks" / "attention" / "language"
        with talking() as talk:
            rivals = open_rivals(self.run_folder, self.opened_store(), folder, talk=talk)
        if LANGUAGE not in rivals.encoders:
            raise BadInputError(
                f"no {LANGUAGE} to set beside: {rivals.left_out.get(LANGUAGE, 'the text encoder is frozen')}",
                field="beside",
                remedy="Give --store with the run's own store, or another run.",
            )
        return bare_source(LANGUAGE, rivals.encoders[LANGUAGE], rivals.reader, "it has seen no crystal")


def _tell(
    source: TextSource, prismat: Prismat | None, text: str, shown: Shown, record: Record | None
) -> Told:
    """Against the record's crystal where there is a joint model and a crystal, else the whole text."""
    vector = record.crystal_vector(prismat) if record is not None and prismat is not None else None
    if record is None or vector is None:
        return tell(source, text, shown)
    return tell(source, text, shown, vector, f"the crystal of {record.id}")


def _text_of(record: Record | None, view: str) -> str:
    if record is None:
        raise BadInputError("no text", field="text", remedy="Give --text, or --id of a record of the store.")
    return record.text(view)


def _lexicon(prismat: Prismat | None) -> Lexicon:
    reader = prismat.reader if prismat is not None else None
    return reader.lexicon if isinstance(reader, FrozenReader) else Lexicon({})
