"""Fits a head to a tiny model and predicts with it: a number, and an interval that keeps its promise.

The crystals are made in place: salts with edges from ionic radii (Shannon, Acta Cryst. A 32 (1976) 751),
each as rock salt, caesium chloride and zincblende. The formula does not tell which; the structure does.

Run: python examples/6_predict_property.py
"""

import csv
import math
import tempfile
from itertools import product
from pathlib import Path

import prismat
from prismat.encoders.bpe_transformer import BpeTransformerConfig
from prismat.encoders.crystal import CrystalConfig
from prismat.heads.config import HeadConfig
from prismat.heads.files import load_head
from prismat.model import ProjectionConfig
from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.base import EncoderConfigs, Job, Recipe, SplitConfig, TextConfig
from prismat.sources.folder import FolderSource
from prismat.tasks.opened import open_run
from prismat.tasks.property.config import PropertyConfig
from prismat.tasks.property.experiment import run_property
from prismat.tasks.quickstart import train_recipe
from prismat.training.loop import TrainConfig
from prismat.training.session import open_prepared
from prismat.training.windows import ViewConfig

CIF = """data_{name}
_cell_length_a {a:.3f}
_cell_length_b {a:.3f}
_cell_length_c {a:.3f}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M '{group}'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{cation} 0 0 0
{anion} {x} {x} {x}
"""

# Radii in Å for six neighbours.
SALTS = (
    (
        {"Li": 0.76, "Na": 1.02, "K": 1.38, "Rb": 1.52, "Cs": 1.67},
        {"F": 1.33, "Cl": 1.81, "Br": 1.96, "I": 2.20},
    ),
    ({"Mg": 0.72, "Ca": 1.00, "Sr": 1.18, "Ba": 1.35}, {"O": 1.40, "S": 1.84, "Se": 1.98, "Te": 2.21}),
)
# Space group, edge in units of the sum of radii, formulas in the cell, place of the anion.
TYPES = {
    "rock_salt": ("F m -3 m", 2.0, 4, 0.5),
    "caesium_chloride": ("P m -3 m", 2 / math.sqrt(3), 1, 0.5),
    "zincblende": ("F -4 3 m", 4 / math.sqrt(3), 4, 0.25),
}


def write_crystals(folder: Path) -> None:
    """One CIF per crystal, and a table with a title and the volume per atom of each."""
    folder.mkdir()
    rows = []
    for cations, anions in SALTS:
        for (cation, small), (anion, large), (kind, (group, share, count, x)) in product(
            cations.items(), anions.items(), TYPES.items()
        ):
            a, name = share * (small + large), f"{cation}{anion}_{kind}"
            text = CIF.format(name=name, a=a, x=x, group=group, cation=cation, anion=anion)
            (folder / f"{name}.cif").write_text(text, encoding="utf-8")
            rows.append((f"{name}.cif", f"{cation}{anion}, {kind}", f"{a**3 / count / 2:.3f}"))
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("file", "title", "volume [Å3]"), *rows])


def tiny_job() -> Job:
    """Seconds of alignment; the head is what learns of volumes."""
    text = TextConfig(
        kind="bpe", vocabulary=300, bpe=BpeTransformerConfig(width=32, layers=1, hidden=64, max_tokens=32)
    )
    recipe = Recipe(
        name="tiny",
        encoders=EncoderConfigs(structure=CrystalConfig(width=64), text=text),
        projection=ProjectionConfig(dim=32, hidden=0),
        views=ViewConfig(text={"title": 1.0}, strain=0.02),
    )
    train = TrainConfig(steps=10, batch=32, evaluate_every=5)
    return Job(recipe, train, SplitConfig(fractions=(0.6, 0.2, 0.2), seed=1))


def main() -> None:
    job = tiny_job()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        write_crystals(root / "files")
        settings = PrepareSettings(structure=job.recipe.graph, workers=1)
        store = prepare(FolderSource(root / "files"), root / "store", settings)
        train_recipe(open_prepared(store, job.split), job, root / "run")

        # The same division again: what is predicted was never trained on, and no formula is on both sides.
        opened = open_run(root / "run", store)
        config = PropertyConfig("volume", head=HeadConfig("linear"))
        found = run_property(opened, config, root / "volume")
        for name, metrics in {"structure": found.report["metrics"], **found.report["baselines"]}.items():
            print(f"{name:<16} MAE {metrics['mae'][0]:.2f} Å³")

        # From here on only the files count: the head's folder holds all that it needs.
        head = load_head(root / "volume")
        crystal = prismat.read_crystal(root / "files" / "RbBr_rock_salt.cif")
        said = head.predict(structures=[crystal], level=0.8)
        print(
            f"RbBr: {said.values[0]:.2f} {said.unit}, 80 % between {said.low[0]:.2f} and {said.high[0]:.2f}"
        )


# Worker processes import this file: what it does must stand behind this line.
if __name__ == "__main__":
    main()
