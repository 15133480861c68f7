"""Verbs that sort: defects (pictures into classes) and text-task (texts into classes, words into tags)."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from prismat.commands.talk import plain_table, talking
from prismat.encoders.timm_backbone import Pretrained
from prismat.errors import BadInputError
from prismat.store import Store
from prismat.tasks.defects.identify import NAME as DEFECTS
from prismat.tasks.defects.identify import identify_defects
from prismat.tasks.defects.page import systems_table as picture_table
from prismat.tasks.defects.systems import DefectsConfig
from prismat.tasks.text_tasks.page import systems_table as text_table
from prismat.tasks.text_tasks.read_tags import Level
from prismat.tasks.text_tasks.settings import Format, Task, task_config
from prismat.tasks.text_tasks.task import NAME as TEXT
from prismat.tasks.text_tasks.task import run_text_task
from prismat.training.loop import TrainConfig

Mode = Literal["frozen", "tuned"]
OptionalRun = Annotated[Path | None, tyro.conf.arg(name="run")]


def with_steps(train: TrainConfig, steps: int) -> TrainConfig:
    """A training of another length, validated as often; as it is where 0."""
    return replace(train, steps=steps, evaluate_every=max(1, steps // 8)) if steps else train


@dataclass(frozen=True)
class Defects:
    """Tell the class of a picture, such as defective or not, from the image encoder's feature.

    Attributes:
        store: with pictures and classes: made by ``prismat prepare elpv`` or ``prismat prepare images``.
        run_folder: a run whose model has an image window; a network of its own where not given.
        label: a tag or a property; the tag ``label``, or the only property, where not given.
        threshold: cuts a property into two classes, such as 0.5; its values are the classes where not given.
        mode: ``frozen`` fits a head to the encoder's feature, ``tuned`` trains both.
        backbone: network of timm, without a run.
        pretrained: weights it starts from, without a run: ``hub``, ``auto`` or ``none``.
        size: edge of the pictures in pixels, without a run.
        steps: of the training, where tuned; as usual where 0.
        seed: of weights, batches and heads.
        out: the folder to write; ``RUN/tasks/defects`` where not given.
        json: print JSON.
    """

    store: Path = Path("stores/elpv")
    run_folder: OptionalRun = None
    label: str = ""
    threshold: float | None = None
    mode: Mode = "frozen"
    backbone: str = "mobilenetv3_small_050"
    pretrained: Pretrained = "none"
    size: int = 128
    steps: int = 0
    seed: int = 0
    out: Path | None = None
    json: bool = False

    def run(self) -> None:
        """Fits, judges, writes the page and says where it is."""
        out = self.out or (self.run_folder / "tasks" if self.run_folder else Path("runs")) / DEFECTS
        with talking() as talk:
            result = identify_defects(Store(self.store), self._config(), out, self.run_folder, talk)
        if self.json:
            print(json.dumps(result, indent=2, ensure_ascii=False))
            return
        print(plain_table(*picture_table(result)))
        print(f"\n{out / DEFECTS}.html, {DEFECTS}.json, confusion.svg and pictures.svg written")
        if self.mode == "frozen":
            print("Next: the same command with --mode tuned trains the encoder along.")

    def _config(self) -> DefectsConfig:
        base = DefectsConfig(self.label, self.threshold, self.mode, self.backbone, self.pretrained, self.size)
        train = replace(with_steps(base.train, self.steps), seed=self.seed, device="cpu")
        return replace(base, train=train, fit=replace(base.fit, seed=self.seed))


@dataclass(frozen=True)
class TextTask:
    """Sort texts into classes or tag words, with aligned and unaligned text encoders side by side.

    Attributes:
        run_folder: a run with a text window; tagging needs one that reads byte-pair tokens.
        data: a CSV or BIO file, a folder with train, val (or dev) and test, or the SOFC-Exp corpus.
        task: ``classify`` gives each text a class, ``tokens`` each word a tag.
        format: ``csv``, ``bio`` or ``sofc``; csv for classes and bio for tags where not given.
        store: the run's own; its texts train the same encoder by masked language modelling alone.
        mode: ``frozen`` fits a head to the encoder's features, ``tuned`` trains both.
        text_column: of a CSV; text, abstract, sentence or title where not given.
        label_column: of a CSV; label, class or category where not given.
        level: of the SOFC-Exp corpus.
        steps: of the training, where tuned, and of the linear tagger; as usual where 0.
        seed: of heads, fresh weights, and of a division where none is given.
        out: the folder to write; ``RUN/tasks/text_task`` where not given.
        json: print JSON.
    """

    data: Path
    run_folder: Annotated[Path, tyro.conf.arg(name="run")] = Path("runs/quickstart")
    task: Task = "classify"
    format: Format | None = None
    store: Path | None = None
    mode: Mode = "frozen"
    text_column: str = ""
    label_column: str = ""
    level: Level = "slots"
    steps: int = 0
    seed: int = 0
    out: Path | None = None
    json: bool = False

    def run(self) -> None:
        """Fits, judges, writes the page and says where it is."""
        config = task_config(self.task, self.format, self.mode, self.seed)
        if (config.format == "csv") != (self.task == "classify"):
            raise BadInputError(
                f"{self.task} cannot be done on {config.format} data",
                field="format",
                remedy="Use csv with --task classify, and bio or sofc with --task tokens.",
            )
        train = with_steps(config.train, self.steps)
        config = replace(config, train=train, text_column=self.text_column)
        config = replace(config, label_column=self.label_column, level=self.level)
        out = self.out or self.run_folder / "tasks" / TEXT
        store = Store(self.store) if self.store else None
        with talking() as talk:
            result = run_text_task(self.run_folder, self.data, config, out, store, talk)
        if self.json:
            print(json.dumps(result, indent=2, ensure_ascii=False))
            return
        print(plain_table(*text_table(result)))
        for rival, reason in result["model"]["rivals_left_out"].items():
            print(f"\nwithout '{rival}': {reason}")
        print(f"\n{out / TEXT}.html, {TEXT}.json and systems.svg written")
        if self.mode == "frozen":
            print("Next: the same command with --mode tuned trains the encoder along.")
