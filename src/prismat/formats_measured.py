"""Any measurement from a file, by the window it belongs to."""

from pathlib import Path

from prismat.errors import BadInputError
from prismat.measurements import ChargeDensity, Dos, Image


def read_measured(window: str, path: Path) -> Image | Dos | ChargeDensity:
    """Reads a picture, a density of states or a charge density.

    Args:
        window: ``image``, ``dos``, ``phonon_dos`` or ``charge_density``.
        path: a PNG, TIFF or JPEG; a DOSCAR, vasprun.xml, phonopy's total_dos.dat or a table; a CHGCAR or
            cube file.

    Raises:
        BadInputError: another window, or a file that cannot be read; names the file.
    """
    if window == "image":
        from prismat.formats_image import read_image

        return read_image(path)
    if window == "charge_density":
        from prismat.formats_density import read_chgcar, read_cube

        is_cube = path.suffix.lower() in {".cube", ".cub"}
        return (read_cube if is_cube else read_chgcar)(path, record=str(path))[1]
    if window in {"dos", "phonon_dos"}:
        from prismat.formats_dos import read_dos

        return read_dos(path)
    raise BadInputError(f"no file format for {window!r}", field="window", remedy="Use image, dos, …")
