"""A small data set of simple real crystals, made in place: nine prototypes filled with many elements."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

import helpers_crystals as real
from prismat.elements import table
from prismat.encoders.bpe_transformer import BpeTransformerConfig
from prismat.encoders.cgcnn import CgcnnConfig
from prismat.encoders.composition import CompositionConfig
from prismat.encoders.crystal import CrystalConfig, GraphConfigs
from prismat.encoders.lattice import LatticeConfig
from prismat.encoders.xrd_cnn import XrdCnnConfig
from prismat.formats import to_cif
from prismat.material import Material, Property, Provenance, Reject
from prismat.measurements import Pattern
from prismat.modalities.rendering import ProfileSettings
from prismat.modalities.xrd import XrdSettings, powder_lines
from prismat.model import ProjectionConfig
from prismat.recipes.base import EncoderConfigs, Job, Recipe, SplitConfig, TextConfig
from prismat.training.loop import TrainConfig
from prismat.training.windows import ViewConfig

CUBIC, HEXAGONAL = (90, 90, 90), (90, 90, 120)

# Space group, positions of the elements in the order of the formula, then formulas with a (and c) in Å.
PROTOTYPES = {
    "rock salt": (
        "F m -3 m",
        [[(0, 0, 0)], [(0.5, 0.5, 0.5)]],
        "Li-F 4.03, Li-Cl 5.13, Li-Br 5.50, Na-F 4.63, Na-Cl 5.64, Na-Br 5.97, K-F 5.34, K-Cl 6.29, "
        "K-Br 6.60, K-I 7.07, Rb-Cl 6.59, Rb-I 7.34, Ag-Cl 5.55, Ag-Br 5.77, Mg-O 4.21, Ca-O 4.81, "
        "Sr-O 5.16, Ba-O 5.54, Ni-O 4.18, Co-O 4.26, Mn-O 4.44, Cd-O 4.70, Mg-S 5.20, Ca-S 5.69, Ba-S 6.39, "
        "Pb-S 5.94, Pb-Te 6.46, Ti-N 4.24, Ti-C 4.33, V-N 4.13, Zr-C 4.70, Zn-S 5.06, Cd-S 5.43",
    ),
    "zincblende": (
        "F -4 3 m",
        [[(0, 0, 0)], [(0.25, 0.25, 0.25)]],
        "Zn-S 5.41, Zn-Se 5.67, Zn-Te 6.10, Cd-S 5.82, Cd-Se 6.05, Cd-Te 6.48, Ga-P 5.45, Ga-As 5.65, "
        "In-P 5.87, In-Sb 6.48, Al-As 5.66, B-N 3.615, B-P 4.54, Cu-Cl 5.42, Cu-I 6.05, Si-C 4.36, Be-S 4.86",
    ),
    "wurtzite": (
        "P 63 m c",
        [[(1 / 3, 2 / 3, 0)], [(1 / 3, 2 / 3, 0.375)]],
        "Zn-S 3.82 6.26, Zn-O 3.25 5.21, Cd-S 4.14 6.72, Cd-Se 4.30 7.01, Ga-N 3.19 5.19, Al-N 3.11 4.98, "
        "Be-O 2.70 4.38, B-N 2.55 4.23, Si-C 3.08 5.05, Cu-I 4.31 7.09",
    ),
    "caesium chloride": (
        "P m -3 m",
        [[(0, 0, 0)], [(0.5, 0.5, 0.5)]],
        "Cs-Cl 4.12, Cs-Br 4.29, Cs-I 4.57, Tl-Cl 3.83, K-Cl 3.64, Rb-Cl 3.75, Na-Cl 3.36, Ni-Al 2.88",
    ),
    "fluorite": (
        "F m -3 m",
        [[(0, 0, 0)], [(0.25, 0.25, 0.25)]],
        "Ca-F 5.46, Sr-F 5.80, Ba-F 6.20, Cd-F 5.39, Ce-O 5.41, Th-O 5.60, U-O 5.47, Zr-O 5.09, Pb-O 5.35, "
        "Mg-F 4.92",
    ),
    "perovskite": (
        "P m -3 m",
        [[(0.5, 0.5, 0.5)], [(0, 0, 0)], [(0.5, 0, 0)]],
        "Sr-Ti-O 3.905, Ba-Ti-O 4.01, K-Ta-O 3.99, K-Nb-O 4.02, Ba-Zr-O 4.19, Ba-Sn-O 4.12, La-Al-O 3.79, "
        "K-Mg-F 3.99, K-Mn-F 4.19, K-Zn-F 4.06, K-Ni-F 4.01, Cs-Pb-Br 5.87",
    ),
    "rutile": (
        "P 42/m n m",
        [[(0, 0, 0)], [(0.305, 0.305, 0)]],
        "Ti-O 4.59 2.96, Sn-O 4.74 3.19, Ge-O 4.40 2.86, Mn-O 4.40 2.87, V-O 4.53 2.87, Ru-O 4.49 3.11, "
        "Pb-O 4.96 3.39, Mg-F 4.62 3.05, Zn-F 4.70 3.13, Si-O 4.18 2.67",
    ),
    "anatase": ("I 41/a m d:1", [[(0, 0, 0)], [(0, 0, 0.208)]], "Ti-O 3.785 9.514"),
    "spinel": (
        "F d -3 m:2",
        [[(0.125, 0.125, 0.125)], [(0.5, 0.5, 0.5)], [(0.2624, 0.2624, 0.2624)]],
        "Mg-Al-O 8.08, Zn-Al-O 8.09, Mg-Cr-O 8.33, Zn-Fe-O 8.44",
    ),
}
# Prototype, content of the first site, symbol of the second, a.
MIXED = {
    "ferropericlase": ("rock salt", {"Mg": 0.5, "Fe": 0.5}, "O", 4.26),
    "sylvite": ("rock salt", {"K": 0.7, "Rb": 0.3}, "Br", 6.68),
    "marmatite": ("zincblende", {"Zn": 0.8, "Fe": 0.2}, "S", 5.42),
    "wuestite": ("rock salt", {"Fe": 0.9}, "O", 4.29),
}
MINERALS = {"Na-Cl": "Halite", "Ca-F": "Fluorite", "Pb-S": "Galena", "Mg-O": "Periclase"}
ANIONS = {
    "F": "fluoride", "Cl": "chloride", "Br": "bromide", "I": "iodide", "O": "oxide", "S": "sulfide",
    "Se": "selenide", "Te": "telluride", "N": "nitride", "P": "phosphide", "As": "arsenide",
    "Sb": "antimonide", "C": "carbide", "Al": "aluminide",
}  # fmt: skip
TITLES = (
    "The crystal structure of {name}",
    "High-pressure study of {name}",
    "Refinement of the {kind} structure of {name}",
    "Thermal expansion of {kind} {name} by powder diffraction",
)


@cache
def materials():
    """All materials of the set, and two rejects."""
    rows = [
        _material(kind, text.split())
        for kind, (*_, list_) in PROTOTYPES.items()
        for text in list_.split(", ")
    ]
    rows += [_mixed(name) for name in MIXED]
    halite = next(m for m in rows if m.id == "rock_salt_Na-Cl")
    # The same crystal measured again, and one text for two crystals.
    rows.append(
        Material("halite_again", _cubic("rock salt", ["Na", "Cl"], 5.645), {"title": "Halite once more"})
    )
    rows.append(Material("shared_text", _cubic("rock salt", ["Na", "I"], 6.47), halite.texts))
    rows += [Reject("broken", "the cell is empty"), Reject("worse", "the cell is empty")]
    return tuple(_polished(i, row) for i, row in enumerate(rows))


def crystal(id):
    """The crystal of one material."""
    return next(m.structure for m in materials() if m.id == id)


def _material(kind, words):
    symbols, a, c = words[0].split("-"), float(words[1]), float(words[-1])
    names = {row["symbol"]: row["name"] for row in table()}
    name = " ".join([*(names[s] for s in symbols[:-1]), ANIONS[symbols[-1]]])
    title = TITLES[sum(map(ord, words[0] + kind)) % len(TITLES)].format(name=name, kind=kind)
    name = f"{kind.replace(' ', '_')}_{words[0]}"
    tags = (
        {"mineral": MINERALS[words[0]]} if kind in ("rock salt", "fluorite") and words[0] in MINERALS else {}
    )
    angles = HEXAGONAL if kind == "wurtzite" else CUBIC
    return Material(name, _crystal(kind, symbols, (a, a, c, *angles)), {"title": title}, tags=tags)


def _mixed(name):
    kind, first, second, a = MIXED[name]
    return Material(name, _cubic(kind, [first, second], a), {"title": f"Solid solutions: {name}"})


def _cubic(kind, contents, a):
    return _crystal(kind, contents, (a, a, a, *CUBIC))


def _crystal(kind, contents, cell):
    group, places, _ = PROTOTYPES[kind]
    atoms = [(content, *xyz) for content, sites in zip(contents, places, strict=True) for xyz in sites]
    return real.build(group, cell, atoms)


def _polished(i, row):
    """Some records lose their title, some get a number."""
    if isinstance(row, Reject):
        return row
    texts = {} if i % 13 == 5 else row.texts
    if i % 4 == 0:
        texts = {**texts, "keywords": "inorganic, simple"}
    properties = {"gap": Property(0.1 * i, "eV")} if i % 3 == 0 else {}
    provenance = Provenance("small", row.id, "CC0", "Nobody (2026)")
    return Material(row.id, row.structure, texts, properties=properties, tags=row.tags, provenance=provenance)


@dataclass(frozen=True)
class SmallSource:
    """The set, or other materials, as a source."""

    rows: tuple = ()

    name = "small"
    licence = "CC0"
    citation = "Nobody (2026)"

    @property
    def all(self):
        return self.rows or materials()

    def fingerprint(self):
        return "-".join(row.id for row in self.all)

    def __len__(self):
        return len(self.all)

    def read(self, start, stop):
        yield from self.all[start:stop]


def measured(id, points=1400):
    """A powder pattern as an instrument would give it, from the lines of one crystal."""
    lines = powder_lines(crystal(id), XrdSettings())
    angles = np.linspace(8, 88, points)
    peaks = np.exp(-0.5 * ((angles[:, None] - lines.two_theta) / 0.12) ** 2) @ lines.intensity
    return Pattern(angles, peaks + 4 + 0.03 * (90 - angles))


def patchy():
    """Crystals of the set, and records that have no structure: words alone, a pattern alone, or both."""
    rows = [m for m in materials() if isinstance(m, Material)][:60]
    rows += [Material(f"words_{i}", texts={"title": f"A note on phase {i}"}) for i in range(8)]
    names = ("rock_salt_Ca-O", "rutile_Ti-O", "fluorite_U-O", "spinel_Mg-Al-O")
    patterns = [Material(f"pattern_{i}", measurements={"xrd": measured(n)}) for i, n in enumerate(names)]
    both = [replace(m, id=f"both_{i}", texts={"title": f"Unknown phase {i}"}) for i, m in enumerate(patterns)]
    return (*rows, *patterns, *both)


def write_folder(folder, step=2):
    """Every other crystal as a CIF file, with a table of titles."""
    folder.mkdir(parents=True)
    lines = ["file,title,gap [eV]"]
    for i, m in enumerate(m for m in materials()[::step] if isinstance(m, Material)):
        (folder / f"{m.id}.cif").write_text(to_cif(m.structure, name=m.id), encoding="utf-8")
        lines.append(f"{m.id}.cif,{m.texts.get('title', '')},{0.1 * i if i % 3 == 0 else ''}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_bert(folder):
    """A transformer of random weights with a vocabulary of the titles' words, as Hugging Face keeps them."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    titles = " ".join(m.texts.get("title", "") for m in materials() if isinstance(m, Material))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted(set(titles.split()))]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=len(words), max_position_embeddings=24, **sizes)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def tiny_recipe(**others):
    """All three windows, as narrow as the encoders go."""
    structure = CrystalConfig(
        width=16,
        graphs=GraphConfigs(cgcnn=CgcnnConfig(width=8, layers=1, out=16, centers=12)),
        composition=CompositionConfig(hidden=16, out=16),
        lattice=LatticeConfig(hidden=16, out=16, centers=12),
    )
    bpe = BpeTransformerConfig(width=16, layers=1, hidden=32, max_tokens=48)
    encoders = EncoderConfigs(
        structure=structure,
        text=TextConfig(kind="bpe", vocabulary=320, bpe=bpe),
        xrd=XrdCnnConfig(points=256, channels=(8,), bottleneck=8, hidden=16, out=16),
    )
    settings = {
        "name": "tiny",
        "encoders": encoders,
        "projection": ProjectionConfig(dim=16, hidden=16),
        "views": ViewConfig(text={"title": 0.67, "description": 0.33}, strain=0.02),
        "profile": ProfileSettings(points=256),
    }
    return Recipe(**{**settings, **others})


SPLIT = SplitConfig(fractions=(0.6, 0.2, 0.2), seed=2)


def tiny_job(recipe=None, split=SPLIT, **train):
    """A training of seconds."""
    settings = {"steps": 20, "batch": 40, "evaluate_every": 5, "seed": 1}
    return Job(recipe or tiny_recipe(), TrainConfig(**{**settings, **train}), split)
