"""Verbs that make a model: quickstart, train, evaluate."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from prismat.commands.sources import AnySource
from prismat.commands.talk import Run, hits_table, retrieval_table, talking
from prismat.errors import BadInputError
from prismat.modalities.windows import Window
from prismat.recipes.base import Job
from prismat.recipes.crysmmnet import PredictorJob, PredictorName, laptop_predictor, predictor_job
from prismat.recipes.scale import Encoder, at_laptop_scale, with_structure, with_windows
from prismat.recipes.serial import from_json
from prismat.recipes.systems import System, system_job
from prismat.sources.amcsd import AmcsdOptions
from prismat.store import Store
from prismat.tasks import prediction
from prismat.tasks import quickstart as flow
from prismat.training.distributed import join_world, leave_world
from prismat.training.session import Trained, open_prepared

JobOption = Annotated[Job, tyro.conf.AvoidSubcommands]
"""A job as options: what may be one thing or another in it is chosen by a file, not by a subcommand."""

EXAMPLES = (
    "zeolite framework aluminosilicate",
    "high-pressure silicate perovskite",
    "layered copper oxide superconductor",
    "sulfosalt of lead and antimony",
    "garnet solid solution",
)


@dataclass(frozen=True)
class Quickstart:
    """Prepare the embedded data set, train, evaluate, and search: everything once, in minutes.

    Attributes:
        out: receives ``store``, ``run`` and ``index``.
        source: where materials come from.
        job: recipe, length and split.
        workers: processes of the preparation; 0 for one per processor.
        json: print the report as JSON.
    """

    out: Path = Path("runs/quickstart")
    source: Annotated[AnySource, tyro.conf.arg(name="")] = field(default_factory=AmcsdOptions)
    job: JobOption = field(default_factory=Job)
    workers: int = 0
    json: bool = False

    def run(self) -> None:
        """Runs the whole way and prints the figures and five searches."""
        settings = flow.store_settings(self.job.recipe, self.workers)
        with talking() as talk:
            report, engine = flow.quickstart(self.source.open(), self.out, self.job, talk, settings)
        if self.json:
            print(json.dumps(report, indent=2, ensure_ascii=False))
            return
        print(retrieval_table(report))
        print(summary(report))
        for text in EXAMPLES if "text" in self.job.recipe.windows else ():
            print(f"\n“{text}”\n{hits_table(engine.search(text=text, k=3))}")
        print(f"\nReport: {self.out / 'run' / 'report.html'}")
        print(f'Next:   prismat search --run {self.out} --text "your words"   or   --xrd pattern.xy')


def summary(report: dict[str, Any]) -> str:
    """How much the model beats the composition-only baseline by, in words."""
    lines = []
    for direction, baselines in report["differences"].items():
        if "composition" not in baselines:
            continue
        k = 1 if direction == "polymorph" else 10
        mean, low, high = baselines["composition"][f"recall@{k}"]
        lines.append(f"{direction:<18} R@{k:<2} {mean:+.3f}  [{low:+.3f}, {high:+.3f}] over composition only")
    return "\n".join(["", *lines])


@dataclass(frozen=True)
class Train:
    """Train a recipe on a store. Resumes.

    Attributes:
        store: made by ``prismat prepare``.
        out: the run folder.
        recipe: a published system by name, in place of ``--job``'s recipe and training; ``crysmmnet-…``
            predicts a property.
        target: the property that ``crysmmnet-…`` predicts.
        job_file: the ``config.json`` of a run, in place of ``--job``.
        structure: one published structure encoder in place of the recipe's.
        windows: windows in place of the recipe's, read as the store was prepared.
        scale: ``laptop`` for smaller networks and at most five minutes on two cores.
        job: recipe, length and split.
        baselines: also train the composition-only baseline and, with diffraction, that without it.
    """

    store: Path = Path("stores/amcsd")
    out: Path = Path("runs/run")
    recipe: System | PredictorName = "default"
    target: str = ""
    job_file: Path | None = None
    structure: Encoder = "default"
    windows: tuple[Window, ...] = ()
    scale: Literal["recipe", "laptop"] = "recipe"
    job: JobOption = field(default_factory=Job)
    baselines: bool = True

    def run(self) -> None:
        """Trains and says what to run next."""
        store = Store(self.store)
        if predictor := self.predictor(store):
            self.predict(store, predictor)
            return
        job = self.resolved(store)
        prepared = open_prepared(store, job.split)
        world = join_world(job.train.device)
        try:
            with talking(world.is_main) as talk:
                trained = flow.train_recipe(prepared, job, self.out, talk, world)
                if self.baselines:
                    flow.run_baselines(prepared, job, self.out, talk, world)
        finally:
            leave_world(world)
        if world.is_main:
            self.tell(trained)

    def predictor(self, store: Store) -> PredictorJob | None:
        """The job of a property predictor, where one is asked for.

        Raises:
            BadInputError: the target is not in the store, or an option does not go with a predictor.
        """
        if self.job_file is not None and _is_predictor(self.job_file):
            job = from_json(PredictorJob, _content(self.job_file))
            if self.recipe != "default":
                raise BadInputError("a recipe and a job file", field="recipe", remedy="Give one of them.")
        elif self.recipe.startswith("crysmmnet"):
            job = predictor_job(self.recipe, prediction.target_of(store, self.target))
        elif self.target:
            raise BadInputError(
                f"{self.recipe} predicts no property", field="target", remedy="Use --recipe crysmmnet-alignn."
            )
        else:
            return None
        if self.windows or self.structure != "default" or self.job != Job():
            raise BadInputError(
                "--windows, --structure and --job do not go with a predictor of properties",
                field="recipe",
                remedy="Edit a run's config.json and give it as --job-file.",
            )
        if self.target and self.job_file is not None:
            job = replace(job, target=prediction.target_of(store, self.target))
        return laptop_predictor(job) if self.scale == "laptop" else job

    def predict(self, store: Store, job: PredictorJob) -> None:
        """Trains a predictor and says how far it is off on validation."""
        prepared = open_prepared(store, job.split)
        world = join_world(job.train.device)
        try:
            with talking(world.is_main) as talk:
                trained = prediction.train_with_baseline(prepared, job, self.out, talk, world, self.baselines)
        finally:
            leave_world(world)
        if not world.is_main:
            return
        left_out = sum(prediction.label(prepared, job.target).left_out.values())
        if left_out:
            print(f"{left_out:,} records without {job.target.name} or without a structure are left out")
        for one in trained.values():
            named = f"{one.predictor.recipe.name}, val MAE"
            print(f"{named:<40}{one.validation['mae']:.4f} {one.predictor.target.unit}")
        outcome = trained["main"].outcome
        print(f"best at step {outcome.best_step}, {outcome.seconds:.0f} s → {self.out / 'model'}")
        print(f"Next: prismat evaluate --store {self.store} --run {self.out}")

    def tell(self, trained: Trained) -> None:
        """Says what came out and what to run next."""
        outcome = trained.outcome
        for direction, value in sorted(trained.validation.items()):
            print(f"val {direction:<36}{value:.3f}")
        print(f"best at step {outcome.best_step}, {outcome.seconds:.0f} s → {self.out / 'model'}")
        print(f"Next: prismat evaluate --store {self.store} --run {self.out}")

    def resolved(self, store: Store) -> Job:
        """The job that the short options ask for."""
        job = self.started()
        if self.windows:
            job = replace(job, recipe=with_windows(job.recipe, self.windows, store))
        job = replace(job, recipe=with_structure(job.recipe, self.structure))
        return at_laptop_scale(job, not self.windows) if self.scale == "laptop" else job

    def started(self) -> Job:
        """The job before the short options: of a system, of a file, or of ``--job``.

        Raises:
            BadInputError: two of them are asked for.
        """
        given = [self.recipe != "default", self.job_file is not None, self.job != Job()]
        if sum(given) > 1:
            raise BadInputError(
                "several recipes are given",
                field="recipe",
                remedy="Give one of --recipe, --job-file and --job; a run's config.json can be edited.",
            )
        if self.job_file is not None:
            return read_job(self.job_file)
        return system_job(self.recipe) if self.recipe != "default" else self.job


def read_job(path: Path) -> Job:
    """The job of a config.json.

    Raises:
        BadInputError: the file is absent or no job.
    """
    return from_json(Job, _content(path))


def _content(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"{path} cannot be read ({error})", field="job", remedy="Give the config.json of a run."
        ) from error


def _is_predictor(path: Path) -> bool:
    """Whether a config.json is that of a property predictor: it alone has a target."""
    content = _content(path)
    return isinstance(content, dict) and "target" in content


@dataclass(frozen=True)
class Evaluate:
    """Measure a finished run on its test rows and write report.json and, of a search, report.html.

    Attributes:
        store: the store it was trained on.
        run_folder: the run folder of ``prismat train``.
        json: print the report as JSON.
    """

    store: Path = Path("stores/amcsd")
    run_folder: Run = Path("runs/run")
    json: bool = False

    def run(self) -> None:
        """Evaluates; trainings that were interrupted are finished first."""
        path = self.run_folder / "config.json"
        if not path.is_file():
            raise BadInputError(f"no run in {self.run_folder}", remedy="Run 'prismat train' first.")
        if _is_predictor(path):
            self.predictor(from_json(PredictorJob, _content(path)))
            return
        job = read_job(path)
        prepared = open_prepared(Store(self.store), job.split)
        with talking() as talk:
            main = flow.train_recipe(prepared, job, self.run_folder, talk)
            baselines = flow.run_baselines(prepared, job, self.run_folder, talk)
        report = flow.evaluate_and_report(prepared, job, main, baselines, self.run_folder)
        if self.json:
            print(json.dumps(report, indent=2, ensure_ascii=False))
            return
        print(retrieval_table(report))
        print(summary(report))
        print(f"\nReport: {self.run_folder / 'report.html'}")
        print(f"Next: prismat index --store {self.store} --run {self.run_folder}")

    def predictor(self, job: PredictorJob) -> None:
        """Evaluates a predictor of a property."""
        prepared = open_prepared(Store(self.store), job.split)
        with talking() as talk:
            trained = prediction.train_with_baseline(prepared, job, self.run_folder, talk)
        report = prediction.evaluate_predictor(prepared, job, trained, self.run_folder)
        if self.json:
            print(json.dumps(report, indent=2, ensure_ascii=False))
            return
        print(prediction.metrics_table(report))
        print(f"\nReport: {self.run_folder / 'report.json'}")
