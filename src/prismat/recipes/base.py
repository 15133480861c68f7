"""The recipe: everything that decides what a training does."""

from dataclasses import dataclass, field
from typing import Literal

from prismat.encoders.bpe_transformer import BpeTransformerConfig
from prismat.encoders.crystal import CrystalConfig
from prismat.encoders.dos_transformer import DosTransformerConfig
from prismat.encoders.huggingface import Pooling
from prismat.encoders.masked_language import MaskingConfig
from prismat.encoders.properties_encoder import PropertiesEncoderConfig
from prismat.encoders.resnet import ImageEncoderConfig
from prismat.encoders.resnext3d import ResNext3dConfig
from prismat.encoders.text_head import TextHeadConfig
from prismat.encoders.tuning import TuningConfig
from prismat.encoders.xrd_cnn import XrdCnnConfig
from prismat.modalities.rendering import ProfileSettings
from prismat.modalities.structure import StructureSettings
from prismat.modalities.windows import MeasuredSettings, Window
from prismat.model import ProjectionConfig
from prismat.objectives.config import ObjectiveConfig
from prismat.training.loop import TrainConfig
from prismat.training.schedule import Schedule
from prismat.training.windows import ViewConfig


@dataclass(frozen=True)
class TextConfig:
    """How text becomes features.

    Attributes:
        kind: ``frozen`` for cached sentence embeddings beside the element channel, ``bpe`` for a
            transformer trained from scratch, ``tuned`` for a Hugging Face encoder trained along.
        model: Hugging Face name or path, or ``minilm``, ``scibert`` or ``matscibert``, of ``frozen`` and
            ``tuned``.
        head: what is trained on frozen features; over a ``tuned`` encoder only ``clasp`` stands.
        bpe: the transformer from scratch.
        vocabulary: size of the byte-pair vocabulary trained on the corpus, of ``bpe``.
        pooling: how the tokens of ``frozen`` and ``tuned`` become one vector.
        tuning: layers that ``tuned`` trains and their learning rates.
        substitute: the model used where ``model`` cannot be had, by which results are then labelled; an error
            before training where empty.
    """

    kind: Literal["frozen", "bpe", "tuned"] = "frozen"
    model: str = "sentence-transformers/all-MiniLM-L6-v2"
    head: TextHeadConfig = TextHeadConfig(dropout=0.3)
    bpe: BpeTransformerConfig = field(default_factory=BpeTransformerConfig)
    vocabulary: int = 8192
    pooling: Pooling = "mean"
    tuning: TuningConfig = TuningConfig()
    substitute: str = ""


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
        image: of pictures.
        dos: of electronic densities of states.
        phonon_dos: of phonon densities of states.
        charge_density: of electron densities.
        properties: of numbers with units.
    """

    structure: CrystalConfig = field(default_factory=CrystalConfig)
    text: TextConfig = field(default_factory=TextConfig)
    xrd: XrdCnnConfig = XrdCnnConfig(channels=(32, 64), bottleneck=16)
    image: ImageEncoderConfig = field(default_factory=ImageEncoderConfig)
    dos: DosTransformerConfig = field(default_factory=DosTransformerConfig)
    phonon_dos: DosTransformerConfig = field(default_factory=DosTransformerConfig)
    charge_density: ResNext3dConfig = field(default_factory=ResNext3dConfig)
    properties: PropertiesEncoderConfig = field(default_factory=PropertiesEncoderConfig)


@dataclass(frozen=True)
class Recipe:
    """A training from beginning to end.

    Attributes:
        name: shown in reports.
        windows: modalities that meet in the joint space.
        encoders: one per window.
        projection: dimension and heads of the joint space.
        objective: the loss.
        masked_language: how tokens are hidden for masked language modelling beside the alignment, weighed by
            ``objective.auxiliary["masked_language"]``; None for none. The text must be read by tokens.
        views: training views.
        graph: how crystals become graphs; must be what the store was prepared with.
        profile: grid and peak shape of patterns.
        measured: how the other windows become tensors.
    """

    name: str = "default"
    windows: tuple[Window, ...] = ("structure", "text", "xrd")
    encoders: EncoderConfigs = field(default_factory=EncoderConfigs)
    projection: ProjectionConfig = field(default_factory=ProjectionConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    masked_language: MaskingConfig | None = None
    views: ViewConfig = field(default_factory=ViewConfig)
    graph: StructureSettings = field(default_factory=StructureSettings)
    profile: ProfileSettings = ProfileSettings()
    measured: MeasuredSettings = field(default_factory=MeasuredSettings)

    @property
    def reads_texture(self) -> bool:
        """Whether a view needs to know how a pattern's lines lie to the preferred axis."""
        image = self.views.image.noise if self.views.image and self.measured.image.source == "xrd" else None
        noises = {"xrd": self.views.noise, "image": image}
        return any(n and n.sample.march_dollase for w, n in noises.items() if w in self.windows)


@dataclass(frozen=True)
class FineTune:
    """A second stage that goes on from the best weights of the first, with another text at another rate.

    Attributes:
        steps: its length; 0 for no second stage.
        learning_rate: peak.
        schedule: of the learning rate.
        text: chance of each text view; those of the first stage where empty.
        freeze: parameters that stay as they are, by name with wildcards.
    """

    steps: int = 0
    learning_rate: float = 2e-4
    schedule: Schedule = "constant"
    text: dict[str, float] = field(default_factory=dict)
    freeze: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A recipe, how long to train it, and how to divide the data.

    Attributes:
        recipe: the model and its loss.
        train: length, batch and seed.
        split: division of the records.
        fine_tune: a second stage.
        select: what checkpoints are chosen by: mean recall@10 on validation, or the mean ROC-AUC of words
            (CLaSP).
    """

    recipe: Recipe = field(default_factory=Recipe)
    train: TrainConfig = field(default_factory=TrainConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    fine_tune: FineTune = field(default_factory=FineTune)
    select: Literal["recall", "words"] = "recall"
