import json

import numpy as np

from prismat.page import figure
from prismat.tasks.result import Picture, ResultPage, Table, write_result


def test_a_result_is_a_page_its_figures_and_its_pictures(tmp_path):
    shape, axes = figure.bare_axes()
    axes.plot([0, 1], [0, 1])
    svg = figure.inline_svg(shape, "rise", "It rises")
    page = ResultPage(
        "Gaps of <oxides>",
        "prediction",
        "MAE 0.5 eV & no more.",
        [Picture("rise", svg, "Truth against prediction."), Picture("flat", svg, "Again.", wide=True)],
        [Table("By system", ["System", "MAE"], [["cubic", "0.5"]], ["MAE"], "On the test part.")],
    )
    path = write_result(tmp_path / "deep", "property", {"mae": np.float64(0.5), "nan": float("nan")}, page)
    assert json.loads((tmp_path / "deep" / "property.json").read_text()) == {"mae": 0.5, "nan": None}
    text = path.read_text()
    assert path.name == "property.html"
    assert "Gaps of &lt;oxides&gt;" in text
    assert "MAE 0.5 eV &amp; no more." in text
    assert "On the test part." in text
    assert text.index("Again.") < text.index("Truth against"), "wide figures come first"
    assert text.count("<svg ") == 2
    assert {p.name for p in (tmp_path / "deep").iterdir()} == {
        *("property.json", "property.html", "rise.svg", "flat.svg")
    }


def test_a_result_without_figures_has_no_empty_section(tmp_path):
    text = write_result(tmp_path, "plain", {}, ResultPage("A", "b", "c")).read_text()
    assert "<section" not in text
