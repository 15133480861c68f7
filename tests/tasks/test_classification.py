"""Measures of classification against scikit-learn and by hand; their intervals; what they refuse."""

import numpy as np
import pytest
from sklearn import metrics as reference

from prismat.errors import BadInputError
from prismat.tasks.classification import (
    BINS,
    METRICS,
    baseline_metrics,
    classification_metrics,
    confusion_matrix,
    paired_differences,
)


def _case(classes: int, seed: int, n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, classes)) + 1.2 * np.eye(classes)[truth]
    # Rounded, so that scores are tied.
    raw = np.round(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), 2) + 0.01
    return truth, raw / raw.sum(1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_all_measures_are_those_of_scikit_learn(classes: int) -> None:
    truth, p = _case(classes, seed=classes)
    found = classification_metrics(truth, p, resamples=10)
    predicted = p.argmax(1)
    macro = reference.precision_recall_fscore_support(truth, predicted, average="macro", zero_division=0)
    scores = p[:, 1] if classes == 2 else p
    onehot = np.eye(classes, dtype=int)[truth]
    expected = {
        "accuracy": reference.accuracy_score(truth, predicted),
        **dict(zip(("precision", "recall", "f1"), macro[:3], strict=True)),
        "roc_auc": reference.roc_auc_score(truth, scores, multi_class="ovr"),
        "average_precision": reference.average_precision_score(truth, p[:, 1])
        if classes == 2
        else reference.average_precision_score(onehot, p, average="macro"),
        "log_loss": reference.log_loss(truth, p),
    }
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, abs=1e-12), name
    each = reference.precision_recall_fscore_support(truth, predicted, labels=range(classes), zero_division=0)
    for c, row in enumerate(found["per_class"]):
        assert [row[k][0] for k in ("precision", "recall", "f1")] == pytest.approx([x[c] for x in each[:3]])
        assert row["support"] == each[3][c]
    assert (found["confusion"] == reference.confusion_matrix(truth, predicted)).all()


def test_calibration_error_by_bins_counted_one_by_one() -> None:
    truth, p = _case(3, seed=5)
    right, sure = p.argmax(1) == truth, p.max(1)
    expected = 0.0
    for b in range(BINS):
        inside = (sure > b / BINS) & (sure <= (b + 1) / BINS)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    assert classification_metrics(truth, p, resamples=5)["calibration_error"][0] == pytest.approx(expected)


def test_a_class_that_is_nowhere_is_left_out_of_the_mean_as_in_scikit_learn() -> None:
    truth = np.array([0, 0, 1, 1, 1])
    p = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1], [0.3, 0.6, 0.1]])
    found = classification_metrics(truth, p, resamples=5)
    assert found["f1"][0] == pytest.approx(reference.f1_score(truth, p.argmax(1), average="macro"))
    assert found["per_class"][2]["support"] == 0
    # Class 2 has no positives: the area is the mean over the two others.
    two = [reference.roc_auc_score(truth == c, p[:, c]) for c in (0, 1)]
    assert found["roc_auc"][0] == pytest.approx(np.mean(two))


def test_one_true_class_leaves_the_area_open() -> None:
    found = classification_metrics(np.zeros(4, dtype=np.int64), np.full((4, 2), 0.5), resamples=5)
    assert np.isnan(found["roc_auc"]).all()
    assert np.isnan(found["average_precision"][0])
    assert found["accuracy"][0] == 1.0


def test_a_resample_is_the_measure_of_the_records_drawn() -> None:
    """An interval of two groups: a resample holds one of them twice, the other twice, or both."""
    truth, p = _case(2, seed=3, n=20)
    groups = np.repeat([0, 1], 10)
    one = [classification_metrics(truth[groups == g], p[groups == g], resamples=1)["f1"][0] for g in (0, 1)]
    both = classification_metrics(truth, p, groups, resamples=400)["f1"]
    assert both[1:] == pytest.approx((min(*one, both[0]), max(*one, both[0])))


def test_interval_covers_the_accuracy_of_the_population() -> None:
    rng, covered = np.random.default_rng(0), 0
    for trial in range(60):
        right = rng.random(150) < 0.7
        p = np.where(right[:, None], [[0.2, 0.8]], [[0.8, 0.2]])
        low, high = classification_metrics(np.ones(150, dtype=np.int64), p, resamples=300, seed=trial)[
            "accuracy"
        ][1:]
        covered += low <= 0.7 <= high
    assert covered >= 51


def test_same_seed_same_numbers() -> None:
    truth, p = _case(3, seed=1)
    a, b = (classification_metrics(truth, p, resamples=50, seed=4) for _ in range(2))
    assert [a[m] for m in METRICS] == [b[m] for m in METRICS]


def test_baselines_are_what_the_training_frequencies_give() -> None:
    rng = np.random.default_rng(2)
    train, truth = rng.choice(3, size=300, p=[0.6, 0.3, 0.1]), rng.choice(3, size=4000, p=[0.5, 0.3, 0.2])
    share = np.bincount(train) / len(train)
    found = baseline_metrics(truth, train, 3, resamples=20)
    frequent, chance = found["most frequent"], found["stratified chance"]
    assert frequent["accuracy"][0] == pytest.approx((truth == 0).mean())
    assert frequent["roc_auc"][0] == pytest.approx(0.5)
    assert frequent["log_loss"][0] == pytest.approx(-np.log(share[truth]).mean())
    expected = sum(share[c] * (truth == c).mean() for c in range(3))
    assert chance["accuracy"][0] == pytest.approx(expected, abs=0.003)
    assert chance["recall"][0] == pytest.approx(1 / 3, abs=0.003)
    assert np.isnan(chance["log_loss"][0])


def test_confusion_counts_true_rows_and_predicted_columns() -> None:
    found = confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    assert found.tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize(
    ("truth", "p", "groups", "message"),
    [
        ([0, 1], [[0.5, 0.5]], None, "2 classes, 1 predictions"),
        ([], np.zeros((0, 2)), None, "0 classes, 0 predictions"),
        ([0], [[0.5, 0.5]], [1, 2], "and 2 groups"),
        ([2], [[0.5, 0.5]], None, "classes 2 to 2 with 2 columns"),
        ([0], [[1.0]], None, "1 columns"),
        ([0], [[0.7, 0.7]], None, "no probabilities"),
        ([0], [[np.nan, 1.0]], None, "no probabilities"),
        ([0], [[1.5, -0.5]], None, "no probabilities"),
    ],
    ids=["lengths", "empty", "groups", "class", "one-column", "sum", "nan", "negative"],
)
def test_what_is_refused(truth: list, p: list, groups: list | None, message: str) -> None:
    labels = None if groups is None else np.array(groups)
    with pytest.raises(BadInputError, match=message):
        classification_metrics(np.array(truth, dtype=np.int64), np.array(p, dtype=float), labels)


def test_baselines_need_training_records() -> None:
    with pytest.raises(BadInputError, match="no training records"):
        baseline_metrics(np.array([0, 1]), np.zeros(0, dtype=np.int64), 2)


def test_paired_differences_share_their_resamples() -> None:
    """A system minus itself is nothing; minus another it is the difference of both measures."""
    truth, p = _case(3, seed=6)
    other = np.roll(p, 1, axis=0)
    same = paired_differences(truth, p, p, resamples=40)
    assert all(same[name] == (0.0, 0.0, 0.0) for name in METRICS)
    found = paired_differences(truth, p, other, resamples=200)
    a, b = (classification_metrics(truth, q, resamples=200) for q in (p, other))
    for name in METRICS:
        assert found[name][0] == pytest.approx(a[name][0] - b[name][0])
    # Both drawn at once vary less than each on its own.
    assert found["accuracy"][1] > 0
