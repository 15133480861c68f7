import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from prismat.api import Prismat
from prismat.errors import BadInputError
from prismat.model import JointModel
from prismat.tasks.words import (
    WORDS,
    WordScore,
    WordScores,
    average_precision,
    balanced_average_precision,
    evaluate_words,
    roc_auc,
    word_labels,
    word_scores,
)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("A new superconductor", True),
        ("Superconductors of high Tc", True),
        ("SUPERCONDUCTIVITY in MgB2", True),
        ("super-conductor", False),
        ("A semiconductor", False),
        ("superconductor-like behaviour", True),
        ("Non-superconductor", True),
        ("nonsuperconductor", False),
        ("", False),
    ],
)
def test_whole_words_and_their_variations(title, expected):
    assert word_labels([title], "superconductor", ("superconductivity",)).tolist() == [expected]


def test_parts_of_a_word_accents_and_plurals():
    titles = [
        "High-pressure study",
        "at high  pressures",
        "pressure, high",
        "Étude magnétique",
        "Lenses of ice",
    ]
    assert word_labels(titles, "high pressure").tolist() == [True, True, False, False, False]
    assert word_labels(titles, "magnetic", ("magnetique",)).tolist() == [False, False, False, True, False]
    assert word_labels(titles, "lens").tolist() == [False, False, False, False, True]
    assert word_labels(["C++ (2)"], "a.c").tolist() == [False]
    with pytest.raises(BadInputError, match="a form without a letter"):
        word_labels(titles, "ice", ("-",))


def problem(seed, n=80, levels=None):
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.2
    labels[:2] = True, False
    scores = rng.normal(size=n) + labels
    return (scores if levels is None else np.round(scores * levels)), labels


@pytest.mark.parametrize("levels", [None, 3, 1, 0])
@pytest.mark.parametrize("seed", range(4))
def test_areas_agree_with_scikit_learn(seed, levels):
    scores, labels = problem(seed, levels=levels)
    assert roc_auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(scores, labels) == pytest.approx(
        average_precision_score(labels, scores), abs=1e-12
    )
    weight = np.where(labels, 1.0, labels.sum() / (~labels).sum())
    balanced = average_precision_score(labels, scores, sample_weight=weight)
    assert balanced_average_precision(scores, labels) == pytest.approx(balanced, abs=1e-12)


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30))
def test_roc_auc_counts_pairs(items):
    scores, labels = np.array([float(s) for s, _ in items]), np.array([b for _, b in items])
    if labels.all() or not labels.any():
        for metric in (roc_auc, average_precision, balanced_average_precision):
            with pytest.raises(BadInputError, match="both positives and negatives"):
                metric(scores, labels)
        return
    pairs = scores[labels][:, None] - scores[~labels]
    assert roc_auc(scores, labels) == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def test_balanced_average_precision_of_guesses_is_one_half():
    rng = np.random.default_rng(0)
    labels = np.arange(40_000) < 4000
    assert balanced_average_precision(rng.random(len(labels)), labels) == pytest.approx(0.5, abs=0.02)
    assert average_precision(rng.random(len(labels)), labels) < 0.12


def test_scores_are_cosines():
    words, structures = np.eye(3)[:2], np.eye(3)
    assert word_scores(words, structures).tolist() == [[1, 0, 0], [0, 1, 0]]


WANTED = {"perovskite": (), "thermal expansion": (), "unheard of": ()}


@pytest.fixture(params=["pair", "shared"])
def model(request, small_run):
    """The trained model with a head per pair, or one of fresh weights whose heads are shared."""
    trained = small_run.trained.prismat
    if request.param == "pair":
        return trained
    config = replace(trained.recipe.projection, heads="shared")
    torch.manual_seed(0)
    model = JointModel(dict(trained.model.encoders), config)
    return Prismat(model, replace(trained.recipe, projection=config), trained.reader, trained.shapes)


def test_words_screen_a_store(model, small_run, small_prepared):
    data, titles = small_run.trained.data, small_prepared.records.titles
    rows = np.arange(len(titles))
    found = evaluate_words(model, data, rows, titles, WANTED)
    assert list(found.words) == ["perovskite", "thermal expansion"]
    assert found.left_out == ("unheard of",)
    titled = [i for i, title in enumerate(titles) if title]
    assert 0 < len(titled) < len(titles)
    assert found.structures == len(titled)
    # Once more by hand, one structure and one word at a time.
    label = np.array(["perovskite" in titles[i] for i in titled])
    here = model.embed_batch("structure", data.batches(np.array(titled), None)["structure"])
    word = model.embed(texts=["perovskite"])[model.key("text", "structure")][0]
    cosine = here[model.key("structure", "text")] @ word
    score = found.words["perovskite"]
    assert score.positives == label.sum()
    assert score.roc_auc == pytest.approx(roc_auc_score(label, cosine), abs=1e-6)
    assert score.average_precision == pytest.approx(average_precision_score(label, cosine), abs=1e-6)
    json.dumps(found.to_dict())
    assert found.mean_roc_auc == pytest.approx(np.mean([s.roc_auc for s in found.words.values()]))
    assert found.to_dict()["mean"]["roc_auc"] == found.mean_roc_auc


def test_rows_decide_and_order_does_not(small_run, small_prepared):
    trained, titles = small_run.trained, small_prepared.records.titles
    rows = np.random.default_rng(0).permutation(len(titles))[:60]
    found = evaluate_words(trained.prismat, trained.data, rows, [titles[i] for i in rows], WANTED)
    turned = rows[::-1].copy()
    other = evaluate_words(trained.prismat, trained.data, turned, [titles[i] for i in turned], WANTED)
    assert found.words["perovskite"].roc_auc == pytest.approx(other.words["perovskite"].roc_auc)
    assert found.structures < 60


def test_what_cannot_be_screened_is_said(small_run, small_prepared):
    trained, titles = small_run.trained, small_prepared.records.titles
    rows = np.arange(len(titles))
    with pytest.raises(BadInputError, match="3 titles for"):
        evaluate_words(trained.prismat, trained.data, rows, titles[:3])
    with pytest.raises(BadInputError, match="none of 1 words"):
        evaluate_words(trained.prismat, trained.data, rows, titles, {"unheard of": ()})
    blind = Prismat(
        trained.prismat.model,
        replace(trained.prismat.recipe, windows=("text", "xrd")),
        None,
        trained.prismat.shapes,
    )
    with pytest.raises(BadInputError, match=r"no structure window.*text, xrd"):
        evaluate_words(blind, trained.data, rows, titles)


def test_the_words_are_told_by_amcsd_titles(amcsd):
    """Over the whole database each word has a gallery worth scoring."""
    titles = [title for title, _ in amcsd._titles]
    counts = {word: int(word_labels(titles, word, others).sum()) for word, others in WORDS.items()}
    assert 8 <= len(counts) <= 12
    assert min(counts.values()) >= 20
    assert max(counts.values()) < len(titles) / 10


def test_means_of_given_scores():
    scores = WordScores({"a": WordScore(3, 0.5, 0.2, 0.6), "b": WordScore(4, 1.0, 0.4, 0.8)}, 100, ("c",))
    means = scores.mean_roc_auc, scores.mean_average_precision, scores.mean_balanced_average_precision
    assert means == pytest.approx((0.75, 0.3, 0.7))
    assert scores.to_dict()["left_out"] == ["c"]
