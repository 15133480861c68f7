"""Ablation: a base job and what becomes of it when a part is left out or exchanged."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prismat.errors import BadInputError
from prismat.recipes.serial import to_json
from prismat.splits import group_records
from prismat.store import Store
from prismat.studies.compare import Groups, arm_of, describe_arm
from prismat.studies.presets import Preset, variants_over
from prismat.studies.runner import Runner
from prismat.studies.study import look_at_test, looked_at_test, looks_so_far, open_study, threads_of
from prismat.studies.trial import Trial, trial_of
from prismat.studies.variant import (
    BASE,
    AnyJob,
    Variant,
    check_job,
    composition_variant,
    distinct,
    with_settings,
)
from prismat.tasks.quickstart import Talk
from prismat.tasks.report import to_plain
from prismat.training.records import read_records


def arms(
    base: AnyJob, store: Store, over: Sequence[Preset], vary: Sequence[str], baseline: bool = True
) -> list[Variant]:
    """The variants of an ablation: the base first, then the baseline, the presets' and the free ones.

    Args:
        base: the job that all are compared to.
        store: the records.
        over: presets.
        vary: settings, each as ``path=value,value``: one variant per value.
        baseline: whether composition alone stands beside them.

    Raises:
        BadInputError: nothing to vary, no such preset, setting or value.
    """
    check_job(base)
    found = [v for preset in over for v in variants_over(preset, base, store)]
    found += [v for text in vary for v in free_variants(base, text, store)]
    if not found:
        raise BadInputError(
            "nothing is varied", field="over", remedy="Give --over or --vary path=value,value."
        )
    composition = [composition_variant(base)] if baseline else []
    return distinct([Variant(BASE, base), *(c for c in composition if c), *found])


def free_variants(base: AnyJob, text: str, store: Store) -> list[Variant]:
    """One variant per value of ``path=value,value``.

    Raises:
        BadInputError: it is not written so, or there is no such setting or value.
    """
    path, equals, values = text.partition("=")
    if not equals or not path:
        raise BadInputError(f"cannot read {text!r}", field="vary", remedy="Write path=value,value.")
    short = path.removeprefix("job.").removeprefix("recipe.")
    made = [{path: value} for value in values.split(",")]
    return [Variant(f"{short}={s[path]}", with_settings(base, s, store), s) for s in made]


def ablate(
    store: Store,
    folder: Path,
    variants: Sequence[Variant],
    seeds: int,
    runner: Runner,
    talk: Talk = Talk(),
) -> dict[str, Any]:
    """Trains every variant under every seed and compares each to the base on validation.

    A second call goes on where the first stopped; more seeds may then be asked for.

    Args:
        store: the records.
        folder: of the study.
        variants: from ``arms``; the first is the base.
        seeds: number of them, from the base's seed on.
        runner: processes and threads.
        talk: how progress is told.

    Returns:
        The result, in JSON types.

    Raises:
        MismatchError: the folder holds another study.
        BadInputError: no trial of the base was finished.
    """
    definition = {"store": store.hash, "variants": {v.name: to_json(v.job) for v in variants}}
    study = open_study(folder, "ablation", definition, runner.threads)
    runner = Runner(runner.workers, study.threads, runner.retry)
    trials = trials_of(variants, seeds, folder)
    runner.run(store, trials, "val", talk)
    return conclude(store, trials, "val", study.folder)


def trials_of(variants: Sequence[Variant], seeds: int, folder: Path) -> list[Trial]:
    """Every variant under every seed: all variants under the first one, then the next."""
    if seeds < 1:
        raise BadInputError(f"{seeds} seeds", field="seeds", remedy="Use one or more.")
    first = variants[0].job.train.seed
    return [trial_of(v, seed, folder) for seed in range(first, first + seeds) for v in variants]


def judge_test(
    store: Store, folder: Path, trials: Sequence[Trial], runner: Runner, again: bool, talk: Talk = Talk()
) -> dict[str, Any]:
    """Measures finished trials on the test part, which is noted in the study.

    Raises:
        BadInputError: the test part was looked at before, and ``again`` is not given.
    """
    look_at_test(folder, again)
    finished = [t for t in trials if (t.record() or {"state": ""})["state"] == "done"]
    runner = Runner(runner.workers, threads_of(folder, runner.threads), runner.retry)
    runner.run(store, finished, "test", talk)
    looked_at_test(folder)
    return conclude(store, finished, "test", folder) | {"looks": len(looks_so_far(folder))}


def conclude(store: Store, trials: Sequence[Trial], part: str, folder: Path) -> dict[str, Any]:
    """Figures of all variants on one part of the records.

    Raises:
        BadInputError: no trial of the base was finished.
    """
    job = trials[0].job
    by_name: dict[str, list[Trial]] = {}
    for trial in trials:
        by_name.setdefault(trial.name, []).append(trial)
    found = [arm_of(of, part) for of in by_name.values()]
    base = found[0]
    if not base.measured:
        reason = next(r["reason"] for r in base.records if r["state"] != "done")
        raise BadInputError(
            f"no trial of {base.name} was finished: {reason}", record=str(folder), remedy="Mend it and go on."
        )
    groups = record_groups(store, job)
    return to_plain(
        {
            "part": part,
            "source": store.info["job"]["source"],
            "split": base.records[0].get("split", ""),
            "steps": job.train.steps,
            "batch": job.train.batch,
            "arms": [describe_arm(arm, base, groups) for arm in found],
        }
    )


def record_groups(store: Store, job: AnyJob) -> Groups:
    """Groups of a store's records, within which queries are not independent."""
    records = read_records(store)
    return group_records(records.fractions, list(records.keys.values()), job.split.tolerance)
