"""Which records are learnt from, stopped by, calibrated with and judged on."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from prismat.errors import BadInputError
from prismat.tasks.opened import Opened
from prismat.tasks.property.config import LimitedConfig
from prismat.tasks.property.targets import Labelled

Rows = Int[np.ndarray, " _"]
LEAST = {"train": 4, "val": 4, "test": 2}
LEAST_STOP = 8
"""Validation records of the smallest training sets."""


@dataclass(frozen=True, eq=False)
class Rows4:
    """Row numbers of a store.

    Attributes:
        train: learnt from.
        stop: the part of validation by which weights and strengths are chosen.
        calibrate: the other part, which nothing but the intervals has seen.
        test: looked at once.
        left_out: records of each part without the target or without a window.
    """

    train: Rows
    stop: Rows
    calibrate: Rows
    test: Rows
    left_out: dict[str, int]

    @property
    def all(self) -> Rows:
        """Each once."""
        return np.concatenate([self.train, self.stop, self.calibrate, self.test])


def choose_rows(opened: Opened, labelled: Labelled, limited: LimitedConfig, seed: int = 0) -> Rows4:
    """The records of an opened run that serve, validation halved by whole groups.

    Raises:
        BadInputError: too few records of a part have the target.
    """
    known = np.isfinite(labelled.values)
    rows = {part: np.sort(found[known[found]]) for part, found in opened.rows.items()}
    left_out = {part: len(opened.rows[part]) - len(found) for part, found in rows.items()}
    for part, least in LEAST.items():
        if len(rows[part]) < least:
            raise BadInputError(
                f"{len(rows[part])} records of {part} have {labelled.target.name!r}",
                field="target",
                remedy=f"Choose another target, or divide the records so that {least} at least do.",
            )
    groups = opened.groups
    total = sum(map(len, rows.values()))
    if limited.shares:
        for part, share in zip(rows, limited.shares, strict=True):
            rows[part] = first_rows(rows[part], groups, max(round(share * total), LEAST[part]), seed)
    elif limited.most:
        rows["train"] = first_rows(rows["train"], groups, limited.most, seed)
    stop, calibrate = halves(rows["val"], groups, seed)
    return Rows4(rows["train"], stop, calibrate, rows["test"], left_out)


def shuffled_by_group(rows: Rows, groups: Int[np.ndarray, " records"], seed: int) -> Rows:
    """The rows, whole groups in random order, rows of a group behind one another."""
    numbers, member = np.unique(groups[rows], return_inverse=True)
    rank = np.random.default_rng(seed).permutation(len(numbers))
    return rows[np.argsort(rank[member.ravel()], kind="stable")]


def first_rows(rows: Rows, groups: Int[np.ndarray, " records"], size: int, seed: int) -> Rows:
    """A subset of ``size`` rows, of few groups rather than parts of many; smaller ones lie in larger ones."""
    return np.sort(shuffled_by_group(rows, groups, seed)[:size])


def halves(rows: Rows, groups: Int[np.ndarray, " records"], seed: int = 0) -> tuple[Rows, Rows]:
    """Two parts of about one size, no group in both.

    Raises:
        BadInputError: all rows are of one group.
    """
    order = shuffled_by_group(rows, groups, seed)
    borders = np.flatnonzero(np.diff(groups[order])) + 1
    if not len(borders):
        raise BadInputError(
            f"{len(rows)} validation records of one group cannot be halved",
            field="validation",
            remedy="Divide the records otherwise.",
        )
    cut = borders[np.argmin(np.abs(borders - len(rows) / 2))]
    return np.sort(order[:cut]), np.sort(order[cut:])
