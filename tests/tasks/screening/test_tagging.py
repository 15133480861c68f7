import json

import numpy as np
import pytest
from safetensors.numpy import save_file

import helpers_small as small
from prismat.errors import BadInputError
from prismat.formats import to_cif
from prismat.tasks.opened import open_run
from prismat.tasks.result import render_result
from prismat.tasks.screening.evaluation import Bench
from prismat.tasks.screening.gallery import open_gallery
from prismat.tasks.screening.tag_evaluation import (
    COMPOSITION,
    FREQUENCY,
    MODEL,
    evaluate_tagging,
    tagging_page,
)
from prismat.tasks.screening.tagger import (
    CHOICES,
    PLAIN,
    Choice,
    Tagger,
    choose,
    load_tagger,
    top_metrics,
    word_statistics,
)
from prismat.tasks.screening.tagging import open_tagger, read_given, tag_source, tag_vectors, tagger_folder
from prismat.tasks.screening.vocabulary import Vocabulary


def sphere(rng, n, dim=8):
    x = rng.normal(size=(n, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def tagger_of(rng, words=12, records=50, choice=PLAIN):
    vectors, crystals = sphere(rng, words), sphere(rng, records)
    vocabulary = Vocabulary(
        tuple(f"word {i}" for i in range(words)), np.arange(1, words + 1), np.arange(words) % 2 == 0
    )
    return Tagger(
        vocabulary, vectors.astype(np.float32), word_statistics(vectors, crystals), records, choice
    ), crystals


def test_the_statistics_and_scores_are_the_written_formulas():
    rng = np.random.default_rng(0)
    tagger, crystals = tagger_of(rng)
    cosine = tagger.vectors.astype(float) @ crystals.T
    np.testing.assert_allclose(tagger.statistics.mean, cosine.mean(1), atol=1e-6)
    np.testing.assert_allclose(tagger.statistics.near, np.sort(cosine, axis=1)[:, -10:].mean(1), atol=1e-6)
    x = sphere(rng, 3)
    plain = x @ tagger.vectors.T

    def order(s):
        return np.argsort(-s, axis=1)

    np.testing.assert_array_equal(order(tagger.scores(x, PLAIN)), order(plain))
    z = (plain - cosine.mean(1)) / cosine.std(1)
    np.testing.assert_allclose(tagger.scores(x, Choice("z-score")), z, atol=1e-4)
    csls = order(2 * plain - tagger.statistics.near)
    np.testing.assert_array_equal(order(tagger.scores(x, Choice("csls"))), csls)
    share = np.log((np.arange(1, 13) + 0.5) / 51)
    np.testing.assert_allclose(tagger.scores(x, Choice("z-score", 0.5)), z + 0.5 * share, atol=1e-4)


def test_a_word_near_everything_is_not_near_anything_once_corrected():
    rng = np.random.default_rng(1)
    crystals = sphere(rng, 200)
    hub = crystals.mean(axis=0) / np.linalg.norm(crystals.mean(axis=0))
    crystals = crystals + 2 * hub
    crystals /= np.linalg.norm(crystals, axis=1, keepdims=True)
    words = np.stack([hub, crystals[0], crystals[1]])
    vocabulary = Vocabulary(("hub", "first", "second"), np.ones(3, dtype=np.int64), np.zeros(3, dtype=bool))
    tagger = Tagger(vocabulary, words.astype(np.float32), word_statistics(words, crystals), 200)
    first = {
        c: (tagger.scores(crystals[5:], Choice(c)).argmax(1) == 0).mean()
        for c in ("cosine", "z-score", "csls")
    }
    assert first["cosine"] > 0.7
    assert first["z-score"] < 0.45
    assert tagger.scores(crystals[:1], Choice("z-score")).argmax() == 1


def test_metrics_by_hand():
    own = np.zeros((2, 20), bool)
    own[0, [0, 3, 19]] = own[1, 12] = True
    scores = np.tile(-np.arange(20.0), (2, 1))
    found = top_metrics(scores, own)
    np.testing.assert_allclose(found, [[2 / 5, 2 / 10, 2 / 3], [0, 0, 0]])
    # Equal scores come in the words' order.
    np.testing.assert_allclose(top_metrics(np.zeros((2, 20)), own), found)


def test_the_best_choice_on_validation_is_taken():
    rng = np.random.default_rng(2)
    tagger, _ = tagger_of(rng, words=40)
    x = sphere(rng, 60)
    own = tagger.scores(x, Choice("z-score")).argsort(1).argsort(1) >= 34
    choice, reached = choose(tagger, x, own)
    assert choice == Choice("z-score", 0.0)
    assert reached["z-score, prior 0"] == 1
    assert len(reached) == len(CHOICES)
    with pytest.raises(BadInputError, match="no validation record has a word"):
        choose(tagger, x, np.zeros_like(own))


def test_words_on_disk_are_those_saved(tmp_path):
    tagger, crystals = tagger_of(np.random.default_rng(3), choice=Choice("csls", 0.25))
    tagger.save(tmp_path / "words", "abc")
    again = load_tagger(tmp_path / "words", "abc")
    assert (again.choice, again.vocabulary.words, again.records) == (
        tagger.choice,
        tagger.vocabulary.words,
        50,
    )
    np.testing.assert_allclose(again.scores(crystals), tagger.scores(crystals), atol=1e-5)
    with pytest.raises(BadInputError, match="holds words of another model"):
        load_tagger(tmp_path / "words", "def")
    with pytest.raises(BadInputError, match="no words in"):
        load_tagger(tmp_path, "abc")
    save_file({"vectors": np.zeros((1, 2), np.float32)}, tmp_path / "words" / "words.safetensors")
    with pytest.raises(BadInputError, match="is damaged"):
        load_tagger(tmp_path / "words", "abc")


@pytest.fixture(scope="module")
def bench(small_run, small_store, tmp_path_factory):
    opened = open_run(small_run.folder, small_store)
    return Bench(opened, tmp_path_factory.mktemp("galleries"), small_run.folder)


@pytest.fixture(scope="module")
def words(bench, tmp_path_factory):
    """The folder of the words, and the tagger that was made there."""
    folder = tmp_path_factory.mktemp("words")
    return folder, open_tagger(bench, folder)


def test_words_of_a_run_come_from_its_training_titles(bench, words, monkeypatch):
    folder, tagger = words
    titles = [bench.opened.records.titles[r] for r in bench.opened.rows["train"]]
    assert {"rock salt", "thermal expansion"} & set(tagger.vocabulary.words)
    for word, count in zip(tagger.vocabulary.words, tagger.vocabulary.counts, strict=True):
        assert count >= sum(word in title.lower().replace("-", " ") for title in titles) * 0.5
    assert (tagger_folder(folder, bench.store, bench.opened.prismat) / "words.json").is_file()
    monkeypatch.setattr("prismat.tasks.screening.tagging.make_tagger", lambda *_: pytest.fail("made twice"))
    assert open_tagger(bench, folder).choice == tagger.choice


def test_files_and_records_are_tagged_and_bad_ones_listed(bench, words, tmp_path):
    _, tagger = words
    prismat, store = bench.opened.prismat, bench.store
    good, bad = tmp_path / "good.cif", tmp_path / "bad.cif"
    good.write_text(to_cif(small.crystal("rock_salt_Mg-O"), name="MgO"), encoding="utf-8")
    bad.write_text("data_bad\n")
    index = open_gallery(prismat, store, bench.folder)
    given = read_given(prismat, [str(good), str(bad), "rock_salt_Mg-O", "nobody"], store, index)
    assert given.names == [str(good), "rock_salt_Mg-O"]
    assert set(given.failed) == {str(bad), "nobody"}
    assert "no such file, and no record of that id" in given.failed["nobody"]
    np.testing.assert_allclose(given.vectors[0], given.vectors[1], atol=1e-3)
    tags = tag_vectors(tagger, given.vectors, k=5)
    assert [t.word for t in tags[0]] == [t.word for t in tags[1]]
    assert [t.score for t in tags[0]] == sorted((t.score for t in tags[0]), reverse=True)
    assert all(-1.001 <= t.cosine <= 1.001 for t in tags[0])
    physics = tag_vectors(tagger, given.vectors, k=50, chemistry=False)
    assert not any(t.chemical for t in physics[0])
    with pytest.raises(BadInputError, match=r"0 of .* words asked for"):
        tag_vectors(tagger, given.vectors, k=0)


def test_the_evaluation_has_its_baselines_beside_it(bench):
    result = evaluate_tagging(tag_source(bench), "test")
    found = result["sets"]["all"]
    assert set(found["systems"]) == {MODEL, "cosine alone", COMPOSITION, FREQUENCY}
    for figures in found["systems"].values():
        for value, low, high in figures.values():
            assert 0 <= low <= value <= high <= 1
    # The baseline is the same model here.
    assert found["differences"][COMPOSITION]["recall@10"] == [0, 0, 0]
    assert found["chosen"][MODEL]["validation"]
    page = tagging_page(result, "small")
    text = render_result("tagging", page)
    assert "most frequent words" in text
    assert "Chosen on validation: model:" in text
    json.dumps(result, allow_nan=False)


def test_words_come_from_the_own_store_alone(bench):
    from dataclasses import replace

    other = replace(bench, opened=replace(bench.opened, is_own=False))
    with pytest.raises(BadInputError, match="is not the store that the run was trained on"):
        tag_source(other)
