"""Reads crystals from CIF and POSCAR text: formula, density, space group, primitive cell.

Run: python examples/1_read_crystals.py
"""

from prismat import Material, read_crystal
from prismat.errors import BadInputError
from prismat.modalities.standard_cell import standardize

# An asymmetric unit and the name of a space group are enough. Some iron is missing: occupancy stays as it is.
WUESTITE = """data_wuestite
_cell_length_a 4.3088
_cell_length_b 4.3088
_cell_length_c 4.3088
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Fe 0 0 0 0.947
O 0.5 0.5 0.5 1
"""

RUTILE = """rutile
1.0
4.5937 0 0
0 4.5937 0
0 0 2.9587
Ti O
2 4
Direct
0 0 0
0.5 0.5 0.5
0.3053 0.3053 0
-0.3053 -0.3053 0
0.1947 0.8053 0.5
0.8053 0.1947 0.5
"""


def main() -> None:
    for name, text in {"wuestite": WUESTITE, "rutile": RUTILE}.items():
        crystal = read_crystal(text, record=name)
        cell = standardize(crystal)
        order = "ordered" if crystal.is_ordered else "disordered"
        print(f"{name}: {crystal.formula}, {crystal.density:.2f} g/cm³, {order}")
        print(f"  space group {cell.symbol} ({cell.number})")
        print(f"  {len(crystal)} sites in the cell, {len(cell.primitive)} in the primitive cell")
        print(f"  {cell.orbit.max() + 1} symmetry orbits")

    material = Material.of(WUESTITE, id="wuestite", texts={"title": "Iron-deficient wüstite"})
    print(f"{material.id}: {material.texts['title']}, atomic fractions {material.structure.fractions}")

    try:
        read_crystal(RUTILE.replace("Ti O", "Ti Q"), record="rutile")
    except BadInputError as error:
        print(f"refused: {error}")


if __name__ == "__main__":
    main()
