"""What one server serves: a model, its index, and whatever was found beside them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from prismat.api import Prismat, load
from prismat.confidence.confidence import Confidence
from prismat.errors import BadInputError
from prismat.heads.files import load_head
from prismat.heads.model import PropertyHead
from prismat.maps.world import MaterialsMap
from prismat.search.backends.opening import open_any
from prismat.search.engine import SearchEngine
from prismat.store import Store
from prismat.tasks.opened import run_folder

if TYPE_CHECKING:
    from prismat.search.backends.base import SearchIndex

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Places:
    """Folders of what is served.

    Attributes:
        run: a quickstart folder, a run or a model.
        index: the search index; ``RUN/index`` where None.
        store: the records; ``RUN/store`` where None, if it is there.
        map: a map of the index; ``RUN/map`` where None, if it is there.
        heads: folders that ``prismat fit`` wrote.
    """

    run: Path
    index: Path | str | None = None
    store: Path | None = None
    map: Path | None = None
    heads: tuple[Path, ...] = ()


@dataclass(frozen=True, eq=False)
class Served:
    """Everything that requests are answered from; nothing in it changes.

    Attributes:
        engine: model and index.
        name: of the model, as shown.
        store: the records behind the index, or None.
        confidence: calibration of the scores, or None.
        world: the map, or None.
        heads: predictors by the name of their property.
    """

    engine: SearchEngine
    name: str = "prismat"
    store: Store | None = None
    confidence: Confidence | None = None
    world: MaterialsMap | None = None
    heads: Mapping[str, PropertyHead] = field(default_factory=dict)

    @property
    def prismat(self) -> Prismat:
        """The model."""
        return self.engine.prismat

    @property
    def index(self) -> "SearchIndex":
        """The index."""
        return self.engine.index

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each record of the store by its id."""
        return {} if self.store is None else {name: row for row, name in enumerate(self.store.ids)}

    def warm(self) -> None:
        """Does once what the first request would wait for, and what threads must not do at the same time.

        A tokeniser sets itself up at its first text, which two threads must not do at once.
        """
        for prismat in (self.prismat, *(head.prismat for head in self.heads.values())):
            if prismat.reader is not None:
                prismat.embed(texts=["quartz"])
        logger.info("%d records, %d of them in the store", len(self.index), len(self.rows))


def open_served(places: Places) -> Served:
    """Opens what is to be served.

    Raises:
        BadInputError: no model, index, store, map or head in a folder that was named.
        MismatchError: an index, a calibration or a map of another model.
        VersionError: written by another format version.
    """
    prismat = load(places.run)
    index = places.index or _first(places.run, "index", "index.json")
    if index is None:
        raise BadInputError(
            f"no index in {places.run}",
            field="index",
            remedy=f"Make one: prismat index --run {places.run} --store STORE.",
        )
    store = places.store or _first(places.run, "store", "store.json")
    calibration = _first(places.run, "confidence", "confidence.json")
    engine = SearchEngine(prismat, open_any(index, prismat.hash))
    return Served(
        engine=engine,
        name=Path(places.run).resolve().name,
        store=None if store is None else Store(store),
        confidence=None if calibration is None else Confidence.load(calibration, prismat.hash),
        world=_open_map(places, engine),
        heads=_open_heads(places.heads),
    )


def _first(run: Path, name: str, holds: str) -> Path | None:
    """The folder of this name in the quickstart folder or in its run."""
    found = [folder / name for folder in (Path(run), run_folder(run), Path(run).parent)]
    return next((folder for folder in found if (folder / holds).is_file()), None)


def _open_map(places: Places, engine: SearchEngine) -> MaterialsMap | None:
    folder = places.map or _first(places.run, "map", "world.json")
    if folder is None:
        return None
    return MaterialsMap.load(folder, engine.prismat.hash, engine.index)


def _open_heads(folders: Sequence[Path]) -> dict[str, PropertyHead]:
    heads: dict[str, PropertyHead] = {}
    for folder in folders:
        head = load_head(folder)
        if head.spec.target.name in heads:
            raise BadInputError(
                f"two heads for {head.spec.target.name}", field="head", remedy="Give one of them."
            )
        heads[head.spec.target.name] = head
    return heads
