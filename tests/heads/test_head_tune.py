import numpy as np
import pytest
import torch

from prismat.errors import MismatchError
from prismat.heads.config import FitConfig, HeadConfig, TuneConfig
from prismat.heads.features import encode_rows, read_features
from prismat.heads.fit import fit_head
from prismat.heads.tune import tune_head
from prismat.tasks.opened import open_run

CONFIG = TuneConfig(steps=12, batch=16, evaluate_every=4, learning_rate=5e-3)


@pytest.fixture(scope="module")
def opened(small_run, small_store):
    return open_run(small_run.folder, small_store)


@pytest.fixture(scope="module")
def volume(opened):
    """Volume per atom: what only the structure tells."""
    cells = np.array(opened.records.table["cell"], dtype=float)
    a, b, c, *angles = cells.T
    cosines = np.cos(np.radians(angles))
    factor = np.sqrt(1 - (cosines**2).sum(0) + 2 * cosines.prod(0))
    return a * b * c * factor / np.array(opened.records.table["n_sites"])


def start(opened, targets, windows, feature="encoder", loss="squared"):
    rows = np.concatenate([opened.rows["train"], opened.rows["val"]])
    n = len(opened.rows["train"])
    config = HeadConfig(hidden=16, feature=feature, dropout=0.0)
    features = read_features(opened, rows, windows, feature)
    fit = FitConfig(epochs=10, batch=16, members=1)
    return fit_head(features, targets[rows], np.arange(n), np.arange(n, len(rows)), config, fit, loss)


def tuned(opened, first, targets, folder, config=CONFIG, windows=("structure",)):
    return tune_head(
        opened, windows, first, targets, opened.rows["train"], opened.rows["val"], config, folder
    )


@pytest.mark.parametrize(
    ("windows", "feature"), [(("structure",), "encoder"), (("structure", "xrd"), "joint")]
)
def test_training_the_encoders_helps_on_validation(opened, volume, tmp_path, windows, feature):
    first = start(opened, volume, windows, feature)
    before = {k: v.clone() for k, v in opened.prismat.model.state_dict().items()}
    longer = TuneConfig(steps=30, batch=16, evaluate_every=3, learning_rate=1e-2)
    found = tuned(opened, first, volume, tmp_path, longer, windows)
    assert found.fitted.validation[0] < first.validation[0]
    after = opened.prismat.model.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before), "the opened model stays as it is"
    moved = {k for k, v in found.prismat.model.state_dict().items() if not torch.equal(v, before[k])}
    assert any(k.startswith("encoders.structure") for k in moved)
    assert any(k.startswith("encoders.xrd") for k in moved) == ("xrd" in windows)
    assert not any(k.startswith("encoders.text") for k in moved)
    # What it then says of a store's rows is what was validated.
    rows = opened.rows["val"]
    said = found.fitted.predict(encode_rows(found.prismat, opened.data, rows, windows, feature))[:, 0]
    loss = (((said - volume[rows]) / first.spread) ** 2).mean()
    assert loss == pytest.approx(found.fitted.validation[0], rel=1e-4)


def test_classes_can_be_tuned_too(opened, volume, tmp_path):
    classes = (volume > np.median(volume)).astype(int)
    first = start(opened, classes, ["structure"], loss="cross_entropy")
    found = tuned(opened, first, classes, tmp_path)
    assert found.fitted.loss == "cross_entropy"
    assert found.fitted.validation[0] <= first.validation[0]


def test_a_stopped_tuning_goes_on_to_the_same_weights(opened, volume, tmp_path):
    first = start(opened, volume, ["structure"])
    whole = tuned(opened, first, volume, tmp_path / "whole")

    class StopError(Exception):
        pass

    def stop(done, total, entry):
        if done == 9:
            raise StopError

    with pytest.raises(StopError):
        tune_head(
            opened,
            ("structure",),
            first,
            volume,
            opened.rows["train"],
            opened.rows["val"],
            CONFIG,
            tmp_path / "part",
            stop,
        )
    resumed = tuned(opened, first, volume, tmp_path / "part")
    states = [t.prismat.model.state_dict() for t in (whole, resumed)]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    with pytest.raises(MismatchError, match="other data or settings"):
        tuned(opened, first, volume, tmp_path / "part", TuneConfig(steps=13))


def test_what_does_not_help_is_not_kept(opened, volume, tmp_path):
    first = start(opened, volume, ["structure"])
    wild = TuneConfig(steps=4, batch=16, evaluate_every=2, learning_rate=3.0, encoder_rate=1.0)
    found = tuned(opened, first, volume, tmp_path, wild)
    assert found.fitted.validation[0] == pytest.approx(first.validation[0], rel=1e-5)


def test_the_formula_beside_an_encoder_that_is_tuned(opened, volume, tmp_path):
    windows = ("structure", "composition")
    first = start(opened, volume, windows)
    found = tuned(opened, first, volume, tmp_path, windows=windows)
    rows = opened.rows["val"]
    said = found.fitted.predict(encode_rows(found.prismat, opened.data, rows, windows))[:, 0]
    loss = (((said - volume[rows]) / first.spread) ** 2).mean()
    assert loss == pytest.approx(found.fitted.validation[0], rel=1e-4)
    assert found.fitted.validation[0] <= first.validation[0]
