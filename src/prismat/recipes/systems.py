"""The published systems by name, with the hyper-parameters of their papers.

Figures are those of the papers and, where a paper is silent, of its code: CLaSP (Suzuki et al. 2025), CLaC
(Ozawa et al., arXiv:2502.16451), MultiMat (Moro et al., arXiv:2312.00111), the tri-modal proposal, and CMML
(Suzuki et al., 2022). What each of them reproduces and what had to be mended is told in docs/systems.md.
CrysMMNet predicts a property rather than aligning windows: see ``recipes.crysmmnet``.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

from prismat.augment.structure import StructureViews
from prismat.augment.text import TextViews
from prismat.encoders.cgcnn import CgcnnConfig
from prismat.encoders.crystal import CrystalConfig, GraphConfigs, Part, extras_of
from prismat.encoders.masked_language import MaskingConfig
from prismat.encoders.mpgnn import MpgnnConfig
from prismat.encoders.painn import PainnConfig
from prismat.encoders.text_head import TextHeadConfig
from prismat.encoders.tuning import TuningConfig
from prismat.errors import BadInputError
from prismat.modalities.image import ImageSettings
from prismat.modalities.structure import StructureSettings
from prismat.modalities.windows import MeasuredSettings
from prismat.model import ProjectionConfig
from prismat.objectives.barlow import BarlowConfig
from prismat.objectives.config import Kind, ObjectiveConfig
from prismat.objectives.cosface import CosFaceConfig
from prismat.objectives.infonce import InfoNceConfig
from prismat.objectives.jsd import JsdConfig
from prismat.objectives.tensor_clip import TensorClipConfig
from prismat.objectives.triplet import TripletConfig
from prismat.recipes.base import EncoderConfigs, FineTune, Job, Recipe, TextConfig
from prismat.training.loop import TrainConfig
from prismat.training.optimizer import OptimizerConfig
from prismat.training.schedule import Stage
from prismat.training.windows import ViewConfig

System = Literal[
    "default",
    "clasp",
    "clac",
    "multimat-allpairs",
    "multimat-anchored",
    "multimat-tensor",
    "multimat-barlow",
    "trimodal",
    "trimodal-curriculum",
    "cmml",
]
"""Systems that align windows."""

PLAIN = ViewConfig(text={"title": 1.0}, strain=0.0, lexicon_dropout=0.0, noise=None, image=None)
"""Records as they are."""


def system_job(name: str) -> Job:
    """The recipe and the training of a system, as published.

    Raises:
        BadInputError: no system of that name.
    """
    made: dict[str, Callable[[], Job]] = {
        "default": Job,
        "clasp": clasp,
        "clac": clac,
        "multimat-allpairs": lambda: multimat("allpairs"),
        "multimat-anchored": lambda: multimat("anchored"),
        "multimat-tensor": lambda: multimat("tensor"),
        "multimat-barlow": lambda: multimat("barlow"),
        "trimodal": trimodal,
        "trimodal-curriculum": lambda: trimodal(third_later=True),
        "cmml": cmml,
    }
    if name not in made:
        raise BadInputError(
            f"no recipe {name!r}", field="recipe", remedy=f"Known: {', '.join(get_args(System))}."
        )
    job = made[name]()
    return replace(job, recipe=replace(job.recipe, name=name))


def _structure(part: Part, width: int, graphs: GraphConfigs) -> CrystalConfig:
    return CrystalConfig(parts=(part,), width=width, hidden=(), graphs=graphs)


def _graph(structure: CrystalConfig) -> StructureSettings:
    return StructureSettings(extras=extras_of(structure.parts))


def clasp() -> Job:
    """Crystals and titles, then keywords, under a cosine margin (CLaSP, eq. 1, section 4).

    Published: CGCNN from scratch, frozen SciBERT [CLS], three-layer perceptrons, 768 dimensions, m = 0.5 and
    s = 3, batch 16,384, 2000 epochs of 406,000 records at 2e-5, then 50 at 1e-6, AdamW at a constant rate,
    checkpoints by mean ROC-AUC of words.
    """
    structure = _structure("cgcnn", 768, GraphConfigs(cgcnn=CgcnnConfig(width=64, layers=5, out=768)))
    head = TextHeadConfig(kind="clasp", hidden=768, out=768, chemistry=0)
    text = TextConfig("frozen", "scibert", head, pooling="cls")
    recipe = Recipe(
        windows=("structure", "text"),
        encoders=EncoderConfigs(structure=structure, text=text),
        projection=ProjectionConfig(dim=768, hidden=768, dropout=0.0, heads="shared"),
        objective=ObjectiveConfig("cosface", cosface=CosFaceConfig(margin=0.5, scale=3.0)),
        views=PLAIN,
        graph=_graph(structure),
    )
    optimizer = OptimizerConfig(2e-5, weight_decay=0.01, betas=(0.9, 0.999), schedule="constant", warmup=0.0)
    train = TrainConfig(steps=50_000, batch=16_384, chunk=1_024, evaluate_every=500, optimizer=optimizer)
    tune = FineTune(steps=1_250, learning_rate=1e-6, schedule="constant", text={"keywords": 1.0})
    return Job(recipe, train, fine_tune=tune, select="words")


def clac() -> Job:
    """Crystals and texts under the Jensen–Shannon objective, with masked language modelling (CLaC).

    Published: CGCNN or PaiNN (``--structure painn``) of 1024 × 3, MatSciBERT tuned, 512 dimensions,
    0.9 (inter + intra) + 0.1 prior + 0.1 masked language modelling, batch 32 × 4 × 8, 2e-5, clipped at 0.05,
    100 epochs of 126,000 pairs.
    """
    graphs = GraphConfigs(
        cgcnn=CgcnnConfig(width=1024, layers=3, out=1024), painn=PainnConfig(width=1024, layers=3)
    )
    structure = _structure("cgcnn", 1024, graphs)
    text = TextConfig("tuned", "matscibert", pooling="cls", tuning=TuningConfig(rate=1.0))
    views = replace(
        PLAIN,
        text={"title": 0.5, "description": 0.5},
        structure=StructureViews(edge_removal=0.15, node_dropping=0.15, subgraph=0.9),
        tokens=TextViews(masking=0.15),
    )
    recipe = Recipe(
        windows=("structure", "text"),
        encoders=EncoderConfigs(structure=structure, text=text),
        projection=ProjectionConfig(dim=512, hidden=512, dropout=0.1, heads="shared"),
        objective=ObjectiveConfig("jsd", auxiliary={"masked_language": 0.1}, jsd=JsdConfig()),
        masked_language=MaskingConfig(),
        views=views,
        graph=_graph(structure),
    )
    optimizer = OptimizerConfig(2e-5, weight_decay=0.01, betas=(0.9, 0.999), clip=0.05)
    return Job(
        recipe, TrainConfig(steps=12_300, batch=1_024, chunk=32, evaluate_every=123, optimizer=optimizer)
    )


def multimat(variant: Literal["allpairs", "anchored", "tensor", "barlow"]) -> Job:
    """Crystals, densities of states and charge densities (MultiMat), aligned in one of four ways.

    Published: PotNet, a transformer without positions, a 3-D ResNeXt-50, 128 dimensions, τ = 0.2 fixed or
    λ = 0.0051, AdamW at 1e-4 · batch / 256 with decay 0.05 and betas 0.9, 0.95, batch 128, 500 epochs of
    which 10 warm up.
    """
    kinds: dict[str, Kind] = {"tensor": "tensor_clip", "barlow": "barlow"}
    objective = ObjectiveConfig(
        kinds.get(variant, "infonce"),
        anchor="structure" if variant == "anchored" else "",
        infonce=InfoNceConfig(temperature=0.2, learn_temperature=False),
        tensor_clip=TensorClipConfig(temperature=0.2),
        barlow=BarlowConfig(off_diagonal=0.0051),
    )
    structure = _structure("potnet", 256, GraphConfigs())
    recipe = Recipe(
        windows=("structure", "dos", "charge_density"),
        encoders=EncoderConfigs(structure=structure),
        projection=ProjectionConfig(dim=128, hidden=0, dropout=0.0, heads="shared"),
        objective=objective,
        views=PLAIN,
        graph=_graph(structure),
    )
    optimizer = OptimizerConfig(5e-5, weight_decay=0.05, betas=(0.9, 0.95), warmup=0.02)
    return Job(recipe, TrainConfig(steps=348_000, batch=128, evaluate_every=3_480, optimizer=optimizer))


def trimodal(third_later: bool = False) -> Job:
    """Graph, synthesis text and image by InfoNCE over three pairs (the tri-modal proposal, section 3).

    Proposed: message passing, a transformer over byte pairs, ResNet-50 on 224×224 pixels, λ = 1, one
    learnable τ, AdamW; d, batch and rate to be searched: the middle of each range is taken. Images are drawn
    powder patterns, of which a store has one per crystal.

    Args:
        third_later: align graph and text first, and the image in the second half (section 3.4).
    """
    structure = _structure("mpgnn", 256, GraphConfigs(mpgnn=MpgnnConfig(width=256)))
    recipe = Recipe(
        windows=("structure", "text", "image"),
        encoders=EncoderConfigs(structure=structure, text=TextConfig("bpe")),
        projection=ProjectionConfig(dim=256, hidden=0, dropout=0.0, heads="shared"),
        objective=ObjectiveConfig("infonce", infonce=InfoNceConfig(shared=True)),
        views=replace(PLAIN, text={"title": 0.67, "description": 0.33}),
        graph=_graph(structure),
        measured=MeasuredSettings(image=ImageSettings(source="xrd")),
    )
    later: dict[str, float] = {"image-structure": 0.0, "image-text": 0.0}
    stages = (Stage(0.0, later), Stage(0.5, dict.fromkeys(later, 1.0))) if third_later else ()
    optimizer = OptimizerConfig(5e-4, weight_decay=0.01, betas=(0.9, 0.999))
    train = TrainConfig(steps=10_000, batch=128, evaluate_every=500, curriculum=stages, optimizer=optimizer)
    return Job(recipe, train)


def cmml() -> Job:
    """Crystals and their powder patterns under a triplet loss (CMML).

    Published: CGCNN and a one-dimensional convolutional network, 1024 dimensions, margin 1 over negatives
    that are not easy, batch 512, 1e-3, 100 epochs of 122,543 crystals.
    """
    structure = _structure("cgcnn", 1024, GraphConfigs(cgcnn=CgcnnConfig(width=64, layers=3, out=128)))
    recipe = Recipe(
        windows=("structure", "xrd"),
        encoders=EncoderConfigs(structure=structure),
        projection=ProjectionConfig(dim=1024, hidden=0, dropout=0.0, heads="shared"),
        objective=ObjectiveConfig("triplet", triplet=TripletConfig(margin=1.0, mining="noneasy")),
        views=PLAIN,
        graph=_graph(structure),
    )
    optimizer = OptimizerConfig(1e-3, weight_decay=0.0, betas=(0.9, 0.999), schedule="constant", warmup=0.0)
    return Job(recipe, TrainConfig(steps=24_000, batch=512, evaluate_every=240, optimizer=optimizer))
