"""A small Crystallography Open Database and Crossref for tests: real simple crystals in COD's formats."""

import csv
import io
import re
from urllib.parse import unquote

from helpers_server import Answer, FakeServer

_NAMES = """
    file a siga b sigb c sigc alpha sigalpha beta sigbeta gamma siggamma vol sigvol celltemp sigcelltemp
    diffrtemp sigdiffrtemp cellpressure sigcellpressure diffrpressure sigdiffrpressure thermalhist
    pressurehist compoundsource nel sg sgHall sgNumber commonname chemname mineral formula calcformula
    cellformula Z Zprime acce_code authors title journal year volume issue firstpage lastpage doi method
    radiation wavelength radType radSymbol Rall Robs Rref wRall wRobs wRref RFsqd RI gofall gofobs gofgt
    gofsum duplicateof optimal status flags svnrevision date time onhold
"""
COLUMNS = _NAMES.split()

CELLS = {
    # a, c, Hermann–Mauguin, operations are left to the symbol; label, x, y, z
    "NaCl": (5.62, 5.62, 90, "F m -3 m", (("Na1", 0, 0, 0), ("Cl1", 0.5, 0.5, 0.5))),
    "SrTiO3": (3.905, 3.905, 90, "P m -3 m", (("Sr1", 0, 0, 0), ("Ti1", 0.5, 0.5, 0.5), ("O1", 0.5, 0.5, 0))),
    "TiO2": (4.5937, 2.9587, 90, "P 42/m n m", (("Ti1", 0, 0, 0), ("O1", 0.3053, 0.3053, 0))),
    "MgO": (4.2117, 4.2117, 90, "F m -3 m", (("Mg1", 0, 0, 0), ("O1", 0.5, 0.5, 0.5))),
    "Fe": (2.8665, 2.8665, 90, "I m -3 m", (("Fe1", 0, 0, 0),)),
    "C": (3.567, 3.567, 90, "F d -3 m :1", (("C1", 0, 0, 0),)),
    "Si": (5.4307, 5.4307, 90, "F d -3 m :1", (("Si1", 0, 0, 0),)),
    "ZnO": (3.2501, 5.2071, 120, "P 63 m c", (("Zn1", 1 / 3, 2 / 3, 0), ("O1", 1 / 3, 2 / 3, 0.3819))),
    "CsCl": (4.126, 4.126, 90, "P m -3 m", (("Cs1", 0, 0, 0), ("Cl1", 0.5, 0.5, 0.5))),
}
HILL = {"NaCl": "Cl Na", "SrTiO3": "O3 Sr Ti", "TiO2": "O2 Ti", "MgO": "Mg O", "ZnO": "O Zn", "CsCl": "Cl Cs"}

HALITE = {
    "file": "1000041",
    "formula": "- Cl Na -",
    "mineral": "Halite",
    "chemname": "Sodium chloride",
    "title": "Accuracy of an automatic diffractometer. Measurement of the sodium chloride structure factors",
    "journal": "Acta Crystallographica (1,1948-23,1967)",
    "year": "1965",
    "volume": "18",
    "firstpage": "926",
    "doi": "10.1107/S0365110X65002244",
    "flags": "has coordinates",
    "vol": "177.5",
    "celltemp": "293",
    "cellpressure": "100",
}
ROWS = [
    HALITE,
    {
        "file": "1512124",
        "formula": "- O3 Sr Ti -",
        "title": "The cubic phase of <i>SrTiO</i><sub>3</sub> &amp; its \\a-\\b transition",
        "journal": 'Journal of Physics; Condensed "Matter", A',
        "year": "1998",
        "volume": "10",
        "firstpage": "1",
        "doi": "https://doi.org/10.1000/ABC,1",
        "flags": "has coordinates,has Fobs",
        "status": "warnings",
        "diffrtemp": "473",
        "celltemp": "293",
        "diffrpressure": "5200000",
        "vol": "59.5",
    },
    {"file": "2310000", "formula": "- Cl Na -", "title": "Again", "duplicateof": "1000041", "year": "1965"},
    {"file": "4000002", "formula": "- Mg O -", "title": "Withdrawn", "status": "retracted", "year": "2009"},
    {"file": "4000003", "formula": "- Fe -", "title": "Wrong", "status": "errors", "year": "2009"},
    {"file": "4000004", "formula": "- C -", "title": "Rough", "optimal": "4000005", "year": "2009"},
    {"file": "4000006", "formula": "- Si -", "title": "Computed", "method": "theoretical", "year": "2009"},
    {"file": "4000007", "formula": "- O Zn -", "title": "Cell only", "flags": "has Fobs", "year": "2011"},
    {"file": "4000008", "formula": "- O2 Ti -", "title": "Gone", "year": "2011", "doi": "10.1000/gone"},
    {"file": "4000009", "formula": "- O Zn -", "title": "No atoms", "year": "2011", "doi": "10.1000/abc.2"},
    {"file": "9004141", "formula": "- O2 Ti -", "mineral": "Rutile", "year": "1956"},
    {
        "file": "9008868",
        "formula": "- Cl Cs -",
        "title": "Crystal Structures",
        "journal": "Zeitschrift für Kristallographie",
        "year": "1963",
        "volume": "1",
        "firstpage": "85",
        "doi": "10.1000/abc.2",
        "flags": "has coordinates",
    },
]
KEPT = ("cod-1000041", "cod-1512124", "cod-9004141", "cod-9008868")
REASONS = {
    "cod-2310000": "a duplicate of entry 1000041",
    "cod-4000002": "retracted",
    "cod-4000003": "COD says it has errors",
    "cod-4000004": "suboptimal: entry 4000005 is better",
    "cod-4000006": "a theoretical structure",
    "cod-4000007": "the entry has no coordinates",
    "cod-4000008": "no CIF (HTTP 404)",
    "cod-4000009": "no atoms",
}
FETCHED = ("1000041", "1512124", "4000008", "4000009", "9004141", "9008868")

WORKS = {
    "10.1107/s0365110x65002244": None,
    "10.1000/abc,1": "<jats:title>Abstract</jats:title><jats:p>SrTiO<jats:sub>3</jats:sub> for "
    "<jats:italic>T</jats:italic> &lt; 105 K.</jats:p>",
    "10.1000/abc.2": "<p>Salts &amp;amp; oxides</p>",
}
RUTILE_TITLE = "The structure of rutile, \\a-TiO~2~,\n at 298 K: M\\\"uller's view"


def cif(number: str, name: str, more: str = "", atoms: bool = True) -> str:
    """A CIF as COD serves it."""
    a, c, gamma, group, sites = CELLS[name]
    lines = [
        "#" + "-" * 78,
        "#$Date: 2016-02-13 21:28:24 +0200 (Sat, 13 Feb 2016) $",
        "#$Revision: 176429 $",
        f"#$URL: svn://www.crystallography.net/cod/cif/{number[0]}/00/00/{number}.cif $",
        "#" + "-" * 78,
        "#",
        "# This file is available in the Crystallography Open Database (COD),",
        "# http://www.crystallography.net/",
        "#",
        f"data_{number}",
        more.strip("\n"),
        f"_chemical_formula_sum            '{HILL.get(name, name)}'",
        f"_symmetry_space_group_name_H-M   '{group}'",
        f"_cell_length_a                   {a}",
        f"_cell_length_b                   {a}",
        f"_cell_length_c                   {c}",
        "_cell_angle_alpha                90",
        "_cell_angle_beta                 90",
        f"_cell_angle_gamma                {gamma}",
        f"_cod_database_code               {number}",
    ]
    if atoms:
        lines += ["loop_", *(f"_atom_site_{n}" for n in ("label", "fract_x", "fract_y", "fract_z"))]
        lines += [f"{label} {x:.5f} {y:.5f} {z:.5f}" for label, x, y, z in sites]
    return "\n".join(line for line in lines if line) + "\n"


CIFS = {
    "1000041": cif("1000041", "NaCl"),
    "1512124": cif("1512124", "SrTiO3"),
    "4000009": cif("4000009", "ZnO", atoms=False),
    "9004141": cif(
        "9004141",
        "TiO2",
        f"_publ_section_title\n;\n {RUTILE_TITLE}\n;\n_journal_name_full 'Acta Crystallographica'\n"
        "_journal_year 1956\n_journal_volume 9\n_journal_page_first 515\n"
        "_journal_paper_doi 10.1107/S0365110X56001431",
    ),
    "9008868": cif("9008868", "CsCl"),
}


def as_csv(rows, columns=COLUMNS) -> bytes:
    """Rows as COD's search writes them."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, extrasaction="ignore", restval="", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def as_tsv(rows, columns=COLUMNS) -> bytes:
    """Rows as ``mysql --batch`` prints them."""

    def cell(row, name):
        text = row.get(name)
        if text is None:
            return "NULL"
        return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")

    lines = ["\t".join(columns), *("\t".join(cell(row, name) for name in columns) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def chosen(query: dict[str, list[str]]) -> list[dict]:
    """Rows that a search finds."""

    def fits(row):
        elements = set(re.findall(r"[A-Z][a-z]?", row["formula"]))
        had = all(v[0] in elements for k, v in query.items() if re.fullmatch(r"el\d", k))
        avoided = not any(v[0] in elements for k, v in query.items() if re.fullmatch(r"nel\d", k))
        few = len(elements) <= int(query.get("strictmax", ["9"])[0])
        year = query.get("year", [row.get("year")])[0] == row.get("year")
        flagged = row.get("duplicateof") and "include_duplicates" not in query
        return had and avoided and few and year and not flagged

    return [row for row in ROWS if fits(row)]


def serve_cod(server: FakeServer) -> str:
    """The database's search and its CIFs; returns the base address."""

    def result(request):
        found = chosen(request.query)
        if request.query["format"] == ["count"]:
            return Answer(f"{len(found)}\n".encode())
        return Answer(as_csv(found), headers={"Content-Type": "text/csv"})

    server.routes["/cod/result"] = result
    for number, text in CIFS.items():
        server.file(f"/cod/{number}.cif", text.encode())
    return f"{server.url}/cod"


def message(doi: str) -> dict:
    """A work as Crossref describes it, with the fields that were selected."""
    abstract = WORKS[doi]
    return {"DOI": doi, **({} if abstract is None else {"abstract": abstract})}


def serve_crossref(server: FakeServer) -> str:
    """Lists by filter and single works; returns the base address."""

    def listed(request):
        wanted = [part.removeprefix("doi:") for part in request.query["filter"][0].split(",")]
        items = [message(doi) for doi in wanted if doi in WORKS]
        return Answer.json(
            {
                "status": "ok",
                "message-type": "work-list",
                "message-version": "1.0.0",
                "message": {"facets": {}, "total-results": len(items), "items": items},
            }
        )

    def single(request):
        doi = unquote(request.path.removeprefix("/works/"))
        if doi not in WORKS:
            return Answer(b"Resource not found.", 404)
        return Answer.json({"status": "ok", "message-type": "work", "message": message(doi)})

    server.routes |= {"/works": listed, "/works/": single}
    return server.url


def write_mirror(folder, cifs=CIFS):
    """A folder as rsync writes it."""
    for number, text in cifs.items():
        path = folder / number[0] / number[1:3] / number[3:5] / f"{number}.cif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
