import json

import numpy as np
import pytest

import helpers_small as small
from prismat.hygiene.manifest import manifest
from prismat.splits import Split
from prismat.store import Store
from prismat.tasks.assemble import compare, examples, figures, formula_text, judge
from prismat.tasks.evaluation import Evaluator
from prismat.tasks.quickstart import test_evaluator as evaluator_of_the_test_part

FIGURES = {"pool", "recall@1", "recall@5", "recall@10", "median_rank", "mrr", "chance@1", "ci95", "queries"}
DIRECTIONS = {
    "text->structure",
    "structure->text",
    "xrd->structure",
    "structure->xrd",
    "xrd->text",
    "text->xrd",
    "polymorph",
}
LEVELS = {"formula", "elements", "minerals"}


@pytest.fixture(scope="module")
def report(small_whole):
    return small_whole.report


@pytest.fixture(scope="module")
def judged(small_run, small_prepared):
    evaluator = evaluator_of_the_test_part(small_prepared, small_run.job)
    return judge(small_run.trained, evaluator), evaluator


def test_the_report_has_exactly_the_keys_of_its_contract(report):
    assert set(report) == {
        *("recipe", "dataset", "split", "retrieval", "apart", "baselines", "differences", "cost"),
        *("environment", "model_hash"),
    }
    contract = {"records", "rejected", "with_text", "with_xrd", "disordered"}
    assert set(report["dataset"]) == contract | {"source", "licence", "citation", "manifest"}
    assert set(report["split"]) == {"train", "val", "test", "hash", "rule"}
    contract = {"prepare_s", "train_s", "peak_rss_mb", "epochs", "parameters"}
    assert set(report["cost"]) == contract | {"best_step"}
    assert set(report["baselines"]) == {"composition", "text+structure only"}
    assert {"prismat", "python", "torch", "numpy", "platform", "threads"} < set(report["environment"])


def test_every_direction_has_all_its_figures(report):
    baselines = report["baselines"]
    assert (
        set(report["retrieval"]) == set(baselines["composition"]) == DIRECTIONS | {"masked_text->structure"}
    )
    two = {"text->structure", "structure->text", "masked_text->structure"}
    assert set(baselines["text+structure only"]) == two
    for results in (report["retrieval"], *baselines.values()):
        assert set(results["masked_text->structure"]) == LEVELS
        flat = [v for k, v in results.items() if k in DIRECTIONS] + [
            *results["masked_text->structure"].values()
        ]
        for found in flat:
            assert set(found) - {"note"} == FIGURES
            assert 0 <= found["recall@1"] <= found["recall@5"] <= found["recall@10"] <= 1
            assert 0 < found["chance@1"] < 1
            assert set(found["ci95"]) == {
                "recall@1",
                "recall@5",
                "recall@10",
                "median_rank",
                "mrr",
                "chance@1",
            }
            low, high = found["ci95"]["recall@10"]
            assert low <= found["recall@10"] <= high
    assert set(report["apart"]) == {"text_with_formula->structure"}


def test_the_dataset_is_counted(report, small_whole):
    store = Store(small_whole.folder / "store")
    kept = [small.crystal(i) for i in store.ids]
    titled = sum("title" in m.texts for m in small.materials() if hasattr(m, "texts"))
    assert report["dataset"] == {
        "source": "small",
        "records": len(kept),
        "rejected": 2,
        "with_text": titled,
        "with_xrd": len(kept),
        "disordered": len(small.MIXED),
        "licence": "CC0",
        "citation": "Nobody (2026)",
        "manifest": manifest(store),
    }


def test_the_split_is_that_of_the_run(report, small_whole):
    split = Split.from_json((small_whole.folder / "run/split.json").read_text())
    assert report["split"]["hash"] == split.hash
    assert report["split"]["rule"] == split.rule
    assert [report["split"][p] for p in ("train", "val", "test")] == [
        len(split.train),
        len(split.val),
        len(split.test),
    ]
    assert report["retrieval"]["xrd->structure"]["pool"] == len(split.test)


def test_the_cost_is_that_of_the_run(report, small_whole):
    cost, split = report["cost"], report["split"]
    assert cost["parameters"] == small_whole.engine.prismat.model.n_parameters
    assert cost["epochs"] == pytest.approx(6 * 40 / split["train"], abs=0.01)
    assert cost["best_step"] in (3, 6)
    assert cost["prepare_s"] > 0
    assert 0 < cost["train_s"] < 60
    assert 50 < cost["peak_rss_mb"] < 100_000
    assert report["model_hash"] == small_whole.engine.prismat.hash


def test_differences_are_taken_query_by_query(report, judged, small_run):
    assert set(report["differences"]) == DIRECTIONS
    for direction, baselines in report["differences"].items():
        for name, entry in baselines.items():
            for metric, (mean, low, high) in entry.items():
                model, other = report["retrieval"][direction], report["baselines"][name][direction]
                assert mean == pytest.approx(model[metric] - other[metric], abs=1e-9)
                assert low <= mean <= high
    main, _ = judged
    itself = compare(main, main)
    assert set(itself) == DIRECTIONS
    assert {v for entry in itself.values() for value in entry.values() for v in value} == {0.0}


def test_judging_is_evaluating(judged):
    main, evaluator = judged
    results = evaluator.retrieval(main.trained.prismat, main.embedded)
    assert set(main.results) == DIRECTIONS
    for name, result in results.items():
        np.testing.assert_array_equal(main.results[name].ranks, result.ranks)


def test_text_with_the_formula_is_reported_apart(judged, small_prepared):
    main, evaluator = judged
    found = formula_text(main, small_prepared, evaluator)["text_with_formula->structure"]
    assert found.queries == found.pool == len(small_prepared.rows["test"])


def test_examples_show_what_was_found(judged, small_prepared):
    main, evaluator = judged
    records, prismat = small_prepared.records, main.trained.prismat
    made = examples(main, small_prepared, evaluator, seed=0, count=6)
    assert len(made) == 6
    assert [e.query for e in made] == [
        e.query for e in examples(main, small_prepared, evaluator, seed=0, count=6)
    ]
    gallery = {records.ids[r] for r in small_prepared.rows["test"]}
    assert any(not records.titles[r] for r in small_prepared.rows["test"])
    for example in made:
        assert example.query
        assert len(example.hits) == 5
        assert {h.id for h in example.hits} <= gallery
        scores = [h.score for h in example.hits]
        assert scores == sorted(scores, reverse=True)
        query = prismat.embed(texts=[example.query])["text@structure"][0]
        for hit in example.hits:
            vector = prismat.embed(structures=[small.crystal(hit.id)])["structure@text"][0]
            assert hit.score == pytest.approx(float(query @ vector), abs=1e-4)
            assert hit.correct == (records.titles[records.ids.index(hit.id)] == example.query)
            assert hit.formula == small.crystal(hit.id).formula
        assert (example.rank <= 5) == any(h.correct for h in example.hits)


def test_figures_draw_the_results(judged, small_prepared):
    main, evaluator = judged
    drawn = figures(main, small_prepared, evaluator)
    assert drawn.history == main.trained.outcome.history
    assert set(drawn.recall_curves) == DIRECTIONS - {"polymorph"}
    curve = drawn.recall_curves["xrd->structure"]
    assert curve[[0, 4, 9]].tolist() == pytest.approx(list(main.results["xrd->structure"].recall.values()))
    rows, columns = drawn.similarity.shape
    assert rows == columns > 5
    vectors = main.embedded.vectors
    everything = vectors["text@structure"] @ vectors["structure@text"].T
    assert np.isin(drawn.similarity.round(5), everything.round(5)).mean() > 0.99


def test_a_model_without_text_has_no_text_figures(small_prepared, small_run):
    evaluator = Evaluator(small_prepared.records, small_prepared.rows["test"])
    main = judge(small_run.trained, evaluator)
    del main.results["text->structure"]
    assert examples(main, small_prepared, evaluator, seed=0) == []
    assert figures(main, small_prepared, evaluator).similarity.size == 0


def test_the_report_is_written_as_json(report, small_whole):
    written = json.loads((small_whole.folder / "run/report.json").read_text())
    assert written == json.loads(json.dumps(report))
