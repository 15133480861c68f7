"""The check of attention on scores whose answer is known, distances, and studies of many texts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from prismat.errors import BadInputError
from prismat.explain.attention.check import (
    CheckSettings,
    WordSide,
    check_orders,
    deletion_gain,
    insertion_gain,
    lost,
    occlusion,
)
from prismat.explain.attention.page import Page
from prismat.explain.attention.recipes import mass_by_kind, read_recipe_text, shares_of
from prismat.explain.attention.source import bare_source, open_source, source_of
from prismat.explain.attention.study import (
    CHOSEN,
    GRADIENT,
    LAST,
    OCCLUSION,
    Case,
    check_figures,
    check_many,
    choose_head,
    distances,
    jensen_shannon,
    read_many,
    word_rows,
)
from prismat.explain.attention.tokens import words_of
from prismat.explain.attention.told import Shown, tell, verdict
from prismat.explain.attention.weights import read_attention
from prismat.tasks.text_tasks.encoders import LANGUAGE, open_rivals

TEXT = "alpha beta gamma delta epsilon zeta"
WEIGHTS = np.array([0.1, 0.9, 0.3, 0.0, 0.5, 0.2])


class Additive:
    """A source whose score is the sum of its words' weights."""

    def vectors(self, texts):
        known = dict(zip(TEXT.split(), WEIGHTS, strict=True))
        return torch.tensor([[sum(known[w] for w in text.split())] for text in texts], dtype=torch.float64)


@pytest.fixture
def side(monkeypatch):
    made = WordSide.__new__(WordSide)
    made._source, made._words, made.data = Additive(), words_of(TEXT), {"text": TEXT}
    return made


ONE = torch.ones(1)


def test_occlusion_of_a_sum_is_its_terms(side):
    np.testing.assert_allclose(occlusion(side, ONE), WEIGHTS, atol=1e-12)
    gone = np.array([[True, True, False, False, False, False], [False] * 6])
    np.testing.assert_allclose(lost(side, ONE, gone), [1.0, 0.0], atol=1e-12)


def test_the_right_order_beats_random_and_the_wrong_one_does_not(side):
    found = check_orders(side, ONE, {"right": WEIGHTS, "wrong": -WEIGHTS})
    assert deletion_gain(found["right"]) > 0.2
    assert insertion_gain(found["right"]) > 0.2
    assert deletion_gain(found["wrong"]) < -0.2
    assert insertion_gain(found["wrong"]) < -0.2
    assert found["right"].deletion[0] == pytest.approx(WEIGHTS.sum())
    assert found["right"].deletion[-1] == pytest.approx(0)
    again = check_orders(side, ONE, {"right": WEIGHTS})["right"]
    np.testing.assert_array_equal(again.random_deletion, found["right"].random_deletion)


def test_words_have_their_places_as_items(side):
    items = side.items(WEIGHTS)
    assert [(i.label, i.start, i.end, i.value) for i in items[:2]] == [
        ("alpha", 0, 5, 0.1),
        ("beta", 6, 10, 0.9),
    ]


def test_one_word_has_no_order(side):
    side._words = side._words[:1]
    with pytest.raises(BadInputError, match="one word has no order"):
        check_orders(side, ONE, {"a": WEIGHTS[:1]})


def test_a_check_without_orders_is_refused():
    with pytest.raises(BadInputError, match="0 orders and 10 steps"):
        CheckSettings(orders=0)


def test_jensen_shannon_is_scipys():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(6), 4), rng.dirichlet(np.ones(6), 4)
    p[0] = [1, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(jensen_shannon(p, q), jensenshannon(p, q, base=2, axis=1))
    np.testing.assert_allclose(jensen_shannon(np.eye(2), np.eye(2)[::-1]), [1, 1])
    np.testing.assert_allclose(distances([p], [p]), [0])
    np.testing.assert_allclose(distances([p], [p[-1:]]), [0])


def test_shares_leave_out_what_is_below_zero():
    np.testing.assert_allclose(shares_of(np.array([1.0, -5.0, 3.0])), [0.25, 0, 0.75])
    np.testing.assert_allclose(shares_of(np.array([-1.0, 0.0])), [0.5, 0.5])


@pytest.fixture(scope="module")
def source(small_run):
    return source_of(small_run.trained.prismat)


@pytest.fixture(scope="module")
def texts(small_store):
    titles = [dict(t).get("title", "") for t in small_store.table["texts"].to_pylist()]
    return [t for t in dict.fromkeys(titles) if len(t.split()) > 2][:6]


def test_vectors_are_those_of_the_model(source, texts, small_run):
    prismat = small_run.trained.prismat
    with torch.no_grad():
        found = source.vectors(texts)
    np.testing.assert_allclose(
        found.numpy(), prismat.embed(texts=texts)[prismat.key("text", "structure")], atol=1e-5
    )


def test_vectors_over_frozen_sentences_are_those_of_the_model(tmp_path, small_prepared, texts):
    pytest.importorskip("transformers")
    import helpers_small as small
    from prismat.encoders.text_head import TextHeadConfig
    from prismat.recipes.base import TextConfig
    from prismat.tasks.quickstart import train_recipe

    recipe = small.tiny_recipe(windows=("structure", "text"))
    folder = str(small.write_bert(tmp_path / "bert"))
    head = TextHeadConfig(embedding=16, hidden=16, out=16, dropout=0.0)
    recipe = replace(recipe, encoders=replace(recipe.encoders, text=TextConfig("frozen", folder, head)))
    trained = train_recipe(
        small_prepared, small.tiny_job(recipe, steps=2, evaluate_every=2), tmp_path / "run"
    )
    prismat, frozen = trained.prismat, source_of(trained.prismat)
    with torch.no_grad():
        found = frozen.vectors(texts)
    expected = prismat.embed(texts=texts)[prismat.key("text", "structure")]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert "has seen no crystal" in frozen.note


def test_a_study_of_many_texts(source, texts):
    marked = [np.arange(len(t.split())) < 2 for t in texts]
    reading = read_many(source, texts, marked)
    attention = read_attention(source.transformer, texts[:1])[0]
    rows = word_rows(attention)
    np.testing.assert_allclose(rows.sum(axis=2), 1)
    np.testing.assert_allclose(reading.share[0], rows[:, :, :2].sum(axis=2))
    assert reading.share.shape == reading.entropy.shape == (len(texts), 1, 1)
    np.testing.assert_allclose(distances(reading.words, reading.words), 0, atol=1e-7)
    with pytest.raises(BadInputError, match="1 marks for"):
        read_many(source, texts[:1], [marked[0][:1]])


def test_every_way_is_checked_on_many_texts(source, texts):
    target = source.own_vector(texts[-1]).clone()
    cases = [Case(t, target, np.arange(len(t.split())) < 2) for t in texts[:3]]
    settings = CheckSettings(orders=3, points=3)
    head, gains = choose_head(source, cases, settings)
    assert head == (1, 1)
    assert gains.shape == (1, 1)
    figures = check_figures(check_many(source, cases, head, settings))
    assert {LAST, OCCLUSION, GRADIENT, CHOSEN} <= set(figures)
    # One layer of one head: the head that was chosen is the last layer.
    assert figures[CHOSEN] == figures[LAST]
    expected = gains[0, 0]
    found = (figures[LAST]["deletion_gain"]["mean"] + figures[LAST]["insertion_gain"]["mean"]) / 2
    assert found == pytest.approx(expected)
    own = check_many(source, [replace(cases[0], target=None)], None, settings)
    assert GRADIENT not in own
    with pytest.raises(BadInputError, match="no text to choose a head"):
        choose_head(source, [])


def test_beside_an_encoder_that_saw_no_crystal(small_run, small_store, tmp_path, texts):
    rivals = open_rivals(small_run.folder, small_store, tmp_path)
    alone = bare_source(LANGUAGE, rivals.encoders[LANGUAGE], rivals.reader)
    told = tell(source_of(rivals.prismat), texts[0], Shown(1, 1))
    other = tell(alone, texts[0], Shown(1, 1))
    page = Page(told, (other,), Shown(1, 1))
    result = page.result(matrices=True)
    assert 0 < result["distance"][LANGUAGE] < 1
    assert result["beside"][0]["encoder"] == LANGUAGE
    assert len(result["chemistry"]["kinds"]) == len(texts[0].split())
    names = [p.name for p in page.pictures()]
    assert names[:2] == ["attention_words", "attention_beside"]
    assert "attention_deletion" in names
    assert verdict(told) in page.page().lede
    assert "random" in page.pictures()[0].svg
    with pytest.raises(BadInputError, match="no transformer over byte-pair tokens"):
        bare_source("dense", torch.nn.Linear(2, 2), rivals.reader)


def test_words_are_escaped_in_pictures(source):
    told = tell(source, "<b>garnet & co</b> structure")
    svg = Page(told).pictures()[0].svg
    assert "<b>" not in svg
    assert "&lt;b&gt;garnet" in svg


def test_a_recipe_is_read_step_by_step(recipe_run, recipe_store):
    source = open_source(recipe_run)
    rows = recipe_store.table["texts"].to_pylist()
    recipes = [dict(r).get("synthesis", "") for r in rows[:8]]
    target = source.own_vector(recipes[0]).clone()
    readings = [read_recipe_text(source, text, target) for text in recipes]
    for reading in readings:
        for way in reading.values:
            assert reading.by_step(way).sum() == pytest.approx(1)
        assert reading.words_by_step().sum() == pytest.approx(1)
        assert reading.step_loss.shape == (len(reading.steps),)
    told = readings[0].to_dict()["steps"]
    assert [s["text"] for s in told] == [s.text for s in readings[0].steps]
    mass = mass_by_kind(readings)
    kinds = [k for k, figures in mass["steps"].items() if figures]
    assert "mixing" in kinds
    even = mass["steps"]["mixing"]["tokens"]["mean"]
    ratio = mass["steps"]["mixing"]["attention"]
    assert ratio["ratio"] == pytest.approx(ratio["mean"] / even)
    assert "occlusion" not in read_recipe_text(source, recipes[0]).values


def test_models_without_words_or_without_that_window_are_refused(small_prepared, small_run, tmp_path):
    import helpers_small as small
    from prismat.tasks.quickstart import train_recipe

    job = small.tiny_job(small.tiny_recipe(windows=("structure", "xrd")), steps=2, evaluate_every=2)
    wordless = train_recipe(small_prepared, job, tmp_path).prismat
    with pytest.raises(BadInputError, match=r"no text window, so no attention.*structure, xrd"):
        source_of(wordless)
    with pytest.raises(BadInputError, match=r"no dos window.*structure, xrd"):
        source_of(small_run.trained.prismat, partner="dos")


def test_a_recipe_has_its_steps_on_the_page(source):
    page = Page(
        tell(source, "Mix MgO and Al2O3; calcine at 900 °C for 12 h; sinter in air. Product: MgAl2O4.")
    )
    steps = page.result()["recipe"]["steps"]
    assert [s["text"] for s in steps] == [row[0] for row in page.tables()[0].rows]
    assert [s["kind"] for s in steps] == ["mixing", "heating", "heating", "product"]
    assert sum(s["rollout"] for s in steps) == pytest.approx(1, abs=1e-4)
    assert Page(tell(source, "mix and heat")).recipe() is None
