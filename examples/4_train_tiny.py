"""Trains a tiny model on simple crystals made in place, saves it, indexes the crystals, and searches them.

The text encoder is a small transformer trained from scratch, so nothing is downloaded. Minutes of training on
thousands of real crystals are what ``prismat quickstart`` is for; this only shows every step.

Run: python examples/4_train_tiny.py
"""

import csv
import tempfile
from pathlib import Path

import prismat
from prismat.elements import table
from prismat.encoders.bpe_transformer import BpeTransformerConfig
from prismat.encoders.crystal import CrystalConfig
from prismat.model import ProjectionConfig
from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.base import EncoderConfigs, Job, Recipe, TextConfig
from prismat.sources.folder import FolderSource
from prismat.tasks.indexing import build_index
from prismat.tasks.quickstart import Talk, train_recipe
from prismat.training.loop import TrainConfig
from prismat.training.session import open_prepared
from prismat.training.windows import ViewConfig

HEADER = """data_crystal
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
"""

# Structure type: space group, sites of its elements in order, crystals with their cell edge in Å.
TYPES = {
    "rock salt": (
        "F m -3 m",
        ("0 0 0", "0.5 0.5 0.5"),
        "Li-F 4.03, Li-Cl 5.13, Na-F 4.63, Na-Cl 5.64, Na-Br 5.97, K-F 5.34, K-Cl 6.29, K-Br 6.60, K-I 7.07, "
        "Rb-Cl 6.59, Mg-O 4.21, Ca-O 4.81, Sr-O 5.16, Ba-O 5.54, Ni-O 4.18, Cd-O 4.70, Pb-S 5.94, Ti-N 4.24",
    ),
    "zincblende": (
        "F -4 3 m",
        ("0 0 0", "0.25 0.25 0.25"),
        "Zn-S 5.41, Zn-Se 5.67, Zn-Te 6.10, Cd-Te 6.48, Ga-P 5.45, Ga-As 5.65, In-P 5.87, In-Sb 6.48, "
        "Al-As 5.66",
    ),
    "fluorite": (
        "F m -3 m",
        ("0 0 0", "0.25 0.25 0.25"),
        "Ca-F 5.46, Sr-F 5.80, Ba-F 6.20, Cd-F 5.39, Ce-O 5.41, Th-O 5.60, U-O 5.47",
    ),
    "perovskite": (
        "P m -3 m",
        ("0.5 0.5 0.5", "0 0 0", "0.5 0 0"),
        "Sr-Ti-O 3.905, Ba-Zr-O 4.19, Ba-Sn-O 4.12, K-Ta-O 3.99, K-Mg-F 3.99, K-Mn-F 4.19, K-Zn-F 4.06",
    ),
}


def write_crystals(folder: Path) -> None:
    """One CIF per crystal, and a table with a title for each."""
    folder.mkdir()
    names = {row["symbol"]: row["name"] for row in table()}
    rows = []
    for kind, (group, sites, crystals) in TYPES.items():
        for crystal in crystals.split(", "):
            compound, a = crystal.split()
            symbols = compound.split("-")
            atoms = "\n".join(f"{s} {xyz}" for s, xyz in zip(symbols, sites, strict=True))
            text = HEADER.format(a=a, group=group) + atoms + "\n"
            (folder / f"{compound}_{kind.replace(' ', '_')}.cif").write_text(text, encoding="utf-8")
            elements = " and ".join(names[s] for s in symbols)
            rows.append((f"{compound}_{kind.replace(' ', '_')}.cif", f"{kind} structure of {elements}"))
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("file", "title"), *rows])


def tiny_job() -> Job:
    """A recipe small enough for seconds: composition and graph against titles and simulated patterns."""
    text = TextConfig(
        kind="bpe", vocabulary=300, bpe=BpeTransformerConfig(width=64, layers=1, hidden=128, max_tokens=64)
    )
    recipe = Recipe(
        name="tiny",
        encoders=EncoderConfigs(structure=CrystalConfig(width=64), text=text),
        projection=ProjectionConfig(dim=64, hidden=0),
        views=ViewConfig(text={"title": 1.0}, strain=0.02),
    )
    return Job(recipe=recipe, train=TrainConfig(steps=10, batch=32, evaluate_every=5))


def report_step(stage: str, done: int, total: int, entry: dict) -> None:
    """Prints a line after every fifth step."""
    if "loss" in entry and done % 5 == 0:
        print(f"{stage}: step {done} of {total}, loss {entry['loss']:.2f}")


def main() -> None:
    job = tiny_job()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        write_crystals(root / "files")
        settings = PrepareSettings(structure=job.recipe.graph, workers=1)
        store = prepare(FolderSource(root / "files"), root / "store", settings)
        prepared = open_prepared(store, job.split)
        print({part: len(rows) for part, rows in prepared.rows.items()}, "split", prepared.split.hash[:12])

        train_recipe(prepared, job, root / "run", Talk(bar=report_step))

        # From here on only the files count: this is what another program would do.
        model = prismat.load(root / "run")
        build_index(model, store, root / "index")
        engine = prismat.open_index(root / "index", model)
        for hit in engine.search(text="perovskite of strontium and titanium", k=3):
            print(f"{hit.score:6.3f}  {hit.formula:<8} {hit.spacegroup:<8} {hit.title}")
        query = root / "files" / "Zn-S_zincblende.cif"
        hits = engine.search(structure=query, k=3, without=["Cd"])
        assert hits[0].formula == "ZnS", "a crystal is nearest to itself"
        print("like ZnS, without cadmium:", ", ".join(hit.formula for hit in hits))
        both = engine.search(text="oxide", structure=query, weights={"text": 2.0}, k=3, n_sites=(2, 3))
        print("words and a crystal together:", ", ".join(hit.formula for hit in both))


# Worker processes import this file: what it does must stand behind this line.
if __name__ == "__main__":
    main()
