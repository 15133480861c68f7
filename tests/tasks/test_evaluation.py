from dataclasses import replace

import numpy as np
import pytest
import torch

import helpers_small as small
from prismat.errors import BadInputError
from prismat.modalities.chemistry_text import mask
from prismat.modalities.lexicon import Lexicon
from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.base import SplitConfig
from prismat.tasks.embedding import embed_rows
from prismat.tasks.evaluation import MASK_LEVELS, Embeddings, Evaluator, validation_score
from prismat.tasks.quickstart import test_evaluator as evaluator_of_the_test_part
from prismat.training.session import open_prepared

DIRECTIONS = [
    ("text", "structure"),
    ("structure", "text"),
    ("xrd", "structure"),
    ("structure", "xrd"),
    ("xrd", "text"),
    ("text", "xrd"),
]


@pytest.fixture(scope="module")
def prismat(small_run):
    return small_run.trained.prismat


@pytest.fixture(scope="module")
def everything(small_run, small_prepared):
    """An evaluator of all records, and their embeddings."""
    evaluator = Evaluator(small_prepared.records, np.arange(len(small_prepared.records)))
    return evaluator, evaluator.embed(small_run.trained.prismat, small_run.trained.data)


def naive_ranks(prismat, embedded, records, query, gallery):
    """Rank of each query by three plain loops."""
    left = embedded.vectors[prismat.key(query, gallery)]
    right = embedded.vectors[prismat.key(gallery, query)]
    has_text = [bool(t) for t in records.titles]
    ranks = []
    for i in range(len(records)):
        if query == "text" and not has_text[i]:
            continue
        scores = {j: left[i] @ right[j] for j in range(len(records)) if gallery != "text" or has_text[j]}
        best = [s for j, s in scores.items() if is_right(records, i, j, "text" in (query, gallery))]
        if best:
            wrong = [s for j, s in scores.items() if not is_right(records, i, j, "text" in (query, gallery))]
            ranks.append(1 + sum(s >= max(best) for s in wrong))
    return ranks


def is_right(records, i, j, by_text):
    if i == j or {records.ids[i], records.ids[j]} == {"rock_salt_Na-Cl", "halite_again"}:
        return True
    return by_text and records.titles[i].lower() == records.titles[j].lower() != ""


def test_every_direction_equals_a_naive_computation(prismat, everything, small_prepared):
    evaluator, embedded = everything
    results = evaluator.retrieval(prismat, embedded)
    assert evaluator.directions(prismat) == DIRECTIONS
    assert list(results) == [f"{a}->{b}" for a, b in DIRECTIONS] + ["polymorph"]
    texts = sum(bool(t) for t in small_prepared.records.titles)
    for query, gallery in DIRECTIONS:
        result = results[f"{query}->{gallery}"]
        ranks = naive_ranks(prismat, embedded, small_prepared.records, query, gallery)
        assert result.ranks.tolist() == ranks
        assert result.pool == (texts if gallery == "text" else len(small_prepared.records))
        assert result.recall[10] == pytest.approx(np.mean([r <= 10 for r in ranks]))
        assert result.mrr == pytest.approx(np.mean([1 / r for r in ranks]))


def test_duplicates_of_text_and_structure_are_right_answers(prismat, everything, small_prepared):
    evaluator, embedded = everything
    ids = small_prepared.records.ids
    halite, again, shared = (ids.index(i) for i in ("rock_salt_Na-Cl", "halite_again", "shared_text"))
    by_text, by_structure = evaluator.relevant["text"], evaluator.relevant["structure"]
    assert by_text[halite, [halite, again, shared]].tolist() == [True, True, True]
    assert by_structure[halite, [halite, again, shared]].tolist() == [True, True, False]
    assert not by_text[again, shared]
    _, relevant, groups = evaluator.scores(prismat, embedded, "xrd", "structure")
    assert relevant[halite].sum() == 2
    np.testing.assert_array_equal(groups, np.arange(len(ids)))
    wanted = evaluator.queries(prismat, embedded, "text", "structure")
    assert wanted.tolist() == [bool(t) for t in small_prepared.records.titles]


def test_a_model_that_knows_every_answer_scores_one(prismat, everything):
    """With one random vector per crystal under every key, each query finds itself first."""
    evaluator, embedded = everything
    vectors = np.random.default_rng(0).normal(size=(len(evaluator.rows), 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    known = replace(embedded, vectors=dict.fromkeys(embedded.vectors, vectors))
    results = evaluator.retrieval(prismat, known)
    # Where texts are the gallery, an untitled duplicate is only answered by another record's title.
    for name in ("text->structure", "xrd->structure", "structure->xrd", "text->xrd", "polymorph"):
        assert (results[name].ranks == 1).all()
    constant = replace(embedded, vectors=dict.fromkeys(embedded.vectors, np.ones_like(vectors)))
    assert evaluator.retrieval(prismat, constant)["xrd->structure"].recall[10] == 0


def test_polymorph_galleries_hold_one_formula(prismat, everything, small_prepared):
    evaluator, embedded = everything
    result = evaluator.polymorph(prismat, embedded)
    left, right = embedded.vectors["xrd@structure"], embedded.vectors["structure@xrd"]
    records = small_prepared.records
    formulas = [small.crystal(name).formula for name in records.ids]
    ranks, pools = [], []
    for i, formula in enumerate(formulas):
        gallery = [j for j, other in enumerate(formulas) if other == formula]
        wrong = [j for j in gallery if not is_right(records, i, j, False)]
        if wrong:
            best = max(left[i] @ right[j] for j in gallery if j not in wrong)
            ranks.append(1 + sum(left[i] @ right[j] >= best for j in wrong))
            pools.append(len(gallery))
    assert len(ranks) > 20
    assert result.ranks.tolist() == ranks
    assert result.pool == pytest.approx(np.mean(pools))
    assert "each within its own group" in result.note


def test_no_polymorphs_no_figure(prismat, small_run, small_prepared):
    ids = small_prepared.records.ids
    rows = np.array([ids.index(i) for i in ("rock_salt_Li-F", "rutile_Ti-O", "spinel_Zn-Al-O")])
    evaluator = Evaluator(small_prepared.records, rows)
    embedded = evaluator.embed(prismat, small_run.trained.data)
    assert evaluator.polymorph(prismat, embedded) is None
    assert "polymorph" not in evaluator.retrieval(prismat, embedded)


def test_masked_titles_lose_level_by_level(prismat, everything, small_prepared):
    evaluator, embedded = everything
    minerals = [*small_prepared.records.minerals, "Perovskite"]
    results = evaluator.masked_text(prismat, embedded, minerals)
    assert list(results) == list(MASK_LEVELS) == ["formula", "elements", "minerals"]
    titles = [t for t in small_prepared.records.titles if t]
    lexicon = Lexicon.from_names(minerals)
    for level, result in results.items():
        query = prismat.embed(texts=[mask(t, level, lexicon) for t in titles])["text@structure"]
        scores = query @ embedded.vectors["structure@text"].T
        assert result.queries == len(titles)
        best = [s[r].max() for s, r in zip(scores, relevant_rows(evaluator, titles), strict=True)]
        wrong = [~r for r in relevant_rows(evaluator, titles)]
        ranks = [1 + int((s[w] >= b).sum()) for s, w, b in zip(scores, wrong, best, strict=True)]
        assert result.ranks.tolist() == ranks
    assert "[element]" in mask("Thermal expansion of zinc oxide", "elements", lexicon)
    assert mask("Thermal expansion of perovskite", "minerals", lexicon) == "Thermal expansion of [mineral]"


def relevant_rows(evaluator, titles):
    kept = [i for i, t in enumerate(evaluator.records.titles) if t]
    assert len(kept) == len(titles)
    return evaluator.relevant["text"][kept]


def test_intervals_take_the_split_groups_as_units(small_prepared):
    evaluator = evaluator_of_the_test_part(small_prepared, small.tiny_job())
    rows = small_prepared.rows["test"]
    np.testing.assert_array_equal(evaluator.rows, np.sort(rows))
    formulas = np.array([small.crystal(small_prepared.records.ids[r]).formula for r in evaluator.rows])
    groups = evaluator.groups[evaluator.rows]
    same_formula = formulas[:, None] == formulas[None, :]
    assert (groups[:, None] == groups[None, :])[same_formula].all()
    assert len(set(groups)) > 5


def test_embeddings_come_in_chunks_and_absent_windows_are_zero(
    prismat, small_run, small_prepared, monkeypatch
):
    rows = np.array([5, 3, 18, 40, 7])
    vectors, present = embed_rows(prismat, small_run.trained.data, rows)
    monkeypatch.setattr("prismat.tasks.embedding.CHUNK", 2)
    again, there = embed_rows(prismat, small_run.trained.data, rows)
    titles = [small_prepared.records.titles[r] for r in rows]
    assert present["text@xrd"].tolist() == there["text@xrd"].tolist() == [bool(t) for t in titles]
    assert not all(titles)
    for key, found in vectors.items():
        np.testing.assert_allclose(found, again[key], atol=1e-5)
        assert not found[~present[key]].any()
    only, _ = embed_rows(prismat, small_run.trained.data, rows, ["xrd"])
    assert set(only) == {k for k in vectors if k.startswith("xrd@")} | {"profile"}


def test_embedding_leaves_the_mode_of_the_model_as_it_was(prismat, small_run):
    prismat.model.train()
    try:
        first, _ = embed_rows(prismat, small_run.trained.data, np.arange(3))
        assert prismat.model.training
    finally:
        prismat.model.eval()
    np.testing.assert_array_equal(
        embed_rows(prismat, small_run.trained.data, np.arange(3))[0]["xrd@text"], first["xrd@text"]
    )


def test_the_validation_score_is_the_mean_recall(prismat, small_run, small_prepared):
    evaluator = Evaluator(small_prepared.records, small_prepared.rows["val"])
    found = validation_score(prismat, small_run.trained.data, evaluator)
    results = evaluator.retrieval(prismat, evaluator.embed(prismat, small_run.trained.data))
    expected = {f"{a}->{b}/recall@10": results[f"{a}->{b}"].recall[10] for a, b in DIRECTIONS}
    assert {k: v for k, v in found.items() if k != "score"} == pytest.approx(expected)
    assert found["score"] == pytest.approx(np.mean(list(expected.values())))
    last = small_run.trained.outcome
    best = next(e for e in last.history if e["step"] == last.best_step)
    assert found["score"] == pytest.approx(best["val/score"])


@pytest.fixture(scope="module")
def patchy(tmp_path_factory):
    """Records of which some have no structure, no text or no pattern."""
    settings = PrepareSettings(profile=small.tiny_recipe().profile, workers=1)
    store = prepare(small.SmallSource(small.patchy()), tmp_path_factory.mktemp("patchy") / "store", settings)
    return open_prepared(store, SplitConfig(fractions=(0.6, 0.2, 0.2), seed=1))


def embeddings(prismat, records, rows, has):
    """Random vectors; ``has`` tells for each window which rows have it."""
    generator = torch.Generator().manual_seed(0)
    keys = [f"{a}@{b}" for a in has for b in has if a != b]
    drawn = {k: torch.randn(len(rows), 16, generator=generator) for k in keys}
    present = {k: has[k.split("@")[0]] for k in keys}
    units = {
        k: torch.nn.functional.normalize(v, dim=1).numpy() * present[k][:, None] for k, v in drawn.items()
    }
    return Embeddings(np.sort(rows), units, present)


def test_records_that_lack_a_window_leave_its_queries_and_galleries(prismat, patchy):
    records = patchy.records
    rows = np.arange(len(records))
    has = {
        "structure": records.fractions.any(axis=1),
        "text": np.array([bool(t) for t in records.titles]),
        "xrd": np.array([not i.startswith("words") for i in records.ids]),
    }
    evaluator, embedded = Evaluator(records, rows), embeddings(prismat, records, rows, has)
    results = evaluator.retrieval(prismat, embedded)
    for query, gallery in DIRECTIONS:
        both = has[query] & has[gallery]
        assert results[f"{query}->{gallery}"].pool == has[gallery].sum()
        assert results[f"{query}->{gallery}"].queries >= both.sum()
    masked = evaluator.masked_text(prismat, embedded, records.minerals)
    assert masked["formula"].queries == results["text->structure"].queries


def test_directions_without_a_query_are_left_out(prismat, patchy, small_run):
    records = patchy.records
    rows = np.flatnonzero(
        [
            i.startswith(("pattern", "rock_salt")) and not t
            for i, t in zip(records.ids, records.titles, strict=True)
        ]
    )
    assert len(rows) > 4
    has = {
        "structure": records.fractions[rows].any(axis=1),
        "text": np.zeros(len(rows), bool),
        "xrd": np.ones(len(rows), bool),
    }
    evaluator, embedded = Evaluator(records, rows), embeddings(prismat, records, rows, has)
    assert {"xrd->structure", "structure->xrd"} == set(evaluator.retrieval(prismat, embedded)) - {"polymorph"}
    assert evaluator.masked_text(prismat, embedded, records.minerals) == {}


def test_no_query_at_all_is_an_error_not_a_score(prismat, patchy, small_run):
    words = np.flatnonzero([i.startswith("words") for i in patchy.records.ids])
    evaluator = Evaluator(patchy.records, words)
    none, all_ = np.zeros(len(words), bool), np.ones(len(words), bool)
    found = embeddings(prismat, patchy.records, words, {"structure": none, "text": all_, "xrd": none})
    evaluator.embed = lambda *_: found
    with pytest.raises(BadInputError, match="no validation record has two of the windows"):
        validation_score(prismat, small_run.trained.data, evaluator)
