import json

import pytest

import helpers_small as small
from helpers_cli import call
from prismat.formats import to_cif


@pytest.fixture
def ready(recipe_run, recipe_store):
    """Options that name a run and a store of recipes."""
    return "--run", recipe_run, "--store", recipe_store.folder


def test_measured_and_then_asked(ready, tmp_path):
    said = call("recommend", *ready, "--evaluate", "--out", tmp_path)
    assert (said.code, "Next:   prismat recommend" in said.out) == (0, True)
    assert {path.name for path in tmp_path.iterdir()} >= {
        "synthesis.json",
        "synthesis.html",
        "task_synthesis.svg",
        "task_synthesis_recall.svg",
    }
    share = json.loads((tmp_path / "synthesis.json").read_text())["composition_weight"]
    asked = call("recommend", *ready, "--formula", "BaTiO3", "--k", 2, "--json", "--out", tmp_path)
    content = json.loads(asked.out)
    assert len(content["recipes"]) == 2
    assert (f"composition {share:g}" in content["basis"]) == (share > 0)
    (tmp_path / "synthesis.json").write_text("{}")
    damaged = call("recommend", *ready, "--formula", "BaTiO3", "--out", tmp_path)
    assert (damaged.code, "is damaged" in damaged.err) == (1, True)


def test_asked_by_a_file_a_target_and_words(ready, tmp_path):
    path = tmp_path / "target.cif"
    path.write_text(to_cif(small.crystal("perovskite_Ba-Ti-O"), name="target"))
    for words in (("--structure", path), ("--target", "gap=1:eV", "density=4:g/cm3"), ("--text", "calcine")):
        said = call("recommend", *ready, *words, "--k", 1, "--out", tmp_path)
        assert (said.code, said.err) == (0, "")
        assert "←" in said.out
    said = call("recommend", *ready, "--structure", path, "--k", 1, "--leave-out-target", "--out", tmp_path)
    assert said.code == 0


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "nothing is asked for"),
        (("--formula", "soup"), "cannot read the formula"),
        (("--target", "colour=1:eV"), "knows no property 'colour'"),
        (("--evaluate", "--text", "calcine"), "a query and --evaluate"),
    ],
    ids=["nothing", "formula", "property", "both"],
)
def test_errors_say_what_to_do(ready, tmp_path, words, problem):
    said = call("recommend", *ready, *words, "--out", tmp_path)
    assert said.code == 1
    assert problem in said.err
