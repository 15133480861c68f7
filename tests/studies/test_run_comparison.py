import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers_studies import moment
from prismat.errors import BadInputError
from prismat.studies.ablation import ablate, arms
from prismat.studies.collect import collect, figures_in
from prismat.studies.comparison import compare_runs
from prismat.studies.plots import Point, front
from prismat.studies.runner import Runner
from prismat.tasks.result import Picture, ResultPage, write_result

RECALL = "text->structure/recall@10"


def run_of(folder, value, cost, split, metrics=None):
    """A run folder as ``prismat evaluate`` leaves it."""
    folder.mkdir(parents=True)
    found = {
        "text->structure": {"recall@10": value, "mrr": 0.2, "ci95": {"recall@10": [value - 0.1, value + 0.1]}}
    }
    report = {
        "recipe": "x",
        "split": {"hash": split},
        "cost": {"train_s": cost, "peak_rss_mb": 900, "parameters": 5},
    }
    report |= {"retrieval": found, "baselines": {"composition": found}}
    report |= {"differences": {"text->structure": {"composition": {"recall@10": [0.1, 0.05, 0.2]}}}}
    if metrics:
        report = {
            "target": {"name": "gap"},
            "dataset": {"split": {"hash": split}},
            "metrics": metrics,
            "cost": {},
        }
    (folder / "report.json").write_text(json.dumps(report))
    return folder


@pytest.fixture
def runs(tmp_path):
    """Two runs of one split, one of another."""
    return [
        run_of(tmp_path / "cheap", 0.5, 10, "a" * 64),
        run_of(tmp_path / "dear", 0.4, 20, "a" * 64),
        run_of(tmp_path / "other", 0.3, 5, "b" * 64),
    ]


def test_runs_of_different_splits_are_told_apart(runs, tmp_path):
    result = compare_runs(runs, tmp_path / "out")
    assert result["splits"] == ["a" * 64, "b" * 64]
    assert result["score"] == RECALL
    # The dear run is worse than the cheap one; the cheapest of all is of another split and beats nobody.
    assert result["front"] == {"split aaaaaaaa, test": ["cheap"], "split bbbbbbbb, test": ["other"]}
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert "figures of different splits cannot be compared" in page
    text = (tmp_path / "out" / "comparison.md").read_text()
    assert text.count("## Split") == 2
    assert (
        "| cheap | model | retrieval | test | text->structure/recall@10 | 0.500 [0.400, 0.600] | 10.0 s |"
        in text
    )
    assert "| cheap | composition | retrieval |" in text
    assert (tmp_path / "out" / "comparison.svg").is_file()
    one = compare_runs(runs[:2], tmp_path / "one")
    assert len(one["splits"]) == 1
    assert "cannot be compared" not in (tmp_path / "one" / "comparison.html").read_text()


def test_the_csv_holds_every_figure(runs, tmp_path):
    result = compare_runs(runs, tmp_path / "out")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "comparison.csv").read_text())))
    assert len(rows) == len(result["figures"]) == 6
    assert (rows[0]["value"], rows[0]["train_s"], rows[0]["low"]) == ("0.5", "10", "0.4")
    assert json.loads((tmp_path / "out" / "comparison.json").read_text())["figures"] == result["figures"]


def test_predictors_and_tasks_are_collected(tmp_path):
    run = run_of(tmp_path / "run", 0, 0, "c" * 64, {"mae": [0.2, 0.1, 0.3], "r2": [None, None, None]})
    page = ResultPage("t", "t", "t", [Picture("p", "<svg ></svg>", "c")])
    write_result(
        run / "tasks" / "screening", "screening", {"auc": {"value": 0.9, "low": 0.8, "high": 1.0}}, page
    )
    found = {(f.task, f.measure): f for f in collect(run)}
    assert set(found) == {("prediction of gap", "mae"), ("screening", "auc")}
    assert found["screening", "auc"].value == 0.9
    assert found["prediction of gap", "mae"].split == "c" * 64
    result = compare_runs([run], tmp_path / "out")
    assert (
        "| run | model | prediction of gap | test | mae | 0.200 [0.100, 0.300] |"
        in (tmp_path / "out" / "comparison.md").read_text()
    )
    assert result["front"] == {}


def test_a_real_run_and_a_quickstart(small_whole, small_run, tmp_path):
    result = compare_runs([small_whole.folder, small_run.folder], tmp_path / "out")
    tasks = {f["task"]: f["part"] for f in result["figures"]}
    assert tasks == {"retrieval": "test", "validation": "val"}
    best = [f for f in result["figures"] if f["task"] == "validation" and f["measure"] == "score"]
    assert [f["value"] for f in best] == [max(e["val/score"] for e in small_run.trained.outcome.history)]
    assert all(f["split"] for f in result["figures"])


def test_a_study_is_collected_by_variant(small_store, tmp_path):
    found = arms(moment(), small_store, (), ("recipe.windows=structure+text",), baseline=False)
    result = ablate(small_store, tmp_path / "study", found, 1, Runner(0))
    with pytest.raises(BadInputError, match=r"the study is not finished\. Give the same command once more"):
        collect(tmp_path / "study")
    write_result(tmp_path / "study", "ablation", result, ResultPage("t", "t", "t"))
    figures = collect(tmp_path / "study")
    assert {f.run for f in figures} == {"study: base", "study: windows=structure+text"}
    assert {f.part for f in figures} == {"val"}
    assert all(f.cost["train_s"] > 0 for f in figures)


def test_folders_without_figures_are_left_out_and_named(runs, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "report.json").write_text("{")
    result = compare_runs([*runs, tmp_path / "empty", tmp_path / "broken"], tmp_path / "out")
    assert "no figures there" in result["skipped"][str(tmp_path / "empty")]
    assert "is no JSON" in result["skipped"][str(tmp_path / "broken")]
    assert "Left out" in (tmp_path / "out" / "comparison.html").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"measures": ["*beauty"]},
            r"measures: no measure is like '\*beauty'\. There are text->structure/recall@10",
        ),
        ({"cost": "money"}, r"cost: no cost 'money'\. Use one of train_s, device_hours"),
        ({"folders": []}, r"runs: nothing to report: no run is named\. Give finished runs"),
    ],
)
def test_what_cannot_be_reported_is_told(runs, tmp_path, options, message):
    with pytest.raises(BadInputError, match=message):
        compare_runs(**{"folders": runs, "out": tmp_path / "out", **options})


def test_the_front_is_what_no_cheaper_one_beats():
    points = [
        Point(n, float(c), v, v, v)
        for n, c, v in [("a", 1, 1.0), ("b", 2, 0.5), ("c", 3, 2.0), ("d", 3, 3.0)]
    ]
    assert [p.name for p in front(points)] == ["a", "d"]
    assert [p.name for p in front(points, less_is_better=True)] == ["a", "b"]


def test_intervals_in_json():
    payload = {
        "mae": [0.2, 0.1, 0.3],
        "fractions": [0.8, 0.1, 0.1],
        "counts": [1, 0, 2],
        "differences": {"mae": [0.2, 0.1, 0.3]},
        "deep": {"auc": {"mean": 0.5, "low": 0.4, "high": 0.6}},
        "known": {"recall": 0.3, "ci95": {"recall": [0.2, 0.4], "absent": [0, 1]}},
    }
    assert dict(figures_in(payload)) == {
        "mae": (0.2, 0.1, 0.3),
        "deep/auc": (0.5, 0.4, 0.6),
        "known/recall": (0.3, 0.2, 0.4),
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4) | st.integers(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=6), inside, max_size=3),
)


@given(JSON)
def test_any_json_is_read(payload):
    assert all(low <= value <= high for _, (value, low, high) in figures_in(payload))
