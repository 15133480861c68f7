"""The verb that measures a trained model on another database."""

import json
from dataclasses import dataclass
from pathlib import Path

from prismat.commands.talk import Run, plain_table
from prismat.hygiene.leakage import SetLeakage
from prismat.store import Store
from prismat.tasks.opened import Opened, run_folder
from prismat.tasks.result import write_result
from prismat.tasks.transfer import TestPart, learnt_overlap, open_models, transfer, transfer_page


@dataclass(frozen=True)
class TransferCommand:
    """Measure a trained model and its baselines on the test part of another store.

    Attributes:
        store: the other store, prepared as the model reads it; it keeps the division it came with.
        run_folder: a run or a quickstart folder.
        learnt: the store that the run was trained on; records that share a structure, composition or text
            with what was learnt are then counted, and the rest is measured on its own as well.
        part: the test part, or all records of a store that the model was not trained on.
        text: which text of a record is read, any kind; titles where there are any.
        out: the folder to write to; ``RUN/tasks/transfer-STORE`` where not given.
        json: print the figures as JSON.
    """

    store: Path
    run_folder: Run = Path("runs/quickstart")
    learnt: Path | None = None
    part: TestPart = "test"
    text: str | None = None
    out: Path | None = None
    json: bool = False

    def run(self) -> None:
        """Measures, writes the page and prints a table."""
        models = open_models(self.run_folder, Store(self.store), text_view=self.text)
        overlap = self.overlap(models["main"])
        result = transfer(models, overlap, self.part)
        name = self.store.resolve().name
        folder = self.out or run_folder(self.run_folder) / "tasks" / f"transfer-{name}"
        page = transfer_page(result, models["main"].prismat.recipe.name, name)
        path = write_result(folder, "transfer", result, page)
        if self.json:
            print(json.dumps(json.loads((folder / "transfer.json").read_text()), indent=2))
            return
        for table in page.tables:
            print(f"{table.title} ({table.aside.rstrip('.')})\n{plain_table(table.head, table.rows)}\n")
        print(f"{page.lede}\n\nReport: {path}")

    def overlap(self, opened: Opened) -> SetLeakage | None:
        """What the records share with those learnt from, where these are named."""
        if self.learnt is None:
            return None
        return learnt_overlap(self.run_folder, Store(self.learnt), opened, part=self.part)
