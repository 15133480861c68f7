from pathlib import Path

import numpy as np
import pytest
import torch

import helpers_prediction as tiny
from prismat.errors import BadInputError
from prismat.page.figure import SERIES
from prismat.predictor import Predictor, Target
from prismat.recipes.crysmmnet import build_predictor
from prismat.tasks.opened import open_run
from prismat.tasks.result import render_result
from prismat.tasks.screening import values as module
from prismat.tasks.screening.distribution import DrawConfig
from prismat.tasks.screening.evaluation import COMPOSITION, WORD, Bench
from prismat.tasks.screening.pages import violin_page
from prismat.tasks.screening.sorting import sort_by_phrases, sorted_result
from prismat.tasks.screening.values import load_numbers, predicted_values, true_values


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    """A graph network of random weights, saved as ``prismat train --target`` does."""
    torch.manual_seed(0)
    recipe = tiny.recipe(parts="graph")
    one = Predictor(build_predictor(recipe, 16), recipe, Target(tiny.DENSITY, mean=0.07, spread=0.02), None)
    folder = tmp_path_factory.mktemp("predictor")
    one.save(folder / "model")
    return folder


def test_true_values_are_those_of_the_store(small_store):
    rows = np.arange(20)
    found = true_values(small_store, "gap", rows)
    expected = [{p["name"]: p["value"] for p in small_store.column("properties")[r]}.get("gap") for r in rows]
    assert found.unit == "eV"
    np.testing.assert_array_equal(np.isnan(found.values), [e is None for e in expected])
    np.testing.assert_allclose(found.values[~np.isnan(found.values)], [e for e in expected if e is not None])
    with pytest.raises(BadInputError, match="no record has the property 'band_gap'"):
        true_values(small_store, "band_gap", rows)


def test_predicted_values_are_those_of_the_predictor(small_store, predictor, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 8)
    rows, steps = np.array([3, 1, 40, 77, 12, 13, 14, 15, 16, 17]), []
    found = predicted_values(predictor, small_store, rows, lambda n, of: steps.append((n, of)))
    one, source = load_numbers(predictor)
    np.testing.assert_allclose(found.values, one.predict(structures=small_store.crystals(rows)).values)
    assert (found.name, found.unit) == ("number_density", "1/Å3")
    assert found.source == source == "number density predicted by our own tiny predictor"
    assert steps == [(8, 10), (10, 10)]
    assert not found.failed


class Picky:
    """Predicts crystals, all but one."""

    def __init__(self, unlucky):
        self.unlucky = unlucky

    def predict(self, structures):
        if any(s.formula == self.unlucky for s in structures):
            raise BadInputError("an atom too many")
        return module.Values("atoms", "", np.array([float(len(s)) for s in structures]), "")


def test_a_crystal_that_cannot_be_predicted_is_listed(small_store, monkeypatch):
    crystals = small_store.crystals(np.arange(12))
    monkeypatch.setattr(module, "load_numbers", lambda _: (Picky(crystals[4].formula), "picky"))
    found = predicted_values(Path("anywhere"), small_store, np.arange(12))
    alike = [i for i, c in enumerate(crystals) if c.formula == crystals[4].formula]
    assert np.flatnonzero(np.isnan(found.values)).tolist() == alike
    assert set(found.failed) == {small_store.ids[i] for i in alike}
    assert "n atom too many" in found.failed[small_store.ids[4]]
    with pytest.raises(BadInputError, match="it predicts none of the crystals"):
        predicted_values(Path("anywhere"), small_store, np.array(alike))


def test_a_head_is_read_too(small_run, small_store, tmp_path):
    heads = pytest.importorskip("prismat.heads.files")
    from prismat.heads.base import lean_model
    from prismat.heads.config import FitConfig, HeadConfig
    from prismat.heads.conformal import calibrate
    from prismat.heads.features import read_features
    from prismat.heads.fit import fit_head
    from prismat.heads.model import HeadSpec, HeadTarget, PropertyHead

    opened = open_run(small_run.folder, small_store)
    rows = np.arange(40)
    features = read_features(opened, rows, ["structure"], "encoder")
    sites = np.array(opened.records.table["n_sites"], dtype=float)[rows] + rows
    config = HeadConfig(hidden=8, width=8)
    fitted = fit_head(
        features, sites, rows[:30], rows[30:], config, FitConfig(epochs=2, members=1), "squared"
    )
    said = fitted.members(features)[..., 0]
    spec = HeadSpec(HeadTarget("sites"), ("structure",), config)
    conformal = calibrate(sites, said.mean(0), said.std(0), 0.1)
    head = PropertyHead(lean_model(opened.prismat, ["structure"]), spec, fitted, conformal)
    heads.save_head(head, tmp_path / "head")
    found = predicted_values(tmp_path, small_store, rows[:5])
    np.testing.assert_allclose(found.values, said.mean(0)[:5], rtol=1e-3)
    assert found.source.startswith("sites predicted by our own")


def test_a_folder_without_a_predictor_is_refused(small_run, tmp_path):
    for folder in (tmp_path, small_run.folder):
        with pytest.raises(BadInputError, match="holds no predictor"):
            load_numbers(folder)


def test_phrases_on_a_run(small_run, small_store, tmp_path):
    bench = Bench(open_run(small_run.folder, small_store), tmp_path, small_run.folder)

    def gaps(rows):
        return true_values(small_store, "gap", rows)

    draw = DrawConfig(k=6, resamples=50, permutations=50)
    phrases = ("magnesium oxide", "garnet & <spinel>")
    found = sort_by_phrases(bench, gaps, phrases, "all", draw=draw)
    assert np.isfinite(found.values.values).all()
    assert len(found.rows) == sum(
        any(p["name"] == "gap" for p in x) for x in small_store.column("properties")
    )
    result = sorted_result(found, small_store)
    assert {n.split(" | ")[-1] for n in result["phrases"]} == {*phrases, WORD, COMPOSITION}
    assert set(result["top"]) == set(phrases)
    assert len(set(result["top"][phrases[0]])) == 6
    page = violin_page(found.compared, found.values, result)
    text = render_result("violins", page)
    assert "garnet &amp; &lt;spinel&gt;" in text
    assert "gap as small has it" in text
    assert page.pictures[0].svg.count("<path") > 3
    assert not any(colour in page.pictures[0].svg for colour in SERIES)
    held = sort_by_phrases(bench, gaps, phrases, draw=DrawConfig(k=2, resamples=20, permutations=20))
    assert set(held.rows) <= {*bench.opened.rows["val"], *bench.opened.rows["test"]}
    with pytest.raises(BadInputError, match="no phrase"):
        sort_by_phrases(bench, gaps, ())
    with pytest.raises(BadInputError, match="'42' has no word"):
        sort_by_phrases(bench, gaps, ("42",))
