"""Turns a folder of files into a store: crystals, one measured pattern, a table with texts and properties.

Run: python examples/3_folder_to_store.py
"""

import tempfile
from pathlib import Path

import numpy as np

from prismat.modalities.profile import XrdModality
from prismat.modalities.structure import StructureModality
from prismat.prepare import PrepareSettings, prepare
from prismat.sources.folder import FolderSource

CUBIC = """data_crystal
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M '{group}'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{atoms}
"""

TABLE = """file,title,mineral,year,band_gap [eV],reference
halite.cif,Refinement of the structure of sodium chloride,halite,1968,8.5,made up
fluorite.cif,Anharmonic vibrations in calcium fluoride,fluorite,,11.8,made up
sphalerite.cif,Electron densities of zinc sulfide,sphalerite,1993,,made up
"""


def write_files(folder: Path) -> None:
    """Three crystals, a pattern of one of them, one file that is no crystal, and the table."""
    crystals = {
        "halite": (5.6402, "F m -3 m", "Na 0 0 0\nCl 0.5 0.5 0.5"),
        "fluorite": (5.4631, "F m -3 m", "Ca 0 0 0\nF 0.25 0.25 0.25"),
        "sphalerite": (5.4093, "F -4 3 m", "Zn 0 0 0\nS 0.25 0.25 0.25"),
    }
    for name, (a, group, atoms) in crystals.items():
        (folder / f"{name}.cif").write_text(CUBIC.format(a=a, group=group, atoms=atoms), encoding="utf-8")
    angles = np.arange(20, 80, 0.02)
    peaks = sum(h * np.exp(-(((angles - t) / 0.06) ** 2)) for t, h in [(31.7, 100), (45.4, 55), (56.5, 15)])
    scan = "\n".join(f"{t:.2f} {y:.3f}" for t, y in zip(angles, peaks + 5, strict=True))
    (folder / "halite.xy").write_text(f"# 2theta intensity, Cu K-alpha\n{scan}\n", encoding="utf-8")
    (folder / "broken.cif").write_text("data_broken\nloop_\n", encoding="utf-8")
    (folder / "table.csv").write_text(TABLE, encoding="utf-8")


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "files"
        folder.mkdir()
        write_files(folder)
        source = FolderSource(folder, licence="CC0", citation="made up for this example")
        store = prepare(source, Path(temporary) / "store", PrepareSettings(workers=1))
        print(f"{len(store)} records, {store.info['rejected']} rejected:")
        print((store.folder / "rejects.jsonl").read_text(encoding="utf-8").strip())
        for row in store.table.select(["id", "formula", "spacegroup", "texts", "properties"]).to_pylist():
            print(row)

        rows = np.arange(len(store))
        structure, xrd = StructureModality(), XrdModality()
        graphs = structure.collate(store.take(rows, list(structure.columns)))
        print(f"graphs: {graphs.n_graphs}, nodes: {graphs.n_nodes}, edges: {len(graphs.distance)}")
        patterns = xrd.collate(store.take(rows, list(xrd.columns)))
        print(f"profiles: {tuple(patterns.profile.shape)}")
        print(f"measured: {[store.ids[i] for i in np.flatnonzero(store.lengths('xrd.profile'))]}")


# Worker processes import this file: what it does must stand behind this line.
if __name__ == "__main__":
    main()
