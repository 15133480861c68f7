import html
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from prismat.tasks.report import Example, Hit, ReportFigures, render_report, summary, write_report
from prismat.tasks.report_plots import history_plot, recall_plot, series_of, similarity_plot
from prismat.tasks.report_sections import formula
from prismat.tasks.report_words import direction_name, flat_results, metric, metric_range, number
from prismat.tasks.retrieval import retrieval_metrics

EVIL = '<script>alert("x")</script>&\''
VOID = {"meta", "br", "img", "input", "link"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; checks that tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.words = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("href", "src", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("href", "src", "xlink:href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "svg"} & set(self.open):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def metrics(at_1=0.25, at_10=0.5, ci=True):
    found = {"pool": 924, "recall@1": at_1, "recall@5": 0.4, "recall@10": at_10, "median_rank": 8.0}
    found |= {"mrr": 0.3333, "chance@1": 1 / 924}
    return found | {"ci95": {"recall@1": [0.2, 0.3], "recall@10": [0.47, 0.53]} if ci else {}}


def full_report(**changes):
    masked = {level: metrics(0.1, 0.2) for level in ("minerals", "formula", "elements")}
    retrieval = {"polymorph": metrics(0.7, 1.0), "xrd->structure": metrics(0.6, 0.9)}
    retrieval |= {"masked_text->structure": masked, "text->structure": metrics()}
    return {
        "dataset": {"records": 9217, "rejected": 58, "with_text": 8512},
        "split": {"train": 7373, "val": 922, "test": 922, "hash": "abcd" * 16, "rule": {"tolerance": 0.02}},
        "retrieval": retrieval,
        "baselines": {"composition": {"text->structure": metrics(0.2, 0.45)}},
        "cost": {"train_s": 150.0, "parameters": 1234567},
        "environment": {"python": "3.11", "seed": 0},
    } | changes


def full_figures():
    rng = np.random.default_rng(0)
    history = [
        {"step": s, "loss": 5 / (s + 1), "warnings": ["no"]}
        | ({"val/text->structure/recall@10": 0.01 * s, "val/score": 0.1} if s % 5 == 0 else {})
        for s in range(40)
    ]
    curves = {"text->structure": np.linspace(0.2, 0.9, 50)}
    curves["text->structure | composition"] = np.linspace(0.1, 0.8, 50)
    hits = tuple(Hit(f"id{i}", "Fe2O3", "R-3c", f"title {i}", 0.9 - i / 10, i == 2) for i in range(5))
    example = Example("the structure of hematite", hits, "text->structure", 3)
    return ReportFigures(history, curves, rng.normal(size=(48, 48)), (example,) * 10)


def test_both_files_are_written_and_the_numbers_survive(tmp_path):
    folder = tmp_path / "run"
    path = write_report(folder, full_report(), full_figures())
    assert path == folder / "report.html"
    assert json.loads((folder / "report.json").read_text()) == full_report()
    assert sorted(p.name for p in folder.iterdir()) == ["report.html", "report.json"]


def test_the_page_is_whole_and_loads_nothing(tmp_path):
    text = write_report(tmp_path, full_report(), full_figures()).read_text()
    page = Page(text)
    assert page.tags.count("svg") == 4
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_the_same_input_gives_the_same_page(tmp_path):
    first = write_report(tmp_path / "a", full_report(), full_figures()).read_text()
    assert write_report(tmp_path / "b", full_report(), full_figures()).read_text() == first


def test_every_string_is_escaped():
    hits = (Hit(EVIL, EVIL, EVIL, EVIL, 0.5, True),)
    figures = ReportFigures(
        [{"step": s, "loss": 1.0, f"{EVIL}/recall@10": 0.1, "val/recall@10": 0.2} for s in range(3)],
        {EVIL: np.array([0.1, 0.2]), f"{EVIL} | {EVIL}": np.array([0.1, 0.2])},
        None,
        (Example(EVIL, hits, EVIL, 1),),
    )
    report = {
        "title": EVIL,
        "dataset": {EVIL: EVIL},
        "split": {"train": EVIL, "hash": EVIL, "rule": {EVIL: [EVIL]}},
        "retrieval": {"text->structure": metrics() | {"pool": EVIL}, EVIL: metrics()},
        "baselines": {EVIL: {"text->structure": metrics(), EVIL: metrics()}},
        "cost": {EVIL: EVIL},
        "environment": {EVIL: {EVIL: EVIL}},
    }
    text = render_report(report, figures)
    page = Page(text)
    assert "script" not in page.tags
    assert EVIL not in text
    assert page.text.count('alert("x")') >= 20


def test_rows_come_in_the_agreed_order():
    words = Page(render_report(full_report(), ReportFigures())).text
    expected = ["Text → structure", "composition", "Diffraction → structure", "Polymorphs"]
    expected += ["formulas hidden", "formulas and element names hidden", "element and mineral names hidden"]
    places = [words.index(name, words.index("Chance, %")) for name in expected]
    assert places == sorted(places)


def test_the_table_shows_figures_intervals_bars_and_baselines():
    text = render_report(full_report(), ReportFigures())
    row = re.search(r'<tr class="model"><th scope="row">Text → structure</th>.*?</tr>', text).group()
    assert re.findall(r'data-label="([^"]+)">([^<]*)<', row) == [
        ("Pool", "924"),
        ("R@1", "25.0"),
        ("R@5", "40.0"),
        ("R@10", "50.0"),
        ("Median rank", "8"),
        ("MRR", "0.333"),
        ("Chance", "0.1"),
    ]
    assert "<small>47.0–53.0</small>" in row
    assert 'style="width:25.0%"' in row
    assert re.search(r'<tr class="baseline"><th scope="row">composition</th>.*?45\.0', text)


@pytest.mark.parametrize("missing", ["dataset", "split", "retrieval", "baselines", "cost", "environment"])
def test_a_missing_part_is_left_out(missing):
    report = full_report()
    del report[missing]
    page = Page(render_report(report, full_figures()))
    heading = {"dataset": "Records", "split": "Hash", "cost": "Training", "environment": "Python"}
    heading |= {"baselines": "Grey rows", "retrieval": "Median rank"}
    gone = heading[missing] if missing != "baselines" else "45.0"
    assert gone not in page.text
    assert gone in Page(render_report(full_report(), full_figures())).text


def test_an_empty_report_still_is_a_page(tmp_path):
    page = Page(write_report(tmp_path, {}).read_text())
    assert "No retrieval was measured." in page.text
    assert "section" not in page.tags


def test_real_metrics_and_numbers_that_are_not_finite(tmp_path):
    result = retrieval_metrics(np.eye(30), np.eye(30, dtype=bool), resamples=50)
    report = {"retrieval": {"text->structure": result.to_dict()}, "cost": {"train_s": np.float64("nan")}}
    report["dataset"] = {"records": np.int64(30), "sizes": np.array([1, 2])}
    page = Page(write_report(tmp_path, report).read_text())
    saved = json.loads((tmp_path / "report.json").read_text())
    assert saved["cost"] == {"train_s": None}
    assert saved["dataset"] == {"records": 30, "sizes": [1, 2]}
    assert "100.0" in page.text
    assert "nan" not in page.text


def test_the_summary_says_who_is_ahead_and_by_how_much():
    words = summary(full_report())
    assert "among 924 comes first for 25.0 % of queries and among the first ten for 50.0 %" in words
    assert "(95 % interval 47.0–53.0)" in words
    assert "It is 5.0 points ahead of the composition baseline (45.0 %); no paired interval" in words
    assert "70.0 % of queries find the right one first" in words
    assert "the right structure is among the first ten for 20.0 % of queries" in words


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.05, 0.01, 0.09), "the model beats it by 5.0 points (95 % interval +1.0 to +9.0)."),
        ((-0.05, -0.09, -0.01), "the model falls behind it by 5.0 points (95 % interval −9.0 to −1.0)."),
        (
            (0.01, -0.02, 0.04),
            "cannot be told apart from it (difference +1.0 points, 95 % interval −2.0 to +4.0).",
        ),
        ((0.01, 0.0, 0.04), "cannot be told apart from it"),
    ],
)
def test_the_summary_claims_a_win_only_with_its_interval(values, verdict):
    differences = {"text->structure": {"composition": {"recall@10": values}}}
    words = summary(full_report(differences=differences))
    assert verdict in words
    assert "The composition baseline reaches 45.0 %" in words


def test_the_summary_without_intervals_or_with_a_tie():
    report = {"retrieval": {"text->structure": metrics(ci=False)}}
    report["baselines"] = {"composition": {"text->structure": metrics()}}
    assert "interval 4" not in summary(report)
    assert "It is level with the composition baseline" in summary(report)


def test_examples_mark_the_right_answer():
    text = render_report({}, full_figures())
    assert text.count("<li class=right>") == 10
    card = re.search(r'<article class="example">.*?</article>', text).group()
    assert "right answer at rank 3" in card
    assert [html.unescape(m) for m in re.findall(r'class="mark"[^>]*>([^<]+)<', card)] == [
        "1",
        "2",
        "✓",
        "4",
        "5",
    ]
    assert "Fe<sub>2</sub>O<sub>3</sub>" in card


def test_formulas_are_set_and_escaped():
    assert formula("Ca2(Mg0.5Fe)Si2O7") == ("Ca<sub>2</sub>(Mg<sub>0.5</sub>Fe)Si<sub>2</sub>O<sub>7</sub>")
    assert formula("A'2") == "A&#x27;2"
    assert formula("2H2O<b>") == "2H<sub>2</sub>O&lt;b&gt;"


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        ("xrd->text", ("Diffraction → text", "")),
        ("masked_text->structure/formula", ("Text → structure", "formulas hidden")),
        ("polymorph", ("Polymorphs", "among crystals of one composition")),
        ("dos->image", ("Electronic DOS → image", "")),
        ("other", ("other", "")),
    ],
)
def test_directions_have_names(direction, expected):
    assert direction_name(direction) == expected


def test_masked_levels_may_be_nested_or_flat():
    nested = flat_results({"masked_text->structure": {"minerals": {"pool": 2}, "formula": {"pool": 1}}})
    flat = flat_results(
        {"masked_text->structure/minerals": {"pool": 2}, "masked_text->structure/formula": {"pool": 1}}
    )
    assert list(nested) == ["masked_text->structure/formula", "masked_text->structure/minerals"]
    assert list(nested.items()) == list(flat.items())


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234567, "1,234,567"),
        (0.02, "0.02"),
        (2311.4, "2,311"),
        (True, "yes"),
        (None, "–"),
        (np.nan, "–"),
        ("a", "a"),
    ],
)
def test_numbers_read_well(value, shown):
    assert number(value) == shown


def test_metrics_read_well():
    assert metric(86.4875, "median_rank") == "86.5"
    assert metric(None, "mrr") == "–"
    assert metric_range({"ci95": {"mrr": [0.1, 0.25]}}, "mrr") == "0.100–0.250"
    assert metric_range({"ci95": {"mrr": [None, 0.25]}}, "mrr") == ""
    assert metric_range({}, "mrr") == ""


def test_plots_use_the_colours_of_the_page():
    for svg in (
        recall_plot({"a": np.linspace(0, 1, 30), "a | base": np.linspace(0, 1, 30)}, 900.0),
        history_plot([{"step": 0, "loss": 2.0}, {"step": 1, "loss": 1.0}], ["loss"], "loss"),
        similarity_plot(np.eye(4), "texts", "structures"),
    ):
        assert svg.startswith('<svg role="img" aria-label="')
        assert "var(--muted)" in svg
        assert not re.search(r"#010[26]", svg)
        assert "DejaVu" not in svg


def test_a_baseline_shares_the_colour_of_its_direction():
    assert series_of(["a", "b", "a | base", "c | base"]) == {"a": 0, "b": 1, "a | base": 0, "c | base": 2}


def test_long_histories_are_thinned_but_keep_their_ends():
    history = [{"step": s, "loss": float(s)} for s in range(5000)]
    svg = history_plot(history, ["loss"], "loss")
    assert len(svg) < 25_000


def test_plots_leave_pyplot_and_settings_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    recall_plot({"a": np.linspace(0, 1, 5)})
    assert dict(mpl.rcParams) == before
