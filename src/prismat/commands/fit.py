"""Verbs of property prediction: fit a head to a trained model, and predict with it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from prismat.commands.talk import Run, plain_table, talking
from prismat.errors import BadInputError
from prismat.heads.config import Feature, FitConfig, Fusion, HeadConfig, Kind, TuneConfig
from prismat.heads.files import load_head
from prismat.heads.model import NumberPrediction
from prismat.store import Store
from prismat.tasks.opened import open_run
from prismat.tasks.property.config import Interval, LimitedConfig, PropertyConfig
from prismat.tasks.property.experiment import run_property
from prismat.tasks.property.page import metric_rows, write_property
from prismat.tasks.property.predict import (
    GivenFiles,
    Predicted,
    predict_files,
    predict_store,
    prediction_columns,
    write_parquet,
)
from prismat.tasks.report import to_plain

SHOWN = 30
"""Lines of a table that is also written to a file."""


@dataclass(frozen=True)
class TrainingOptions:
    """How the head and, where asked, the encoders are trained.

    Attributes:
        members: networks that differ in their seed and are averaged.
        seed: of the first.
        epochs: largest number of passes over the training records.
        learning_rate: peak of AdamW's.
        tune: train the encoders along, after the head was fitted to them frozen.
        steps: of the encoders' training.
    """

    members: int = 5
    seed: int = 0
    epochs: int = 40
    learning_rate: float = 2e-3
    tune: bool = False
    steps: int = 600

    def fit(self) -> FitConfig:
        """As heads are fitted."""
        return FitConfig(
            epochs=self.epochs, members=self.members, seed=self.seed, learning_rate=self.learning_rate
        )

    def tuning(self) -> TuneConfig | None:
        """As encoders are trained along."""
        return TuneConfig(steps=self.steps, seed=self.seed) if self.tune else None


@dataclass(frozen=True)
class LimitOptions:
    """How few records are learnt from.

    Attributes:
        most: training records at most; 0 for all.
        shares: of all records with the target, for train, validation and test, such as 0.2 0.1 0.1.
        curve: training sizes of a learning curve.
        repeats: draws of each size.
    """

    most: int = 10_000
    shares: tuple[float, float, float] | None = None
    curve: tuple[int, ...] = ()
    repeats: int = 3

    def limited(self) -> LimitedConfig:
        """As an experiment takes it."""
        return LimitedConfig(self.most, self.shares, self.curve, self.repeats)


@dataclass(frozen=True)
class Fit:
    """Fit a head that predicts a property, or a class, from a trained model's windows, and judge it.

    Attributes:
        run_folder: a quickstart folder, a run or a model folder.
        store: made by ``prismat prepare``; the run's own, or another one.
        target: a property of the store, ``crystal_system``, or a tag.
        log: predict the decimal logarithm.
        classes: borders that make classes of numbers; ``--target band_gap --classes 0`` tells metals.
        windows: that the head reads; ``composition`` adds the formula as numbers to those of the model.
        text_view: which text of a record, where it reads text; titles where not given and there are any.
        head: ``linear`` for a probe, ``mlp`` for two layers.
        fusion: how several windows meet.
        feature: what encoders give, or vectors of the joint space.
        training: how.
        limit: how few records are learnt from.
        interval: wide where members disagree, or all equally wide.
        out: folder of the head, its page and its figures; ``RUN/tasks/property/TARGET`` where not given.
        features: folder that keeps features for other targets; ``OUT/features`` where not given.
        json: print JSON.
    """

    run_folder: Run = Path("runs/quickstart")
    store: Path = Path("stores/amcsd")
    target: str = "band_gap"
    log: bool = False
    classes: tuple[float, ...] = ()
    windows: tuple[str, ...] = ("structure", "composition")
    text_view: str | None = None
    head: Kind = "mlp"
    fusion: Fusion = "concat"
    feature: Feature = "encoder"
    training: Annotated[TrainingOptions, tyro.conf.arg(name="")] = field(default_factory=TrainingOptions)
    limit: Annotated[LimitOptions, tyro.conf.arg(name="")] = field(default_factory=LimitOptions)
    interval: Interval = "normalised"
    out: Path | None = None
    features: Path | None = None
    json: bool = False

    def run(self) -> None:
        """Fits, judges, writes, and says what to run next."""
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in self.target)
        out = self.out or self.run_folder / "tasks" / "property" / name
        with talking() as talk:
            opened = open_run(self.run_folder, Store(self.store), text_view=self.text_view)
            found = run_property(opened, self.config(), out, self.features, talk)
        page = write_property(out, found)
        if self.json:
            print(json.dumps(to_plain(found.report), indent=2, ensure_ascii=False))
            return
        print(_fit_told(to_plain(found.report)))
        print(f"head, page and figures → {page}")
        print(f"Next: prismat predict --head {out} your.cif")

    def config(self) -> PropertyConfig:
        """What is wanted, as an experiment takes it."""
        return PropertyConfig(
            target=self.target,
            log=self.log,
            classes=self.classes,
            windows=self.windows,
            text_view=self.text_view,
            head=HeadConfig(kind=self.head, fusion=self.fusion, feature=self.feature),
            fit=self.training.fit(),
            tune=self.training.tuning(),
            limited=self.limit.limited(),
            interval=self.interval,
        )


def _fit_told(report: dict[str, Any]) -> str:
    """The figures as text."""
    dataset, target = report["dataset"], report["target"]
    head, rows = metric_rows(report)
    unit = f" in {target['own_unit']}" if target["own_unit"] and not target["classes"] else ""
    lines = [
        f"{target['name']}{unit}: {dataset['train']:,} training, {dataset['stop']:,} stopping, "
        f"{dataset['calibrate']:,} calibration, {dataset['test']:,} test records",
        plain_table(head[:6], [row[:6] for row in rows]),
    ]
    for name, found in report["differences"].items():
        for measure, (mean, low, high) in found.items():
            lines.append(f"{measure} {mean:+.4f} [{low:+.4f}, {high:+.4f}] against {name}")
    row = next(r for r in report["coverage"] if r["level"] == 0.9)
    low, high = row["allowed"]
    lines.append(
        f"90 % {report['interval']} coverage: {row['reached']:.1%} (chance: {low:.1%} to {high:.1%})"
    )
    return "\n".join(lines)


@dataclass(frozen=True)
class Predict:
    """Predict a property, or a class, of crystals with a head that ``prismat fit`` made.

    Attributes:
        structures: CIF or POSCAR files.
        head: a folder that ``prismat fit`` wrote.
        texts: words, one per record, where the head reads text.
        patterns: .xy or .xye files, where it reads diffraction; computed from the structure where left out.
        images: pictures, where it reads them.
        wavelength: of the patterns in Å.
        store: predict for all records of a store instead, into a Parquet file.
        level: probability that an interval holds the true value.
        out: the file of ``--store``; ``predictions.parquet`` where not given.
        json: print JSON.
    """

    structures: tyro.conf.Positional[tuple[Path, ...]] = ()
    head: Path = Path("runs/quickstart/tasks/property/band_gap")
    texts: tuple[str, ...] = ()
    patterns: tuple[Path, ...] = ()
    images: tuple[Path, ...] = ()
    wavelength: float = 1.54184
    store: Path | None = None
    level: float = 0.9
    out: Path | None = None
    json: bool = False

    def run(self) -> None:
        """Predicts, prints or writes, and lists what could not be read."""
        head, given = load_head(self.head), self.given()
        if self.store is None:
            predicted = predict_files(head, given, self.level)
        elif self.structures or self.texts or self.patterns or self.images:
            raise BadInputError("files and a store", field="predict", remedy="Give one of them.")
        else:
            with talking() as talk:
                predicted = predict_store(head, Store(self.store), level=self.level, talk=talk)
            write_parquet(self.out or Path("predictions.parquet"), predicted)
        print(prediction_json(predicted) if self.json else prediction_table(predicted))
        if self.store is not None and not self.json:
            print(f"{len(predicted.names):,} predictions → {self.out or Path('predictions.parquet')}")
        if predicted.prediction is None:
            raise BadInputError("no record could be read", field="predict", remedy="See the reasons above.")

    def given(self) -> GivenFiles:
        """Files and words."""
        return GivenFiles(
            self.structures,
            self.texts,
            self.patterns,
            {"image": self.images} if self.images else None,
            self.wavelength,
        )


def prediction_json(predicted: Predicted) -> str:
    """All predictions as JSON text."""
    content: dict[str, Any] = {"predictions": [], "rejects": [vars(r) for r in predicted.rejects]}
    if predicted.prediction is not None:
        columns = prediction_columns(predicted.prediction)
        rows = zip(predicted.names, *columns.values(), strict=True)
        content["property"], content["level"] = predicted.prediction.name, predicted.prediction.level
        content["predictions"] = [dict(zip(("name", *columns), row, strict=True)) for row in rows]
    return json.dumps(to_plain(content), indent=2, ensure_ascii=False)


def prediction_table(predicted: Predicted, shown: int = SHOWN) -> str:
    """Predictions as text, and what could not be read."""
    lines, found = [], predicted.prediction
    if isinstance(found, NumberPrediction):
        rows = [
            [name, f"{value:.4g} {found.unit}".strip(), f"{low:.4g} to {high:.4g}"]
            for name, value, low, high in zip(
                predicted.names, found.values, found.low, found.high, strict=True
            )
        ]
        lines.append(plain_table(["record", found.name, f"{found.level:.0%} interval"], rows[:shown]))
    elif found is not None:
        columns = prediction_columns(found)
        rows = [
            [name, label, f"{p:.2f}", ", ".join(members)]
            for name, label, p, members in zip(
                predicted.names, columns["class"], found.probabilities.max(1), columns["set"], strict=True
            )
        ]
        lines.append(
            plain_table(["record", found.name, "probability", f"{found.level:.0%} set"], rows[:shown])
        )
    if len(predicted.names) > shown:
        lines.append(f"… and {len(predicted.names) - shown:,} more")
    lines += [f"not read: {r.id}: {r.reason}" for r in predicted.rejects]
    return "\n".join(lines)
