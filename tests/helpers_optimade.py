"""An OPTIMADE service for tests, with entries of the form that OQMD gives."""

from urllib.parse import urlencode

from helpers_server import Answer

ROCK_SALT = (
    [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]],
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]],
)
PAIRS = [("Na", "Cl", 5.64), ("K", "Cl", 6.29), ("Li", "F", 4.03), ("Mg", "O", 4.21), ("Ca", "O", 4.81)]
PAIRS += [("Sr", "O", 5.16), ("Ba", "O", 5.54), ("Na", "F", 4.63), ("Pb", "S", 5.93), ("Ag", "Cl", 5.55)]


def element(symbol):
    return {"name": symbol, "chemical_symbols": [symbol], "concentration": [1.0], "mass": None}


def structure(a="Na", b="Cl", edge=5.64, **changes):
    """Attributes of a rock-salt compound."""
    sites = [[x * edge / 2 for x in site] for half in ROCK_SALT for site in half]
    return {
        "lattice_vectors": [[edge, 0.0, 0.0], [0.0, edge, 0.0], [0.0, 0.0, edge]],
        "cartesian_site_positions": sites,
        "species": [element(a), element(b)],
        "species_at_sites": [a] * 4 + [b] * 4,
        "dimension_types": [1, 1, 1],
        "nperiodic_dimensions": 3,
        "structure_features": [],
        "assemblies": None,
        "immutable_id": None,
        "last_modified": "2024-03-01T00:00:00Z",
        "nsites": 8,
        **changes,
    }


def oqmd_entry(number):
    a, b, edge = PAIRS[number % len(PAIRS)]
    own = {
        "_oqmd_entry_id": 4000 + number,
        "_oqmd_delta_e": -2.0 + number / 10,
        "_oqmd_stability": -0.05 + number / 100,
        "_oqmd_band_gap": None if number == 3 else float(number),
    }
    return {"id": str(4000 + number), "type": "structures", "attributes": structure(a, b, edge, **own)}


class OptimadeService:
    """Routes of one database on a fake server; ``entries`` may be changed before it is asked."""

    def __init__(self, server, entries, base="/optimade", page=4, links="object"):
        self.server, self.entries, self.base, self.page, self.links = server, entries, base, page, links
        self.meta = {"provider": {"name": "Test Materials", "prefix": "oqmd", "homepage": "https://oqmd.org"}}
        self.info = {"available_licenses": ["CC-BY-4.0"], "license": {"href": "https://example.org/terms"}}
        server.routes[f"{base}/v1/info"] = self._info
        server.routes[f"{base}/v1/structures"] = self._structures

    @property
    def url(self):
        return f"{self.server.url}{self.base}"

    @property
    def pages_asked(self):
        return self.server.asked(f"{self.base}/v1/structures")

    def _info(self, request):
        return Answer.json({"meta": self.meta, "data": {"id": "/", "type": "info", "attributes": self.info}})

    def _structures(self, request):
        offset = int(request.query.get("page_offset", ["0"])[0])
        rows = self.entries[offset : offset + self.page]
        more = offset + self.page < len(self.entries)
        query = {"page_offset": offset + self.page, "page_limit": self.page}
        link = f"{self.url}/v1/structures?{urlencode(query)}"
        forms = {"object": {"href": link, "meta": {}}, "text": link, "relative": f"?{urlencode(query)}"}
        meta = {**self.meta, "data_returned": len(self.entries), "more_data_available": more}
        answer = {"data": rows, "meta": meta, "links": {"next": forms[self.links] if more else None}}
        return Answer.json(answer)


def error_document(status=400, title="Bad Request", detail="Unable to parse filter"):
    return Answer.json({"errors": [{"status": str(status), "title": title, "detail": detail}]}, status)
