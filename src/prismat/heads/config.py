"""What a head is and how it is fitted."""

from dataclasses import dataclass
from typing import Literal

from prismat.errors import BadInputError

Kind = Literal["linear", "mlp"]
Fusion = Literal["concat", "gated", "attention"]
Feature = Literal["encoder", "joint"]
Loss = Literal["squared", "cross_entropy"]

RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4)
"""Strengths of the regularisation among which a linear probe chooses."""


@dataclass(frozen=True)
class HeadConfig:
    """A head and what it reads.

    Attributes:
        kind: ``linear``, a probe, or ``mlp``, two layers with a ReLU between them.
        hidden: width of the hidden layer.
        dropout: before the last layer.
        fusion: how several windows meet: side by side, summed by learned gates, or averaged by attention.
        width: to which gated and attentive fusion bring every window.
        feature: ``encoder`` for what encoders give, ``joint`` for the unit vectors of the joint space.

    Raises:
        BadInputError: a width that is not positive, a dropout outside 0 … 1, or a linear head over learned
            fusion, which would not be linear.
    """

    kind: Kind = "mlp"
    hidden: int = 256
    dropout: float = 0.1
    fusion: Fusion = "concat"
    width: int = 128
    feature: Feature = "encoder"

    def __post_init__(self) -> None:
        if self.hidden < 1 or self.width < 1 or not 0 <= self.dropout < 1:
            raise BadInputError(
                f"hidden {self.hidden}, width {self.width}, dropout {self.dropout}",
                field="head",
                remedy="Give positive widths and a dropout from 0 to below 1.",
            )
        if self.kind == "linear" and self.fusion != "concat":
            raise BadInputError(
                f"a linear head over {self.fusion} fusion is not linear",
                field="head",
                remedy="Use fusion concat, or kind mlp.",
            )


@dataclass(frozen=True)
class FitConfig:
    """How a head is fitted to features that do not change.

    A linear head is solved for each of ``ridges`` and chosen by validation; the rest is of ``mlp``.

    Attributes:
        epochs: largest number of passes over the training rows.
        batch: records per step.
        learning_rate: peak of AdamW's, after the warm-up.
        weight_decay: decoupled, on matrices.
        warmup: share of the steps with a linearly rising rate; then half a cosine down.
        patience: epochs without a better validation before stopping; 0 for never.
        members: networks that differ in their seed and are averaged.
        seed: of the first member; the others count up.
        balanced: classes weigh the same however many records they have.
        ridges: strengths of the L2 penalty of a linear head.

    Raises:
        BadInputError: a length that is not positive.
    """

    epochs: int = 40
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup: float = 0.1
    patience: int = 8
    members: int = 5
    seed: int = 0
    balanced: bool = False
    ridges: tuple[float, ...] = RIDGES

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch, self.members) < 1 or self.learning_rate <= 0 or not self.ridges:
            raise BadInputError(
                f"epochs {self.epochs}, batch {self.batch}, members {self.members}, "
                f"learning rate {self.learning_rate}, {len(self.ridges)} ridges",
                field="fit",
                remedy="Give positive numbers and one ridge at least.",
            )


@dataclass(frozen=True)
class TuneConfig:
    """How encoders are trained along with a head that was fitted to them frozen.

    Attributes:
        steps: optimiser steps.
        batch: records per step.
        learning_rate: peak of the head's.
        encoder_rate: the encoders' rate as a share of it.
        weight_decay: decoupled, on matrices.
        warmup: share of the steps with a linearly rising rate; then half a cosine down.
        evaluate_every: steps between validations, by which weights are chosen.
        patience: validations without improvement before stopping; 0 for never.
        seed: of the batches.

    Raises:
        BadInputError: a length that is not positive.
    """

    steps: int = 600
    batch: int = 128
    learning_rate: float = 1e-3
    encoder_rate: float = 0.3
    weight_decay: float = 0.02
    warmup: float = 0.1
    evaluate_every: int = 100
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if (
            min(self.steps, self.batch, self.evaluate_every) < 1
            or min(self.learning_rate, self.encoder_rate) <= 0
        ):
            raise BadInputError(
                f"steps {self.steps}, batch {self.batch}, every {self.evaluate_every}, "
                f"rates {self.learning_rate} and {self.encoder_rate}",
                field="tune",
                remedy="Give positive numbers.",
            )
