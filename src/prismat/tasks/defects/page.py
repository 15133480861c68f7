"""The page of the defect task: confusion matrix, systems beside baselines, pictures right and wrong."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from prismat.page.figure import INK, MUTED, SERIES, bare_axes, inline_svg, label_axes
from prismat.tasks.classification import METRICS
from prismat.tasks.defects.labels import PictureClasses
from prismat.tasks.defects.pictures import Pictures
from prismat.tasks.result import Picture, ResultPage, Table

SHOWN = 6
_THUMBNAIL = 64
_NAMES = {
    "accuracy": "Accuracy",
    "precision": "Precision (macro)",
    "recall": "Recall (macro)",
    "f1": "F1 (macro)",
    "roc_auc": "ROC-AUC",
    "average_precision": "Average precision",
    "log_loss": "Log loss",
    "calibration_error": "Calibration error",
}
_FEW = ("accuracy", "f1", "roc_auc", "average_precision")


def told(value: Any, digits: int = 3) -> str:
    """A figure with its interval; a dash where it is not defined."""
    if value is None or value[0] is None:
        return "–"
    return f"{value[0]:.{digits}f} [{value[1]:.{digits}f}, {value[2]:.{digits}f}]"


def systems_table(result: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: every system and baseline by its main figures."""
    found = {**result["metrics"], **result["baselines"]}
    rows = [[name, *(told(values[m]) for m in _FEW)] for name, values in found.items()]
    return ["system", *(_NAMES[m] for m in _FEW)], rows


def defects_page(
    result: dict[str, Any],
    pictures: Pictures,
    classes: PictureClasses,
    said: Float[np.ndarray, "test classes"],
) -> ResultPage:
    """What a person reads."""
    main, dataset = result["metrics"][result["system"]], result["dataset"]
    frequent = result["baselines"]["most frequent"]
    lede = (
        f"Of {dataset['test']:,} test pictures in {dataset['groups_in_test']} groups, {result['system']} "
        f"tells the class of {100 * main['accuracy'][0]:.1f} % (macro-F1 {told(main['f1'])}); the most "
        f"frequent class alone gives {100 * frequent['accuracy'][0]:.1f} % (macro-F1 {told(frequent['f1'])})."
    )
    matrix = np.array(main["confusion"], dtype=np.float64)
    figures = [
        Picture(
            "confusion",
            confusion_figure(matrix, classes.names),
            "Number of test pictures by true class (rows) and told class (columns), shaded by their share.",
        ),
        Picture(
            "pictures",
            gallery_figure(pictures, classes, said),
            "Above, pictures told right, the surest first; below, pictures told wrong, the surest first.",
            wide=True,
        ),
    ]
    return ResultPage("Defects on pictures", "defect identification", lede, figures, _tables(result, classes))


def _tables(result: dict[str, Any], classes: PictureClasses) -> list[Table]:
    head, rows = systems_table(result)
    main = result["metrics"][result["system"]]
    tables = [
        Table(
            "On the test part",
            head,
            rows,
            head[1:],
            "95 % intervals of a bootstrap over groups; baselines look at no picture.",
        )
    ]
    if result["differences"]:
        rows = [[name, *(told(values[m]) for m in _FEW)] for name, values in result["differences"].items()]
        tables.append(
            Table(
                f"Difference: {result['system']} minus …",
                head,
                rows,
                head[1:],
                "Paired over the same test pictures; an interval without 0 is a difference.",
            )
        )
    each = ["class", "Precision", "Recall", "F1", "Pictures"]
    rows = [
        [name, told(row["precision"]), told(row["recall"]), told(row["f1"]), f"{row['support']:,}"]
        for name, row in zip(classes.names, main["per_class"], strict=True)
    ]
    tables.append(Table(f"By class: {classes.label}", each, rows, each[1:]))
    rows = [[_NAMES[m], told(main[m])] for m in METRICS]
    return [*tables, Table("All measures", ["measure", result["system"]], rows, [result["system"]])]


def confusion_figure(matrix: Float[np.ndarray, "classes classes"], names: list[str]) -> str:
    """Counts in a grid, shaded by the share of the row."""
    size = max(3.2, 0.55 * len(names) + 2.0)
    figure, axes = bare_axes((size, 0.8 * size))
    axes.grid(visible=False)
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    for (row, column), count in np.ndenumerate(matrix):
        axes.add_patch(_cell(row, column, share[row, column]))
        axes.text(column, row, f"{count:.0f}", ha="center", va="center", fontsize=9, color=INK)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5))
    tilted = max(len(n) for n in names) > 12 and len(names) > 3
    axes.set_xticks(
        range(len(names)), names, rotation=40 if tilted else 0, ha="right" if tilted else "center"
    )
    axes.set_yticks(range(len(names)), names)
    axes.spines["bottom"].set_visible(False)
    label_axes(axes, "told", "true")
    return inline_svg(figure, "confusion", "Confusion matrix")


def _cell(row: int, column: int, share: float) -> Any:
    from matplotlib.patches import Rectangle

    colour = SERIES[0] if row == column else SERIES[1]
    return Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, color=colour, alpha=0.7 * share, lw=0)


def gallery_figure(
    pictures: Pictures, classes: PictureClasses, said: Float[np.ndarray, "test classes"]
) -> str:
    """Small pictures with true and told class."""
    from matplotlib.figure import Figure

    test = classes.rows["test"]
    truth, told_class = classes.of[test], said.argmax(1)
    chosen = [_surest(said, truth == told_class), _surest(said, truth != told_class)]
    figure = Figure(figsize=(1.25 * SHOWN, 3.3), layout="constrained", facecolor="none")
    for line, places in enumerate(chosen):
        for column, place in enumerate(places):
            axes = figure.add_subplot(2, SHOWN, line * SHOWN + column + 1)
            axes.imshow(_thumbnail(pictures, int(test[place])), cmap="gray", vmin=0, vmax=1)
            axes.axis("off")
            words = f"true {classes.names[truth[place]]}\ntold {classes.names[told_class[place]]}"
            axes.set_title(words, fontsize=7, color=MUTED)
    return inline_svg(figure, "pictures", "Pictures told right and wrong")


def _surest(said: np.ndarray, which: np.ndarray) -> Int[np.ndarray, " shown"]:
    """Up to six places, the most confident first, each class in its turn."""
    rows = np.flatnonzero(which)
    sure, kind = said[rows].max(1), said[rows].argmax(1)
    order = np.lexsort((-sure, kind))
    turn = np.empty(len(rows), dtype=np.int64)
    first = np.searchsorted(kind[order], np.arange(said.shape[1]))
    turn[order] = np.arange(len(rows)) - first[kind[order]]
    return rows[np.lexsort((-sure, turn))][:SHOWN]


def _thumbnail(pictures: Pictures, row: int) -> Float[np.ndarray, "height width"]:
    """One picture in grey, from 0 to 1 over its own range."""
    pixels = pictures.batch(np.array([row])).pixels[0].mean(0).numpy()
    step = max(1, len(pixels) // _THUMBNAIL)
    size = len(pixels) // step
    small = pixels[: size * step, : size * step].reshape(size, step, size, step).mean((1, 3))
    return (small - small.min()) / max(float(np.ptp(small)), 1e-6)
