"""Designs from folders to pages: open, embed, score, rank, write; and the same for their judgement."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from prismat.errors import BadInputError
from prismat.modalities.properties import PropertySpec
from prismat.search.filters import Filter
from prismat.store import Store
from prismat.tasks.design.candidates import Candidates, PartName, candidates
from prismat.tasks.design.estimate import estimate_with
from prismat.tasks.design.judgement_pages import spectra_page, trials_page
from prismat.tasks.design.pages import Design, design_page, verified_table
from prismat.tasks.design.screen import screen
from prismat.tasks.design.spectra import DosWindow, evaluate_spectra
from prismat.tasks.design.target import Sources, Target, score
from prismat.tasks.design.trials import (
    TrialConfig,
    draw_trials,
    joint_scores,
    judge_trials,
    neighbour_scores,
    predicted_scores,
)
from prismat.tasks.design.verify import VerifyConfig, verify
from prismat.tasks.opened import Opened, open_beside, open_run
from prismat.tasks.result import write_result


@dataclass(frozen=True, eq=False)
class Screening:
    """A target and how it is screened for.

    Attributes:
        target: what is wanted.
        conditions: hard, on known facts.
        part: of the stores' divisions.
        k: results wanted.
        predictors: folders of heads or predictors, whose values are used in mode ``predicted``.
    """

    target: Target
    conditions: Filter = field(default_factory=Filter)
    part: PartName = "all"
    k: int = 20
    predictors: Sequence[Path] = ()


def run_design(
    run: Path, stores: Sequence[Store], screening: Screening, folder: Path, reference: Store | None = None
) -> tuple[Design, Path]:
    """Screens stores for a target and writes ``design.json``, its page and picture.

    Args:
        run: a run, a quickstart folder or a model.
        stores: whose records are candidates.
        screening: what is wanted.
        folder: of the result.
        reference: a store that predictions are learnt from; the first of ``stores`` where left out.

    Returns:
        The design, and the path of the page.

    Raises:
        BadInputError: nothing to be found, or a part that the model or the stores cannot answer.
    """
    opened = [open_run(run, store) for store in stores]
    pool = candidates(opened, screening.part)
    taught = open_run(run, reference) if reference else None
    estimates = {}
    for path in screening.predictors:
        name, unit, found = estimate_with(path, pool)
        estimates[name] = (unit, found)
    design = make_design(screening, pool, Sources(taught, estimates))
    return design, write_result(folder, "design", design.to_dict(), design_page(design))


def verify_design(
    design: Design, folder: Path, config: VerifyConfig, told: Callable[[int, int], None] | None = None
) -> tuple[dict[str, Any], Path]:
    """Computes the first small crystals of a design for a DOS and writes the result anew with them.

    Args:
        design: made for a target with a ``dos``.
        folder: of the result; calculations go into ``verified`` inside it.
        config: how many, and which.
        told: called with finished and all calculations.

    Returns:
        What ``verify`` found, and the path of the page.
    """
    order = design.screened.order
    found = verify(design.pool, order, design.target.dos["dos"], folder / "verified", config, told)
    page = design_page(design)
    page = replace(page, tables=[*page.tables, verified_table(found)])
    return found, write_result(folder, "design", {**design.to_dict(), "verified": found}, page)


def make_design(screening: Screening, pool: Candidates, sources: Sources | None = None) -> Design:
    """Scores and ranks candidates.

    Args:
        screening: what is wanted.
        pool: the candidates.
        sources: of predicted values; the candidates' own store where None.
    """
    parts = score(screening.target, pool, sources or Sources())
    weights = screening.target.weight_list()
    ranked = screen(parts, weights, pool.passing(screening.conditions), screening.k)
    truths = {}
    for want, part in zip(screening.target.wants, parts, strict=False):
        try:
            truths[want.name] = pool.values(pool.spec(want.name))
        except BadInputError:
            # Candidates of a store without this property: nothing to show beside the prediction.
            continue
        if part.unit:
            truths[want.name] = _in_unit(pool, want.name, part.unit)
    return Design(screening.target, pool, parts, ranked, screening.k, truths)


def judge_numbers(
    run: Path,
    store: Store,
    config: TrialConfig,
    folder: Path,
    others: tuple[Path | None, PartName] = (None, "test"),
) -> tuple[dict[str, Any], Path]:
    """Random ranges on held-out records, and the page ``design_trials.html``.

    Args:
        run: the model.
        store: its records; the training part is learnt from, the other part is pool and truth.
        config: how targets are drawn.
        folder: of the result.
        others: a run that reads compositions alone, or None, and the part.
    """
    baseline, part = others
    opened = open_run(run, store)
    pool = candidates([opened], part, fresh=True)
    composition = candidates([open_beside(baseline, opened)], part, fresh=True) if baseline else None
    found = judge_pool(pool, config, composition)
    name = " and ".join(config.properties)
    page = write_result(folder, "design_trials", found, trials_page({name: found}))
    return found, page


def judge_pool(
    pool: Candidates, config: TrialConfig, composition: Candidates | None = None
) -> dict[str, Any]:
    """All systems on random targets of one set of properties.

    Args:
        pool: held-out candidates.
        config: how targets are drawn.
        composition: the same candidates under a model of compositions.
    """
    trials, kept = draw_trials(pool, config)
    scores = {"predicted": predicted_scores(pool, kept, trials)}
    if _embeds(pool, config):
        scores["joint"] = joint_scores(pool, kept, trials)
    scores["predicted from composition"] = predicted_scores(pool, kept, trials, formula=True)
    if composition is not None and _embeds(composition, config):
        scores["joint, composition model"] = joint_scores(composition, kept, trials)
    scores["nearest composition"] = neighbour_scores(pool, kept, trials)
    return judge_trials(trials, scores, pool.groups[kept], config.k)


def _embeds(pool: Candidates, config: TrialConfig) -> bool:
    """Whether the model has a property window with all properties."""
    recipe = pool.prismat.recipe
    known = {s.name for s in recipe.measured.properties.properties}
    return "properties" in recipe.windows and set(config.properties) <= known


def _in_unit(pool: Candidates, name: str, unit: str) -> np.ndarray:
    """Known values of a property in another unit."""
    return pool.values(PropertySpec(name, unit))


def judge_dos(
    run: Path,
    store: Store,
    window: DosWindow,
    folder: Path,
    others: tuple[Path | None, int, PartName] = (None, 10, "test"),
) -> tuple[dict[str, Any], Path]:
    """Held-out densities of states as targets, and the page ``design_dos.html``.

    Args:
        run: the model.
        store: its records.
        window: whose DOS are targets.
        folder: of the result.
        others: a run that reads compositions alone, or None; how many of the first are looked at; the part.
    """
    baseline, k, part = others
    opened = open_run(run, store)
    other: Opened | None = open_beside(baseline, opened) if baseline else None
    found, spectra, first = evaluate_spectra(opened, window, other, k, part)
    formulas = [opened.records.table["formula"][row] for row in spectra.rows]
    page = spectra_page(found, spectra, first, formulas)
    return found, write_result(folder, "design_dos", found, page)
