"""Training and judging a predictor of one property: its targets in a store, baselines, the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch.nn import Module

from prismat.errors import BadInputError
from prismat.files import digest, write_json, write_text
from prismat.modalities.properties import PropertiesModality, PropertiesSettings, PropertySpec
from prismat.modalities.structure import StructureModality
from prismat.packaged import cache_dir
from prismat.predictor import Predictor, Target, frozen_reader
from prismat.recipes.build import seed_everything
from prismat.recipes.crysmmnet import PredictorJob, PredictorRecipe, build_predictor, composition_baseline
from prismat.recipes.serial import to_json
from prismat.recipes.systems import PLAIN
from prismat.splits import PARTS, group_records
from prismat.store import Store
from prismat.tasks.bootstrap import paired_difference
from prismat.tasks.quickstart import Talk
from prismat.tasks.regression import regression_metrics
from prismat.tasks.report import to_plain
from prismat.text_reader import FrozenReader
from prismat.training.distributed import World
from prismat.training.loop import Outcome, Trainer
from prismat.training.records import Records
from prismat.training.session import Prepared, environment, peak_memory_mb
from prismat.training.state import check_job
from prismat.training.store_checks import check_graphs
from prismat.training.supervised import SupervisedLearner, predict_rows
from prismat.training.text_bank import embed_distinct, view_texts
from prismat.training.tracking import Tracker
from prismat.training.windows import StoreData, TextBank

LEAST_TRAIN, LEAST_VAL = 2, 1


@dataclass(frozen=True, eq=False)
class Labelled:
    """The records of a store that can be learnt from.

    Attributes:
        values: of the target in its unit, NaN where unknown, shape (records,).
        rows: of train, val and test: those with the target and a structure.
        left_out: number of records of the three parts without it, by part.
        target: the property, and its mean and spread over the training rows.
    """

    values: Float[np.ndarray, " records"]
    rows: dict[str, Int[np.ndarray, " part"]]
    left_out: dict[str, int]
    target: Target


@dataclass(frozen=True, eq=False)
class TrainedPredictor:
    """What a training gives.

    Attributes:
        predictor: ready to use.
        data: windows of the store.
        outcome: history and cost.
    """

    predictor: Predictor
    data: StoreData
    outcome: Outcome

    @property
    def validation(self) -> dict[str, float]:
        """Scores of the validation that chose the weights."""
        best = next((e for e in self.outcome.history if e["step"] == self.outcome.best_step), {})
        return {k.removeprefix("val/"): v for k, v in best.items() if k.startswith("val/")}


def target_of(store: Store, name: str) -> PropertySpec:
    """A property of a store with the unit that it comes in; of several units the first by name.

    Raises:
        BadInputError: no record has it; names those that some record has.
    """
    units = store.property_units()
    if name not in units:
        there = ", ".join(f"{n} ({min(u)})" if min(u) else n for n, u in sorted(units.items()))
        raise BadInputError(
            f"no record has the property {name!r}" if name else "no property to predict is named",
            record=str(store.folder),
            field="target",
            remedy=f"Name one of: {there}." if there else "Prepare a store with properties.",
        )
    return PropertySpec(name, min(units[name]))


def label(prepared: Prepared, spec: PropertySpec) -> Labelled:
    """Targets of a store's records, and which of them can be used.

    Raises:
        BadInputError: no record has the property, too few of a part do, all training values are equal, or a
            value cannot be converted to the unit.
    """
    store, records = prepared.store, prepared.records
    target_of(store, spec.name)
    column = PropertiesModality(PropertiesSettings((spec,))).rows(store.table["properties"], records.ids)
    values = np.full(len(records), np.nan)
    values[column.lengths > 0] = column.values
    usable = np.isfinite(values) & records.fractions.any(axis=1)
    rows = {part: np.sort(found[usable[found]]) for part, found in prepared.rows.items()}
    for part, least in (("train", LEAST_TRAIN), ("val", LEAST_VAL)):
        if len(rows[part]) < least:
            raise BadInputError(
                f"{len(rows[part])} records of {part} have {spec.name!r} and a structure",
                field="target",
                remedy=f"Divide the records otherwise, so that {least} at least do.",
            )
    own = values[rows["train"]]
    if np.ptp(own) == 0:
        raise BadInputError(
            f"all training records have {spec.name} = {own[0]:g}", field="target", remedy="Choose another."
        )
    left_out = {part: len(prepared.rows[part]) - len(found) for part, found in rows.items()}
    return Labelled(values, rows, left_out, Target(spec, float(own.mean()), float(own.std())))


def description_bank(
    records: Records, reader: FrozenReader, talk: Talk = Talk(), view: str = "description"
) -> TextBank:
    """Frozen embeddings of one text of every record; no element channel is read."""
    texts = view_texts(records, {}, first=view)[view]
    embedding, index = embed_distinct([texts], reader, lambda done, total: talk.bar("texts", done, total, {}))
    no_chemistry = np.zeros((1, len(texts), 0))
    return TextBank((view,), embedding, no_chemistry, index, np.zeros(0, dtype=np.int64))


def train_predictor(
    prepared: Prepared, job: PredictorJob, folder: Path, talk: Talk = Talk(), world: World = World()
) -> TrainedPredictor:
    """Trains one recipe into a run folder, or goes on with it; weights are chosen by validation error.

    Args:
        prepared: store, records and split.
        job: recipe, length and target.
        folder: the run folder; the predictor is saved in ``folder/model``.
        talk: how progress is told.
        world: the ranks that train together; rank 0 alone validates and writes.

    Raises:
        BadInputError: as ``label``, or the text encoder cannot be had.
        MismatchError: the store was prepared with other graph settings, or the folder holds another job.
        MissingExtraError: transformers is not installed.
    """
    if "structure" in job.recipe.windows:
        check_graphs(prepared.store, job.recipe.graph)
    labelled = label(prepared, job.target)
    reader = frozen_reader(job.recipe.text, cache_dir() / "text") if "text" in job.recipe.windows else None
    data = predictor_data(prepared, job.recipe, reader, talk)
    seed_everything(job.train.seed)
    model = build_predictor(job.recipe, reader.encoder.width if reader else 0)
    identity = digest(to_json(job), prepared.split.hash, reader.identity() if reader else None)
    check_job(folder / "checkpoint", identity)
    if world.is_main:
        write_json(folder / "config.json", to_json(job))
        write_text(folder / "split.json", prepared.split.to_json())
    target = labelled.target
    learner = SupervisedLearner(
        model.to(world.device),
        data,
        target.standardised(labelled.values),
        job.train.chunk,
        world,
        job.train.optimizer.bf16,
    )
    outcome = Trainer(learner, labelled.rows["train"], job.train).fit(
        folder / "checkpoint",
        identity,
        lambda network: _validation(network, data, labelled),
        Tracker(folder, job.train.tensorboard and world.is_main),
        lambda done, total, entry: talk.bar(job.recipe.name, done, total, entry),
    )
    model.requires_grad_(True)
    predictor = Predictor(model.to("cpu"), job.recipe, target, reader, _first_card(job, target))
    if world.is_main:
        predictor.save(folder / "model")
    world.barrier()
    return TrainedPredictor(predictor, data, outcome)


def _validation(model: Module, data: StoreData, labelled: Labelled) -> dict[str, float]:
    """Mean absolute error on validation in the unit, and its negative, by which weights are chosen."""
    rows = labelled.rows["val"]
    found = labelled.target.restored(predict_rows(model, data, rows))
    mae = float(np.abs(found - labelled.values[rows]).mean())
    return {"mae": mae, "score": -mae}


def predictor_data(
    prepared: Prepared, recipe: PredictorRecipe, reader: FrozenReader | None, talk: Talk = Talk()
) -> StoreData:
    """The windows of a store under a recipe, without training views."""
    bank = description_bank(prepared.records, reader, talk, recipe.text.view) if reader else None
    modalities = {"structure": StructureModality(recipe.graph)}
    return StoreData(prepared.store, recipe.windows, modalities, bank, PLAIN, ())


def train_with_baseline(
    prepared: Prepared,
    job: PredictorJob,
    folder: Path,
    talk: Talk = Talk(),
    world: World = World(),
    baselines: bool = True,
) -> dict[str, TrainedPredictor]:
    """The recipe and, where asked, the composition alone under the same split, steps and seed; by name."""
    found = {"main": train_predictor(prepared, job, folder, talk, world)}
    if baselines:
        other = composition_baseline(job)
        place = folder / "baselines" / "composition"
        found["composition"] = train_predictor(prepared, other, place, talk, world)
    return found


def evaluate_predictor(
    prepared: Prepared, job: PredictorJob, trained: dict[str, TrainedPredictor], folder: Path
) -> dict[str, Any]:
    """Measures all models on the test rows, once, and writes report.json and the model card.

    Intervals treat the split's groups as units; differences are of absolute errors on the same records.

    Raises:
        BadInputError: no test record has the target.
    """
    labelled = label(prepared, job.target)
    rows, main = labelled.rows["test"], trained["main"]
    if not len(rows):
        raise BadInputError(
            f"no test record has {job.target.name!r}", field="target", remedy="Divide the records otherwise."
        )
    groups = _groups(prepared, job)[rows]
    truth, train = labelled.values[rows], labelled.values[labelled.rows["train"]]
    found = {
        name: t.predictor.target.restored(predict_rows(t.predictor.model, t.data, rows))
        for name, t in trained.items()
    }
    # The best constant there is, to see what any of them is worth.
    found["training median"] = np.full(len(rows), float(np.median(train)))
    error = {name: np.abs(p - truth) for name, p in found.items()}
    metrics = {name: regression_metrics(truth, p, groups) for name, p in found.items()}
    others = [name for name in found if name != "main"]
    report = {
        "recipe": job.recipe.name,
        "target": {"name": job.target.name, "unit": labelled.target.unit},
        "dataset": _dataset(prepared, labelled),
        "metrics": metrics["main"],
        "baselines": {name: metrics[name] for name in others},
        "differences": {
            name: {"mae": paired_difference(error["main"], error[name], groups)} for name in others
        },
        "validation": {name: t.validation for name, t in trained.items()},
        "cost": _cost(main),
        "environment": environment() | (main.predictor.reader.describe() if main.predictor.reader else {}),
        "model_hash": main.predictor.hash,
    }
    plain = to_plain(report)
    write_json(folder / "report.json", plain)
    main.predictor.card = predictor_card(main.predictor, plain)
    write_text(folder / "model" / "README.md", main.predictor.card)
    return plain


def _groups(prepared: Prepared, job: PredictorJob) -> Int[np.ndarray, " records"]:
    records = prepared.records
    return group_records(records.fractions, list(records.keys.values()), job.split.tolerance)


def _dataset(prepared: Prepared, labelled: Labelled) -> dict[str, Any]:
    info, split = prepared.store.info, prepared.split
    return {
        "source": info["job"]["source"],
        "licence": info["licence"],
        "citation": info["citation"],
        **{part: len(labelled.rows[part]) for part in PARTS},
        "without_target": labelled.left_out,
        "split": {"hash": split.hash, "rule": split.rule},
    }


def _cost(trained: TrainedPredictor) -> dict[str, float]:
    outcome = trained.outcome
    return {
        "train_s": round(outcome.seconds, 1),
        "peak_rss_mb": round(peak_memory_mb(), 1),
        "epochs": round(outcome.epochs, 2),
        "parameters": trained.predictor.model.n_parameters,
        "best_step": outcome.best_step,
    }


def _first_card(job: PredictorJob, target: Target) -> str:
    return f"# Prismat predictor: {job.recipe.name}\n\nPredicts {target.spec.name} in {_unit(target)}.\n"


def _unit(target: Target) -> str:
    return target.unit or "pure numbers"


def predictor_card(predictor: Predictor, report: dict[str, Any]) -> str:
    """Markdown from a finished report."""
    dataset, recipe = report["dataset"], predictor.recipe
    systems = {"model": report["metrics"], **report["baselines"]}
    lines = [
        f"# Prismat predictor: {report['recipe']}",
        "",
        f"Predicts {report['target']['name']} in {_unit(predictor.target)} from "
        f"{' and '.join(recipe.windows)}. {report['cost']['parameters']:,} trained parameters.",
        "",
        f"Trained on {dataset['train']:,} records of {dataset['source']} ({dataset['licence']}; "
        f"{dataset['citation']}). Split {dataset['split']['hash'][:12]}.",
        "",
        f"## On the test part ({dataset['test']:,} records)",
        "",
        "| | MAE | RMSE | R² | Pearson | Spearman |",
        "|---|---|---|---|---|---|",
        *(_row(name, found) for name, found in systems.items()),
        "",
        "## Limits",
        "",
        f"Nothing is known of materials unlike those of {dataset['source']}.",
        "",
    ]
    return "\n".join(lines)


def _row(name: str, found: dict[str, Sequence[float | None]]) -> str:
    cells = ["–" if v[0] is None else f"{v[0]:.3f} [{v[1]:.3f}, {v[2]:.3f}]" for v in found.values()]
    return f"| {name} | {' | '.join(cells)} |"


def metrics_table(report: dict[str, Any]) -> str:
    """The figures of a report as text, baselines below the model."""
    unit = report["target"]["unit"] or "pure numbers"
    lines = [f"{report['target']['name']} in {unit}, {report['dataset']['test']:,} test records"]
    lines.append(f"{'':<20}{'MAE':>26}{'RMSE':>9}{'R²':>9}{'Pearson':>9}{'Spearman':>10}")
    for name, found in {report["recipe"]: report["metrics"], **report["baselines"]}.items():
        mae, low, high = found["mae"]
        rest = [
            "–" if found[k][0] is None else f"{found[k][0]:.3f}"
            for k in ("rmse", "r2", "pearson", "spearman")
        ]
        interval = f"{mae:.4f} [{low:.4f}, {high:.4f}]"
        lines.append(f"{name:<20}{interval:>26}{rest[0]:>9}{rest[1]:>9}{rest[2]:>9}{rest[3]:>10}")
    for name, found in report["differences"].items():
        mean, low, high = found["mae"]
        lines.append(f"MAE {mean:+.4f} [{low:+.4f}, {high:+.4f}] against {name}")
    return "\n".join(lines)
