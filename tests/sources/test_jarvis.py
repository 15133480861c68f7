import hashlib
import json
import pickle
import zipfile
from io import BytesIO

import numpy as np
import pytest

from helpers_server import Answer
from prismat.errors import BadInputError
from prismat.fetch.errors import FetchError
from prismat.material import Property, Reject
from prismat.packaged import locate_present
from prismat.sources.base import Source
from prismat.sources.jarvis import DIVISIONS, JarvisOptions, JarvisSource, read_division

SALT = {
    "lattice_mat": [[0.0, 2.82, 2.82], [2.82, 0.0, 2.82], [2.82, 2.82, 0.0]],
    "coords": [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]],
    "elements": ["Na", "Cl "],
    "cartesian": False,
    "abc": [3.99, 3.99, 3.99],
}


def row(number, **changes):
    return {
        "jid": f"JVASP-{number}",
        "atoms": SALT,
        "formation_energy_peratom": -2.1,
        "optb88vdw_bandgap": 5.2,
        "mbj_bandgap": "na",
        "bulk_modulus_kv": "na",
        "ehull": 0,
        "magmom_oszicar": 0.0,
        "spillage": "na",
        "reference": "mp-22862",
        "dimensionality": "3D-bulk",
        "efg": [[1.0] * 100],
        **changes,
    }


def packed(rows):
    body = BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("jdft_3d-12-12-2022.json", json.dumps(rows))
    return body.getvalue()


def opened(tmp_path, rows, **options):
    path = tmp_path / "d3.json.zip"
    path.write_bytes(packed(rows))
    source = JarvisOptions(path=path, cache=tmp_path / "cache", **options).open()
    source.obtain()
    return source


def test_a_row(tmp_path):
    source = opened(tmp_path, [row(1)])
    (material,) = source.read(0, 1)
    assert material.structure.formula == "NaCl"
    assert material.properties == {
        "formation_energy_peratom": Property(-2.1, "eV/atom"),
        "optb88vdw_bandgap": Property(5.2, "eV"),
        "ehull": Property(0.0, "eV/atom"),
        "magmom_oszicar": Property(0.0, "μB/cell"),
    }
    assert material.tags == {"reference": "mp-22862", "dimensionality": "3D-bulk"}
    assert material.provenance.source_id == material.id == "JVASP-1"
    assert "Choudhary" in material.provenance.citation
    assert isinstance(source, Source)


def test_cartesian_positions_become_fractional(tmp_path):
    lattice = np.array(SALT["lattice_mat"])
    positions = (np.array([[0.1, 0.2, 0.3], [0.6, 0.7, 0.9]]) @ lattice).tolist()
    (material,) = opened(tmp_path, [row(1, atoms={**SALT, "coords": positions, "cartesian": True})]).read(
        0, 1
    )
    np.testing.assert_allclose(material.structure.frac, [[0.1, 0.2, 0.3], [0.6, 0.7, 0.9]], atol=1e-12)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"jid": "na"}, "no id"),
        ({"atoms": "na"}, "no structure"),
        ({"atoms": {"elements": ["Na"]}}, "no lattice_mat"),
        ({"atoms": {**SALT, "elements": ["Na"]}}, "1 elements, positions of shape (2, 3)"),
        ({"atoms": {**SALT, "elements": ["Na", "Xx"]}}, "unknown element 'Xx'"),
        ({"atoms": {**SALT, "coords": [[0.0] * 3] * 2}}, "on top of each other"),
        ({"atoms": {**SALT, "coords": [["a"] * 3] * 2}}, "ValueError"),
        ({"ehull": "unknown"}, "ValueError"),
    ],
)
def test_a_bad_row_is_a_reject_and_the_rest_goes_on(tmp_path, change, reason):
    bad, good = opened(tmp_path, [row(1, **change), row(2)]).read(0, 2)
    assert isinstance(bad, Reject)
    assert reason in bad.reason
    assert good.id == "JVASP-2"


def test_an_id_that_comes_again_is_a_reject(tmp_path):
    first, again = opened(tmp_path, [row(1), row(1, ehull=0.1)]).read(0, 2)
    assert (first.id, again) == ("JVASP-1", Reject("JVASP-1", "the id of an earlier row"))


def test_an_official_division_names_the_parts(tmp_path):
    split = tmp_path / "dft_3d_formation_energy_peratom.json.zip"
    parts = {"train": {"JVASP-0": -2.1, "JVASP-3": 0.0}, "val": {"JVASP-1": 0}, "test": {"JVASP-2": 1}}
    with zipfile.ZipFile(split, "w") as archive:
        archive.writestr("a.json", json.dumps(parts))
    source = opened(tmp_path, [row(n) for n in range(5)], split=str(split))
    assert [m.tags.get("split") for m in source.read(0, 5)] == ["train", "val", "test", "train", None]
    assert source.fingerprint() != opened(tmp_path, [row(n) for n in range(5)]).fingerprint()


def test_the_divisions_of_the_leaderboard_are_known():
    assert set(DIVISIONS) >= {"formation_energy_peratom", "optb88vdw_bandgap", "mbj_bandgap", "ehull"}
    present = locate_present(DIVISIONS["formation_energy_peratom"])
    if present is None:
        pytest.skip("jarvis-leaderboard is not installed")
    parts = list(read_division(present, DIVISIONS["formation_energy_peratom"].sha256).values())
    assert [parts.count(part) for part in ("train", "val", "test")] == [
        44567,
        5572,
        5572,
    ]  # of 44,569 in train two are in test


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"train": {}, "test": {}}, "no part 'val'"),
        ([1], "no part 'train'"),
    ],
)
def test_divisions_that_are_none(tmp_path, parts, problem):
    path = tmp_path / "split.json"
    path.write_text(json.dumps(parts))
    with pytest.raises(BadInputError, match=problem):
        opened(tmp_path, [row(1)], split=str(path))


def test_what_a_division_has_twice_is_not_learned_from(tmp_path):
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"test": ["a", "b"], "val": ["b", "c"], "train": ["a", "b", "c", "d"]}))
    assert read_division(path, "") == {"a": "test", "b": "test", "c": "val", "d": "train"}


def test_a_division_of_another_name(tmp_path):
    with pytest.raises(BadInputError, match=r"'nothing' is neither a file .* formation_energy_peratom"):
        opened(tmp_path, [row(1)], split="nothing")


def test_limit_and_ranges_and_workers(tmp_path):
    rows = [row(number) for number in range(600)]
    whole, some = opened(tmp_path, rows), opened(tmp_path, rows, limit=40)
    assert [m.id for m in whole.read(250, 260)] == [f"JVASP-{n}" for n in range(250, 260)]
    ids = [m.id for m in pickle.loads(pickle.dumps(some)).read(0, 100)]
    assert len(ids) == len(some) == 40
    assert ids == [m.id for m in opened(tmp_path, rows, limit=40).read(0, 40)]
    assert whole.fingerprint() != some.fingerprint()
    with pytest.raises(BadInputError, match="a limit of -1"):
        JarvisSource(JarvisOptions(limit=-1))


def test_what_is_kept_does_not_hold_what_is_not_used(tmp_path):
    source = opened(tmp_path, [row(n) for n in range(3)])
    assert all("efg" not in kept for kept in source._rows().rows(0, 3))


# --- over HTTP ---


def fetched(server, client, tmp_path, sha256=""):
    options = JarvisOptions(url=f"{server.url}/d3.zip", sha256=sha256, cache=tmp_path / "cache")
    source = JarvisSource(options, client)
    source.obtain()
    return source


def test_the_file_is_fetched_once(server, client, tmp_path):
    server.file("/d3.zip", packed([row(1), row(2)]))
    assert [m.id for m in fetched(server, client, tmp_path).read(0, 2)] == ["JVASP-1", "JVASP-2"]
    assert len(fetched(server, client, tmp_path)) == 2
    assert server.asked("/d3.zip") == 1


def test_half_a_body_goes_on_where_it_stopped(server, client, tmp_path):
    noise = np.random.default_rng(0).bytes(150_000).hex()
    body = packed([row(n) for n in range(50)] + [row(50, noise=noise)])
    server.file("/d3.zip", body)
    server.faults["/d3.zip"] = [Answer(status=503), Answer(body[:131_072], claim=len(body))]
    sha256 = hashlib.sha256(body).hexdigest()
    assert len(fetched(server, client, tmp_path, sha256)) == 51
    assert server.seen[-1].headers["Range"] == "bytes=131072-"


def test_a_wrong_checksum(server, client, tmp_path):
    server.file("/d3.zip", packed([row(1)]))
    with pytest.raises(FetchError, match="SHA-256"):
        fetched(server, client, tmp_path, "0" * 64)
    path = tmp_path / "own.zip"
    path.write_bytes(packed([row(1)]))
    with pytest.raises(BadInputError, match=r"SHA-256 .* was expected"):
        JarvisOptions(path=path, sha256="0" * 64, cache=tmp_path).open().obtain()


def test_html_in_place_of_a_zip_is_not_kept(server, client, tmp_path):
    server.file("/d3.zip", b"<html>maintenance</html>")
    with pytest.raises(FetchError, match=r"HTML where a \.zip file was expected; the service may"):
        fetched(server, client, tmp_path)
    server.file("/d3.zip", packed([row(1)]))
    assert len(fetched(server, client, tmp_path)) == 1


def test_a_changed_schema(server, client, tmp_path):
    changed = [{**row(n), "jid": None} for n in range(3)]
    for one in changed:
        one["identifier"] = one.pop("jid")
    server.file("/d3.zip", packed(changed))
    with pytest.raises(BadInputError, match=r"JARVIS-DFT: no row has the field 'jid'.*may have changed"):
        fetched(server, client, tmp_path)


def test_no_such_path(tmp_path):
    with pytest.raises(BadInputError, match="no such file"):
        JarvisOptions(path=tmp_path / "absent.zip", cache=tmp_path).open().obtain()
