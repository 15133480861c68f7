"""The recipe: everything that decides what a training does."""

from dataclasses import dataclass, field
from typing import Literal

from prismat.encoders.bpe_transformer import BpeTransformerConfig
from prismat.encoders.crystal import CrystalConfig
from prismat.encoders.huggingface import TextHeadConfig
from prismat.encoders.xrd_cnn import XrdCnnConfig
from prismat.modalities.rendering import ProfileSettings
from prismat.modalities.structure import StructureSettings
from prismat.model import ProjectionConfig
from prismat.objectives.infonce import InfoNceConfig
from prismat.training.loop import TrainConfig
from prismat.training.windows import ViewConfig

Window = Literal["structure", "text", "xrd"]


@dataclass(frozen=True)
class TextConfig:
    """How text becomes features.

    Attributes:
        kind: ``frozen`` for cached sentence embeddings beside the element channel, ``bpe`` for a
            transformer trained from scratch, ``tuned`` for a Hugging Face encoder trained along.
        model: Hugging Face name or path, of ``frozen`` and ``tuned``.
        head: what is trained on frozen features.
        bpe: the transformer from scratch.
        vocabulary: size of the byte-pair vocabulary trained on the corpus, of ``bpe``.
    """

    kind: Literal["frozen", "bpe", "tuned"] = "frozen"
    model: str = "sentence-transformers/all-MiniLM-L6-v2"
    head: TextHeadConfig = TextHeadConfig(dropout=0.3)
    bpe: BpeTransformerConfig = field(default_factory=BpeTransformerConfig)
    vocabulary: int = 8192


@dataclass(frozen=True)
class SplitConfig:
    """How records are divided.

    Attributes:
        fractions: shares of train, validation and test.
        tolerance: element fractions that differ by no more are one formula.
        seed: of the draw.
    """

    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    tolerance: float = 0.02
    seed: int = 0


@dataclass(frozen=True)
class EncoderConfigs:
    """One encoder per window.

    Attributes:
        structure: of crystals.
        text: of texts.
        xrd: of powder profiles.
    """

    structure: CrystalConfig = field(default_factory=CrystalConfig)
    text: TextConfig = field(default_factory=TextConfig)
    xrd: XrdCnnConfig = XrdCnnConfig(channels=(32, 64), bottleneck=16)


@dataclass(frozen=True)
class Recipe:
    """A training from beginning to end.

    Attributes:
        name: shown in reports.
        windows: modalities that meet in the joint space.
        encoders: one per window.
        projection: dimension and heads of the joint space.
        objective: the loss.
        views: training views.
        graph: how crystals become graphs; must be what the store was prepared with.
        profile: grid and peak shape of patterns.
    """

    name: str = "default"
    windows: tuple[Window, ...] = ("structure", "text", "xrd")
    encoders: EncoderConfigs = field(default_factory=EncoderConfigs)
    projection: ProjectionConfig = field(default_factory=ProjectionConfig)
    objective: InfoNceConfig = field(default_factory=InfoNceConfig)
    views: ViewConfig = field(default_factory=ViewConfig)
    graph: StructureSettings = field(default_factory=StructureSettings)
    profile: ProfileSettings = ProfileSettings()


@dataclass(frozen=True)
class Job:
    """A recipe, how long to train it, and how to divide the data.

    Attributes:
        recipe: the model and its loss.
        train: length, batch and seed.
        split: division of the records.
    """

    recipe: Recipe = field(default_factory=Recipe)
    train: TrainConfig = field(default_factory=TrainConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
