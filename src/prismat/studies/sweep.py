"""Sweep: settings searched for the best score on validation, within a budget of trials or minutes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prismat.errors import BadInputError
from prismat.files import read_limited, write_json
from prismat.recipes.serial import to_json
from prismat.store import Store
from prismat.studies.ablation import conclude, judge_test
from prismat.studies.runner import Runner
from prismat.studies.search import Search, Tried, propose
from prismat.studies.space import Dimension
from prismat.studies.study import open_study
from prismat.studies.trial import Trial, trial_of
from prismat.studies.variant import BASE, AnyJob, Variant, check_job, composition_variant, with_settings
from prismat.tasks.quickstart import Talk
from prismat.tasks.report import to_plain

_LARGEST = 1 << 26
Entry = dict[str, Any]
"""A proposal as it is kept: ``settings``, and ``problem`` where they make no job."""


@dataclass(frozen=True)
class SweepSettings:
    """How a sweep searches.

    Attributes:
        search: ``grid``, ``random`` or ``tpe`` (extra ``hpo``).
        trials: points of the space; may be raised when the sweep is gone on with.
        minutes: of training, all trials together, after which no round begins; 0 for no limit.
        seeds: trainings of each point.
        round: points proposed at a time. They do not know one another's scores, so that they may be trained
            side by side; it is part of the definition, and the number of processes is not.
        seed: of the search.
        baseline: also train composition alone.
    """

    search: Search = "tpe"
    trials: int = 12
    minutes: float = 0.0
    seeds: int = 1
    round: int = 4
    seed: int = 0
    baseline: bool = True


@dataclass(frozen=True)
class Sweep:
    """A sweep and what its trials share.

    Attributes:
        store: the records.
        folder: of the study.
        base: the job whose settings are searched.
        space: the settings.
        settings: how.
        runner: processes and threads.
    """

    store: Store
    folder: Path
    base: AnyJob
    space: tuple[Dimension, ...]
    settings: SweepSettings = SweepSettings()
    runner: Runner = Runner()

    def run(self, talk: Talk = Talk()) -> dict[str, Any]:
        """Searches, or goes on, and writes the chosen job to ``best/config.json``.

        Returns:
            The result, in JSON types: that of an ablation whose arms are the base, the baseline and the
            points, and ``best``, ``problems`` and ``left`` (points that the budget did not reach).

        Raises:
            MismatchError: the folder holds another study.
            BadInputError: no trial was finished, or a budget below one.
            MissingExtraError: Optuna is wanted and not installed.
        """
        check_job(self.base)
        if self.settings.trials < 1 or self.settings.seeds < 1 or self.settings.round < 1:
            raise BadInputError("a budget below one", field="sweep", remedy="Use 1 or more of everything.")
        study = open_study(self.folder, "sweep", self.definition(), self.runner.threads)
        runner = Runner(self.runner.workers, study.threads, self.runner.retry)
        runner.run(self.store, self.trials(self._fixed()), "val", talk)
        entries = self._entries()
        while True:
            runner.run(self.store, self.trials(self._points(entries)), "val", talk)
            asked = self._asked(entries)
            if not asked:
                break
            entries = [*entries, *asked]
            write_json(self.folder / "proposals.json", entries)
        return self._concluded(entries)

    def definition(self) -> dict[str, Any]:
        """What decides the result; the budget does not, and may be raised."""
        how = self.settings
        search = {"search": how.search, "seeds": how.seeds, "round": how.round, "seed": how.seed}
        return to_plain({"store": self.store.hash, "base": to_json(self.base), "space": self.space, **search})

    def trials(self, variants: Sequence[Variant]) -> list[Trial]:
        """Every variant under every seed."""
        first = self.base.train.seed
        seeds = range(first, first + self.settings.seeds)
        return [trial_of(v, seed, self.folder) for v in variants for seed in seeds]

    def judge_test(self, again: bool, talk: Talk = Talk()) -> dict[str, Any]:
        """Measures the base, the baseline and the chosen job on the test part, once.

        Raises:
            BadInputError: the test part was looked at before, and ``again`` is not given; or nothing
                is chosen.
        """
        path = self.folder / "best" / "choice.json"
        if not path.is_file():
            raise BadInputError(
                "nothing is chosen yet", record=str(self.folder), remedy="Run the sweep first."
            )
        name = json.loads(read_limited(path, _LARGEST))["name"]
        chosen = [v for v in self._points(self._entries()) if v.name == name]
        return judge_test(
            self.store, self.folder, self.trials([*self._fixed(), *chosen]), self.runner, again, talk
        )

    def _fixed(self) -> list[Variant]:
        composition = composition_variant(self.base) if self.settings.baseline else None
        return [Variant(BASE, self.base), *([composition] if composition else [])]

    def _points(self, entries: Sequence[Entry]) -> list[Variant]:
        """The points that make a job."""
        return [
            Variant(f"point {n}", with_settings(self.base, e["settings"], self.store), e["settings"])
            for n, e in enumerate(entries)
            if "problem" not in e
        ]

    def _asked(self, entries: Sequence[Entry]) -> list[Entry]:
        """The next round, as long as the budget lasts; points that make no job are kept with the reason."""
        how, tried = self.settings, self._tried(entries)
        count = min(how.round, how.trials - len(entries))
        if count < 1 or (how.minutes and self._minutes(entries) >= how.minutes):
            return []
        return [self._entry(point) for point in propose(how.search, self.space, tried, count, how.seed)]

    def _entry(self, point: dict[str, str]) -> Entry:
        try:
            with_settings(self.base, point, self.store)
        except BadInputError as error:
            return {"settings": point, "problem": str(error)}
        return {"settings": point}

    def _entries(self) -> list[Entry]:
        path = self.folder / "proposals.json"
        return json.loads(read_limited(path, _LARGEST)) if path.is_file() else []

    def _tried(self, entries: Sequence[Entry]) -> list[Tried]:
        scores = {v.name: self._score(v) for v in self._points(entries)}
        return [Tried(e["settings"], scores.get(f"point {n}")) for n, e in enumerate(entries)]

    def _score(self, variant: Variant) -> float | None:
        """Mean over the seeds; None unless all of them were finished."""
        found = [t.record() for t in self.trials([variant])]
        scores = [r["score"] for r in found if r and r["state"] == "done"]
        return sum(scores) / len(scores) if len(scores) == len(found) else None

    def _minutes(self, entries: Sequence[Entry]) -> float:
        """Of training so far, over all sessions."""
        found = [t.record() for t in self.trials([*self._fixed(), *self._points(entries)])]
        return sum(r["cost"]["train_s"] for r in found if r and r["state"] == "done") / 60

    def _concluded(self, entries: Sequence[Entry]) -> dict[str, Any]:
        points = self._points(entries)
        result = conclude(self.store, self.trials([*self._fixed(), *points]), "val", self.folder)
        more = {
            "search": self.settings.search,
            "space": self.space,
            "best": self._choose(points),
            "problems": {f"point {n}": e["problem"] for n, e in enumerate(entries) if "problem" in e},
            "left": max(0, self.settings.trials - len(entries)),
        }
        return to_plain(result | more)

    def _choose(self, points: Sequence[Variant]) -> dict[str, Any]:
        """The job with the best score, the base among them, written for ``prismat train --job-file``."""
        scored = {v.name: self._score(v) for v in (Variant(BASE, self.base), *points)}
        found = {name: score for name, score in scored.items() if score is not None}
        name = max(found, key=lambda n: found[n])
        chosen = next((p for p in points if p.name == name), Variant(BASE, self.base))
        choice = {"name": name, "score": found[name], "settings": chosen.settings}
        write_json(self.folder / "best" / "config.json", to_json(chosen.job))
        write_json(self.folder / "best" / "choice.json", choice)
        return choice
