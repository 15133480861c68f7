"""What one experiment fits: a target, the rows it is known for, and the features that systems read."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from prismat.heads.composition import COMPOSITION
from prismat.heads.config import FitConfig, Loss
from prismat.heads.features import Features, composition_features, read_features
from prismat.heads.fit import Fitted, Told, fit_head
from prismat.tasks.opened import Opened
from prismat.tasks.property.config import PropertyConfig
from prismat.tasks.property.subsets import Rows, Rows4, choose_rows
from prismat.tasks.property.targets import Labelled
from prismat.tasks.quickstart import Talk

MAIN = "model"


@dataclass(frozen=True, eq=False)
class Setting:
    """What is fitted in one experiment.

    Attributes:
        opened: run and store.
        config: what is wanted.
        labelled: the target.
        rows: by use.
    """

    opened: Opened
    config: PropertyConfig
    labelled: Labelled
    rows: Rows4

    @property
    def loss(self) -> Loss:
        """By which heads are fitted."""
        return "cross_entropy" if self.labelled.is_class else "squared"

    @property
    def classes(self) -> int:
        """How many; 0 for numbers."""
        return len(self.labelled.target.classes)


def with_windows(setting: Setting, cache: Path, talk: Talk) -> tuple[Setting, Features]:
    """Features of all rows, and the setting without the records that have none of the windows."""
    config, rows = setting.config, setting.rows
    read = lambda wanted: read_features(  # noqa: E731
        setting.opened,
        wanted,
        config.windows,
        config.head.feature,
        cache,
        lambda done, total: talk.bar("features", done, total, {}),
    )
    features = read(rows.all)
    there = features.any_present
    if there.all():
        return setting, features
    values = setting.labelled.values.copy()
    values[rows.all[~there]] = np.nan
    labelled = replace(
        setting.labelled,
        values=values,
        left_out={**setting.labelled.left_out, "no window": int((~there).sum())},
    )
    chosen = choose_rows(setting.opened, labelled, config.limited)
    setting = Setting(setting.opened, config, labelled, chosen)
    return with_windows(setting, cache, talk)


def systems(setting: Setting, own: Features) -> dict[str, Features]:
    """The head's own windows, the formula alone, and each of several windows by itself."""
    fractions = setting.opened.records.fractions[setting.rows.all]
    found = {MAIN: own, COMPOSITION: composition_features(fractions)}
    if len(own.vectors) > 1:
        found |= {
            f"{w} alone": Features({w: v}, {w: own.present[w]})
            for w, v in own.vectors.items()
            if own.present[w].all() and w != COMPOSITION
        }
    # What a system cannot read of some record cannot be compared with.
    return {n: x for n, x in found.items() if n == MAIN or x.any_present.all()}


def places(setting: Setting) -> dict[str, Rows]:
    """Where the rows of each use lie among the features."""
    rows = setting.rows
    ends = np.cumsum([len(r) for r in (rows.train, rows.stop, rows.calibrate, rows.test)])
    names = ("train", "stop", "calibrate", "test")
    return dict(zip(names, np.split(np.arange(ends[-1]), ends[:-1]), strict=True))


def fit_system(
    setting: Setting,
    features: Features,
    train: Rows,
    stop: Rows,
    fit: FitConfig | None = None,
    told: Told | None = None,
) -> Fitted:
    """One system's head.

    Args:
        setting: what is fitted.
        features: of all rows.
        train: places in them to learn from.
        stop: places by which weights and strengths are chosen.
        fit: how; the config's where None.
        told: as of ``fit_head``.
    """
    config = setting.config
    head = config.head if len(features.vectors) > 1 else replace(config.head, fusion="concat")
    return fit_head(
        features,
        setting.labelled.values[setting.rows.all],
        train,
        stop,
        head,
        fit or config.fit,
        setting.loss,
        setting.classes,
        told,
    )
