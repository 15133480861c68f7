import gzip
import io
import zipfile
import zlib

import numpy as np
import PIL.Image
import pytest
from helpers_problems import problem_of

import helpers_crystals as real
from prismat.app.limits import Limits
from prismat.app.patterns import broadened
from prismat.formats import to_cif
from prismat.modalities.xrd import powder_lines

NACL = real.crystals()["NaCl"]
CIF = to_cif(NACL, "halite").encode()


def pattern_text():
    lines, grid = powder_lines(NACL), np.arange(10, 90, 0.02)
    values = 1000 * broadened(grid, lines.two_theta, lines.intensity) + 50
    return "".join(f"{x:.2f} {y:.1f}\n" for x, y in zip(grid, values, strict=True)).encode()


def picture(size=(40, 30), form="PNG"):
    out = io.BytesIO()
    PIL.Image.new("L", size, 128).save(out, form)
    return out.getvalue()


def doscar():
    rows = "".join(f"{e:.2f} {abs(np.sin(e)):.4f} 0.0\n" for e in np.linspace(-10, 10, 101))
    return f" 2 2 1 0\n 1 1 1 1 1\n 1e-4\n CAR\n NaCl\n 10 -10 101 0.5 1.0\n{rows}".encode()


def chgcar(n=4):
    cell = "halite\n1.0\n4 0 0\n0 4 0\n0 0 4\nNa Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n\n"
    return (cell + f"{n} {n} {n}\n" + " ".join(["8.0"] * n**3) + "\n").encode()


def phonopy():
    return "".join(f"{x:.2f} {x**2:.3f}\n" for x in np.linspace(0, 9, 50)).encode()


def send(api, name, content, **data):
    return api.post("/v1/upload", files={"file": (name, content)}, data=data)


FILES = {
    "halite.cif": (CIF, "structure"),
    "scan.xy": (pattern_text(), "xrd"),
    "DOSCAR": (doscar(), "dos"),
    "total_dos.dat": (phonopy(), "phonon_dos"),
    "CHGCAR": (chgcar(), "charge_density"),
    "cell.png": (picture(), "image"),
    "cell.jpg": (picture(form="JPEG"), "image"),
    "cell.tif": (picture(form="TIFF"), "image"),
    "no-name-that-tells": (CIF, "structure"),
    "pattern": (pattern_text(), "xrd"),
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_becomes_the_part_of_a_query_that_it_is(api, name):
    content, kind = FILES[name]
    found = send(api, name, content)
    assert found.status_code == 200, found.text
    found = found.json()
    assert (found["kind"], found["name"]) == (kind, name)
    part = found["part"]
    assert list(part) == [kind] if kind in ("structure", "xrd") else list(part["measured"]) == [kind]


@pytest.mark.parametrize("name", ["halite.cif", "scan.xy"])
def test_the_part_searches(api, name):
    part = send(api, name, FILES[name][0]).json()["part"]
    found = api.post("/v1/search", json={**part, "k": 3})
    assert found.status_code == 200, found.text
    assert len(found.json()["hits"]) == 3


def test_the_summary_says_what_was_read(api):
    summary = send(api, "halite.cif", CIF).json()["summary"]
    assert summary == {"formula": "NaCl", "spacegroup": "Fm-3m", "spacegroup_number": 225, "n_sites": 8}
    summary = send(api, "scan.xy", pattern_text(), wavelength="0.7107").json()
    assert summary["part"]["xrd"]["wavelength"] == 0.7107
    assert summary["summary"]["points"] == 4000
    assert summary["summary"]["range"] == pytest.approx([10, 89.98])


def test_large_grids_and_pictures_come_back_smaller(api):
    found = send(api, "CHGCAR", chgcar(80)).json()
    assert found["summary"]["grid"] == [80, 80, 80]
    assert found["summary"]["kept"] == [64, 64, 64]
    values = found["part"]["measured"]["charge_density"]["values"]
    assert values["shape"] == [64, 64, 64]
    found = send(api, "wide.png", picture((3000, 10))).json()
    assert found["summary"] == {"pixels": [3000, 10], "kept": [1000, 3]}


def zipped():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.cif", b"0" * 10_000_000)
    return out.getvalue()


def bomb():
    """A PNG that claims 60,000 × 60,000 pixels."""

    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = (60_000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def many_sites():
    rows = "".join(f"{x / 3000:.6f} 0 0\n" for x in range(3000))
    return f"big\n1.0\n9000 0 0\n0 5 0\n0 0 5\nNa\n3000\nDirect\n{rows}".encode()


@pytest.mark.parametrize(
    ("name", "content", "status", "words"),
    [
        ("a.cif", b"", 422, ("empty",)),
        ("a.cif", b" \n\n ", 422, ("empty",)),
        ("a.cif.gz", gzip.compress(CIF), 415, ("gzip", "Unpack")),
        ("a.zip", zipped(), 415, ("zip", "Unpack")),
        ("a.cif", zipped(), 415, ("zip",)),
        ("a.cif", bytes(range(256)) * 20, 415, ("binary",)),
        ("a.exe", b"MZ\x90\x00" + b"\0" * 100, 415, ("binary",)),
        ("a.bin", b"hello, I am nothing\nat all\n", 415, ("not clear",)),
        ("a.png", b"I am no picture\n", 415, ("not clear",)),
        ("a.png", bomb(), 422, ("pixels",)),
        ("a.png", picture()[:60], 422, ("damaged",)),
        ("a.cif", b"data_x\n_cell_length_a oops\n", 422, ("a.cif",)),
        ("POSCAR", many_sites(), 422, ("500 are allowed",)),
        ("a.xy", b"10 1\n20 2\n", 422, ("points",)),
        ("a.xy", b"nonsense\n" * 300, 422, ("",)),
        ("a.xyz", b"1\nmolecule\nH 0 0 0\n", 422, ("molecule",)),
        ("DOSCAR", b"1 2 3\n", 422, ("DOSCAR",)),
        ("vasprun.xml", b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><modeling/>", 422, ("",)),
        ("CHGCAR", chgcar()[:150], 422, ("",)),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_used_is_told_why(api, name, content, status, words):
    problem_of(send(api, name, content), status, *words)


def test_a_kind_that_the_content_is_not(api):
    problem_of(send(api, "a.png", picture(), kind="structure"), 415, "structure")
    problem_of(send(api, "a.cif", CIF, kind="image"), 415, "image")
    problem_of(send(api, "a.cif", CIF, kind="smell"), 422, "kind")
    problem_of(send(api, "a.xy", pattern_text(), wavelength="-1"), 422, "wavelength")
    problem_of(send(api, "a.xy", pattern_text(), wavelength="nan"), 422, "wavelength")


def test_a_form_that_is_none(api):
    problem_of(api.post("/v1/upload", data={"file": "text"}), 422, "file")
    headers = {"Content-Type": "multipart/form-data"}
    found = api.post("/v1/upload", content=b"no form", headers=headers)
    problem_of(found, found.status_code)
    assert found.status_code in (400, 422)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.cif", "passwd.cif"),
        ("C:\\x\\y.cif", "y.cif"),
        ("<b>a</b>.cif", "b>.cif"),
        ("a" * 300 + ".cif", "a" * 100),
    ],
)
def test_names_lose_folders_and_length(api, name, shown):
    assert send(api, name, CIF).json()["name"] == shown


def test_too_long_a_pattern_is_refused(api):
    rows = "".join(f"{10 + i * 5e-4:.4f} 1\n" for i in range(120_000)).encode()
    problem_of(send(api, "a.xy", rows), 422, "120,000 points")


def test_what_would_not_fit_into_a_query_is_refused(served, calls):
    with calls(served, Limits(per_second=0.0, body_bytes=1_000)) as api:
        problem_of(send(api, "scan.xy", pattern_text()), 422, "Too large for a query")
