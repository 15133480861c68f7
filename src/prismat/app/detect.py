"""What kind of file somebody sent, by its content first and by its name second."""

import re

from prismat.app.problems import Problem

KINDS = ("structure", "xrd", "dos", "phonon_dos", "charge_density", "image")
_TAKES = (
    "Send a CIF or POSCAR, a .xy or .xye pattern, a DOSCAR, vasprun.xml or total_dos.dat, a CHGCAR or cube "
    "file, or a PNG, TIFF or JPEG."
)
_PACKED = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7z",
    b"Rar!": "rar",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*")
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_HEAD = 4096
_ROW = re.compile(r"\s*[-+.\d][-+.\deEdD]*([\s,;]+[-+.\d][-+.\deEdD]*){1,2}\s*")
_NAMES = (
    (re.compile(r"(doscar.*|vasprun.*\.xml)"), "dos"),
    (re.compile(r"(total_dos|phonon).*\.dat"), "phonon_dos"),
    (re.compile(r"(chg.*|aeccar.*|.*\.cube?)"), "charge_density"),
    (re.compile(r"((pos|cont)car.*|.*\.(m?cif|vasp|poscar|xyz))"), "structure"),
    (re.compile(r".*\.(xye?|csv|txt|dat)"), "xrd"),
)


def detect(name: str, content: bytes, kind: str | None = None) -> str:
    """One of ``KINDS``.

    Args:
        name: of the file, which need not be true.
        content: all of it.
        kind: what its sender says it is.

    Raises:
        Problem: status 415: compressed, binary, or nothing that is known; 400: empty.
    """
    _refuse(content)
    if content.startswith(_IMAGES):
        found: str | None = "image"
    else:
        found = kind or _by_name(name) or _by_content(content)
    if found is None:
        raise Problem(
            415, "It is not clear what this file holds.", "unknown-file", field="file", remedy=_TAKES
        )
    if (found == "image") != content.startswith(_IMAGES) or kind not in (None, found):
        raise Problem(
            415,
            f"The content of this file is not that of a file of the kind {kind or found!r}.",
            "wrong-kind",
            field="kind",
            remedy=_TAKES,
        )
    return found


def _refuse(content: bytes) -> None:
    """Raises a problem for what no reader will be asked to read."""
    if not content.strip():
        raise Problem(422, "The file is empty.", "bad-input", field="file", remedy=_TAKES)
    for start, packer in _PACKED.items():
        if content.startswith(start):
            raise Problem(
                415,
                f"The file is compressed ({packer}).",
                "compressed",
                field="file",
                remedy="Unpack it and send what is inside.",
            )
    if content.startswith(_IMAGES) or content.startswith(_WIDE):
        return
    if b"\x00" in content[:_HEAD]:
        raise Problem(415, "The file is binary.", "unknown-file", field="file", remedy=_TAKES)


def _by_name(name: str) -> str | None:
    return next((kind for pattern, kind in _NAMES if pattern.fullmatch(name.lower())), None)


def _by_content(content: bytes) -> str | None:
    """By the first lines of a text."""
    wide = content.startswith(_WIDE)
    lines = content[:_HEAD].decode("utf-16" if wide else "utf-8-sig", errors="replace").splitlines()[:-1]
    if any(line.lower().startswith("data_") for line in map(str.lstrip, lines)):
        return "structure"
    if lines and lines[0].lstrip().startswith(("<?xml", "<modeling")):
        return "dos"
    numbers = [line for line in lines if _ROW.fullmatch(line)]
    if len(numbers) > 10 and len(numbers) > len(lines) / 2:
        return "xrd"
    return None
