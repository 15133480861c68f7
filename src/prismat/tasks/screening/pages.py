"""Pages of the screening protocol and of the distribution at the top of a ranking."""

from collections.abc import Mapping, Sequence
from typing import Any

from prismat.tasks.result import Picture, ResultPage, Table
from prismat.tasks.screening.distribution import Compared
from prismat.tasks.screening.evaluation import COMPOSITION, ENSEMBLE, WORD, Screened
from prismat.tasks.screening.plots import roc_panels, violins
from prismat.tasks.screening.values import Values

SET_NAMES = {"clasp": "CLaSP's six words", "amcsd": "twelve words of AMCSD titles", "own": "own words"}
_METRICS = {
    "roc_auc": "ROC-AUC",
    "average_precision": "AP, all structures",
    "balanced_average_precision": "AP, balanced by weight",
}


def told(value: Sequence[float], digits: int = 3) -> str:
    """A figure with its interval."""
    return f"{value[0]:.{digits}f} [{value[1]:.{digits}f}, {value[2]:.{digits}f}]"


def screening_page(found: Mapping[str, Screened], part: str, store: str) -> ResultPage:
    """ROC curves and tables of every set of words."""
    lede, pictures, tables = [], [], []
    for name, screened in found.items():
        figures, title = screened.figures, SET_NAMES.get(name, name)
        n = len(figures["words"])
        mean = figures["mean"]["systems"][ENSEMBLE]["roc_auc"]
        scored = f"{n} of {n + len(figures['left_out'])} words can be scored"
        lede.append(f"{title[:1].upper()}{title[1:]}: {scored}, mean ROC-AUC {told(mean)}.")
        svg = roc_panels(screened.judged.words, list(screened.judged.labels), _lists(screened.scores))
        caption = (
            f"ROC curves of {title}, right structures in brackets, areas in the panels; {part} of {store}."
        )
        pictures.append(Picture(f"roc_{name}", svg, caption, wide=len(screened.judged.words) > 2))
        tables += score_tables(title, figures)
    return ResultPage("Screening by words", f"{part} part of {store}", " ".join(lede), pictures, tables)


def _lists(scores: Mapping[str, Any]) -> dict[str, list]:
    return {name: list(one) for name, one in scores.items()}


def score_tables(title: str, figures: Mapping[str, Any]) -> list[Table]:
    """One table per metric, CLaSP's draw, and the words left out."""
    systems = [s for s in (ENSEMBLE, WORD, COMPOSITION) if s in figures["mean"]["systems"]]
    tables = []
    for metric, named in _METRICS.items():
        head = ["word", "right", "groups", "chance", *systems, *(f"ensemble − {s}" for s in systems[1:])]
        rows = [
            [
                word,
                f"{w['positives']}",
                f"{w['groups']}",
                f"{w['chance'][metric]:.3f}",
                *_cells(w, metric, systems),
            ]
            for word, w in figures["words"].items()
        ]
        if len(rows) > 1:
            rows.append(["mean", "", "", "", *_cells(figures["mean"], metric, systems)])
        tables.append(Table(f"{named}: {title}", head, rows, head[1:], _ASIDES[metric]))
    tables.append(_draw_table(title, figures, systems))
    if figures["left_out"]:
        rows = [[w, str(n["positives"]), str(n["groups"])] for w, n in figures["left_out"].items()]
        head = ["word", "titles that have it", "groups"]
        tables.append(Table(f"Left out of {title}: too few titles have them", head, rows, head[1:]))
    return tables


_ASIDES = {
    "roc_auc": "95 % intervals over groups that share a composition, a title, a publication or a mineral.",
    "average_precision": "Over every structure of the part; chance is the share of right structures.",
    "balanced_average_precision": "All wrong structures together weigh as much as all right ones.",
}


def _cells(part: Mapping[str, Any], metric: str, systems: Sequence[str]) -> list[str]:
    values = [told(part["systems"][s][metric]) for s in systems]
    return values + [told(part["differences"][s][metric]) for s in systems[1:]]


def _draw_table(title: str, figures: Mapping[str, Any], systems: Sequence[str]) -> Table:
    drawn = {word: w["drawn_average_precision"] for word, w in figures["words"].items()}
    rows = [[word, *(told(d["systems"][s]) for s in systems)] for word, d in drawn.items()]
    first = next(iter(drawn.values()))
    aside = (
        f"As many wrong structures as right ones, drawn {first['draws']} times, seed {first['seed']}: mean "
        "and the range of 95 % of the draws, which is no interval of the value."
    )
    return Table(f"AP on CLaSP's balanced subset: {title}", ["word", *systems], rows, systems, aside)


def violin_page(compared: Compared, values: Values, figures: Mapping[str, Any]) -> ResultPage:
    """Violins, shares and their differences to a random draw."""
    unit = f", {values.unit}" if values.unit else ""
    shown = {n: v for n, v in compared.values.items() if " | " not in n}
    shares = {n: figures["phrases"][n]["share_below"] for n in shown if n != "random"}
    shares["random"] = figures["random"]["share_below"]
    label = f"{values.name.replace('_', ' ')}{unit}"
    svg = violins(shown, figures["threshold"], (label, values.source), shares)
    k = figures["k"]
    caption = f"Top {k} of each phrase and {k} drawn at random (seed {figures['seed']}); {values.source}."
    head = ["set", "groups", f"share below {figures['threshold']:g}", "share at 0", "difference to random"]
    head += ["p", "median", "rank correlation"]
    rows = [
        [
            *(name, str(f["groups"]), *_shares(f), told(f["difference"], 2), f"{f['p_value']:.4f}"),
            *(f"{f['median']:.2f}", told(f["rank_correlation"], 2)),
        ]
        for name, f in figures["phrases"].items()
    ]
    rows += [
        [name, str(f.get("groups", "")), *_shares(f), "", "", f"{f['median']:.2f}", ""]
        for name, f in (("random draw", figures["random"]), ("whole gallery", figures["gallery"]))
    ]
    aside = (
        "Differences are to the whole gallery, the mean of all random draws, with 95 % intervals over "
        "groups; p from permuting whole groups; Spearman's correlation of score and value over the gallery. "
        f"Values: {values.source}."
    )
    table = Table("Shares below the line", head, rows, head[1:], aside)
    picture = Picture("violins", svg, caption, wide=len(shown) > 3)
    return ResultPage("What a phrase sorts by", values.name, violin_lede(figures, values), [picture], [table])


def _shares(part: Mapping[str, Any]) -> list[str]:
    return [f"{part['share_below']:.2f}", f"{part['share_zero']:.2f}"]


def violin_lede(figures: Mapping[str, Any], values: Values) -> str:
    """The answer in a sentence per phrase."""
    line = f"{figures['threshold']:g} {values.unit}".strip()
    parts = [f"Of a random draw {100 * figures['gallery']['share_below']:.0f} % lie below {line}."]
    for name, f in figures["phrases"].items():
        if " | " not in name:
            low, high = f["difference"][1:]
            sure = "the interval holds 0" if low <= 0 <= high else "the interval leaves 0 out"
            parts.append(
                f"Of the top {figures['k']} for “{name}” {100 * f['share_below']:.0f} % do ({sure})."
            )
    return " ".join(parts)
