"""Ways to tell the class of a picture: a head on a frozen encoder, both trained, or image statistics."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from prismat.encoders.resnet import ImageEncoder, ImageEncoderConfig
from prismat.encoders.timm_backbone import Pretrained
from prismat.files import digest
from prismat.heads.config import FitConfig, HeadConfig
from prismat.heads.features import Features
from prismat.heads.fit import fit_head
from prismat.heads.network import Head
from prismat.modalities.image import ImageBatch
from prismat.modalities.image_views import ImageViews
from prismat.recipes.build import seed_everything, window_encoder, without_downloads
from prismat.recipes.serial import to_json
from prismat.tasks.defects.labels import PictureClasses
from prismat.tasks.defects.pictures import CHUNK, Pictures, picture_statistics
from prismat.tasks.quickstart import Talk
from prismat.tasks.tuning import class_probabilities, tune
from prismat.training.loop import TrainConfig
from prismat.training.optimizer import OptimizerConfig

IMAGE, STATISTICS = "image", "statistics"


@dataclass(frozen=True)
class DefectsConfig:
    """What is told apart, by what.

    Attributes:
        label: a tag or a property; the tag ``label``, or the only property, where empty.
        threshold: cuts a property into two classes; its values are the classes where None.
        mode: ``frozen`` fits a head to the encoder's feature, ``tuned`` trains both.
        backbone: network of timm, without a run.
        pretrained: weights it starts from, without a run: ``hub``, ``auto`` or ``none``.
        size: edge of the pictures in pixels, without a run.
        head: what reads the feature.
        fit: how it is fitted to a frozen feature.
        train: how both are trained.
        views: how training pictures are varied.
    """

    label: str = ""
    threshold: float | None = None
    mode: Literal["frozen", "tuned"] = "frozen"
    backbone: str = "mobilenetv3_small_050"
    pretrained: Pretrained = "none"
    size: int = 128
    head: HeadConfig = field(default_factory=lambda: HeadConfig(hidden=128))
    fit: FitConfig = field(default_factory=lambda: FitConfig(members=3))
    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(
            steps=240, batch=64, evaluate_every=30, optimizer=OptimizerConfig(learning_rate=1e-3)
        )
    )
    views: ImageViews = field(default_factory=lambda: ImageViews(rotation=5.0))


@dataclass(frozen=True, eq=False)
class PictureExamples:
    """Pictures with their classes, as :func:`prismat.tasks.tuning.tune` reads them.

    Attributes:
        pictures: of the store.
        classes: of the records.
        views: of training pictures.
    """

    pictures: Pictures
    classes: PictureClasses
    views: ImageViews

    def batch(self, rows: Int[np.ndarray, " n"], rng: np.random.Generator | None) -> ImageBatch:
        """Pictures, varied where a generator is given."""
        return self.pictures.batch(rows, self.views, None if rng is None else int(rng.integers(2**62)))

    def wanted(self, rows: Int[np.ndarray, " n"]) -> Int[torch.Tensor, " n"]:
        """Class of each."""
        return torch.from_numpy(self.classes.of[rows])


class PictureClassifier(nn.Module):
    """An image encoder and a head on its feature h^v: pictures → (batch, classes).

    Args:
        encoder: gives ``width`` numbers per picture.
        head: of one window, ``image``.
    """

    def __init__(self, encoder: nn.Module, head: Head) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, batch: ImageBatch) -> Float[torch.Tensor, "batch classes"]:
        """Unnormalised log-probabilities."""
        return self.head({IMAGE: self.encoder(batch).float()}, {IMAGE: batch.present})


def run_encoder(pictures: Pictures) -> nn.Module:
    """The image encoder of the run.

    Raises:
        ValueError: the pictures were opened without one.
    """
    if pictures.prismat is None:
        raise ValueError("these pictures were opened without a run")
    return pictures.prismat.model.encoders[IMAGE]


def fresh_encoder(pictures: Pictures, config: DefectsConfig) -> nn.Module:
    """The architecture of the run with random weights; without a run, that of the configuration.

    Raises:
        BadInputError: a network or weights that cannot be had.
        MissingExtraError: timm is not installed.
    """
    seed_everything(config.train.seed)
    if pictures.prismat is not None:
        return window_encoder(IMAGE, without_downloads(pictures.prismat.recipe))
    channels = pictures.modality.settings.channels
    return ImageEncoder(
        ImageEncoderConfig(config.backbone, config.pretrained, channels, pictures.size, out=0)
    )


def encoder_features(
    encoder: nn.Module, pictures: Pictures, rows: Int[np.ndarray, " n"], talk: Talk = Talk(), stage: str = ""
) -> Float[np.ndarray, "n width"]:
    """h^v of pictures as they are."""
    encoder.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(rows), CHUNK):
            found.append(encoder(pictures.batch(rows[start : start + CHUNK])).float().numpy())
            if stage:
                talk.bar(stage, min(start + CHUNK, len(rows)), len(rows), {})
    return np.concatenate(found)


def frozen_probabilities(
    vectors: Float[np.ndarray, "used width"],
    classes: PictureClasses,
    config: DefectsConfig,
    linear: bool = False,
) -> Float[np.ndarray, "test classes"]:
    """Fits a head to features that do not change, chosen on validation, and asks it about the test part.

    Args:
        vectors: of the records of train, val and test, in this order.
        classes: of the records.
        config: head and fit.
        linear: a linear probe instead of the head.
    """
    rows = np.concatenate(list(classes.rows.values()))
    ends = np.cumsum([len(r) for r in classes.rows.values()])
    place = dict(zip(classes.rows, np.split(np.arange(len(rows)), ends[:-1]), strict=True))
    features = Features({IMAGE: vectors}, {IMAGE: np.ones(len(rows), dtype=bool)})
    fitted = fit_head(
        features,
        classes.of[rows],
        place["train"],
        place["val"],
        HeadConfig(kind="linear") if linear else config.head,
        config.fit,
        "cross_entropy",
        len(classes.names),
    )
    return fitted.predict(features.take(place["test"]))


def statistics_probabilities(
    pictures: Pictures, classes: PictureClasses, config: DefectsConfig
) -> Float[np.ndarray, "test classes"]:
    """The baseline: intensities of a picture, wherever they are in it, with a linear probe."""
    rows = np.concatenate(list(classes.rows.values()))
    return frozen_probabilities(picture_statistics(pictures, rows), classes, config, linear=True)


def tuned_probabilities(
    encoder: nn.Module,
    pictures: Pictures,
    classes: PictureClasses,
    config: DefectsConfig,
    folder: Path,
    talk: Talk = Talk(),
) -> tuple[Float[np.ndarray, "test classes"], dict[str, float]]:
    """Trains encoder and head, weights chosen on validation, and asks them about the test part.

    Args:
        encoder: trained in place.
        pictures: of the store.
        classes: of the records.
        config: head, training and views.
        folder: of the checkpoint.
        talk: how progress is told.

    Returns:
        Probabilities, and what it took.
    """
    seed_everything(config.train.seed)
    start = digest(*(p.detach().numpy().tobytes().hex()[:64] for p in encoder.parameters()))
    before = encoder_features(encoder, pictures, classes.rows["train"])
    head = Head(config.head, {IMAGE: before.shape[1]}, len(classes.names))
    head.standardise({IMAGE: torch.from_numpy(before)}, {IMAGE: torch.ones(len(before), dtype=torch.bool)})
    examples = PictureExamples(pictures, classes, config.views)
    identity = digest(to_json(config), pictures.prepared.split.hash, classes.label, start)
    network = PictureClassifier(encoder, head)
    outcome = tune(
        network,
        examples,
        classes.rows,
        config.train,
        folder,
        identity,
        lambda done, total, entry: talk.bar(folder.name, done, total, entry),
    )
    cost = {"train_s": outcome.seconds, "best_step": outcome.best_step, "epochs": outcome.epochs}
    return class_probabilities(network, examples, classes.rows["test"]), cost
