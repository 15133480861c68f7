"""How far the densities of states of screened crystals are from the one that was wanted."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError
from prismat.tasks.bootstrap import bootstrap_means, interval, paired_difference
from prismat.tasks.embedding import embed_rows
from prismat.tasks.opened import Opened

DosWindow = Literal["dos", "phonon_dos"]
RESAMPLES = 5_000


def dos_error(
    target: Float[np.ndarray, " bins"], others: Float[np.ndarray, "n bins"]
) -> Float[np.ndarray, " n"]:
    """Share of the states that lie at other energies: ½ Σ |a − b| of two DOS, each normalised to 1.

    0 for the same shape, 1 for no energy in common. Bins that either of the two does not know (NaN) are left
    out before they are normalised; NaN where nothing is left.

    Args:
        target: states per bin.
        others: on the same bins.
    """
    known = np.isfinite(others) & np.isfinite(target)
    a, b = np.where(known, np.nan_to_num(target), 0.0), np.where(known, np.nan_to_num(others), 0.0)
    sums = np.stack([a.sum(1), b.sum(1)])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(
            (sums > 0).all(0), 0.5 * np.abs(a / sums[0][:, None] - b / sums[1][:, None]).sum(1), np.nan
        )


@dataclass(frozen=True, eq=False)
class Spectra:
    """Held-out records with a density of states.

    Attributes:
        rows: of the store.
        density: on the grid of the model, NaN where not known, shape (records, bins).
        centers: middles of the bins, eV or cm⁻¹.
        errors: DOS error of every two of them, shape (records, records).
    """

    rows: Int[np.ndarray, " records"]
    density: Float[np.ndarray, "records bins"]
    centers: Float[np.ndarray, " bins"]
    errors: Float[np.ndarray, "records records"]


def read_spectra(opened: Opened, window: DosWindow, rows: Int[np.ndarray, " n"]) -> Spectra:
    """Densities of states of those rows that have one and a structure.

    Raises:
        BadInputError: fewer than three, a model without the window, or one that reads native energies.
    """
    settings = getattr(opened.prismat.recipe.measured, window)
    if window not in opened.prismat.recipe.windows or settings.resample != "grid":
        raise BadInputError(
            f"this model reads no {window} on a grid",
            field="window",
            remedy=f"It has {', '.join(opened.prismat.recipe.windows)}.",
        )
    column = f"{window}.density"
    taken = opened.prepared.store.take(rows, [column])[column]
    there = (taken.lengths == settings.points) & opened.records.fractions[rows].any(axis=1)
    if there.sum() < 3:
        raise BadInputError(
            f"{there.sum()} of {len(rows)} records have a {window}",
            field="store",
            remedy="Give another store.",
        )
    density = taken.values.reshape(-1, settings.points)[there[taken.lengths > 0]].astype(np.float64)
    errors = np.stack([dos_error(one, density) for one in density])
    return Spectra(rows[there], density, settings.centers, errors)


def evaluate_spectra(
    opened: Opened, window: DosWindow, baseline: Opened | None = None, k: int = 10, part: str = "test"
) -> tuple[dict[str, Any], Spectra, Int[np.ndarray, "queries k"]]:
    """Every held-out DOS as a target: the DOS error of the crystals that come first, with baselines.

    The target's own crystal and its duplicates are taken out of the pool: what is measured is whether other
    crystals have the DOS that was asked for. ``nearest composition`` takes the crystals whose formulas are
    nearest to that of the target's crystal, which a designer does not know: it is given more than the others.
    ``best possible`` is the least error that the pool holds.

    Args:
        opened: the model on a store.
        window: whose DOS are targets.
        baseline: another model on the same store, such as one that reads compositions alone.
        k: how many of the first are looked at.
        part: of the store's division.

    Returns:
        Figures by system; the spectra; the first k rows of ``spectra`` for every target.

    Raises:
        BadInputError: as ``read_spectra``.
    """
    spectra = read_spectra(opened, window, np.sort(opened.rows[part]))
    same = opened.records.structure_label[spectra.rows]
    allowed = same[:, None] != same[None]
    k = min(k, int(allowed.sum(1).min()))
    if k < 1:
        raise BadInputError("all records are duplicates", field="store", remedy="Give another store.")
    fractions = opened.records.fractions[spectra.rows]
    scores = {"model": _scores(opened, window, spectra.rows)}
    if baseline is not None:
        scores["model on compositions"] = _scores(baseline, window, spectra.rows)
    scores["nearest composition"] = -np.abs(fractions[:, None] - fractions[None]).sum(-1)
    scores["best possible"] = -np.nan_to_num(spectra.errors, nan=2.0)
    firsts = {name: _first(s, allowed, k) for name, s in scores.items()}
    columns = {name: _errors(spectra, first) for name, first in firsts.items()}
    chance = np.nanmean(np.where(allowed, spectra.errors, np.nan), axis=1)
    columns["random"] = np.stack([chance, chance], axis=1)
    groups = opened.groups[spectra.rows]
    found = {name: _figures(values, columns["model"], groups) for name, values in columns.items()}
    size = {"targets": len(spectra.rows), "pool": len(spectra.rows), "k": k, "window": window}
    return {**size, "systems": found}, spectra, firsts["model"]


def _scores(opened: Opened, window: DosWindow, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n n"]:
    """Cosines of every DOS to every structure."""
    model = opened.prismat
    vectors, _ = embed_rows(model, opened.data, rows, [window, "structure"])
    return vectors[model.key(window, "structure")] @ vectors[model.key("structure", window)].T


def _first(
    scores: Float[np.ndarray, "n n"], allowed: Bool[np.ndarray, "n n"], k: int
) -> Int[np.ndarray, "n k"]:
    return np.argsort(-np.where(allowed, scores, -np.inf), axis=1, kind="stable")[:, :k]


def _errors(spectra: Spectra, first: Int[np.ndarray, "n k"]) -> Float[np.ndarray, "n 2"]:
    """Error of the first, and mean error of the first k, of every target."""
    errors = np.take_along_axis(spectra.errors, first, axis=1)
    return np.stack([errors[:, 0], np.nanmean(errors, axis=1)], axis=1)


def _figures(
    values: Float[np.ndarray, "n 2"], model: Float[np.ndarray, "n 2"], groups: Int[np.ndarray, " n"]
) -> dict[str, Any]:
    known = np.isfinite(values).all(1) & np.isfinite(model).all(1)
    values, model, groups = values[known], model[known], groups[known]
    samples = bootstrap_means(values, groups, RESAMPLES)
    names = ("top_1", "top_k")
    found = {n: (float(values[:, i].mean()), *interval(samples[:, i])) for i, n in enumerate(names)}
    gain = {
        f"model_minus_{n}": paired_difference(model[:, i], values[:, i], groups, resamples=RESAMPLES)
        for i, n in enumerate(names)
    }
    return found | (gain if not np.array_equal(values, model) else {})
