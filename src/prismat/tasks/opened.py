"""A trained model on the records of a store, divided: what every task on the joint space starts from."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from prismat.api import Prismat, load
from prismat.files import read_limited
from prismat.groups import TOLERANCE
from prismat.packaged import cache_dir
from prismat.recipes.base import Job, SplitConfig
from prismat.recipes.serial import from_json
from prismat.splits import Split, group_records
from prismat.store import Store
from prismat.text_reader import FrozenReader
from prismat.training.records import Records, read_records
from prismat.training.session import Prepared, split_store
from prismat.training.store_checks import check_store
from prismat.training.text_bank import build_text_bank, build_token_bank, evaluated_view
from prismat.training.windows import StoreData, TextBank, TokenBank

_LARGEST_SPLIT = 1 << 30


@dataclass(frozen=True, eq=False)
class Opened:
    """A trained model on the records of a store.

    Attributes:
        prismat: the model.
        prepared: store, records and split.
        data: windows of the store, without training views.
        groups: of each record, within which records are not independent, shape (records,).
        is_own: whether the model was trained on the train part of this very split; where not, held-out
            records may be like those that the model has seen (without what a task predicts of them).
    """

    prismat: Prismat
    prepared: Prepared
    data: StoreData
    groups: Int[np.ndarray, " records"]
    is_own: bool

    @property
    def records(self) -> Records:
        """The tabular side of the store."""
        return self.prepared.records

    @property
    def rows(self) -> dict[str, Int[np.ndarray, " part"]]:
        """Row numbers of train, val and test."""
        return self.prepared.rows


def open_run(
    run: Path, store: Store, split: SplitConfig | None = None, text_view: str | None = None
) -> Opened:
    """Opens a run on a store: its own, divided as it was trained, or another one, divided by its groups.

    Args:
        run: a run folder, a quickstart folder or a model folder.
        store: the records.
        split: how another store is divided; the run's own store keeps the run's split.
        text_view: which text of a record the model reads: ``title``, ``context`` or any kind of text; titles
            where not given, or what the model was trained on where the store has none.

    Raises:
        BadInputError: no model there, or a split that cannot be read or made.
        MismatchError: the store was prepared with other settings than the model reads.
    """
    prismat = load(run)
    check_store(store, prismat.recipe)
    records, own = read_records(store), _own_split(run, store)
    if own is not None:
        divided, tolerance = own, own.rule.get("tolerance", TOLERANCE)
    else:
        config = split or _job_split(run)
        divided, tolerance = split_store(store, records, config), config.tolerance
    prepared = Prepared(store, records, divided, divided.rows(records.ids))
    groups = group_records(records.fractions, list(records.keys.values()), tolerance)
    return Opened(prismat, prepared, _data(prismat, prepared, text_view), groups, own is not None)


def open_beside(folder: Path, opened: Opened, text_view: str | None = None) -> Opened:
    """Opens another model, such as a baseline, on the very records and parts of one that is open.

    Raises:
        BadInputError: no model there.
        MismatchError: the store was prepared with other settings than this model reads.
    """
    prismat = load(folder)
    check_store(opened.prepared.store, prismat.recipe)
    data = _data(prismat, opened.prepared, text_view)
    return Opened(prismat, opened.prepared, data, opened.groups, opened.is_own)


def _data(prismat: Prismat, prepared: Prepared, view: str | None) -> StoreData:
    """The windows of a store as the model reads them, without training views."""
    recipe, records = prismat.recipe, prepared.records
    bank = read_bank(prismat, records, view or evaluated_view(records, recipe.views.text))
    return StoreData(prepared.store, recipe.windows, prismat.modalities, bank, recipe.views, [])


def run_folder(folder: Path) -> Path:
    """The run inside a quickstart folder, or the folder itself."""
    inside = Path(folder) / "run"
    return inside if (inside / "model" / "config.json").is_file() else Path(folder)


def _own_split(run: Path, store: Store) -> Split | None:
    """The run's split, if it is of this store."""
    path = run_folder(run) / "split.json"
    if not path.is_file():
        return None
    split = Split.from_json(read_limited(path, _LARGEST_SPLIT).decode())
    return split if split.rule.get("store") == store.hash else None


def _job_split(run: Path) -> SplitConfig:
    """How the run divided its store; the usual way where only a model is there."""
    path = run_folder(run) / "config.json"
    if not path.is_file() or (path.parent / "model.safetensors").is_file():
        return SplitConfig()
    return from_json(Job, json.loads(path.read_text(encoding="utf-8"))).split


def read_bank(prismat: Prismat, records: Records, view: str) -> TextBank | TokenBank | None:
    """One text of every record as the model reads queries; frozen embeddings come from the cache.

    Args:
        prismat: the model; None is given back where it reads no text.
        records: of the store.
        view: which text, ``title`` or any other kind.
    """
    reader = prismat.reader
    if reader is None:
        return None
    if isinstance(reader, FrozenReader):
        cached = FrozenReader(reader.encoder, reader.lexicon, cache_dir() / "text")
        return build_text_bank(records, cached, np.zeros(0, dtype=np.int64), {}, first=view)
    return build_token_bank(records, reader, {}, view)
