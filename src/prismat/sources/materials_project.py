"""The Materials Project: structures, properties, descriptions, densities of states and charge densities.

Jain et al., APL Mater. 1, 011002 (2013), through its REST interface and its open data.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import Any, Literal, get_args

from prismat.crystal import MAX_SITES
from prismat.errors import BadInputError
from prismat.fetch.client import Client, ClientSettings
from prismat.fetch.items import Item, ItemMirror
from prismat.fetch.pages import PageMirror, Row
from prismat.fetch.place import fetched_folder
from prismat.files import digest
from prismat.material import Material, Provenance, Reject
from prismat.measurements import Measurement
from prismat.sources.base import Progress
from prismat.sources.mp_api import API, api_client
from prismat.sources.mp_arrays import read_mp_density, read_mp_dos
from prismat.sources.mp_filter import MpFilter
from prismat.sources.mp_parts import Part, ask_density_tasks, ask_descriptions, ask_dos_tasks
from prismat.sources.mp_summary import crystal_of, fetch_page, licence_of, properties_of, tags_of

OPEN_DATA = "https://materialsproject-parsed.s3.amazonaws.com"
"""Public bucket of parsed calculations; needs no key."""
MpPart = Literal["descriptions", "dos", "density"]
_ASK = {"descriptions": ask_descriptions, "dos": ask_dos_tasks, "density": ask_density_tasks}
_FILES = {"dos": "dos", "density": "chgcars"}
_WINDOWS = {"dos": "dos", "density": "charge_density"}
_READ = {"dos": read_mp_dos, "density": read_mp_density}
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class MpService:
    """Where the Materials Project is.

    Attributes:
        base_url: of the REST interface, which asks for a key.
        open_data_url: of the files of calculations, which are free to all.
        contact: e-mail address sent along.
        max_file_mb: size of one file of a calculation, packed and unpacked; larger ones are left out.
    """

    base_url: str = API
    open_data_url: str = OPEN_DATA
    contact: str = ""
    max_file_mb: int = 256

    def clients(self) -> tuple[Client, Client]:
        """For the REST interface, with the key, and for the open data, without one.

        Raises:
            BadInputError: no key in the environment variable MP_API_KEY.
        """
        settings = ClientSettings(per_second=10.0, contact=self.contact)
        files = replace(settings, page_bytes=self.max_file_mb * _MEGABYTE)
        return api_client(self.base_url, settings), Client(files)


class MaterialsProjectSource:
    """Materials of the Materials Project; the parts beside the summaries on demand.

    ``obtain`` comes first: it fetches what is not there yet; everything else reads the mirror. A material
    whose density of states or charge density cannot be had keeps its other windows, and a tag ``no_dos`` or
    ``no_charge_density`` with the reason.

    Args:
        filter: which materials.
        parts: ``descriptions`` (robocrystallographer's texts), ``dos``, ``density``.
        limit: materials at most; 0 for all.
        service: where it is.
        cache: folder for all that is fetched; that of Prismat where None.
        clients: how the two parts of the service are asked; those of ``service`` where None.
        max_sites: larger cells are rejected.
        retry_failed: ask again for files that failed before for a passing reason.

    Raises:
        BadInputError: a filter that cannot be, or an unknown part.
    """

    name = "materials_project"
    licence = "CC BY 4.0"
    citation = "Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323"

    def __init__(
        self,
        filter: MpFilter,
        parts: tuple[MpPart, ...] = (),
        limit: int = 0,
        service: MpService = MpService(),
        cache: Path | None = None,
        clients: tuple[Client, Client] | None = None,
        max_sites: int = MAX_SITES,
        retry_failed: bool = False,
    ) -> None:
        if set(parts) - set(get_args(MpPart)):
            raise BadInputError(
                f"parts {parts}", field="parts", remedy=f"Choose from {', '.join(get_args(MpPart))}."
            )
        self._filters, self.limit, self.max_sites = filter.params(), limit, max_sites
        self._retry = retry_failed
        self.parts, self.service, self._clients = tuple(sorted(set(parts))), service, clients
        url = service.base_url.rstrip("/")
        query = {"url": url, "filters": self._filters, "limit": limit}
        self.folder = fetched_folder(self.name, query, cache)
        self._summaries = PageMirror(self.folder / "summary", query)
        self._parts = {p: Part(self.folder / p, url, _ASK[p], self._summaries) for p in self.parts}
        self._files = {p: ItemMirror(self.folder / _FILES[p], ".json.gz") for p in self.parts if p in _FILES}

    def obtain(self, progress: Progress | None = None) -> None:
        """Fetches what is not there yet: summaries, texts, then the files of calculations.

        Args:
            progress: called with how many of how many are done, in each of these steps.

        Raises:
            BadInputError: no key in the environment variable MP_API_KEY, and something to fetch.
            FetchError: a server did not answer, refused the key, or answered in another form than expected.
        """
        if self._complete():
            return
        api, files = self._clients or self.service.clients()
        url = f"{self.service.base_url.rstrip('/')}/materials/summary/"
        tell = (lambda done: progress(done, max(done, self.limit))) if progress else None
        self._summaries.obtain(lambda at: fetch_page(api, url, self._filters, self.limit, at), tell)
        total = len(self._summaries)
        tell = (lambda done: progress(done, total)) if progress else None
        for part in self._parts.values():
            part.obtain(api, tell)
        for name, mirror in self._files.items():
            tasks = dict.fromkeys(task for task in self._parts[name].values(0, total) if task)
            items = [Item(task, self._address(name, task)) for task in tasks]
            mirror.obtain(items, files, progress=progress, retry_failed=self._retry, refuse=_no_data)

    def fingerprint(self) -> str:
        """SHA-256 over all that was fetched and how it is read."""
        parts = [part.fingerprint() for part in self._parts.values()]
        files = [mirror.fingerprint() for mirror in self._files.values()]
        limits = [self.parts, self.max_sites, self.service.max_file_mb if self._files else 0]
        return digest(self._summaries.fingerprint(), parts, files, limits)

    def __len__(self) -> int:
        return len(self._summaries)

    def read(self, start: int, stop: int) -> Iterator[Material | Reject]:
        """Materials start … stop − 1; one that cannot be one comes as a Reject."""
        stop = min(stop, len(self))
        found = {name: part.values(start, stop) for name, part in self._parts.items()}
        extra = zip(*found.values(), strict=True) if found else repeat(())
        rows = self._summaries.rows(start, stop)
        for number, (row, values) in enumerate(zip(rows, extra, strict=False), start=start):
            identifier = row.get("material_id") or f"{self.name}-row-{number + 1}"
            try:
                yield self._material(str(identifier), row, dict(zip(found, values, strict=True)))
            except (BadInputError, ValueError, TypeError, KeyError) as error:
                yield Reject.because(str(identifier), error)

    def __getstate__(self) -> dict[str, Any]:
        """Travels to worker processes without the clients, and so without the key: they read the mirror."""
        return {**self.__dict__, "_clients": None}

    def _material(self, identifier: str, row: Row, found: dict[str, str]) -> Material:
        crystal = crystal_of(row, self.max_sites)
        measurements, missing = self._measurements(found)
        text = found.get("descriptions", "")
        return Material(
            identifier,
            crystal,
            texts={"description": text} if text else {},
            measurements=measurements,
            properties=properties_of(row),
            tags=tags_of(row) | missing,
            provenance=Provenance(self.name, identifier, licence_of(row), self.citation),
        )

    def _measurements(self, found: dict[str, str]) -> tuple[dict[str, Measurement], dict[str, str]]:
        """What was calculated, and for what is missing why."""
        measurements: dict[str, Measurement] = {}
        missing: dict[str, str] = {}
        for part, mirror in self._files.items():
            task, window = found[part], _WINDOWS[part]
            reason = mirror.failure(task) if task else "not calculated"
            if not reason:
                try:
                    limit = self.service.max_file_mb * _MEGABYTE
                    measurements[window] = _READ[part](mirror.path(task), limit)
                except BadInputError as error:
                    reason = error.problem
            if reason:
                missing[f"no_{window}"] = reason
        return measurements, missing

    def _address(self, part: str, task: str) -> str:
        return f"{self.service.open_data_url.rstrip('/')}/{_FILES[part]}/{task}.json.gz"

    def _complete(self) -> bool:
        if self._retry and self._files:
            return False
        files = all((mirror.folder / "finished.json").is_file() for mirror in self._files.values())
        return self._summaries.complete and all(part.complete for part in self._parts.values()) and files


@dataclass(frozen=True)
class MaterialsProjectOptions:
    """The Materials Project (CC BY 4.0); a key in the environment variable MP_API_KEY.

    Attributes:
        filter: which materials.
        descriptions: with the texts of robocrystallographer.
        dos: with total densities of states; some 100 kB to MB each.
        density: with charge densities; some MB to hundreds of MB each.
        limit: materials at most; 0 for all.
        max_sites: larger cells are rejected.
        cache: folder for what is fetched.
        retry_failed: ask again for files that failed before for a passing reason.
        service: addresses, contact and size of files.
    """

    filter: MpFilter = field(default_factory=MpFilter)
    descriptions: bool = False
    dos: bool = False
    density: bool = False
    limit: int = 0
    max_sites: int = MAX_SITES
    cache: Path | None = None
    retry_failed: bool = False
    service: MpService = field(default_factory=MpService)

    def open(self, clients: tuple[Client, Client] | None = None) -> MaterialsProjectSource:
        """The source.

        Raises:
            BadInputError: a filter that cannot be.
        """
        wanted: dict[MpPart, bool] = {
            "descriptions": self.descriptions,
            "dos": self.dos,
            "density": self.density,
        }
        parts = tuple(name for name, asked in wanted.items() if asked)
        return MaterialsProjectSource(
            self.filter,
            parts,
            self.limit,
            self.service,
            self.cache,
            clients,
            self.max_sites,
            self.retry_failed,
        )


def _no_data(body: bytes) -> str:
    """Why an answer is no packed or plain JSON."""
    if body[:2] == b"\x1f\x8b" or body.lstrip()[:1] in (b"{", b"["):
        return ""
    return f"{'HTML' if body.lstrip()[:1] == b'<' else 'something else'} where packed JSON was expected"
