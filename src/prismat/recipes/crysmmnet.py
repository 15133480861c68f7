"""CrysMMNet by name (Das et al., UAI 2023): a property from a graph network and a frozen text encoder.

Published: ALIGNN (or CGCNN, MEGNet, GATGNN) of 256 features beside MatSciBERT's first token through two
layers to 64, concatenated, a perceptron, mean squared error, AdamW with decay 1e-5, one cycle up to 1e-3,
batch 64, 1000 epochs. The paper's texts are robocrystallographer's; here they are ``description_view``, which
names formula, elements, crystal system and space group, and further texts of the record.

Two things are otherwise. The paper's code reports the least *test* error over all epochs; here epochs are
chosen on validation and the test part is read once. And each target is standardised by the training part.
"""

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import torch

from prismat.encoders.crystal import CrystalConfig, CrystalEncoder, Part, extras_of
from prismat.encoders.fusion import Fusion, FusionConfig, FusionNetwork
from prismat.encoders.huggingface import HuggingFaceConfig, Pooling
from prismat.errors import BadInputError
from prismat.modalities.properties import PropertySpec
from prismat.modalities.structure import StructureSettings
from prismat.recipes.base import SplitConfig
from prismat.recipes.scale import LAPTOP_GRAPHS, LAPTOP_RATE
from prismat.training.loop import TrainConfig
from prismat.training.optimizer import OptimizerConfig

Host = Literal["cgcnn", "megnet", "gatgnn", "alignn"]
Parts = Literal["both", "graph", "text"]
"""What a property is predicted from."""
PredictorName = Literal[
    "crysmmnet-alignn",
    "crysmmnet-alignn-sum",
    "crysmmnet-alignn-average",
    "crysmmnet-alignn-graph",
    "crysmmnet-cgcnn",
    "crysmmnet-cgcnn-graph",
    "crysmmnet-megnet",
    "crysmmnet-megnet-graph",
    "crysmmnet-gatgnn",
    "crysmmnet-gatgnn-graph",
    "crysmmnet-text",
]
"""CrysMMNet on each host, its other fusions, each host alone, and text alone (the paper's CrysTextNet)."""

PUBLISHED_STEPS = 937_500
"""1000 epochs of the 60,000 training crystals of MP-2018.6.1 in batches of 64."""
UNCLIPPED = 1e9
"""A gradient norm that is never reached: nothing is clipped as published."""


@dataclass(frozen=True)
class FrozenTextConfig:
    """The frozen text encoder.

    Attributes:
        model: Hugging Face name or path, or ``minilm``, ``scibert`` or ``matscibert``.
        pooling: how tokens become one vector.
        view: which text of a record is read: ``description`` for plain facts, or a kind that
            ``prismat describe`` has added to the store.
        substitute: the model used where ``model`` cannot be had, by which results are then labelled; an error
            before training where empty.
    """

    model: str = "matscibert"
    pooling: Pooling = "cls"
    substitute: str = ""
    view: str = "description"

    def hugging_face(self) -> HuggingFaceConfig:
        """As the text reader takes it."""
        return HuggingFaceConfig(self.model, self.pooling, substitute=self.substitute)


@dataclass(frozen=True)
class PredictorRecipe:
    """A network that predicts one property.

    Attributes:
        name: shown in reports.
        parts: ``graph`` and ``text`` are the ablations of ``both``.
        structure: the host; its width is that of the graph's vector (paper: 256).
        text: the frozen text encoder.
        fusion: how both meet.
        graph: how crystals become graphs; must be what the store was prepared with.
    """

    name: str = "crysmmnet-alignn"
    parts: Parts = "both"
    structure: CrystalConfig = field(default_factory=lambda: CrystalConfig(("alignn",), 256, ()))
    text: FrozenTextConfig = FrozenTextConfig()
    fusion: FusionConfig = field(default_factory=FusionConfig)
    graph: StructureSettings = field(default_factory=StructureSettings)

    @property
    def windows(self) -> tuple[str, ...]:
        """What is read of a record."""
        return {"both": ("structure", "text"), "graph": ("structure",), "text": ("text",)}[self.parts]


@dataclass(frozen=True)
class PredictorJob:
    """A recipe, how long to train it, how to divide the data, and what to predict.

    Attributes:
        target: the property, the unit that its values are converted to, and whether its decimal logarithm is
            meant (as published for the moduli of the Materials Project).
        recipe: the network.
        train: length, batch and seed.
        split: division of the records.
    """

    target: PropertySpec
    recipe: PredictorRecipe = field(default_factory=PredictorRecipe)
    train: TrainConfig = field(default_factory=TrainConfig)
    split: SplitConfig = field(default_factory=SplitConfig)


def predictor_recipe(name: str) -> PredictorRecipe:
    """The network of a name.

    Raises:
        BadInputError: no recipe of that name.
    """
    if name not in get_args(PredictorName):
        raise BadInputError(
            f"no recipe {name!r}", field="recipe", remedy=f"Known: {', '.join(get_args(PredictorName))}."
        )
    words = name.split("-")[1:]
    part: Part = "alignn" if words[0] == "text" else words[0]  # ty: ignore[invalid-assignment]
    fusion: Fusion = words[-1] if words[-1] in get_args(Fusion) else "concat"  # ty: ignore[invalid-assignment]
    return PredictorRecipe(
        name=name,
        parts=words[-1] if words[-1] in get_args(Parts) else "both",  # ty: ignore[invalid-argument-type]
        structure=CrystalConfig((part,), 256, ()),
        fusion=FusionConfig(fusion),
        graph=StructureSettings(extras=extras_of((part,))),
    )


def predictor_job(name: str, target: PropertySpec) -> PredictorJob:
    """The recipe and the training of a name, as published; validated once per epoch of 60,000 records.

    Raises:
        BadInputError: no recipe of that name.
    """
    optimizer = OptimizerConfig(
        1e-3, weight_decay=1e-5, betas=(0.9, 0.999), schedule="one_cycle", warmup=0.3, clip=UNCLIPPED
    )
    train = TrainConfig(PUBLISHED_STEPS, batch=64, evaluate_every=938, optimizer=optimizer)
    return PredictorJob(target, predictor_recipe(name), train)


def laptop_predictor(job: PredictorJob) -> PredictorJob:
    """The same architecture, narrower, for 600 steps of 64 records; MiniLM may stand in for the text encoder.

    The greatest learning rate becomes 2e-3, as of all recipes at this scale, and gradients are clipped at 1.
    """
    recipe = job.recipe
    recipe = replace(
        recipe,
        structure=replace(recipe.structure, graphs=LAPTOP_GRAPHS),
        text=replace(recipe.text, substitute="minilm"),
    )
    optimizer = replace(job.train.optimizer, learning_rate=LAPTOP_RATE, clip=1.0)
    train = replace(job.train, steps=600, batch=64, evaluate_every=200, optimizer=optimizer)
    return replace(job, recipe=recipe, train=train)


def composition_baseline(job: PredictorJob) -> PredictorJob:
    """The same training of the composition alone, the baseline that every structural claim has to beat."""
    recipe = job.recipe
    structure = replace(recipe.structure, parts=("composition",))
    return replace(job, recipe=replace(recipe, name="composition", parts="graph", structure=structure))


def build_predictor(recipe: PredictorRecipe, embedding_width: int) -> FusionNetwork:
    """The network with random weights from torch's generator.

    Args:
        recipe: the configuration.
        embedding_width: of the frozen text embedding; not used by a recipe without text.
    """
    graph: torch.nn.Module | None = (
        CrystalEncoder(recipe.structure) if "structure" in recipe.windows else None
    )
    return FusionNetwork(recipe.fusion, graph, embedding_width if "text" in recipe.windows else 0)
