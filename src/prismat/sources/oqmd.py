"""The Open Quantum Materials Database: over a million DFT structures with formation energies and band gaps.

Saal et al., JOM 65, 1501 (2013); Kirklin et al., npj Comput. Mater. 1, 15010 (2015). Read through the
OPTIMADE service of OQMD, which gives structures whole and names the next page; the older REST interface
(``oqmdapi/formationenergy``) serves the same values.
"""

from dataclasses import dataclass
from pathlib import Path

from prismat.crystal import MAX_SITES
from prismat.elements import atomic_number
from prismat.errors import BadInputError
from prismat.fetch.client import Client, ClientSettings
from prismat.sources.optimade import OptimadeQuery, OptimadeSource, Terms

OQMD = "https://oqmd.org/optimade"
PROPERTIES = (
    "formation_energy_per_atom:_oqmd_delta_e=eV/atom",
    "hull_distance:_oqmd_stability=eV/atom",
    "band_gap:_oqmd_band_gap=eV",
)
"""Fields of OQMD. The distance to the hull of all other phases is negative for a stable phase."""
_TERMS = Terms(
    "CC BY 4.0",
    "Saal et al., JOM 65, 1501 (2013), doi:10.1007/s11837-013-0755-4; "
    "Kirklin et al., npj Comput. Mater. 1, 15010 (2015), doi:10.1038/npjcompumats.2015.10",
)


class OqmdSource(OptimadeSource):
    """Entries of OQMD as materials.

    Properties: ``formation_energy_per_atom`` and ``hull_distance`` (eV/atom), ``band_gap`` (eV).

    Args:
        filter: in OPTIMADE's filter language; all entries where empty.
        limit: entries at most; 0 for all.
        page_limit: entries per request.
        base_url: of the service.
        cache: folder for all that is fetched; that of Prismat where None.
        client: how it is asked; two requests per second where None.
        max_sites: larger cells are rejected.
    """

    name = "oqmd"

    def __init__(
        self,
        filter: str = "",
        limit: int = 0,
        page_limit: int = 100,
        base_url: str = OQMD,
        cache: Path | None = None,
        client: Client | None = None,
        max_sites: int = MAX_SITES,
    ) -> None:
        query = OptimadeQuery(filter, PROPERTIES, limit, page_limit)
        super().__init__(base_url, query, _TERMS, cache, client, max_sites)

    @property
    def _origin(self) -> str:
        return self.name


@dataclass(frozen=True)
class OqmdOptions:
    """OQMD: over a million DFT structures with formation energies and band gaps (CC BY 4.0).

    Attributes:
        elements: that are all in the compound, such as ``Si O``.
        n_elements: number of elements; 0 for any.
        hull_distance: eV/atom at most; stable phases lie at 0 or below.
        filter: further conditions in OPTIMADE's filter language.
        limit: entries at most; 0 for all.
        page_limit: entries per request.
        contact: e-mail address sent along with the requests.
        max_sites: larger cells are rejected.
        cache: folder for what is fetched.
        base_url: of the service.
    """

    elements: tuple[str, ...] = ()
    n_elements: int = 0
    hull_distance: float | None = None
    filter: str = ""
    limit: int = 0
    page_limit: int = 100
    contact: str = ""
    max_sites: int = MAX_SITES
    cache: Path | None = None
    base_url: str = OQMD

    def open(self, client: Client | None = None) -> OqmdSource:
        """The source.

        Raises:
            BadInputError: an unknown element, or a number of elements below zero.
        """
        client = client or Client(ClientSettings(per_second=2.0, contact=self.contact))
        wanted = self.filter_text()
        return OqmdSource(
            wanted, self.limit, self.page_limit, self.base_url, self.cache, client, self.max_sites
        )

    def filter_text(self) -> str:
        """All conditions in OPTIMADE's filter language."""
        if self.n_elements < 0:
            raise BadInputError(f"{self.n_elements} elements", field="n_elements", remedy="Give 1 or more.")
        parts = [f"elements HAS ALL {_quoted(self.elements)}"] if self.elements else []
        parts += [f"nelements={self.n_elements}"] if self.n_elements else []
        parts += [] if self.hull_distance is None else [f"_oqmd_stability<={self.hull_distance:g}"]
        parts += [f"({self.filter})"] if self.filter else []
        return " AND ".join(parts)


def _quoted(symbols: tuple[str, ...]) -> str:
    for symbol in symbols:
        atomic_number(symbol)
    return ",".join(f'"{symbol}"' for symbol in symbols)
