"""Small files of every kind that a folder may hold, all of rock salt."""

from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from prismat.crystal import Crystal
from prismat.formats import to_cif

SALT = Crystal(np.eye(3) * 5.64, np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), (((11, 1.0),), ((17, 1.0),)))
POSCAR = "salt\n1\n5.64 0 0\n0 5.64 0\n0 0 5.64\nNa Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"
IRON = POSCAR.replace("Na Cl\n1 1", "Fe\n2")
ENERGY = np.linspace(-10, 5, 40)
STATES = np.exp(-((ENERGY + 3) ** 2))
XY = "\n".join(f"{10 + 0.1 * i:.2f} {1 + i % 7}" for i in range(200)) + "\n"
CUBE = "a\nb\n2 0 0 0\n-4 1.41 0 0\n-4 0 1.41 0\n-4 0 0 1.41\n11 11 0 0 0\n17 17 2.82 2.82 2.82\n"


def chgcar(poscar=POSCAR):
    values = 28.0 + np.cos(2 * np.pi * np.arange(64) / 64)
    return (
        poscar + "\n4 4 4\n" + "\n".join(" ".join(f"{v:.6f}" for v in row) for row in values.reshape(-1, 4))
    )


def doscar():
    rows = "\n".join(f"{e:11.3f} {d:12.4E} 0.0" for e, d in zip(ENERGY, STATES, strict=True))
    return f"2 2 1 0\n1 1 1 1 1\n1\nCAR\nsalt\n 5.0 -10.0 {len(ENERGY)} 1.5 1.0\n{rows}\n"


def vasprun(symbols=("Na", "Cl")):
    rows = "".join(f"<r> {e:.4f} {d:.5f} 0.0 </r>" for e, d in zip(ENERGY, STATES, strict=True))
    atoms = "".join(f"<rc><c>{s}</c><c> {i} </c></rc>" for i, s in enumerate(symbols, start=1))

    def structure(name, edge):
        basis = "".join(f"<v> {x} {y} {z} </v>" for x, y, z in np.eye(3) * edge)
        positions = "<v> 0 0 0 </v><v> 0.5 0.5 0.5 </v>"
        return (
            f'<structure name="{name}"><crystal><varray name="basis">{basis}</varray><varray'
            f' name="rec_basis"><v> 9 9 9 </v></varray></crystal><varray name="positions">{positions}'
            "</varray></structure>"
        )

    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling><incar>'
        '<i type="int" name="ISMEAR"> 0</i></incar>'
        f'<atominfo><atoms> 2 </atoms><array name="atoms"><set>{atoms}</set></array>'
        '<array name="atomtypes"><set><rc><c> 1 </c><c>Xx</c></rc></set></array></atominfo>'
        f'{structure("initialpos", 9.0)}<calculation>{structure("", 8.0)}<dos><i name="efermi"> 1.5 </i>'
        "<total>"
        f'<array><set><set comment="spin 1">{rows}</set></set></array></total></dos></calculation>'
        f"{structure('finalpos', 5.64)}</modeling>"
    )


def powder_cif(atoms=False):
    rows = "\n".join(f"{10 + 0.1 * i:.2f} {100 + i}({i % 9 + 1})" for i in range(60))
    cif = to_cif(SALT) if atoms else "data_powder\n"
    return (
        f"{cif}_diffrn_radiation_probe x-ray\n_diffrn_radiation_wavelength 1.5406\n"
        f"loop_\n_pd_meas_2theta_scan\n_pd_meas_counts_total\n{rows}\n"
    )


def phonons():
    return "# Sigma = 0.1\n" + "\n".join(f"{0.5 * i} {i * i * 0.1}" for i in range(30)) + "\n"


def cube():
    return CUBE + "\n".join(["0.0100 " * 4] * 16) + "\n"


def png(path: Path, value: int = 40):
    Pillow.fromarray(np.full((20, 24), value, np.uint8)).save(path)


def write(root: Path, **files: str):
    """Files by name; ``__`` stands for / and ``_o_`` for a dot."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_o_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
