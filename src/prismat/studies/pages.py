"""The page of a study: what was varied, what it changed, how sure that is and what it cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from prismat.studies.cells import COSTS, DASH, cost_cells, gap, with_ends
from prismat.studies.compare import SHARED
from prismat.studies.measure import ERROR
from prismat.studies.plots import Point, course, forest, value_against_cost
from prismat.studies.variant import BASE, COMPOSITION
from prismat.tasks.result import Picture, ResultPage, Table

Arm = Mapping[str, Any]
Result = Mapping[str, Any]


def headline(result: Result) -> str:
    """The measure by which arms are compared: the error of predictors, else recall@10."""
    if any(ERROR in arm["figures"] for arm in result["arms"]):
        return ERROR
    return SHARED


def ablation_page(result: Result) -> ResultPage:
    """For people."""
    tables = [arms_table(result), *_direction_tables(result), *_failures(result)]
    if "test" in result:
        tables.append(_test_table(result["test"]))
    return ResultPage("Ablation", "ablation", ablation_lede(result), _pictures(result, "ablation"), tables)


def sweep_page(result: Result) -> ResultPage:
    """For people."""
    base = next(a for a in result["arms"] if a["name"] == BASE)
    drawn = Picture(
        "sweep_course",
        course([a["score"] for a in points_of(result)], base["score"], "validation score"),
        "Score of every point, the best so far (line) and the base job (dashed). The score of the best of "
        "many is too good: it was chosen for it.",
        wide=True,
    )
    tables = [arms_table(result), *_direction_tables(result), *_failures(result)]
    if "test" in result:
        tables.append(_test_table(result["test"]))
    pictures = [drawn, *_pictures(result, "sweep")]
    return ResultPage("Sweep", f"{result['search']} search", sweep_lede(result), pictures, tables)


def points_of(result: Result) -> list[Arm]:
    """The arms of a sweep that were searched."""
    return [a for a in result["arms"] if a["name"] not in (BASE, COMPOSITION)]


def ablation_lede(result: Result) -> str:
    """The answer in a few sentences."""
    measure = headline(result)
    others = [a for a in result["arms"] if measure_of(a, measure)]
    apart = [a for a in others if measure_of(a, measure)["verdict"] != "not told apart"]
    told = (
        f"{len(apart)} of {len(others)} variants can be told from the base on {_part(result)} (95 % interval "
    )
    told += "without zero, seeds of one sign). "
    for arm in sorted(apart, key=lambda a: measure_of(a, measure)["mean"])[:: max(1, len(apart) - 1)]:
        told += f"{arm['name']}: {gap(measure_of(arm, measure))} in {_named(measure)}. "
    return told + budget(result)


def sweep_lede(result: Result) -> str:
    """The choice, its settings and what it gains over the base."""
    best, measure = result["best"], headline(result)
    chosen = next(a for a in result["arms"] if a["name"] == best["name"])
    settings = ", ".join(f"{k} = {v}" for k, v in best["settings"].items()) or "the base job itself"
    told = (
        f"Best of {len(points_of(result))} points by {result['search']} search: {best['name']} ({settings}), "
    )
    told += f"score {best['score']:.3f} on validation. "
    found = measure_of(chosen, measure)
    if found:
        told += f"Against the base {gap(found)} in {_named(measure)}, {found['verdict']}. "
    if result["left"]:
        told += f"{result['left']} points were not reached within the minutes given. "
    return told + budget(result)


def budget(result: Result) -> str:
    """How much each training did, which bounds what may be concluded."""
    seeds = max(len(a["seeds"]) for a in result["arms"])
    return (
        f"Each training, but for what varies: {result['steps']} steps of {result['batch']} records, {seeds} "
        f"seed{'s' if seeds > 1 else ''}, split {result['split'][:12]}; longer trainings may rank otherwise."
    )


def arms_table(result: Result) -> Table:
    """One row per arm: value, difference, seeds, verdict, cost."""
    measure = headline(result)
    head = ["variant", f"{_named(measure)}", "difference to base", "by seed", "verdict", *COSTS]
    rows = []
    for arm in result["arms"]:
        found = measure_of(arm, measure)
        seeds = " ".join(f"{s:+.3f}" for s in found["seeds"]) if found else DASH
        verdict = found["verdict"] if found else ("the base" if arm["name"] == BASE else "not finished")
        name = arm["name"] + (f" ({_settings(arm)})" if arm["name"].startswith("point ") else "")
        rows.append([name, with_ends(arm["shared"]), gap(found), seeds, verdict, *cost_cells(arm["cost"])])
    aside = (
        f"On {_part(result)}, with 95 % intervals over groups of queries that are not independent; "
        "differences are paired over the same queries. A value is the mean over the directions that the "
        "variant has in common with the base: values of variants with other windows stand for other "
        "directions, differences never do."
    )
    return Table("Variants", head, rows, numbers=head[1:4] + list(COSTS), aside=aside)


def measure_of(arm: Arm, measure: str) -> dict[str, Any]:
    """The arm's difference to the base in a measure, or in its only direction; empty for the base."""
    found = arm["differences"]
    return found.get(measure) or (next(iter(found.values())) if len(found) == 1 else {})


def _direction_tables(result: Result) -> list[Table]:
    """Recall@10 of every arm in every direction, with the chance line."""
    names = list(dict.fromkeys(n for arm in result["arms"] for n in arm["figures"]))
    if names == [ERROR]:
        return []
    chances = {n: next(a["chance"][n] for a in result["arms"] if n in a["chance"]) for n in names}
    rows = [[a["name"], *(with_ends(a["figures"].get(n)) for n in names)] for a in result["arms"]]
    rows.append(["chance", *(f"{chances[n]:.3f}" for n in names)])
    aside = "Share of queries whose right answer is among the first ten of the whole gallery."
    return [Table("Recall@10 by direction", ["variant", *names], rows, names, aside)]


def _failures(result: Result) -> list[Table]:
    rows = [[a["name"], seed, reason] for a in result["arms"] for seed, reason in a["failed"].items()]
    rows += [[name, DASH, problem] for name, problem in result.get("problems", {}).items()]
    if not rows:
        return []
    return [Table("Not finished", ["variant", "seed", "reason"], rows, aside="--retry tries these again.")]


def _test_table(test: Result) -> Table:
    table = arms_table(test)
    looks = (
        f"The test part was looked at {test['looks']} time{'s' if test['looks'] > 1 else ''}. {table.aside}"
    )
    return Table("On the test part", table.head, table.rows, table.numbers, looks)


def _pictures(result: Result, name: str) -> list[Picture]:
    measure = headline(result)
    points = [_point(arm, measure) for arm in result["arms"] if arm["cost"] and measure_of(arm, measure)]
    if not points:
        return []
    base = next(a for a in result["arms"] if a["name"] == BASE)
    here = Point(BASE, base["cost"][cost_axis(result)], 0.0, 0.0, 0.0)
    y = f"difference to base in {_named(measure)}"
    less = measure == ERROR
    return [
        Picture(
            f"{name}_differences",
            forest(points, y),
            f"Difference to the base on {_part(result)} with its 95 % interval, over the same queries.",
            wide=True,
        ),
        Picture(
            f"{name}_cost",
            value_against_cost([here, *points], _COST_NAMES[cost_axis(result)], y, less),
            "What a variant gains over the base against what its training costs; the line joins those that "
            "no cheaper one beats.",
            wide=True,
        ),
    ]


_COST_NAMES = {"train_s": "training in seconds", "cpu_s": "processor seconds, reading and judging included"}


def cost_axis(result: Result) -> str:
    """Processor time on processors, where it does not depend on what else ran; else time of training."""
    devices = {a["cost"].get("device") for a in result["arms"] if a["cost"]}
    return "cpu_s" if devices == {"cpu"} else "train_s"


def _point(arm: Arm, measure: str) -> Point:
    found = measure_of(arm, measure)
    cost = arm["cost"]["cpu_s" if arm["cost"]["device"] == "cpu" else "train_s"]
    return Point(arm["name"], cost, found["mean"], found["low"], found["high"])


def _settings(arm: Arm) -> str:
    return ", ".join(f"{'.'.join(k.split('.')[-2:])}={v}" for k, v in arm["settings"].items())


def _named(measure: str) -> str:
    return "mean recall@10" if measure == SHARED else measure


def _part(result: Result) -> str:
    return "validation" if result["part"] == "val" else "the test part"


def summary_lines(result: Result) -> list[Sequence[str]]:
    """Rows for the terminal: variant, value, difference, verdict, time."""
    table = arms_table(result)
    return [[row[0], row[1], row[2], row[4], row[5]] for row in table.rows]
