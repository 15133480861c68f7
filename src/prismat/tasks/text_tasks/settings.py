"""What a text task is, and how its heads and encoders are trained."""

from dataclasses import dataclass, field, replace
from typing import Literal

from prismat.heads.config import FitConfig, HeadConfig
from prismat.tasks.text_tasks.read_tags import Level
from prismat.training.loop import TrainConfig
from prismat.training.optimizer import OptimizerConfig

Task = Literal["classify", "tokens"]
Format = Literal["csv", "bio", "sofc"]

_STEPS = {"classify": 280, "tokens": 900}


@dataclass(frozen=True)
class TextTaskConfig:
    """A text task.

    Attributes:
        task: ``classify`` gives each text a class, ``tokens`` each word a tag.
        format: ``csv`` for texts with a class; ``bio`` or ``sofc`` for tagged words.
        mode: ``frozen`` fits a head to features that do not change, ``tuned`` trains the encoder along.
        text_column: of a CSV; the usual names where empty.
        label_column: of a CSV; the usual names where empty.
        level: of the SOFC-Exp corpus: ``slots`` or ``entities``.
        head: what reads the features.
        fit: how it is fitted to frozen features.
        train: how encoder and head are trained together; also the linear baseline of ``tokens``.
        seed: of fresh weights, and of a division where none is given.
    """

    task: Task = "classify"
    format: Format = "csv"
    mode: Literal["frozen", "tuned"] = "frozen"
    text_column: str = ""
    label_column: str = ""
    level: Level = "slots"
    head: HeadConfig = field(default_factory=lambda: HeadConfig(hidden=128))
    fit: FitConfig = field(default_factory=FitConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    seed: int = 0


def task_config(
    task: Task,
    format: Format | None = None,
    mode: Literal["frozen", "tuned"] = "frozen",
    seed: int = 0,
) -> TextTaskConfig:
    """A task with the lengths that suit it on a laptop.

    Args:
        task: which.
        format: of the data; ``csv`` for classes and ``bio`` for tags where not given.
        mode: frozen or tuned.
        seed: of everything.
    """
    members = 3 if task == "classify" else 1
    # A tagger has a hundred times as many outputs to learn from as a classifier.
    fit = FitConfig(members=members, seed=seed)
    if task == "tokens":
        fit = replace(fit, epochs=15, batch=1024, patience=4)
    steps = _STEPS[task]
    train = TrainConfig(
        steps=steps,
        batch=32,
        evaluate_every=max(1, steps // 10),
        optimizer=OptimizerConfig(learning_rate=1e-3),
        seed=seed,
        device="cpu",
    )
    chosen: Format = format or ("csv" if task == "classify" else "bio")
    return TextTaskConfig(task, chosen, mode, fit=fit, train=train, seed=seed)
