"""The Materials Project: pages, texts, DOS and densities against pymatgen, failures, rejects, and the key."""

import gzip
import json
import pickle

import numpy as np
import pytest

import helpers_mp as fake
from helpers_server import Answer
from prismat.errors import BadInputError
from prismat.fetch.errors import FetchError
from prismat.material import Material, Reject
from prismat.measurements import ChargeDensity, Dos
from prismat.prepare import PrepareSettings, prepare
from prismat.sources import mp_parts
from prismat.sources.base import Remote, Source
from prismat.sources.materials_project import MaterialsProjectOptions, MpFilter, MpService

SUMMARY = "/materials/summary/"


@pytest.fixture
def mp(server, monkeypatch):
    monkeypatch.setenv("MP_API_KEY", fake.KEY)
    return fake.MpServer(server)


@pytest.fixture
def make(mp, tmp_path):
    def made(waits=None, **options):
        service = MpService(mp.server.url, f"{mp.server.url}/open")
        wanted = MaterialsProjectOptions(service=service, cache=tmp_path / "cache", **options)
        return wanted.open(mp.clients(waits))

    return made


EVERYTHING = {"descriptions": True, "dos": True, "density": True}


def test_three_pages_and_all_parts_become_a_store(make, mp, tmp_path):
    source = make(**EVERYTHING)
    assert isinstance(source, Source)
    assert isinstance(source, Remote)
    store = prepare(source, tmp_path / "store", PrepareSettings(shard_rows=4, workers=1))
    assert store.ids == [f"mp-{100 + n}" for n in range(10)]
    assert store.column("formula")[:3] == ["NaCl", "KCl", "LiF"]
    assert set(store.column("spacegroup_number")) == {225}
    assert [dict(t).get("description") for t in store.column("texts")][8:] == [
        "Pb bonds to six neighbours.",
        None,
    ]
    units = {name: unit for name, (unit,) in store.property_units().items()}
    assert units == {
        "formation_energy_per_atom": "eV/atom",
        "e_above_hull": "eV/atom",
        "band_gap": "eV",
        "density": "g/cm3",
        "total_magnetization": "μB",
        "bulk_modulus_vrh": "GPa",
        "shear_modulus_vrh": "GPa",
    }
    values = [{p["name"]: p["value"] for p in row} for row in store.column("properties")]
    assert values[0]["bulk_modulus_vrh"] == 29.0
    assert "bulk_modulus_vrh" not in values[1]
    assert values[2]["band_gap"] == pytest.approx(4.8)
    assert (store.lengths("dos.density") > 0).tolist() == [True, True] + [False] * 8
    assert (store.lengths("charge_density.values") > 0).tolist() == [True] + [False] * 9
    tags = [dict(t) for t in store.column("tags")]
    assert tags[0] == {
        "theoretical": "false",
        "last_modified": "2025-01-02T03:04:05Z",
        "database_version": "2025.09.25",
    }
    assert tags[1]["no_charge_density"] == "HTTP 404"
    assert (tags[2]["no_dos"], tags[2]["no_charge_density"]) == ("HTTP 404", "not calculated")
    assert tags[3]["no_dos"] == "not calculated"
    provenance = [dict(p) for p in store.column("provenance")]
    assert {p["licence"] for p in provenance[:9]} == {"CC BY 4.0"}
    assert provenance[9]["licence"] == "CC BY-NC 4.0"
    assert "Jain" in provenance[0]["citation"]
    assert mp.asked("summary") == 3


def test_dos_and_density_are_those_of_pymatgen(make):
    source = make(dos=True, density=True)
    source.obtain()
    (material,) = source.read(0, 1)
    assert isinstance(material, Material)
    dos, expected = material.measurement("dos", Dos), fake.pymatgen_dos(0)
    assert dos is not None
    assert (dos.zero, dos.spin, dos.per, dos.n_atoms) == ("fermi", "summed", "cell", 2)
    np.testing.assert_allclose(dos.energy, expected.energies - expected.efermi)
    np.testing.assert_allclose(dos.density, expected.get_densities())
    density = material.measurement("charge_density", ChargeDensity)
    assert density is not None
    assert density.kind == "valence"
    assert density.electrons == pytest.approx(8)
    chgcar = fake.pymatgen_chgcar(0)
    np.testing.assert_allclose(density.values, chgcar.data["total"] / chgcar.structure.volume)
    np.testing.assert_allclose(density.lattice, chgcar.structure.lattice.matrix)


def test_the_last_static_calculation_is_taken(make, mp):
    source = make(density=True)
    source.obtain()
    asked = [r.path for r in mp.server.seen if r.path.startswith("/open/")]
    assert sorted(asked) == ["/open/chgcars/mp-800.json.gz", "/open/chgcars/mp-801.json.gz"]
    assert mp.asked("tasks") == 1


def test_what_is_asked_for(make, mp):
    wanted = MpFilter(
        elements=("Na", "Cl"),
        exclude_elements=("H",),
        chemsys=("Cl-Na", "Na"),
        n_elements=(1, 2),
        band_gap=(0.5, 9.0),
        energy_above_hull=(0.0, 0.1),
        is_stable=True,
        theoretical=False,
        material_ids=("mp-100",),
    )
    make(filter=wanted, limit=3).obtain()
    (query,) = [r.query for r in mp.server.seen if r.path == SUMMARY]
    assert query | {"_fields": []} == {
        "elements": ["Na,Cl"],
        "exclude_elements": ["H"],
        "chemsys": ["Cl-Na,Na"],
        "material_ids": ["mp-100"],
        "nelements_min": ["1"],
        "nelements_max": ["2"],
        "band_gap_min": ["0.5"],
        "band_gap_max": ["9"],
        "energy_above_hull_min": ["0"],
        "energy_above_hull_max": ["0.1"],
        "is_stable": ["true"],
        "theoretical": ["false"],
        "deprecated": ["false"],
        "_sort_fields": ["material_id"],
        "_skip": ["0"],
        "_limit": ["3"],
        "_fields": [],
    }
    assert {"material_id", "structure", "band_gap", "builder_meta"} < set(query["_fields"][0].split(","))


def test_wrong_filters():
    for wrong in (MpFilter(elements=("Xx",)), MpFilter(exclude_elements=("Xx",))):
        with pytest.raises(BadInputError, match="unknown element 'Xx'"):
            MaterialsProjectOptions(wrong).open()
    for wrong in (MpFilter(band_gap=(2.0, 1.0)), MpFilter(n_elements=(0, 10**9))):
        with pytest.raises(BadInputError, match="Give the least value, then the largest"):
            MaterialsProjectOptions(wrong).open()


def test_without_a_key_nothing_is_asked(mp, tmp_path, monkeypatch):
    for value in (None, "  "):
        monkeypatch.delenv("MP_API_KEY") if value is None else monkeypatch.setenv("MP_API_KEY", value)
        source = MaterialsProjectOptions(service=MpService(mp.server.url), cache=tmp_path).open()
        with pytest.raises(BadInputError, match="no key in the environment variable MP_API_KEY"):
            source.obtain()
    assert mp.server.seen == []


def test_an_expired_key_is_named_and_never_written(make, mp, tmp_path, monkeypatch):
    monkeypatch.setenv("MP_API_KEY", "expired-key-77")
    with pytest.raises(FetchError, match=r"access refused \(HTTP 401\).*MP_API_KEY") as refused:
        make().obtain()
    assert "expired-key-77" not in str(refused.value)
    monkeypatch.setenv("MP_API_KEY", fake.KEY)
    mp.server.faults[SUMMARY] = [Answer.json({"message": "forbidden"}, 403)]
    with pytest.raises(FetchError, match=r"HTTP 403.*MP_API_KEY"):
        make().obtain()
    source = make(**EVERYTHING)
    source.obtain()
    assert fake.KEY.encode() not in pickle.dumps(source)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    for path in files:
        body = path.read_bytes()
        body = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        assert fake.KEY.encode() not in body
        assert b"expired-key-77" not in body


def test_nothing_is_fetched_twice(make, mp):
    source = make(**EVERYTHING)
    source.obtain()
    asked, fingerprint = len(mp.server.seen), source.fingerprint()
    again = make(**EVERYTHING)
    again.obtain()
    assert again.fingerprint() == fingerprint
    assert len(mp.server.seen) == asked
    twin = pickle.loads(pickle.dumps(again))
    assert [m.id for m in twin.read(2, 4)] == ["mp-102", "mp-103"]
    assert twin.fingerprint() == fingerprint


def test_parts_are_added_to_what_is_there(make, mp):
    plain = make()
    plain.obtain()
    described = make(descriptions=True)
    described.obtain()
    assert mp.asked("summary") == 3
    assert mp.asked("robocrys") == 1
    assert plain.fingerprint() != described.fingerprint()
    (first,) = plain.read(0, 1)
    (second,) = described.read(0, 1)
    assert isinstance(first, Material)
    assert isinstance(second, Material)
    assert (first.texts, second.texts) == ({}, {"description": "Na bonds to six neighbours."})


def test_batches_of_parts(make, mp, monkeypatch):
    monkeypatch.setattr(mp_parts, "BATCH", 4)
    mp.dos_tasks = {f"mp-{100 + n}": f"mp-{900 + n}" for n in range(10)}
    source = make(descriptions=True)
    source.obtain()
    assert mp.asked("robocrys") == 3
    texts = [m.texts.get("description", "") for m in source.read(0, 99) if isinstance(m, Material)]
    assert [text[:2].strip() for text in texts] == ["Na", "K", "Li", "Mg", "Ca", "Sr", "Ba", "Na", "Pb", ""]


def test_a_killed_job_goes_on(make, mp):
    steps = []

    def kill(done, total):
        steps.append((done, total))
        if len(steps) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(**EVERYTHING).obtain(kill)
    assert (steps, mp.asked("summary")) == ([(4, 4), (8, 8)], 2)
    mp.server.faults["/materials/robocrys/"] = [Answer(b"", 500)] * 3
    with pytest.raises(FetchError, match="HTTP 500, 3 times"):
        make(**EVERYTHING).obtain()
    source = make(**EVERYTHING)
    source.obtain()
    assert mp.asked("summary") == 3
    assert len(list(source.read(0, 99))) == 10
    paths = [r.path for r in mp.server.seen if r.path.startswith("/open/")]
    assert len(paths) == len(set(paths)) == 5


def test_passing_failures_on_the_way(make, mp):
    waits = []
    half = json.dumps({"data": [fake.summary(0)], "meta": {"total_doc": 1}}).encode()
    mp.server.faults[SUMMARY] = [
        Answer(b"slow down", 429, {"Retry-After": "17"}),
        Answer.html(),
    ]
    mp.server.faults["/materials/robocrys/"] = [Answer(half[:60], claim=len(half)), Answer(b"", 502)]
    mp.server.faults["/open/dos/mp-900.json.gz"] = [Answer(b"", 503)]
    source = make(waits, descriptions=True, dos=True)
    source.obtain()
    assert max(waits) == 17
    found = list(source.read(0, 99))
    assert [m.id for m in found] == [f"mp-{100 + n}" for n in range(10)]
    assert isinstance(found[0], Material)
    assert set(found[0].measurements) == {"dos"}


def test_a_file_that_failed_is_asked_for_again_on_wish(make, mp):
    path = "/open/dos/mp-900.json.gz"
    mp.server.faults[path] = [Answer(b"", 500)] * 3
    source = make(dos=True)
    source.obtain()
    (first,) = source.read(0, 1)
    assert isinstance(first, Material)
    assert first.tags["no_dos"] == "HTTP 500, 3 times"
    make(dos=True).obtain()
    assert mp.server.asked(path) == 3
    again = make(dos=True, retry_failed=True)
    again.obtain()
    (first,) = again.read(0, 1)
    assert isinstance(first, Material)
    assert "dos" in first.measurements
    assert mp.server.asked(path) == 4
    assert mp.server.asked("/open/dos/mp-902.json.gz") == 1


def renamed(old):
    rows = [fake.summary(n) for n in range(3)]
    for row in rows:
        row["new_" + old] = row.pop(old)
    return {"data": rows, "meta": {"total_doc": 3}}


CHANGED = [
    ({"response": [], "meta": {}}, "without 'data'"),
    ({"data": [], "meta": {}}, "without 'meta.total_doc'"),
    ({"data": ["x"], "meta": {"total_doc": 1}}, "without 'data'"),
    (renamed("structure"), "without 'structure'"),
    (renamed("material_id"), "without 'material_id'"),
    ({"data": [], "meta": {"total_doc": 5}}, "0 of 5 materials, and an empty page"),
]


@pytest.mark.parametrize(("answer", "message"), CHANGED)
def test_a_service_that_has_changed(make, mp, answer, message):
    mp.server.routes[SUMMARY] = lambda _: Answer.json(answer)
    with pytest.raises(FetchError, match=message):
        make().obtain()


def test_a_usual_field_that_no_material_of_many_has(make, mp):
    mp.documents, mp.page = [fake.summary(0) | {"material_id": f"mp-{n}"} for n in range(20)], 100
    for row in mp.documents:
        del row["band_gap"]
    with pytest.raises(FetchError, match="without 'band_gap'"):
        make().obtain()


def test_a_database_renewed_meanwhile(make, mp):
    def grow(done, total):
        mp.documents.append(fake.summary(9) | {"material_id": f"mp-{done}"})

    with pytest.raises(FetchError, match=r"10 materials at first, and 11 now.*another cache"):
        make().obtain(grow)


def test_bad_documents_are_rejects(make, mp, tmp_path):
    mp.documents = [fake.summary(n) for n in range(7)]
    mp.documents[0]["structure"] = None
    mp.documents[1]["structure"]["sites"][0]["species"][0]["element"] = "Dummy"
    mp.documents[2]["structure"]["lattice"] = "cubic"
    mp.documents[3]["band_gap"] = "wide"
    mp.documents[4]["builder_meta"]["license"] = "SECRET"
    del mp.documents[5]["material_id"]
    source = make(**EVERYTHING)
    source.obtain()
    found = list(source.read(0, 99))
    assert [type(x) for x in found] == [Reject] * 5 + [Material] * 2
    assert [x.id for x in found][-2:] == ["materials_project-row-6", "mp-106"]
    reasons = [x.reason for x in found if isinstance(x, Reject)]
    for reason, words in zip(
        reasons, ["no structure", "unknown element", "not a structure", "'wide'", "'SECRET'"], strict=True
    ):
        assert words in reason
    store = prepare(source, tmp_path / "store", PrepareSettings(workers=1))
    assert (len(store), store.info["rejected"]) == (2, 5)


FILES = [
    (b"<html>maintenance</html>", "HTML where packed JSON was expected"),
    (gzip.compress(b"{"), "no JSON"),
    (fake.packed(list(range(1000)))[:500], "cannot be read"),
    (gzip.compress(b"[]"), "not an object"),
    (gzip.compress(b'{"data": {"energies": [1, 2]}}'), "as pymatgen writes it (KeyError"),
    (gzip.compress(b" " * 2_000_001), "a file of more than 2 MB"),
]


@pytest.mark.parametrize(("content", "message"), FILES, ids=[message for _, message in FILES])
def test_a_bad_file_leaves_the_rest_of_the_material(mp, tmp_path, content, message):
    mp.files["/open/dos/mp-900.json.gz"] = content
    service = MpService(mp.server.url, f"{mp.server.url}/open", max_file_mb=2)
    options = MaterialsProjectOptions(dos=True, limit=1, service=service, cache=tmp_path)
    source = options.open(mp.clients())
    source.obtain()
    (material,) = source.read(0, 1)
    assert isinstance(material, Material)
    assert message in material.tags["no_dos"]
    assert material.measurements == {}
    assert material.structure is not None


def test_own_clients_limit_files_and_know_the_key(mp):
    api, files = MpService(mp.server.url, max_file_mb=3).clients()
    assert api.secret is not None
    assert api.secret.origin == mp.server.url
    assert fake.KEY not in repr(api.secret)
    assert (files.secret, files.settings.page_bytes) == (None, 3_000_000)
