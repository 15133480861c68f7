"""Uploads that nobody should send: refused with clear words, and the server stays as it was."""

import gzip
import io
import struct
import zipfile
import zlib

import httpx
import numpy as np
import pytest
from helpers_running import MIB, problem

CIF = """data_x
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{sites}
"""
ONE_SITE = "Na Na 0 0 0\n"


@pytest.fixture(scope="module")
def api(running):
    """A patient client of the server."""
    with httpx.Client(base_url=running.url, timeout=60) as client:
        yield client


@pytest.fixture(autouse=True)
def alive(running):
    """After each test the server answers, and its memory has not run away."""
    before = running.rss
    yield
    assert httpx.get(f"{running.url}/healthz", timeout=30).json() == {"status": "ok"}
    assert running.rss < before + 400


def png(width, height, data=b"\0" * 1000):
    """A picture whose header may lie."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def packed(size):
    """A zip file of zeros."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.cif", b"\0" * size)
    return held.getvalue()


def many_sites(n):
    return "".join(f"Na{i} Na {i % 18 / 18:.5f} {i // 18 % 18 / 18:.5f} {i / n:.5f}\n" for i in range(n))


LAUGHS = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "lol">%s]><modeling>&k;</modeling>' % b"".join(
    b"<!ENTITY %c '%s'>" % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(10)
)
UPLOADS = {
    "empty": ("x.cif", b"", 422),
    "binary as CIF": ("x.cif", np.random.default_rng(0).bytes(50_000), 415),
    "binary as pattern": ("x.xy", np.random.default_rng(1).bytes(50_000), 415),
    "binary as PNG": ("x.png", b"\x89PNG\r\n\x1a\n" + np.random.default_rng(2).bytes(5_000), 422),
    "unknown": ("x", b"hello, world\n", 415),
    "zip bomb": ("x.cif", packed(50 * MIB), 415),
    "gzip bomb": ("x.cif.gz", gzip.compress(b"\0" * (50 * MIB)), 415),
    "PNG of 50,000 x 50,000": ("x.png", png(50_000, 50_000), 422),
    "PNG of nothing": ("x.png", png(0, 0), 422),
    "PNG cut short": ("x.png", png(2000, 2000), 422),
    "5,000 sites": ("x.cif", CIF.format(a=60, sites=many_sites(5000)).encode(), 422),
    "a cell of NaN": ("x.cif", CIF.format(a="nan", sites=ONE_SITE).encode(), 422),
    "an infinite cell": ("x.cif", CIF.format(a="1e400", sites=ONE_SITE).encode(), 422),
    "a negative cell": ("x.cif", CIF.format(a="-5", sites=ONE_SITE).encode(), 422),
    "sites at NaN": ("x.cif", CIF.format(a=5, sites="Na Na nan inf 0\n").encode(), 422),
    "5,000 symmetry operations": (
        "x.cif",
        (
            CIF.format(a=5, sites="Na Na 0.1 0.2 0.3\n")
            + "loop_\n_symmetry_equiv_pos_as_xyz\n"
            + "".join(f"'x+{i / 5000},y,z'\n" for i in range(5000))
        ).encode(),
        422,
    ),
    "8 MiB of CIF": ("x.cif", b"data_x\n" + b"a b c\n" * (8 * MIB // 6), 422),
    "a pattern of NaN": ("x.xy", b"10 nan\n20 inf\n" * 50, 422),
    "2,000,000 points": ("x.xy", b"10.0 5.0\n" * 2_000_000, 422),
    "a billion laughs": ("vasprun.xml", LAUGHS, 422),
    "an entity that reads a file": (
        "vasprun.xml",
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><modeling>&x;</modeling>',
        422,
    ),
    "a grid of 10^15 points": (
        "CHGCAR",
        b"x\n1.0\n5 0 0\n0 5 0\n0 0 5\nNa\n1\nDirect\n0 0 0\n\n 100000 100000 100000\n 1 2 3\n",
        422,
    ),
    "10^9 atoms": ("POSCAR", b"x\n1\n5 0 0\n0 5 0\n0 0 5\nNa\n1000000000\nDirect\n0 0 0\n", 422),
    "2 * 10^9 energies": ("DOSCAR", b"1 1 1 0\n1 1 1 1 1\n1\nCAR\nx\n10 -10 2000000000 0 1\n0 0 0\n", 422),
}


@pytest.mark.parametrize("name", UPLOADS)
def test_uploads_that_are_refused(api, name):
    file, content, status = UPLOADS[name]
    problem(api.post("/v1/upload", files={"file": (file, content)}), status)


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ({"kind": "image"}, CIF.format(a=5, sites=ONE_SITE)),
        ({"kind": "xrd"}, CIF.format(a=5, sites=ONE_SITE)),
        ({"kind": "virus"}, CIF.format(a=5, sites=ONE_SITE)),
        ({"wavelength": "nan"}, "10 5\n20 6\n" * 50),
        ({"wavelength": "-1"}, "10 5\n20 6\n" * 50),
    ],
    ids=lambda value: str(value)[:24],
)
def test_uploads_that_are_something_else(api, form, content):
    problem(api.post("/v1/upload", files={"file": ("x.txt", content)}, data=form), 415, 422)


def test_names_of_uploads_are_no_paths(api):
    answer = api.post("/v1/upload", files={"file": ("../../etc/pass\0wd", CIF.format(a=5, sites=ONE_SITE))})
    problem(answer, 415) if answer.status_code == 415 else answer.raise_for_status()
    assert "/" not in answer.json().get("name", "")
    cif = {"file": ("../../a.cif", CIF.format(a=5, sites=ONE_SITE))}
    assert api.post("/v1/upload", files=cif).json()["name"] == "a.cif"


def test_a_body_that_is_too_long_is_refused(api):
    problem(api.post("/v1/upload", files={"file": ("x.cif", b"a" * (33 * MIB))}), 413)
    problem(api.post("/v1/search", content=b"a" * (9 * MIB)), 413)


@pytest.mark.parametrize("path", ["/v1/upload", "/v1/search"])
def test_a_body_without_a_length_is_counted(running, path):
    form = b"multipart/form-data; boundary=b" if path == "/v1/upload" else b"application/json"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n".encode()
    start = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.cif"\r\n\r\n'
    chunks = b"%x\r\n%s\r\n" % (len(start), start) + b"%x\r\n%s\r\n" % (MIB, b"x" * MIB) * 40
    before = running.rss
    try:
        said = running.raw(head + b"Content-Type: " + form + b"\r\n\r\n", chunks)
    except ConnectionError:
        said = b""  # the server hung up while we were still sending
    assert said == b"" or said.split()[1] == b"413"
    assert running.rss < before + 200
