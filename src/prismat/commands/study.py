"""Verbs that compare trainings: ablate, sweep, report."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from prismat.commands.build import Train
from prismat.commands.talk import plain_table, talking
from prismat.modalities.windows import Window
from prismat.recipes.crysmmnet import PredictorName
from prismat.recipes.scale import Encoder
from prismat.recipes.systems import System
from prismat.store import Store
from prismat.studies.ablation import ablate, arms, judge_test, trials_of
from prismat.studies.comparison import compare_runs
from prismat.studies.pages import ablation_lede, ablation_page, summary_lines, sweep_lede, sweep_page
from prismat.studies.presets import Preset
from prismat.studies.runner import Runner
from prismat.studies.space import P12, parse_space
from prismat.studies.study import figures_of_test, threads_each
from prismat.studies.sweep import Sweep, SweepSettings
from prismat.studies.variant import AnyJob
from prismat.tasks.result import write_result

Repeated = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
"""An option that may be given several times."""


@dataclass(frozen=True)
class BaseOptions:
    """The job that all trials of a study start from.

    Attributes:
        recipe: a published system by name; ``crysmmnet-…`` predicts a property.
        target: the property that ``crysmmnet-…`` predicts.
        job_file: the ``config.json`` of a run, in place of a recipe.
        structure: one published structure encoder in place of the recipe's.
        windows: windows in place of the recipe's.
        scale: of a recipe by name: ``laptop`` for smaller networks; a job file is taken as it is.
        steps: of every trial; those of the recipe where 0.
        batch: records per step; those of the recipe where 0.
        first_seed: of weights, batches and views.
    """

    recipe: System | PredictorName = "default"
    target: str = ""
    job_file: Path | None = None
    structure: Encoder = "default"
    windows: tuple[Window, ...] = ()
    scale: Literal["recipe", "laptop"] = "laptop"
    steps: int = 0
    batch: int = 0
    first_seed: int = 0

    def job(self, store: Store) -> AnyJob:
        """As ``prismat train`` would make it, with the length of a study's trials."""
        train = Train(
            recipe=self.recipe,
            target=self.target,
            job_file=self.job_file,
            structure=self.structure,
            windows=self.windows,
            scale="recipe" if self.job_file else self.scale,
        )
        job: AnyJob = train.predictor(store) or train.resolved(store)
        steps, batch = self.steps or job.train.steps, self.batch or job.train.batch
        every = max(1, steps // 2) if self.steps else job.train.evaluate_every
        made = replace(job.train, steps=steps, batch=batch, evaluate_every=every, seed=self.first_seed)
        return replace(job, train=made)


@dataclass(frozen=True)
class RunOptions:
    """How the trials of a study are run.

    Attributes:
        workers: trials at a time, each in a process of its own.
        threads: of each trial; all cores shared among the workers where 0. A study keeps what it began with.
        retry: try trials again that failed before.
    """

    workers: int = 1
    threads: int = 0
    retry: bool = False

    def runner(self) -> Runner:
        """As the studies take it."""
        return Runner(self.workers, self.threads or threads_each(self.workers), self.retry)


@dataclass(frozen=True)
class Ablate:
    """Train a recipe with and without its parts and compare each to the whole on validation. Resumes.

    Attributes:
        store: made by ``prismat prepare``.
        out: folder of the study.
        base: the job that all variants are compared to.
        over: what is left out or exchanged: windows, growth, parts, objective, weights, views, texts, heads.
        vary: further variants, each as ``path=value,value``, such as
            ``recipe.projection.dim=128,512``; may be given several times.
        seeds: trainings of each variant.
        baseline: also train composition alone.
        runs: how trials are run.
        test: judge the test part at the end, once; it is noted in the study.
        again: look at the test part once more, which is counted.
        json: print the result as JSON.
    """

    store: Path = Path("stores/amcsd")
    out: Path = Path("runs/ablation")
    base: Annotated[BaseOptions, tyro.conf.arg(name="")] = field(default_factory=BaseOptions)
    over: tuple[Preset, ...] = ()
    vary: Repeated = ()
    seeds: int = 2
    baseline: bool = True
    runs: Annotated[RunOptions, tyro.conf.arg(name="")] = field(default_factory=RunOptions)
    test: bool = False
    again: bool = False
    json: bool = False

    def run(self) -> None:
        """Trains, compares, writes the page and says what to run next."""
        store = Store(self.store)
        variants = arms(self.base.job(store), store, self.over, self.vary, self.baseline)
        with talking() as talk:
            result = ablate(store, self.out, variants, self.seeds, self.runs.runner(), talk)
            if self.test:
                trials = trials_of(variants, self.seeds, self.out)
                result["test"] = judge_test(store, self.out, trials, self.runs.runner(), self.again, talk)
        result = figures_of_test(self.out, "ablation") | result
        write_result(self.out, "ablation", result, ablation_page(result))
        if self.json:
            print(json.dumps(result, indent=2, ensure_ascii=False))
            return
        _tell(result, self.out / "ablation.html", ablation_lede(result))
        print(f"Next: prismat report {self.out}")


@dataclass(frozen=True)
class SweepCommand:
    """Search settings of a recipe for the best score on validation. Resumes.

    Attributes:
        store: made by ``prismat prepare``.
        out: folder of the study; the chosen job is ``OUT/best/config.json``.
        base: the job whose settings are searched.
        space: settings to search, each as ``path=a,b,c``, ``path=low:high`` or ``path=low:high:log``, or
            ``p12`` for the tri-modal proposal's, which is meant where none is given; repeatable.
        settings: how: grid, random or TPE (extra ``hpo``), and the budget.
        runs: how trials are run.
        test: judge the base and the chosen job on the test part at the end, once; it is noted in the study.
        again: look at the test part once more, which is counted.
        json: print the result as JSON.
    """

    store: Path = Path("stores/amcsd")
    out: Path = Path("runs/sweep")
    base: Annotated[BaseOptions, tyro.conf.arg(name="")] = field(default_factory=BaseOptions)
    space: Repeated = ()
    settings: Annotated[SweepSettings, tyro.conf.arg(name="")] = SweepSettings()
    runs: Annotated[RunOptions, tyro.conf.arg(name="")] = field(default_factory=RunOptions)
    test: bool = False
    again: bool = False
    json: bool = False

    def run(self) -> None:
        """Searches, writes the page and the chosen job, and says what to run next."""
        store = Store(self.store)
        base = self.base.job(store)
        space = parse_space(self.space or (P12,), base, store)
        sweep = Sweep(store, self.out, base, space, self.settings, self.runs.runner())
        with talking() as talk:
            result = sweep.run(talk)
            if self.test:
                result["test"] = sweep.judge_test(self.again, talk)
        result = figures_of_test(self.out, "sweep") | result
        write_result(self.out, "sweep", result, sweep_page(result))
        if self.json:
            print(json.dumps(result, indent=2, ensure_ascii=False))
            return
        _tell(result, self.out / "sweep.html", sweep_lede(result))
        print(f"Next: prismat train --store {self.store} --job-file {self.out / 'best' / 'config.json'}")


@dataclass(frozen=True)
class Report:
    """Collect the figures of runs, tasks and studies into one table and one plot of score against cost.

    Attributes:
        runs: folders of runs, quickstarts and studies.
        out: receives comparison.json, .md, .csv, .html and .svg.
        measures: patterns of the measures in the table, such as ``*recall@10``.
        score: measure of the plot; the one that most runs have where left out.
        cost: what it is held against: train_s, device_hours, peak_rss_mb, parameters or cpu_s.
        json: print the figures as JSON.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    out: Path = Path("runs/report")
    measures: tuple[str, ...] = ()
    score: str = ""
    cost: str = "train_s"
    json: bool = False

    def run(self) -> None:
        """Collects, writes and says what cannot be compared."""
        result = compare_runs(self.runs, self.out, self.measures, self.score, self.cost)
        if self.json:
            print(json.dumps(result, indent=2, ensure_ascii=False))
            return
        print((self.out / "comparison.md").read_text(encoding="utf-8"))
        for folder, reason in result["skipped"].items():
            print(f"left out {folder}: {reason}")
        if len(result["splits"]) > 1:
            print(f"{len(result['splits'])} different splits: compare figures only within one table.")
        print(f"{len(result['figures'])} figures → {self.out / 'comparison.html'}, .csv, .json, .md")
        print("Next: prismat evaluate --run RUN gives a run that has no test figures its own")


def _tell(result: dict, page: Path, lede: str) -> None:
    """The table and the answer, for the terminal."""
    print(
        plain_table(("variant", "value", "difference to base", "verdict", "training"), summary_lines(result))
    )
    print(f"\n{lede}\nPage: {page}")
