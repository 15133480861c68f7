import io
from contextlib import redirect_stderr

from prismat.commands.talk import Bars, hit_json, hits_table, retrieval_table
from prismat.material import Property
from prismat.search.index import Hit


def figures(recall):
    return {"pool": 22, "recall@1": recall, "recall@10": 2 * recall, "median_rank": 7.0}


def hit(**changes):
    known = {
        "row": 3,
        "id": "a",
        "score": 0.12345678,
        "scores": {"structure@text": 0.5},
        "formula": "NaCl",
        "spacegroup": "F m -3 m",
        "spacegroup_number": 225,
        "title": "Salt",
        "elements": ("Na", "Cl"),
        "n_sites": 2,
        "properties": {"gap": Property(8.5, "eV")},
    }
    return Hit(**{**known, **changes})


def test_figures_stand_beside_their_baseline():
    report = {
        "retrieval": {
            "text->structure": figures(0.25),
            "xrd->structure": figures(0.5),
            "masked_text->structure": {"formula": figures(0.1), "elements": figures(0.05)},
        },
        "apart": {"text_with_formula->structure": figures(0.4)},
        "baselines": {
            "composition": {
                "text->structure": figures(0.2),
                "masked_text->structure": {"formula": figures(0.15)},
            }
        },
    }
    head, _, *rows = retrieval_table(report).splitlines()
    assert head.split() == ["direction", "pool", "R@1", "R@10", "median", "composition", "only"]
    assert [row.split() for row in rows] == [
        ["text->structure", "22", "0.250", "0.500", "7", "0.200", "/", "0.400"],
        ["xrd->structure", "22", "0.500", "1.000", "7", "–"],
        ["masked", "formula->structure", "22", "0.100", "0.200", "7", "0.150", "/", "0.300"],
        ["masked", "elements->structure", "22", "0.050", "0.100", "7", "–"],
        ["text_with_formula->structure", "22", "0.400", "0.800", "7", "–"],
    ]


def test_long_names_do_not_break_the_table():
    hits = [hit(), hit(id="a/very/long/path/of/a/crystal", formula="Ca" * 20, title="x" * 100)]
    lines = hits_table(hits).splitlines()
    assert len(lines) == 3
    assert {line.index("F m -3 m") for line in lines[1:]} == {lines[0].index("space group")}
    assert lines[2].endswith(" " + "x" * 70)
    assert "…" in lines[2]
    assert len(hits_table(hits, k=1).splitlines()) == 2


def test_a_result_in_json_types():
    told = hit_json(hit())
    assert told["score"] == 0.123457
    assert told["elements"] == ["Na", "Cl"]
    assert told["properties"] == {"gap": {"value": 8.5, "unit": "eV"}}


def test_each_stage_has_its_bar():
    stream = io.StringIO()
    with redirect_stderr(stream):
        talk = Bars().talk()
        talk.note("hello")
        talk.bar("prepare", 1, 2, {})
        talk.bar("prepare", 2, 2, {})
        talk.bar("tiny", 1, 1, {"loss": 2.34567, "val/score": 0.5, "other": 1.0})
    said = stream.getvalue()
    assert said.startswith("hello\n")
    assert "prepare: 100%" in said
    assert "tiny: 100%" in said
    assert "loss=2.346, val/score=0.500" in said
