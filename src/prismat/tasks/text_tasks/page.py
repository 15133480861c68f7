"""The page of a text task: every system with its interval, differences, and each class or type."""

from typing import Any

from prismat.page.figure import MUTED, SERIES, bare_axes, inline_svg, label_axes
from prismat.tasks.result import Picture, ResultPage, Table

_MEASURES = {
    "classify": {"accuracy": "Accuracy", "f1": "F1 (macro)", "roc_auc": "ROC-AUC", "log_loss": "Log loss"},
    "tokens": {
        "micro_f1": "F1 (micro)",
        "macro_f1": "F1 (macro)",
        "micro_precision": "Precision (micro)",
        "micro_recall": "Recall (micro)",
    },
}
_SHOWN = {"classify": "f1", "tokens": "micro_f1"}


def told(value: Any, digits: int = 3) -> str:
    """A figure with its interval; a dash where it is not defined."""
    if value is None or value[0] is None:
        return "–"
    return f"{value[0]:.{digits}f} [{value[1]:.{digits}f}, {value[2]:.{digits}f}]"


def systems_table(result: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: every system and baseline by its main figures."""
    measures = _MEASURES[result["kind"]]
    found = {**result["metrics"], **result["baselines"]}
    rows = [[name, *(told(values[m]) for m in measures)] for name, values in found.items()]
    return ["system", *measures.values()], rows


def text_page(result: dict[str, Any]) -> ResultPage:
    """What a person reads."""
    shown, kind = _SHOWN[result["kind"]], result["kind"]
    name = _MEASURES[kind][shown]
    best = max(
        (n for n in result["metrics"] if n != result["system"]), key=lambda n: result["metrics"][n][shown][0]
    )
    data, own = result["dataset"], result["metrics"][result["system"]][shown]
    what = "texts" if kind == "classify" else "sentences"
    lede = (
        f"On {data['test']:,} test {what} of {data['name']} the aligned text encoder reaches {name} "
        f"{told(own)}; the best of the others, {best}, {told(result['metrics'][best][shown])}. "
        f"Difference {told(result['differences'][best][shown])}."
    )
    figure = Picture(
        "systems",
        systems_figure(result, shown, name),
        f"{name} on the test part with 95 % intervals; the aligned encoder is filled.",
    )
    titles = {"classify": "Texts into classes", "tokens": "Words tagged"}
    return ResultPage(titles[kind], "text task", lede, [figure], _tables(result))


def _tables(result: dict[str, Any]) -> list[Table]:
    head, rows = systems_table(result)
    tables = [
        Table(
            "On the test part", head, rows, head[1:], "95 % intervals of a bootstrap over texts or documents."
        )
    ]
    measures = _MEASURES[result["kind"]]
    rows = [[name, *(told(values[m]) for m in measures)] for name, values in result["differences"].items()]
    tables.append(
        Table(
            "Difference: aligned minus …",
            head,
            rows,
            head[1:],
            "Paired over the same test texts; an interval without 0 is a difference.",
        )
    )
    each = ["class" if result["kind"] == "classify" else "type", "Precision", "Recall", "F1", "Number"]
    own = result["metrics"][result["system"]]
    found = (
        own["per_type"] if "per_type" in own else dict(zip(result["classes"], own["per_class"], strict=True))
    )
    rows = [
        [name, told(v["precision"]), told(v["recall"]), told(v["f1"]), f"{v['support']:,}"]
        for name, v in found.items()
    ]
    return [*tables, Table("The aligned encoder by class or type", each, rows, each[1:])]


def systems_figure(result: dict[str, Any], measure: str, name: str) -> str:
    """One line per system: its figure and interval."""
    found = {**result["metrics"], **result["baselines"]}
    found = {k: v[measure] for k, v in found.items() if v[measure][0] is not None}
    figure, axes = bare_axes((5.4, 0.42 * len(found) + 1.0))
    for row, (system, (value, low, high)) in enumerate(found.items()):
        is_main = system == result["system"]
        colour = SERIES[0] if is_main else SERIES[1]
        axes.plot([low, high], [row, row], color=colour, lw=2, solid_capstyle="round")
        axes.plot([value], [row], "o", ms=7, color=colour if is_main else "none", mec=colour, mew=1.6)
        axes.annotate(
            f"{value:.3f}", (high, row), (6, 0), "data", "offset points", va="center", fontsize=8, color=MUTED
        )
    axes.set_yticks(range(len(found)), list(found))
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.margins(x=0.12)
    axes.grid(visible=False, axis="y")
    label_axes(axes, name, "")
    return inline_svg(figure, "systems", f"{name} by system")
