import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from prismat.errors import BadInputError
from prismat.tasks.bootstrap import bootstrap_means, interval
from prismat.tasks.regression import METRICS, _Pairs, _weighted, regression_metrics


def numbers(n=60, ties=False, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(1000, 2, n)
    predicted = truth + rng.normal(0, 1, n)
    return (np.round(truth), np.round(predicted)) if ties else (truth, predicted)


def reference(truth, predicted):
    return [
        metrics.mean_absolute_error(truth, predicted),
        metrics.root_mean_squared_error(truth, predicted),
        metrics.r2_score(truth, predicted),
        stats.pearsonr(truth, predicted).statistic,
        stats.spearmanr(truth, predicted).statistic,
    ]


@pytest.mark.parametrize("ties", [False, True])
def test_values_are_those_of_scikit_learn_and_scipy(ties):
    truth, predicted = numbers(ties=ties)
    found = regression_metrics(truth, predicted, resamples=50)
    assert [found[name][0] for name in METRICS] == pytest.approx(reference(truth, predicted), rel=1e-9)


@pytest.mark.parametrize("ties", [False, True])
def test_a_resample_is_the_records_repeated(ties):
    truth, predicted = numbers(20, ties)
    counts = np.random.default_rng(1).integers(0, 4, (5, 20))
    found = _weighted(_Pairs(truth - 1000, predicted - 1000), counts.astype(float))
    for row, count in zip(found, counts, strict=True):
        wanted = reference(np.repeat(truth, count), np.repeat(predicted, count))
        assert row.tolist() == pytest.approx(wanted, rel=1e-9)


def test_intervals_are_over_groups():
    truth, predicted = numbers()
    groups = np.arange(60) // 6
    found = regression_metrics(truth, predicted, groups, resamples=400, seed=3)
    error = np.abs(truth - predicted)
    wanted = interval(bootstrap_means(error[:, None], groups, 400, 3)[:, 0])
    assert found["mae"][1:] == pytest.approx(wanted)
    for name in METRICS:
        value, low, high = found[name]
        assert low < value < high


def test_what_is_not_defined_is_nan():
    truth = np.random.default_rng(0).normal(0.1, 0.3, 50)
    found = regression_metrics(truth, np.full(50, 0.37), resamples=200)
    assert np.isnan(found["pearson"]).all()
    assert np.isnan(found["spearman"]).all()
    assert found["mae"][0] == pytest.approx(np.abs(truth - 0.37).mean())
    assert np.isfinite(found["r2"]).all()
    same = regression_metrics(np.full(5, 0.3), np.linspace(0, 1, 5), resamples=20)
    assert np.isnan(same["r2"]).all()
    assert np.isfinite(same["rmse"]).all()


@pytest.mark.parametrize(
    ("truth", "predicted", "groups", "message"),
    [
        ([1.0], [1.0, 2.0], None, "1 values, 2 predictions"),
        ([], [], None, "0 values, 0 predictions"),
        ([1.0], [1.0], [0, 1], "1 predictions and 2 groups"),
        ([np.nan], [1.0], None, "not finite.*Leave such records out"),
    ],
)
def test_errors(truth, predicted, groups, message):
    groups = None if groups is None else np.array(groups)
    with pytest.raises(BadInputError, match=message):
        regression_metrics(np.array(truth), np.array(predicted), groups)
