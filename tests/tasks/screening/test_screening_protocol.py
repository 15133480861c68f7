import json

import numpy as np
import pytest

from prismat.errors import BadInputError
from prismat.tasks.opened import open_run
from prismat.tasks.report import to_plain
from prismat.tasks.result import render_result
from prismat.tasks.screening.evaluation import (
    COMPOSITION,
    ENSEMBLE,
    WORD,
    Bench,
    ScreeningConfig,
    composition_model,
    evaluate_screening,
    rows_of,
)
from prismat.tasks.screening.pages import screening_page
from prismat.tasks.screening.protocol import ProtocolConfig, judge, run_protocol
from prismat.tasks.words import roc_auc

QUICK = ProtocolConfig(least_positives=2, least_groups=2, resamples=50, draws=20)
TITLES = ["A garnet", "Garnets of Mars", "Spinel and garnet", "Ice", "Snow", "A spinel", "Rain", "Hail"]


def test_words_with_too_few_titles_or_groups_are_left_out():
    groups = np.array([0, 1, 1, 2, 3, 1, 4, 5])
    words = {"garnet": (), "spinel": ("spinelle",), "ruby": ()}
    found = judge(TITLES, groups, words, QUICK)
    assert found.words == ("garnet",)
    assert found.left_out == {"spinel": (2, 1), "ruby": (0, 0)}
    np.testing.assert_array_equal(found.labels[0], [True, True, True, *[False] * 5])
    with pytest.raises(BadInputError, match="no word can be scored on 8 titles; titles that have it: ruby 0"):
        judge(TITLES, groups, {"ruby": ()}, QUICK)


def test_the_figures_of_two_systems_and_their_difference():
    groups = np.arange(8)
    found = judge(TITLES, groups, {"garnet": (), "spinel": ()}, QUICK)
    good = found.labels + np.linspace(0, 0.1, 8)
    bad = -good
    told = run_protocol({"good": good, "bad": bad}, found, QUICK)
    garnet = told["words"]["garnet"]
    assert (garnet["positives"], garnet["groups"]) == (3, 3)
    assert garnet["chance"]["average_precision"] == pytest.approx(3 / 8)
    assert garnet["systems"]["good"]["roc_auc"] == [1, 1, 1]
    assert garnet["systems"]["bad"]["roc_auc"][0] == pytest.approx(roc_auc(bad[0], found.labels[0])) == 0
    assert garnet["differences"]["bad"]["roc_auc"] == [1, 1, 1]
    assert told["mean"]["systems"]["good"]["roc_auc"][0] == 1
    assert garnet["drawn_average_precision"]["systems"]["good"][0] == 1
    assert "good" not in garnet["differences"]


@pytest.fixture(scope="module")
def bench(small_run, small_store, tmp_path_factory):
    """The tiny model, with itself as the baseline."""
    opened = open_run(small_run.folder, small_store)
    return Bench(opened, tmp_path_factory.mktemp("galleries"), small_run.folder)


@pytest.fixture(scope="module")
def screened(bench):
    words = {"own": {"high pressure": (), "perovskite": (), "ice cream": ()}}
    return evaluate_screening(bench, "all", ScreeningConfig(words, protocol=QUICK))["own"]


def test_the_protocol_on_a_run(bench, screened, small_run):
    assert screened.judged.words == ("high pressure", "perovskite")
    assert screened.figures["left_out"] == {"ice cream": {"positives": 0, "groups": 0}}
    assert set(screened.scores) == {ENSEMBLE, WORD, COMPOSITION}
    prismat = small_run.trained.prismat
    query = prismat.embed(texts=["perovskite"])["text@structure"][0]
    titles = np.array(bench.opened.records.titles)
    rows = np.flatnonzero([bool(t.strip()) for t in titles])
    crystals = [bench.store.crystals(rows[:3])]
    structures = prismat.embed(structures=crystals[0])["structure@text"]
    np.testing.assert_allclose(screened.scores[WORD][1][:3], structures @ query, atol=1e-4)
    # The baseline is the same model here, so nothing lies between them.
    mean = screened.figures["mean"]
    assert mean["differences"][COMPOSITION]["roc_auc"] == pytest.approx([0, 0, 0])
    assert len(screened.prompts["perovskite"]) > 1


def test_its_page_holds_every_figure(screened):
    page = screening_page({"own": screened}, "test", "small <store>")
    text = render_result("screening", page)
    assert "small &lt;store&gt;" in text
    assert "2 of 3 words can be scored" in page.lede
    for title in (
        "ROC-AUC",
        "AP, all structures",
        "balanced by weight",
        "CLaSP&#x27;s balanced subset",
        "Left out",
    ):
        assert title in text, title
    assert page.pictures[0].svg.startswith("<svg")
    json.dumps(to_plain(screened.figures), allow_nan=False)


def test_parts_of_a_store(bench):
    test, val = rows_of(bench.opened, "test"), rows_of(bench.opened, "val")
    assert set(rows_of(bench.opened, "held-out")) == {*test, *val}
    assert len(rows_of(bench.opened, "all")) == len(bench.store)


def test_words_that_no_title_has_are_refused(bench):
    words = {"own": {"ice cream": (), "lava": ()}}
    with pytest.raises(BadInputError, match="titles that have it: ice cream 0, lava 0"):
        evaluate_screening(bench, "test", ScreeningConfig(words, protocol=QUICK))


def test_the_composition_model_beside_a_run(tmp_path):
    assert composition_model(tmp_path) is None
    model = tmp_path / "run" / "baselines" / "composition" / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    # A quickstart folder holds its run, whose model tells where it is.
    (tmp_path / "run" / "model").mkdir()
    (tmp_path / "run" / "model" / "config.json").write_text("{}")
    assert composition_model(tmp_path) == composition_model(tmp_path / "run") == model.parent
