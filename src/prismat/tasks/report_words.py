"""The report's numbers as words: names of directions, formatted figures and the summary."""

from collections.abc import Mapping
from typing import Any

from prismat.page.words import is_number, number, percent

Metrics = Mapping[str, Any]

DIRECTIONS = (
    "text->structure",
    "structure->text",
    "xrd->structure",
    "structure->xrd",
    "xrd->text",
    "text->xrd",
    "polymorph",
)
MASKED = "masked_text->structure"
MASK_LEVELS = ("formula", "elements", "minerals")

_WORDS = {
    "xrd": "diffraction",
    "dos": "electronic DOS",
    "phonon_dos": "phonon DOS",
    "charge_density": "charge density",
}
_MASKS = {
    "formula": "formulas hidden",
    "elements": "formulas and element names hidden",
    "minerals": "formulas, element and mineral names hidden",
}
HEADLINES = ("text->structure", "xrd->structure", "polymorph")
METRIC = "recall@10"


def flat_results(results: Mapping[str, Any]) -> dict[str, Metrics]:
    """Metrics by direction in the report's order; the levels of masked text become directions of their own.

    A level may be nested, ``{MASKED: {"formula": {…}}}``, or flat, ``{f"{MASKED}/formula": {…}}``.
    """
    flat: dict[str, Metrics] = {}
    for direction, found in results.items():
        if direction == MASKED and "pool" not in found:
            flat |= {f"{MASKED}/{level}": metrics for level, metrics in found.items()}
        else:
            flat[direction] = found
    order = [*DIRECTIONS, *(f"{MASKED}/{level}" for level in MASK_LEVELS)]
    known = [direction for direction in order if direction in flat]
    return {direction: flat[direction] for direction in [*known, *(d for d in flat if d not in known)]}


def direction_name(direction: str) -> tuple[str, str]:
    """Name of a direction and a remark, such as ("Text → structure", "formulas hidden")."""
    if direction == "polymorph":
        return "Polymorphs", "among crystals of one composition"
    name, _, level = direction.partition("/")
    remark = _MASKS.get(level, level)
    query, arrow, gallery = name.removeprefix("masked_").partition("->")
    if not arrow:
        return direction, ""
    words = f"{_WORDS.get(query, query)} → {_WORDS.get(gallery, gallery)}"
    return words[:1].upper() + words[1:], remark


def metric(value: object, name: str) -> str:
    """One metric in the table's unit: recall in percent, ranks and MRR as they are."""
    if not is_number(value):
        return "–"
    if name.startswith(("recall", "chance")):
        return percent(value)
    return f"{value:.3f}" if name == "mrr" else f"{round(value, 1):g}"


def metric_range(metrics: Metrics, name: str) -> str:
    """The 95 % interval of a metric in the table's unit, or nothing."""
    ends = (metrics.get("ci95") or {}).get(name)
    if not ends or not all(is_number(end) for end in ends):
        return ""
    return "–".join(metric(end, name) for end in ends)


def summary(report: Mapping[str, Any]) -> str:
    """One paragraph on what was found, every word of it computed from the numbers."""
    results = flat_results(report.get("retrieval") or {})
    baselines = {name: flat_results(r) for name, r in (report.get("baselines") or {}).items()}
    told = [d for d in HEADLINES if d in results] or list(results)[:1]
    if not told:
        return "No retrieval was measured."
    sentences = []
    for direction in told:
        sentences.append(_found(direction, results[direction]))
        for name, baseline in baselines.items():
            if direction in baseline:
                gap = _gap(report, direction, name, results[direction], baseline[direction])
                sentences += [gap] if gap else []
    masked = results.get(f"{MASKED}/minerals")
    if masked:
        sentences.append(
            "With formulas, element and mineral names hidden from the text, the right structure is among the "
            f"first ten for {percent(masked.get(METRIC))} % of queries."
        )
    return " ".join(sentences)


def _found(direction: str, metrics: Metrics) -> str:
    """How often the right answer comes first and among the first ten."""
    at_1, at_10 = percent(metrics.get("recall@1")), percent(metrics.get(METRIC))
    ends, chance = metric_range(metrics, METRIC), percent(metrics.get("chance@1"))
    sure = f" (95 % interval {ends})" if ends else ""
    if direction == "polymorph":
        first_ends = metric_range(metrics, "recall@1")
        first_sure = f" (95 % interval {first_ends})" if first_ends else ""
        return (
            f"Among crystals of one composition, {at_1} % of queries find the right one first{first_sure}, "
            f"against {chance} % by chance."
        )
    query, _, gallery = direction.partition("/")[0].removeprefix("masked_").partition("->")
    asked, sought = _WORDS.get(query, query), _WORDS.get(gallery, gallery)
    return (
        f"From {asked}, the right {sought} among {number(metrics.get('pool'))} comes first for {at_1} % of "
        f"queries and among the first ten for {at_10} %{sure}; chance puts {chance} % first."
    )


def _gap(report: Mapping[str, Any], direction: str, name: str, model: Metrics, baseline: Metrics) -> str:
    """Who is ahead, by how much, and whether that can be told from nothing."""
    which = "recall@1" if direction == "polymorph" else METRIC
    ours, theirs = model.get(which), baseline.get(which)
    if not (is_number(ours) and is_number(theirs)):
        return ""
    paired = ((report.get("differences") or {}).get(direction) or {}).get(name) or {}
    values = paired.get(which) or ()
    if len(values) == 3 and all(is_number(v) for v in values):
        verdict = _verdict(*(100 * v for v in values))
        return f"The {name} baseline reaches {percent(theirs)} %: the model {verdict}."
    by = 100 * (ours - theirs)
    side = f"{abs(by):.1f} points {'ahead of' if by > 0 else 'behind'}" if by else "level with"
    return f"It is {side} the {name} baseline ({percent(theirs)} %); no paired interval was computed."


def _verdict(mean: float, low: float, high: float) -> str:
    """Who wins, only where the whole interval lies on one side of 0."""
    ends = f"95 % interval {low:+.1f} to {high:+.1f}".replace("-", "−")
    if low <= 0 <= high:
        difference = f"{mean:+.1f}".replace("-", "−")
        return f"cannot be told apart from it (difference {difference} points, {ends})"
    return f"{'beats' if low > 0 else 'falls behind'} it by {abs(mean):.1f} points ({ends})"
