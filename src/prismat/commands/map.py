"""The verb that draws the materials of an index: map."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from prismat.api import Prismat, load
from prismat.commands.describe import ModelOptions
from prismat.commands.talk import Run, plain_table, talking
from prismat.files import digest, write_text
from prismat.formats_xrd import read_xy
from prismat.maps.ask import Placement, place_query
from prismat.maps.build import MapConfig, Namer, make_map
from prismat.maps.figure import cluster_figure, heat_figure, overlay_figure, write_figure
from prismat.maps.names import Name
from prismat.maps.naming import names_by_model
from prismat.maps.overlays import tags_of
from prismat.maps.page import map_page
from prismat.maps.projection import Method, ProjectionConfig
from prismat.maps.world import MaterialsMap
from prismat.search.engine import SearchEngine
from prismat.search.index import Index
from prismat.search.query import Query
from prismat.store import Store
from prismat.texts.language_model import ChatClient

_PATTERNS = (".xy", ".xye")


@dataclass(frozen=True)
class PlaceOptions:
    """New points.

    Attributes:
        files: CIF, POSCAR, .xy or .xye files to place on the map that is there; nothing is drawn anew.
        words: texts to place likewise; quote each.
    """

    files: Annotated[tuple[Path, ...], tyro.conf.arg(name="place")] = ()
    words: Annotated[tuple[str, ...], tyro.conf.arg(name="place-text")] = ()

    def queries(self) -> dict[str, Query]:
        """What is asked for, by the name it is told under."""
        given = {str(p): _query(p) for p in self.files}
        return given | {words: Query(text=words) for words in self.words}


def _query(path: Path) -> Query:
    if path.suffix.lower() in _PATTERNS:
        return Query(xrd=read_xy(path, record=str(path)))
    return Query(structure=path)


@dataclass(frozen=True)
class MapCommand:
    """Draw the materials of an index: named regions, heat of words, properties; or place new ones on the map.

    Attributes:
        run_folder: a quickstart folder or a run with an index.
        index: an index folder made with the same model; ``RUN/index`` where not given.
        store: for years, tags and routes; ``RUN/store`` where not given and there is one.
        out: the map's folder; ``RUN/map`` where not given.
        method: t-SNE, UMAP or principal components.
        key: which embedding; structures as they are compared with words where not given.
        clusters: how many regions are named.
        heat: words whose heat is drawn; quote each.
        overlay: further colours: a property, year, crystal_system, spacegroup, class, n_elements, n_sites,
            element:Fe, tag:NAME; what the records offer is there anyway, what is named here is drawn too.
        title: of the page.
        projection: settings of the method.
        place: new points.
        language_model: names the regions, where an endpoint is given; their words do otherwise.
        json: print JSON.
    """

    run_folder: Run = Path("runs/quickstart")
    index: Path | None = None
    store: Path | None = None
    out: Path | None = None
    method: Method = "tsne"
    key: str = ""
    clusters: int = 20
    heat: tuple[str, ...] = ()
    overlay: tuple[str, ...] = ()
    title: str = "A map of materials"
    projection: ProjectionConfig = field(default_factory=ProjectionConfig)
    place: Annotated[PlaceOptions, tyro.conf.arg(name="")] = field(default_factory=PlaceOptions)
    language_model: Annotated[ModelOptions, tyro.conf.arg(prefix_name=True, name="llm")] = field(
        default_factory=ModelOptions
    )
    json: bool = False

    @property
    def folder(self) -> Path:
        """Where the map is."""
        return self.out or self.run_folder / "map"

    def run(self) -> None:
        """Draws the map, or places new points on the one that is there."""
        queries = self.place.queries()
        namer = self._namer()
        prismat = load(self.run_folder)
        folder = self.index or self.run_folder / "index"
        if queries:
            engine = SearchEngine.open(prismat, folder)
            world = MaterialsMap.load(self.folder, prismat.hash, engine.index)
            self._tell_places({name: place_query(world, engine, q) for name, q in queries.items()}, world)
            return
        with talking() as talk:
            index = Index.open(folder, prismat.hash)
            world = make_map(prismat, index, self._config(), self._tags(index), namer, talk.note)
            talk.note("pictures and page")
            written = write_map(world, self.folder, self.title, _lede(world, prismat), self.overlay)
        self._tell(world, written)

    def _config(self) -> MapConfig:
        return MapConfig(
            self.method,
            self.key,
            self.clusters,
            self.heat,
            self.overlay,
            self.projection,
            self.projection.seed,
        )

    def _tags(self, index: Index) -> Mapping[str, Mapping[str, str]]:
        beside = self.run_folder / "store"
        folder = self.store or (beside if (beside / "store.json").is_file() else None)
        if folder is None:
            return {}
        ids = index.table["id"].to_pylist()
        return dict(zip(ids, tags_of(Store(folder), ids), strict=True))

    def _namer(self) -> Namer | None:
        if not self.language_model.endpoint:
            return None
        endpoint = self.language_model.resolved()
        # What is wrong with the endpoint is said before anything is drawn.
        ChatClient(endpoint)

        def namer(names: Sequence[Name], titles: Sequence[Sequence[str]]) -> list[Name]:
            return names_by_model(endpoint, names, titles)

        return namer

    def _tell(self, world: MaterialsMap, written: Sequence[Path]) -> None:
        if self.json:
            told = {
                "points": len(world),
                "method": world.method,
                "key": world.key,
                "seconds": world.settings["projection_seconds"],
                "clusters": [asdict(c) for c in world.clusters],
                "overlays": list(world.overlays),
                "heats": list(world.heats),
                "files": [str(p) for p in written],
            }
            print(json.dumps(told, indent=2, ensure_ascii=False))
            return
        rows = [[c.name, f"{c.size:,}", ", ".join(c.words[3:7])] for c in world.clusters]
        print(plain_table(["region", "points", "also"], rows))
        print(
            f"{len(world):,} points under {world.key} → {self.folder}/map.html and {len(written) - 1} "
            "pictures"
        )
        print(f"Next: open {self.folder}/map.html, or prismat map --run {self.run_folder} --place FILE.cif")

    def _tell_places(self, placed: Mapping[str, Placement], world: MaterialsMap) -> None:
        if self.json:
            print(json.dumps({"placed": {n: _place_json(p, world) for n, p in placed.items()}}, indent=2))
            return
        for name, place in placed.items():
            print(f"{name}: x {place.x:.3f}, y {place.y:.3f}, {place.how}")
            for near in place.neighbours[:5]:
                row = world.rows[near]
                print(f"    {near:<14}{world.formulas[row][:26]:<28}{world.titles[row][:70]}")


def _place_json(place: Placement, world: MaterialsMap) -> dict[str, Any]:
    region = world.clusters[int(world.cluster[world.rows[place.neighbours[0]]])].name
    return {**asdict(place), "region": region}


def _lede(world: MaterialsMap, prismat: Prismat) -> str:
    windows = " and ".join(w for w in prismat.recipe.windows if w in world.key) or world.key
    method = {"tsne": "t-SNE", "umap": "UMAP", "pca": "principal components"}[world.method]
    told = f"{len(world):,} materials by their vectors of {windows}, drawn by {method}."
    return f"{told} Regions are clusters of the vectors, named by the words of their titles."


def write_map(
    world: MaterialsMap, folder: Path, title: str, lede: str, overlays: Sequence[str] = ()
) -> list[Path]:
    """Writes a map, its page and its pictures.

    Args:
        world: the map.
        folder: where to.
        title: of the page.
        lede: below it.
        overlays: those to draw as pictures.
    """
    world.save(folder)
    page = folder / "map.html"
    write_text(page, map_page(world, title, lede))
    written = [page, *write_figure(cluster_figure(world), folder / "clusters")]
    for words in world.heats:
        written += write_figure(heat_figure(world, [words]), folder / f"heat_{_plain(words)}")
    for name in overlays:
        written += write_figure(overlay_figure(world, name), folder / f"overlay_{_plain(name)}")
    return written


def _plain(words: str) -> str:
    """Words as part of a file's name: nothing in them leads out of the folder, and no two are named alike."""
    kept = "".join(c if c.isascii() and c.isalnum() else "_" for c in words.lower())[:48]
    return kept if kept == words.replace(" ", "_") else f"{kept.strip('_')}_{digest(words)[:6]}".strip("_")
