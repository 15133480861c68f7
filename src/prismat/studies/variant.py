"""One arm of a study: a job that differs from the base in named settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from prismat.errors import BadInputError
from prismat.files import digest
from prismat.recipes.base import Job
from prismat.recipes.build import recipe_objective
from prismat.recipes.crysmmnet import PredictorJob, composition_baseline
from prismat.recipes.scale import with_windows
from prismat.recipes.serial import to_json
from prismat.store import Store
from prismat.studies.paths import changed
from prismat.tasks.quickstart import baseline_jobs

AnyJob = Job | PredictorJob
"""A training of a joint space, or of a predictor of one property."""
BASE, COMPOSITION = "base", "composition only"
"""Names of the base job and of the baseline that knows no structure."""


@dataclass(frozen=True)
class Variant:
    """A job under a name.

    Attributes:
        name: shown in tables.
        job: what is trained; its seed is that of the trial.
        settings: value as text by path, where the job is the base with these settings changed.
    """

    name: str
    job: AnyJob
    settings: dict[str, str] = field(default_factory=dict)


def with_settings(job: AnyJob, settings: Mapping[str, str], store: Store) -> AnyJob:
    """The job with some settings changed; other windows bring the loss and the grids that fit them.

    Raises:
        BadInputError: no such setting, a value it cannot take, or a loss that does not fit the windows.
    """
    made = job
    for path, text in settings.items():
        made = changed(made, path, text)
        if path.removeprefix("job.") == "recipe.windows" and isinstance(made, Job):
            made = on_windows(replace(made, recipe=job.recipe), made.recipe.windows, store)
    check_job(made)
    return made


def on_windows(job: Job, windows: tuple, store: Store) -> Job:
    """The job on other windows; a loss over triples becomes one over pairs where two are left."""
    recipe = with_windows(job.recipe, windows, store)
    if recipe.objective.kind == "tensor_clip" and len(windows) == 2:
        recipe = replace(recipe, objective=replace(recipe.objective, kind="infonce"))
    return replace(job, recipe=recipe)


def check_job(job: AnyJob) -> None:
    """Refuses before any training what could not be trained.

    Raises:
        BadInputError: the loss does not fit the windows or heads, or a length is not positive.
    """
    if isinstance(job, Job):
        recipe_objective(job.recipe)
    lengths = {"steps": job.train.steps, "batch": job.train.batch, "evaluate_every": job.train.evaluate_every}
    for name, value in lengths.items():
        if value < 1:
            raise BadInputError(f"{value} is not positive", field=f"train.{name}", remedy="Give 1 or more.")


def composition_variant(job: AnyJob) -> Variant | None:
    """The same training with composition in place of the crystal; None where there is no structure."""
    if isinstance(job, PredictorJob):
        return Variant(COMPOSITION, composition_baseline(job))
    found = baseline_jobs(job).get("composition")
    if found is None or found.recipe.encoders.structure == job.recipe.encoders.structure:
        return None
    return Variant(COMPOSITION, found)


def seeded(job: AnyJob, seed: int) -> AnyJob:
    """The job under another seed of weights, batches and views; the division of the records stays."""
    return replace(job, train=replace(job.train, seed=seed))


def distinct(variants: list[Variant]) -> list[Variant]:
    """Variants without those that train the same job under another name; the first of each stays."""
    kept: dict[str, Variant] = {}
    for variant in variants:
        kept.setdefault(digest(_unnamed(variant.job)), variant)
    return list(kept.values())


def _unnamed(job: AnyJob) -> dict:
    plain = to_json(job)
    plain["recipe"]["name"] = ""
    return plain
