"""Figures of any finished runs, tasks and studies in one list: on which split, how sure, at what cost."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prismat.errors import BadInputError
from prismat.files import read_limited
from prismat.page.words import is_number
from prismat.splits import Split
from prismat.studies.measure import ERROR
from prismat.tasks.opened import run_folder

_LARGEST = 1 << 28
_DEEPEST = 8
RETRIEVAL, PREDICTION, VALIDATION = "retrieval", "prediction", "validation"
MODEL = "model"
"""The system of a run itself; its baselines have names of their own."""


@dataclass(frozen=True)
class Figure:
    """One number of one run.

    Attributes:
        run: folder of the run, or study and variant.
        system: ``model``, or the name of a baseline.
        task: ``retrieval``, ``prediction of …``, ``validation``, or a task's name.
        part: ``test`` or ``val``; empty where a task does not tell.
        measure: such as ``text->structure/recall@10``.
        value: the figure.
        low, high: ends of its 95 % interval; None where there is none.
        split: hash of the division; empty where it is not known.
        cost: any of ``train_s``, ``device_hours``, ``peak_rss_mb``, ``parameters``.
    """

    run: str
    system: str
    task: str
    part: str
    measure: str
    value: float
    low: float | None = None
    high: float | None = None
    split: str = ""
    cost: dict[str, Any] = field(default_factory=dict)


def collect(folder: Path) -> list[Figure]:
    """Every figure that a run, a quickstart or a study has left behind.

    Args:
        folder: with ``study.json``, or of a run with ``report.json``, ``metrics.jsonl`` or ``tasks``.

    Raises:
        BadInputError: nothing of it is there, or a file cannot be read.
    """
    folder = Path(folder)
    if (folder / "study.json").is_file():
        return list(_study(folder))
    run = run_folder(folder)
    split = _split_of(run)
    found: list[Figure] = []
    if (run / "report.json").is_file():
        found += _report(run, folder.name, split)
    elif (run / "metrics.jsonl").is_file():
        found += _validation(run, folder.name, split)
    cost = next((f.cost for f in found if f.system == MODEL), {})
    for place in dict.fromkeys([folder / "tasks", run / "tasks"]):
        for path in sorted(place.glob("*/*.json")):
            found += _task(folder.name, path, split, cost)
    if not found:
        raise BadInputError(
            "no figures there",
            record=str(folder),
            remedy="Give a run folder of 'prismat train', a quickstart folder or a study.",
        )
    return found


def _read(path: Path) -> Any:
    try:
        return json.loads(read_limited(path, _LARGEST))
    except ValueError as error:
        raise BadInputError(f"{path} is no JSON ({error})", remedy="Make it again.") from error


def _split_of(run: Path) -> str:
    path = run / "split.json"
    return Split.from_json(read_limited(path, _LARGEST).decode()).hash if path.is_file() else ""


def _seconds(run: Path) -> dict[str, Any]:
    """Time of training as the checkpoint has it; nothing where there is none."""
    path = run / "checkpoint" / "progress.json"
    seconds = _read(path).get("seconds") if path.is_file() else None
    return {"train_s": seconds} if is_number(seconds) else {}


def _report(run: Path, name: str, split: str) -> Iterator[Figure]:
    """Of ``prismat evaluate``: retrieval, or prediction of a property."""
    report = _read(run / "report.json")
    cost = dict(report.get("cost", {}))
    own = report.get("split") or report.get("dataset", {}).get("split") or {}
    split = own.get("hash", split)
    if "metrics" in report:
        task = f"{PREDICTION} of {report['target']['name']}"
        systems = {MODEL: report["metrics"], **report.get("baselines", {})}
    else:
        task = RETRIEVAL
        systems = {MODEL: {**report.get("retrieval", {}), **report.get("apart", {})}}
        systems |= report.get("baselines", {})
    for system, values in systems.items():
        paid = cost if system == MODEL else _seconds(run / "baselines" / system.replace(" ", "_"))
        for measure, (value, low, high) in figures_in(values):
            yield Figure(name, system, task, "test", measure, value, low, high, split, paid)


def _validation(run: Path, name: str, split: str) -> Iterator[Figure]:
    """The best validation of a run that was not evaluated; a single number has no interval."""
    lines = read_limited(run / "metrics.jsonl", _LARGEST).decode().splitlines()
    entries = [e for e in map(json.loads, lines) if "val/score" in e]
    if not entries:
        return
    best = max(entries, key=lambda e: e["val/score"])
    for measure, value in best.items():
        if measure.startswith("val/") and is_number(value):
            short = measure.removeprefix("val/")
            yield Figure(name, MODEL, VALIDATION, "val", short, float(value), split=split, cost=_seconds(run))


def _task(name: str, path: Path, split: str, cost: Mapping[str, Any]) -> Iterator[Figure]:
    """Of any task: every number that comes with an interval."""
    payload = _read(path)
    if not isinstance(payload, Mapping):
        return
    own = payload.get("split")
    own = own.get("hash", split) if isinstance(own, Mapping) else own
    part = payload.get("part", "")
    for measure, (value, low, high) in figures_in(payload):
        paid = {**cost, **(payload["cost"] if isinstance(payload.get("cost"), Mapping) else {})}
        yield Figure(
            name,
            MODEL,
            path.stem,
            str(part),
            measure,
            value,
            low,
            high,
            own if isinstance(own, str) else split,
            paid,
        )


def _study(folder: Path) -> Iterator[Figure]:
    """Every variant of a study, on validation and, where it was judged, on the test part."""
    kind = _read(folder / "study.json")["kind"]
    path = folder / f"{kind}.json"
    if not path.is_file():
        raise BadInputError(
            "the study is not finished",
            record=str(folder),
            remedy="Give the same command once more; it goes on.",
        )
    result = _read(path)
    for found in (result, result.get("test")):
        for arm in found["arms"] if found else ():
            name = f"{folder.name}: {arm['name']}"
            shown = {m if m == ERROR else f"{m}/recall@10": v for m, v in arm["figures"].items()}
            for measure, (value, low, high) in shown.items():
                yield Figure(
                    name, MODEL, kind, found["part"], measure, value, low, high, found["split"], arm["cost"]
                )


Ends = tuple[float, float | None, float | None]


def figures_in(payload: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Ends]]:
    """Numbers with a 95 % interval in JSON, by path; paired differences are left out.

    Known forms: ``[value, low, high]``; an object with ``low`` and ``high`` beside ``value`` or ``mean``; an
    object of numbers with ``ci95`` {name: [low, high]}.
    """
    if depth > _DEEPEST or "difference" in path:
        return
    if isinstance(payload, list):
        if len(payload) == 3 and _is_interval(*payload):
            yield path, (float(payload[0]), float(payload[1]), float(payload[2]))
        return
    if not isinstance(payload, Mapping):
        return
    value = payload.get("value", payload.get("mean"))
    if _is_interval(value, payload.get("low"), payload.get("high")):
        yield path, (float(value), float(payload["low"]), float(payload["high"]))
        return
    ends = payload.get("ci95")
    if isinstance(ends, Mapping):
        for name, pair in ends.items():
            if is_number(payload.get(name)) and isinstance(pair, list) and len(pair) == 2:
                yield f"{path}/{name}".strip("/"), (float(payload[name]), _end(pair[0]), _end(pair[1]))
        return
    for name, inside in payload.items():
        yield from figures_in(inside, f"{path}/{name}".strip("/"), depth + 1)


def _end(value: object) -> float | None:
    return float(value) if is_number(value) else None


def _is_interval(value: object, low: object, high: object) -> bool:
    """Whether three numbers can be a value between the ends of its interval."""
    if not (is_number(value) and is_number(low) and is_number(high)):
        return False
    return low <= value <= high and any(isinstance(v, float) for v in (value, low, high))
