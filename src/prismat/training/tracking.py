"""Where the numbers of a training go: one JSON line per step, and TensorBoard on request."""

import json
from pathlib import Path

from prismat.errors import MissingExtraError
from prismat.files import write_text


class Tracker:
    """Appends to metrics.jsonl; also to TensorBoard event files where asked.

    Args:
        folder: the run folder.
        tensorboard: write event files beside it (extra ``tracking``).

    Raises:
        MissingExtraError: TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, tensorboard: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "metrics.jsonl"
        self._board = _board(folder / "tensorboard") if tensorboard else None

    def truncate(self, step: int) -> None:
        """Drops entries after ``step``: an interrupted training repeats them."""
        if self.path.is_file():
            kept = [line for line in self._lines() if json.loads(line)["step"] <= step]
            write_text(self.path, "".join(f"{line}\n" for line in kept))

    def log(self, entry: dict) -> None:
        """Appends one entry; it must hold ``step``."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")
        if self._board is not None:
            for name, value in entry.items():
                if isinstance(value, (int, float)) and name != "step":
                    self._board.add_scalar(name, value, entry["step"])

    def _lines(self) -> list[str]:
        """Whole lines; one cut short by a kill is left out."""
        text = self.path.read_text(encoding="utf-8")
        return text[: text.rfind("\n") + 1].splitlines()


def _board(folder: Path):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("tensorboard", "tracking") from error
    return SummaryWriter(str(folder))
