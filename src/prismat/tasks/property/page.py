"""The page of a fitted head: figures with their intervals, baselines and pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prismat.tasks.property.experiment import Found
from prismat.tasks.property.plots import confusion_picture, coverage_picture, curve_picture, parity_picture
from prismat.tasks.property.setting import MAIN
from prismat.tasks.result import Picture, ResultPage, Table, write_result

NAME = "property"
HEADS = {
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R²",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "roc_auc": "ROC-AUC",
    "calibration_error": "calibration error",
}


def write_property(folder: Path, found: Found) -> Path:
    """Writes ``property.json``, ``property.html`` and the pictures; gives the page."""
    return write_result(folder, NAME, found.report, property_page(found))


def property_page(found: Found) -> ResultPage:
    """What a person reads of a fitted head."""
    report = found.report
    target = found.head.spec.target
    windows = " and ".join(found.head.spec.windows)
    return ResultPage(
        title=f"{target.name.replace('_', ' ').capitalize()} from {windows}",
        kind="property prediction",
        lede=lede(report),
        pictures=_pictures(found),
        tables=[
            _metrics_table(report),
            _difference_table(report),
            _coverage_table(report),
            *_curve_tables(report),
        ],
    )


def lede(report: Mapping[str, Any]) -> str:
    """The answer in a few sentences."""
    target, dataset, is_class = report["target"], report["dataset"], bool(report["target"]["classes"])
    key, unit = ("accuracy", "") if is_class else ("mae", f" {target['own_unit']}")
    value, low, high = report["metrics"][key]
    said = f"{HEADS[key]} {value:.3f}{unit} [{low:.3f}, {high:.3f}] on {dataset['test']:,} test records"
    if other := report["baselines"].get("composition"):
        mean, least, most = next(iter(report["differences"]["composition"].values()))
        name = "error rate" if is_class else "error"
        verdict = "lower" if most < 0 else "higher" if least > 0 else "not different beyond chance"
        said += (
            f"; the formula alone gives {other[key][0]:.3f}{unit}. The {name} is {verdict} "
            f"({mean:+.3f} [{least:+.3f}, {most:+.3f}])"
        )
    row = next(r for r in report["coverage"] if r["level"] == 0.9)
    what = "Sets" if is_class else "Intervals"
    return f"{said}. {what} that should hold the true value in 90 % of cases do in {row['reached']:.1%}."


def _pictures(found: Found) -> list[Picture]:
    report, target = found.report, found.head.spec.target
    if target.classes:
        first = confusion_picture(np.asarray(report["metrics"]["confusion"]), target.classes)
    else:
        unit = f" in {target.own_unit}" if target.own_unit else ""
        said = {name: s.test[..., 0].mean(0) for name, s in found.said.items()}
        first = parity_picture(found.truth.test, said, f"{target.name.replace('_', ' ')}{unit}")
    pictures = [first, coverage_picture(report["coverage"], bool(target.classes))]
    if found.curve:
        unit = f" in {target.own_unit}" if target.own_unit else ""
        pictures.append(
            curve_picture(found.curve, "error rate" if target.classes else f"mean absolute error{unit}")
        )
    return pictures


def _cell(values: Sequence[float | None]) -> str:
    value, low, high = values
    if value is None or not np.isfinite(value):
        return "–"
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def metric_rows(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Names of the measures, and a row of them for the head and for each baseline."""
    keys = [k for k in HEADS if k in report["metrics"]]
    systems = {MAIN: report["metrics"], **report["baselines"]}
    rows = [
        ["this head" if name == MAIN else name, *(_cell(m[k]) if k in m else "–" for k in keys)]
        for name, m in systems.items()
    ]
    return ["", *(HEADS[k] for k in keys)], rows


def _metrics_table(report: Mapping[str, Any]) -> Table:
    head, rows = metric_rows(report)
    unit = report["target"]["own_unit"]
    scale = "" if report["target"]["classes"] else f"MAE and RMSE in {unit or 'pure numbers'}. "
    aside = f"{scale}In brackets the 95 % bootstrap interval over groups of like compositions."
    # A division that the store came with may let compositions cross: polymorphs, mostly.
    if crossing := report["dataset"]["split"]["rule"].get("crossing", {}).get("composition", 0):
        aside += (
            f" In the division that the store came with, {crossing:,} held-out records have the composition"
        )
        aside += " of a record in an earlier part."
    return Table("On the test part", head, rows, head[1:], aside)


def _difference_table(report: Mapping[str, Any]) -> Table:
    rows = [
        [f"against {name}", f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"]
        for name, found in report["differences"].items()
        for mean, low, high in found.values()
    ]
    what = "error rate" if report["target"]["classes"] else "absolute error"
    return Table("Paired differences", ["", what], rows, [what], "Negative: this head errs less.")


def _coverage_table(report: Mapping[str, Any]) -> Table:
    size = "mean set size" if report["target"]["classes"] else "mean width"
    head = ["promised", "reached", "chance allows", "with the calibration's chance", size]
    rows = [
        [
            f"{r['level']:.0%}",
            f"{r['reached']:.1%}",
            "{:.1%} to {:.1%}".format(*r["allowed"]),
            "{:.1%} to {:.1%}".format(*r["allowed_with_calibration"]),
            f"{r['mean_size']:.3g}" if r["mean_size"] is not None else "–",
        ]
        for r in report["coverage"]
    ]
    aside = (
        f"{report['dataset']['calibrate']:,} calibration records, which neither fitting nor stopping saw. "
        "Records of one composition are alike, so real chance is somewhat wider."
    )
    return Table("Coverage", head, rows, head, aside)


def _curve_tables(report: Mapping[str, Any]) -> list[Table]:
    if not report["curve"]:
        return []
    head = ["system", "training records", "error", "against composition"]
    rows = [
        [
            "this head" if p["system"] == MAIN else p["system"],
            f"{p['size']:,}",
            _cell((p["mean"], p["low"], p["high"])),
            "{:+.3f} [{:+.3f}, {:+.3f}]".format(*p["difference"]) if p["difference"] else "",
        ]
        for p in report["curve"]
    ]
    return [Table("By training size", head, rows, head[1:], "One member per draw; mean over the draws.")]
