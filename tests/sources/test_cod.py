"""The Crystallography Open Database from end to end, against a local server that speaks its protocol."""

import gzip
import json
import pickle
from dataclasses import replace

import pytest

import prismat.sources.cod_metadata as cod_metadata
from helpers_cod import (
    CIFS,
    COLUMNS,
    FETCHED,
    KEPT,
    REASONS,
    ROWS,
    as_csv,
    as_tsv,
    cif,
    serve_cod,
    serve_crossref,
    write_mirror,
)
from helpers_server import Answer
from prismat.errors import BadInputError
from prismat.fetch.client import Client
from prismat.fetch.errors import FetchError
from prismat.material import Material, Reject
from prismat.prepare import PrepareSettings, prepare
from prismat.sources.base import Source
from prismat.sources.cif_markup import plain_title
from prismat.sources.cod import CodOptions, CodSource
from prismat.sources.cod_search import CodSearch
from prismat.sources.cod_table import read_table

ANY = CodSearch(max_elements=5)


@pytest.fixture
def options(server, tmp_path):
    return CodOptions(
        ANY, cache=tmp_path / "cache", base_url=serve_cod(server), crossref_url=serve_crossref(server)
    )


def obtained(options, client, progress=None):
    source = CodSource(options, client)
    source.obtain(progress)
    return source


def by_id(source):
    return {item.id: item for item in source.read(0, len(source))}


def cif_requests(server):
    return [request.path for request in server.seen if request.path.endswith(".cif")]


def test_from_the_search_to_a_store(server, client, options, tmp_path):
    source = obtained(replace(options, abstracts=True, contact="someone@example.org"), client)
    assert isinstance(source, Source)
    store = prepare(source, tmp_path / "store", PrepareSettings(workers=1, shard_rows=5))
    rows = {row["id"]: row for row in store.table.to_pylist()}
    assert tuple(rows) == KEPT
    rejects = [json.loads(line) for line in (tmp_path / "store" / "rejects.jsonl").read_text().splitlines()]
    assert {reject["id"]: reject["reason"] for reject in rejects} == REASONS

    halite, titanate, rutile, chloride = (rows[name] for name in KEPT)
    assert (halite["formula"], halite["spacegroup_number"], halite["n_sites"]) == ("NaCl", 225, 2)
    assert (titanate["formula"], rutile["formula"], chloride["formula"]) == ("SrTiO3", "TiO2", "CsCl")
    assert [row["spacegroup_number"] for row in (titanate, rutile, chloride)] == [221, 136, 221]
    assert dict(titanate["texts"]) == {
        "title": "The cubic phase of SrTiO3 & its α-β transition",
        "abstract": "SrTiO3 for T < 105 K.",
    }
    assert dict(rutile["texts"]) == {"title": "The structure of rutile, α-TiO2, at 298 K: Müller's view"}
    assert dict(chloride["texts"])["abstract"] == "Salts & oxides"
    assert "abstract" not in dict(halite["texts"])
    assert dict(halite["tags"]) == {
        "doi": "10.1107/s0365110x65002244",
        "journal": "Acta Crystallographica (1,1948-23,1967)",
        "year": "1965",
        "publication": "10.1107/s0365110x65002244",
        "mineral": "Halite",
        "chemname": "Sodium chloride",
    }
    assert dict(rutile["tags"])["doi"] == "10.1107/s0365110x56001431"
    assert dict(rutile["tags"])["journal"] == "Acta Crystallographica"
    measured = {p["name"]: (p["value"], p["unit"]) for p in titanate["properties"]}
    assert measured == {"temperature": (473.0, "K"), "pressure": (pytest.approx(5.2), "GPa")}
    assert dict(halite["provenance"]) == {
        "source": "cod",
        "source_id": "1000041",
        "licence": "CC0 1.0; abstracts: their publishers', from Crossref",
        "citation": "Gražulis et al., J. Appl. Cryst. 42, 726 (2009); Nucleic Acids Res. 40, D420 (2012)",
    }


def test_nothing_is_fetched_twice(server, client, options):
    told = []
    first = obtained(options, client, lambda *step: told.append(step))
    asked = len(server.seen)
    assert sorted(cif_requests(server)) == [f"/cod/{number}.cif" for number in FETCHED]
    assert told[-1] == (len(FETCHED), len(FETCHED))
    again = obtained(options, client)
    assert len(server.seen) == asked
    assert again.fingerprint() == first.fingerprint()
    # Another search shares the CIFs.
    other = obtained(replace(options, search=CodSearch(elements=("Ti",))), client)
    assert len(cif_requests(server)) == len(FETCHED)
    assert {item.id for item in other.read(0, 9)} == {"cod-1512124", "cod-4000008", "cod-9004141"}
    assert other.fingerprint() != first.fingerprint()
    assert again.fingerprint() == first.fingerprint()


def test_the_search_is_asked_in_its_own_words(server, client, options):
    search = CodSearch(
        text="oxide",
        elements=("Ti", "O"),
        without=("Sr",),
        min_elements=2,
        max_elements=2,
        max_volume=500.0,
        years=(2011, 1956),
        journal="Acta",
        doi="10.1/x",
    )
    obtained(replace(options, search=search), client)
    counted, listed = [r for r in server.seen if r.path == "/cod/result"][:2]
    assert {name: value[0] for name, value in listed.query.items()} == {
        **{"text": "oxide", "el1": "Ti", "el2": "O", "nel1": "Sr", "strictmin": "2", "strictmax": "2"},
        **{"vmax": "500.0", "year": "1956", "journal": "Acta", "doi": "10.1/x", "format": "csv"},
        **{"include_duplicates": "1", "include_errors": "1", "include_theoretical": "1"},
    }
    assert counted.query["format"] == ["count"]
    years = [r.query["year"][0] for r in server.seen if r.query.get("format") == ["csv"]]
    assert years == ["1956", "2011"]


@pytest.mark.parametrize(
    "fault",
    [
        Answer(status=429, headers={"Retry-After": "1"}),
        Answer(status=500),
        Answer.html(),
        Answer(as_csv(ROWS)[:900], claim=len(as_csv(ROWS))),
        Answer(as_csv(ROWS[:5])),
    ],
    ids=["429", "500", "html", "half a body", "fewer rows than counted"],
)
def test_passing_failures_of_the_search(server, client, options, fault):
    # The first request is the count: it comes well.
    real = server.routes["/cod/result"]
    faults = [fault]
    server.routes["/cod/result"] = lambda r: (
        faults.pop() if faults and r.query["format"] == ["csv"] else real(r)
    )
    source = obtained(options, client)
    assert {i for i, item in by_id(source).items() if isinstance(item, Material)} == set(KEPT)


@pytest.mark.parametrize(
    "fault",
    [Answer(status=429), Answer(status=500), Answer.html(), Answer(b"data_1000041\n_cell", claim=4000)],
    ids=["429", "500", "html", "half a body"],
)
def test_passing_failures_of_a_cif(server, client, options, fault):
    server.faults["/cod/1000041.cif"] = [fault]
    source = obtained(options, client)
    assert isinstance(by_id(source)["cod-1000041"], Material)
    assert server.asked("/cod/1000041.cif") == 2


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Answer.html(), "HTML where a table was expected, 3 times"),
        (Answer(as_csv(ROWS[:5])), "5 rows where COD counts 12, 3 times"),
        (
            Answer(as_csv(ROWS, [c for c in COLUMNS if c != "status"])),
            "no column 'status' in COD's answer: the service may have changed",
        ),
    ],
)
def test_lasting_failures_of_the_search(server, client, options, answer, problem):
    real = server.routes["/cod/result"]
    server.routes["/cod/result"] = lambda r: answer if r.query["format"] == ["csv"] else real(r)
    with pytest.raises(FetchError, match=problem):
        CodSource(options, client).obtain()
    server.routes["/cod/result"] = real
    assert len(obtained(options, client)) == len(ROWS)


@pytest.mark.parametrize(("body", "problem"), [(b"<html>", "HTML where"), (b"many", "text where")])
def test_a_count_that_is_none(server, client, options, body, problem):
    server.routes["/cod/result"] = lambda _: Answer(body)
    with pytest.raises(FetchError, match=f"{problem} the number of entries was expected"):
        CodSource(options, client).obtain()


def test_wrong_content_becomes_a_reject_and_is_asked_for_again_on_wish(server, client, options):
    server.file("/cod/1000041.cif", b"<html>maintenance</html>")
    server.file("/cod/9008868.cif", CIFS["1000041"].encode())
    flagged = cif("1512124", "SrTiO3", "_cod_error_flag 'errors'")
    server.file("/cod/1512124.cif", flagged.encode())
    found = by_id(obtained(options, client))
    assert found["cod-1000041"].reason == "no CIF (HTML where a CIF was expected, 3 times)"
    assert found["cod-9008868"].reason == "the CIF is that of entry 1000041"
    assert found["cod-1512124"].reason == "COD says it has errors"
    server.file("/cod/1000041.cif", CIFS["1000041"].encode())
    assert isinstance(by_id(obtained(options, client))["cod-1000041"], Reject)
    retried = obtained(replace(options, retry=True), client)
    assert isinstance(by_id(retried)["cod-1000041"], Material)
    assert server.asked("/cod/4000008.cif") == 1


class Killed(BaseException):
    """Stands for a kill at that point."""


def test_a_kill_at_any_request_loses_nothing(server, client, options, monkeypatch, tmp_path):
    """Every request in turn is the last one of a process; the next goes on, and no answer comes twice."""
    monkeypatch.setattr(cod_metadata, "PAGE_ROWS", 5)
    options = replace(options, abstracts=True)
    whole = obtained(replace(options, cache=tmp_path / "undisturbed"), client)
    needed = len(server.seen)
    server.seen.clear()
    real, left = Client.get, [0]

    def mortal(self, *args, **kwargs):
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Client, "get", mortal)
    kills = 0
    while True:
        left[0] = 3
        try:
            source = CodSource(options, client)
            source.obtain()
            break
        except Killed:
            kills += 1
    assert kills >= 2
    assert source.fingerprint() == whole.fingerprint()
    paths = cif_requests(server)
    assert len(set(paths)) == len(FETCHED)
    assert len(server.seen) <= needed + 1
    csvs = [r for r in server.seen if r.query.get("format") == ["csv"]]
    assert len(csvs) == 1


def test_a_kill_while_rows_are_kept(server, client, options, monkeypatch):
    monkeypatch.setattr(cod_metadata, "PAGE_ROWS", 5)
    real = cod_metadata.PageMirror._write

    def dies_at_the_second(self, number, rows, following):
        if number == 1:
            raise Killed
        real(self, number, rows, following)

    with monkeypatch.context() as m:
        m.setattr(cod_metadata.PageMirror, "_write", dies_at_the_second)
        with pytest.raises(Killed):
            CodSource(options, client).obtain()
    source = obtained(options, client)
    assert [row["file"] for row in source._rows(0, 99)] == [row["file"] for row in ROWS]
    assert len([r for r in server.seen if r.query.get("format") == ["csv"]]) == 1


def test_a_server_that_is_down_stops_the_job_and_later_it_goes_on(server, client, options, tmp_path):
    rows = [{**ROWS[0], "file": str(1000000 + n)} for n in range(30)]
    table = tmp_path / "rows.csv"
    table.write_bytes(as_csv(rows))
    options = replace(options, search=CodSearch(), table=table)
    server.routes["/cod/"] = lambda _: Answer(status=503)
    with pytest.raises(FetchError, match="HTTP 503"):
        CodSource(options, client).obtain()
    server.routes["/cod/"] = lambda r: Answer(cif(r.path[5:12], "NaCl").encode())
    assert all(isinstance(item, Material) for item in by_id(obtained(options, client)).values())


@pytest.mark.parametrize("form", ["csv", "tsv", "tsv.gz", "cod/cif"])
def test_offline_from_a_table_and_a_mirror(server, client, tmp_path, form):
    table = tmp_path / f"rows.{form.split('/')[0]}"
    body = as_csv(ROWS) if form == "csv" else as_tsv(ROWS)
    table.write_bytes(gzip.compress(body) if form.endswith("gz") else body)
    below = tmp_path / "mirror" / (form if form == "cod/cif" else "")
    write_mirror(below)
    options = CodOptions(
        table=table,
        mirror=tmp_path / "mirror",
        cache=tmp_path / "cache",
        base_url=server.url,
        crossref_url=server.url,
    )
    source = obtained(options, client)
    found = by_id(source)
    expected = {**REASONS, "cod-4000008": "no CIF (not in the mirror)"}
    assert {i: item.reason for i, item in found.items() if isinstance(item, Reject)} == expected
    title = "The cubic phase of SrTiO3 & its α-β transition"
    assert found["cod-1512124"].texts == {"title": title}
    assert server.seen == []
    before = source.fingerprint()
    write_mirror(below, {"9008868": CIFS["9008868"] + "# newer\n"})
    assert source.fingerprint() != before


def test_a_mirror_alone_takes_everything_from_its_cifs(server, client, tmp_path):
    write_mirror(tmp_path / "mirror")
    (tmp_path / "mirror" / "1" / "00" / "00" / "1999999.cif").write_text("elsewhere")
    (tmp_path / "mirror" / "readme.txt").write_text("hello")
    source = obtained(CodOptions(mirror=tmp_path / "mirror", cache=tmp_path / "cache"), client)
    found = by_id(source)
    assert list(found) == [f"cod-{number}" for number in sorted(CIFS)]
    assert found["cod-9004141"].tags["publication"] == "10.1107/s0365110x56001431"


def test_a_mirror_is_never_left(client, tmp_path):
    outside = tmp_path / "secret.cif"
    outside.write_text(CIFS["1000041"])
    mirror = write_mirror(tmp_path / "mirror", {"9008868": CIFS["9008868"]})
    link = mirror / "1" / "00" / "00" / "1000041.cif"
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    table = tmp_path / "rows.csv"
    table.write_bytes(as_csv([ROWS[0], {**ROWS[0], "file": "../../secret"}, {**ROWS[0], "file": "123"}]))
    source = obtained(CodOptions(table=table, mirror=mirror, cache=tmp_path / "cache"), client)
    assert [item.reason for item in source.read(0, 9)] == [
        "the CIF is a link out of the mirror",
        "'../../secret' is no COD number",
        "'123' is no COD number",
    ]


def test_bad_rows_of_a_table_are_rejects(client, tmp_path):
    lines = as_tsv([ROWS[0], ROWS[0], ROWS[1]]).decode().splitlines()
    lines[3] = lines[3].rsplit("\t", 5)[0]
    table = tmp_path / "rows.tsv"
    table.write_text("\n".join(lines))
    mirror = write_mirror(tmp_path / "mirror")
    found = list(obtained(CodOptions(table=table, mirror=mirror, cache=tmp_path / "c"), client).read(0, 9))
    assert isinstance(found[0], Material)
    assert found[1].reason == "the COD number occurs twice"
    assert found[2] == Reject("cod-1512124", f"a row of {len(COLUMNS) - 5} values for {len(COLUMNS)} columns")


@pytest.mark.parametrize(
    ("search", "numbers"),
    [
        (CodSearch(elements=("Ti", "O")), {"1512124", "4000008", "9004141"}),
        (CodSearch(elements=("Ti",), without=("Sr",)), {"4000008", "9004141"}),
        (CodSearch(min_elements=3), {"1512124"}),
        (CodSearch(max_volume=100.0), {"1512124"}),
        (CodSearch(years=(1956, 1963)), {"9004141", "9008868"}),
        (CodSearch(text="HALITE"), {"1000041"}),
        (CodSearch(doi="10.1000/ABC.2"), {"4000009", "9008868"}),
        (CodSearch(journal="zeitschrift für kristallographie"), {"9008868"}),
    ],
)
def test_a_table_is_searched_as_the_database_is(client, tmp_path, search, numbers):
    table = tmp_path / "rows.csv"
    table.write_bytes(as_csv(ROWS))
    mirror = write_mirror(tmp_path / "mirror")
    source = obtained(CodOptions(search, table, mirror, cache=tmp_path / "c"), client)
    assert {row["file"] for row in source._rows(0, 99)} == numbers


def test_limit_kept_flags_titles_and_sizes(client, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_bytes(as_csv(ROWS))
    mirror = write_mirror(tmp_path / "mirror", {**CIFS, "2310000": cif("2310000", "NaCl")})
    options = CodOptions(table=table, mirror=mirror, cache=tmp_path / "c")
    some = obtained(replace(options, limit=5), client)
    drawn = [item.id for item in some.read(0, 99)]
    assert len(drawn) == len(some) == 5
    assert drawn == sorted(drawn)
    assert drawn[2:4] == [item.id for item in pickle.loads(pickle.dumps(some)).read(2, 4)]
    kept = by_id(obtained(replace(options, keep=("duplicate",)), client))
    assert isinstance(kept["cod-2310000"], Material)
    small = by_id(obtained(replace(options, max_sites=3), client))
    assert small["cod-1000041"].reason == "8 sites, more than the limit of 3"
    untitled = write_mirror(tmp_path / "untitled", {"1000041": CIFS["1000041"]})
    bare = CodOptions(mirror=untitled, cache=tmp_path / "c")
    assert by_id(obtained(bare, client))["cod-1000041"].texts == {}
    assert by_id(obtained(replace(bare, titled=True), client))["cod-1000041"].reason == "no title"
    prints = {
        obtained(replace(options, **o), client).fingerprint() for o in ({}, {"limit": 5}, {"max_sites": 3})
    }
    assert len(prints) == 3


def test_travels_without_its_client(client, options):
    source = obtained(options, client)
    twin = pickle.loads(pickle.dumps(source))
    assert [item.id for item in twin.read(0, 99)] == [item.id for item in source.read(0, 99)]
    assert twin._client is None


def test_before_fetching(options, client):
    source = CodSource(options, client)
    with pytest.raises(BadInputError, match="not fetched yet"):
        source.fingerprint()
    with pytest.raises(BadInputError, match="Fetch it first"):
        len(source)


def test_nothing_found(server, client, options):
    empty = replace(options, search=CodSearch(elements=("Au",)))
    for _ in range(2):
        with pytest.raises(BadInputError, match="no entry was found"):
            CodSource(empty, client).obtain()


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda p: CodOptions().open(), "[Nn]othing says which entries are wanted"),
        (lambda p: CodOptions(mirror=p / "none").open(), "no such folder"),
        (lambda p: CodOptions(mirror=p, abstracts=True).open(), "abstracts without the DOIs"),
        (lambda p: CodOptions(table=p / "none.csv").open().obtain(), "no such file"),
        (lambda p: CodSearch(elements=("Xx",)), "'Xx' is no element"),
        (lambda p: CodSearch(elements=tuple("HCNOFPSKB")), "too many elements"),
        (lambda p: CodSearch(without=tuple("HCNOF")), "too many elements"),
    ],
)
def test_options_that_cannot_be(tmp_path, make, problem):
    with pytest.raises(BadInputError, match=problem):
        make(tmp_path)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<html></html>", "HTML where a table was expected"),
        (b"", "no column 'file'"),
        (as_csv(ROWS, ["file", "title"]), "no column 'journal'"),
        (as_csv([])[:-2] + b"\n" + b'"' + b"x" * 1_200_000, "a line without end"),
        (as_csv([]) + b'"' + b"x\n" * 200_000, "no comma-separated table"),
        (gzip.compress(as_csv(ROWS) * 100, mtime=0)[:-200], "the file is not whole"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, body, problem):
    (tmp_path / "rows.csv").write_bytes(body)
    with pytest.raises(BadInputError, match=problem):
        list(read_table(tmp_path / "rows.csv"))


def test_a_filter_needs_its_column(tmp_path):
    (tmp_path / "rows.csv").write_bytes(as_csv(ROWS, [c for c in COLUMNS if c != "vol"]))
    with pytest.raises(BadInputError, match="no column 'vol'"):
        list(read_table(tmp_path / "rows.csv", CodSearch(max_volume=1.0).columns()))


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("Ba~3~(PO~4~)~2~ and Fe^3+^", "Ba3(PO4)2 and Fe3+"),
        ("\\a-Al~2~O~3~, \\D and \\W", "α-Al2O3, Δ and Ω"),
        ('M\\"uller, Gra\\<zulis, Ole\\/sen', "Müller, Gražulis, Ole\\/sen"),
        ('\\%Angstr\\"om at 20\\% C, S\\/orensen', "Ångström at 20° C, Sørensen"),
        ("2 \\\\times 2 <i>R</i>&#233;sum&eacute;", "2 × 2 Résumé"),
        ("about ~ 3 ~ 4 and a < b > c", "about ~ 3 ~ 4 and a < b > c"),
    ],
)
def test_plain_title(raw, plain):
    assert plain_title(raw) == plain
