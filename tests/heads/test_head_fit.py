import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from prismat.errors import BadInputError
from prismat.heads.config import FitConfig, HeadConfig
from prismat.heads.features import Features
from prismat.heads.fit import fit_head

QUICK = FitConfig(epochs=25, batch=32, members=2, learning_rate=1e-2)
TRAIN, VAL = np.arange(0, 120), np.arange(120, 180)


def one_window(x):
    return Features({"structure": x.astype(np.float32)}, {"structure": np.ones(len(x), bool)})


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 6))
    return x, 100 + 30 * np.sin(x[:, 0]) + 20 * x[:, 1] * x[:, 2]


def error(fitted, features, y, rows):
    return np.abs(fitted.predict(features.take(rows))[:, 0] - y[rows]).mean()


def test_a_network_learns_what_is_not_linear_in_the_targets_unit(data):
    x, y = data
    features, test = one_window(x), np.arange(180, 240)
    network = fit_head(features, y, TRAIN, VAL, HeadConfig(hidden=32), QUICK)
    probe = fit_head(features, y, TRAIN, VAL, HeadConfig("linear"), QUICK)
    assert error(network, features, y, test) < 0.8 * error(probe, features, y, test)
    assert network.mean == pytest.approx(y[TRAIN].mean())
    assert network.members(features).shape == (2, 240, 1)
    assert len(probe.heads) == 1


def test_a_probe_is_ridge_with_the_strength_that_validation_prefers(data):
    x, y = data
    features = one_window(x)
    fitted = fit_head(features, y, TRAIN, VAL, HeadConfig("linear"), FitConfig(ridges=(0.1, 10.0, 1000.0)))
    z = (x - x[TRAIN].mean(0)) / x[TRAIN].std(0)
    models = [Ridge(alpha=s).fit(z[TRAIN], y[TRAIN]) for s in (0.1, 10.0, 1000.0)]
    best = min(models, key=lambda m: ((m.predict(z[VAL]) - y[VAL]) ** 2).mean())
    np.testing.assert_allclose(fitted.predict(features)[:, 0], best.predict(z), rtol=1e-4)


def test_the_same_seed_gives_the_same_head_and_leaves_torchs_generator_alone(data):
    x, y = data
    state = torch.get_rng_state()
    first, again = (fit_head(one_window(x), y, TRAIN, VAL, fit=QUICK) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(first.predict(one_window(x)), again.predict(one_window(x)))
    members = first.members(one_window(x))
    assert np.abs(members[0] - members[1]).max() > 1e-3


def test_nothing_but_the_two_parts_is_read(data):
    x, y = data
    hidden = np.where(np.arange(240) < 180, y, np.nan)
    features = one_window(x)
    np.testing.assert_array_equal(
        fit_head(features, hidden, TRAIN, VAL, fit=QUICK).predict(features),
        fit_head(features, y, TRAIN, VAL, fit=QUICK).predict(features),
    )


def test_weights_are_those_of_the_best_epoch(data):
    x, y = data
    told = []
    fitted = fit_head(
        one_window(x),
        y,
        TRAIN,
        VAL,
        HeadConfig(hidden=64),
        FitConfig(epochs=60, batch=16, members=1, patience=4, learning_rate=0.03),
        told=lambda done, total, entry: told.append((done, total, entry["loss"])),
    )
    losses = [loss for *_, loss in told]
    assert fitted.validation[0] == pytest.approx(min(losses), rel=1e-6)
    assert len(losses) < 60, "stopped early"
    assert losses.index(min(losses)) == len(losses) - 5
    assert told[-1][:2] == (60, 60)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_classes(kind):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(240, 4))
    y = x[:, :3].argmax(1)
    fitted = fit_head(one_window(x), y, TRAIN, VAL, HeadConfig(kind, hidden=32), QUICK, "cross_entropy")
    said = fitted.predict(one_window(x[180:]))
    np.testing.assert_allclose(said.sum(1), 1)
    assert (said.argmax(1) == y[180:]).mean() > 0.85


def test_balanced_classes_are_found_more_often():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(240, 3)), (rng.random(240) < 0.1).astype(int)
    x[:, 0] += y
    plain, balanced = (
        fit_head(one_window(x), y, TRAIN, VAL, HeadConfig("linear"), FitConfig(balanced=b), "cross_entropy")
        for b in (False, True)
    )
    found = [(f.predict(one_window(x)).argmax(1) == 1)[y == 1].mean() for f in (plain, balanced)]
    assert found[1] > found[0]


@pytest.mark.parametrize("fusion", ["concat", "gated", "attention"])
def test_windows_are_joined_where_each_knows_a_part(fusion):
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(2, 240, 3))
    y = a[:, 0] + b[:, 0]
    present = {"a": np.arange(240) % 7 > 0, "b": np.arange(240) % 5 > 0}
    present["a"] |= ~present["b"]
    both = Features({"a": a.astype(np.float32), "b": b.astype(np.float32)}, present)
    config = HeadConfig(hidden=32, width=16, fusion=fusion, dropout=0.0)
    fit = FitConfig(epochs=60, batch=16, members=1, learning_rate=1e-2)
    alone = fit_head(
        one_window(a), y, TRAIN, VAL, config if fusion == "concat" else HeadConfig(hidden=32), fit
    )
    joint, test = fit_head(both, y, TRAIN, VAL, config, fit), np.arange(180, 240)
    assert error(joint, both, y, test) < 0.8 * error(alone, one_window(a), y, test)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"targets": np.zeros(3)}, "targets for"),
        ({"rows_train": np.zeros(0, int)}, "0 training"),
        ({"rows_val": TRAIN}, "training and validation"),
        ({"targets": np.full(240, np.nan)}, "not finite"),
        ({"targets": np.ones(240)}, "values are equal"),
        ({"targets": np.arange(240) % 3, "loss": "cross_entropy", "classes": 2}, "classes from 0 to 2"),
    ],
    ids=["length", "empty", "both", "nan", "equal", "class"],
)
def test_what_cannot_be_fitted_says_so(data, changed, says):
    given = {"features": one_window(data[0]), "targets": data[1], "rows_train": TRAIN, "rows_val": VAL}
    with pytest.raises(BadInputError, match=says):
        fit_head(**{**given, **changed})


def test_a_record_without_windows_is_refused(data):
    features = Features({"structure": data[0].astype(np.float32)}, {"structure": np.arange(240) > 0})
    with pytest.raises(BadInputError, match="none of the windows"):
        fit_head(features, data[1], TRAIN, VAL)
