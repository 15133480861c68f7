import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import mean_absolute_error, r2_score

import helpers_small as small
from helpers_cli import call
from prismat.errors import BadInputError
from prismat.heads.config import FitConfig, HeadConfig, TuneConfig
from prismat.heads.files import load_head
from prismat.material import Material
from prismat.prepare import PrepareSettings, prepare
from prismat.tasks.opened import open_run
from prismat.tasks.property.config import LimitedConfig, PropertyConfig
from prismat.tasks.property.experiment import run_property
from prismat.tasks.property.page import write_property
from prismat.tasks.report import to_plain

FIT = FitConfig(epochs=6, batch=16, members=2)
HEAD = HeadConfig(hidden=16, width=8)
COUNT = 150


@pytest.fixture(scope="module")
def slice_store(amcsd, tmp_path_factory):
    """The first real crystals of AMCSD that have a density, prepared as the tiny model reads them."""
    rows = [m for m in amcsd.read(0, 200) if isinstance(m, Material) and "density" in m.properties][:COUNT]
    settings = PrepareSettings(profile=small.tiny_recipe().profile, workers=1)
    return prepare(small.SmallSource(tuple(rows)), tmp_path_factory.mktemp("amcsd") / "store", settings)


@pytest.fixture(scope="module")
def opened(small_run, slice_store):
    return open_run(small_run.folder, slice_store)


@pytest.fixture(scope="module")
def density(opened, tmp_path_factory):
    """The whole experiment with a learning curve."""
    folder = tmp_path_factory.mktemp("density")
    config = PropertyConfig(
        "density", head=HEAD, fit=FIT, limited=LimitedConfig(curve=(10, 40, 9999), repeats=2)
    )
    found = run_property(opened, config, folder)
    return folder, found, write_property(folder, found)


def test_figures_are_those_of_the_saved_head(density, opened):
    folder, found, _ = density
    rows = opened.rows["test"]
    crystals = opened.prepared.store.crystals(rows)
    said = load_head(folder).predict(crystals).values
    truth = np.array(
        [p["value"] for r in rows for p in opened.records.table["properties"][r] if p["name"] == "density"]
    )
    report = found.report
    assert report["metrics"]["mae"][0] == pytest.approx(mean_absolute_error(truth, said), rel=1e-3)
    assert report["metrics"]["r2"][0] == pytest.approx(r2_score(truth, said), rel=1e-2, abs=1e-3)
    assert report["target"]["unit"] == "g/cm3"
    assert set(report["baselines"]) == {"composition", "training median"}


def test_parts_are_disjoint_and_counted(density, opened):
    dataset = density[1].report["dataset"]
    assert dataset["stop"] + dataset["calibrate"] == len(opened.rows["val"])
    assert dataset["train"] == len(opened.rows["train"])
    assert dataset["is_own_split"] is False


def test_the_curve_has_both_systems_and_no_size_that_is_not_there(density):
    points = density[1].curve
    assert [(p.system, p.size) for p in points] == [
        ("model", 10), ("model", 40), ("composition", 10), ("composition", 40),
    ]  # fmt: skip
    assert all(p.low <= p.mean <= p.high and len(p.draws) == 2 for p in points)
    mean, low, high = points[0].difference
    assert mean == pytest.approx(points[0].mean - points[2].mean)
    assert low <= mean <= high
    assert points[2].difference is None


def test_the_page_and_its_files_say_the_same(density):
    folder, found, page = density
    names = {p.name for p in folder.iterdir()}
    assert {"property.json", "property.html", "property_parity.svg", "property_coverage.svg"} <= names
    assert "property_curve.svg" in names
    text = page.read_text()
    assert f"{found.report['metrics']['mae'][0]:.3f} g/cm3" in text
    assert "the formula alone gives" in text
    assert json.loads((folder / "property.json").read_text()) == to_plain(found.report)
    card = (folder / "head" / "README.md").read_text()
    assert "Predicts density (g/cm3) from structure, encoders frozen" in card


def test_the_same_seed_gives_the_same_report(density, opened, tmp_path):
    config = PropertyConfig("density", head=HEAD, fit=FIT, limited=LimitedConfig(curve=(10, 40), repeats=2))
    again = run_property(opened, config, tmp_path)
    assert again.report["metrics"] == density[1].report["metrics"]
    assert again.curve == density[1].curve


def test_windows_together_stand_beside_each_alone_and_tuned_ones_beside_frozen_ones(opened, tmp_path):
    config = PropertyConfig(
        "density",
        windows=("structure", "xrd"),
        head=replace(HEAD, fusion="gated"),
        fit=FIT,
        tune=TuneConfig(steps=3, batch=16, evaluate_every=3),
    )
    report = run_property(opened, config, tmp_path).report
    assert set(report["baselines"]) == {
        "frozen encoders", "composition", "structure alone", "xrd alone", "training median",
    }  # fmt: skip
    assert report["interval"] == "absolute", "one member has no spread"
    assert load_head(tmp_path).spec.tuned


@pytest.mark.parametrize("target", ["density", "crystal_system"])
def test_classes(opened, tmp_path, target):
    borders = (3.0,) if target == "density" else ()
    curve = LimitedConfig(curve=(12,), repeats=2)
    found = run_property(
        opened, PropertyConfig(target, classes=borders, head=HEAD, fit=FIT, limited=curve), tmp_path
    )
    assert {"composition", "most frequent"} <= set(found.report["baselines"])
    assert 0 <= found.report["metrics"]["accuracy"][0] <= 1
    assert found.report["interval"] == "set"
    assert all(1 <= r["mean_size"] <= len(found.head.spec.target.classes) for r in found.report["coverage"])
    assert "property_confusion.svg" in {p.name for p in write_property(tmp_path, found).parent.iterdir()}


def test_shares_are_of_all_records(opened, tmp_path):
    limited = LimitedConfig(shares=(0.2, 0.1, 0.1))
    dataset = run_property(
        opened, PropertyConfig("density", head=HEAD, fit=FIT, limited=limited), tmp_path
    ).report["dataset"]
    total = sum(map(len, opened.rows.values()))
    assert dataset["train"] == round(0.2 * total)
    assert dataset["test"] == min(round(0.1 * total), len(opened.rows["test"]))


def test_too_few_records_say_so(small_run, small_store, tmp_path):
    opened = open_run(small_run.folder, small_store)
    limited = replace(
        opened, prepared=replace(opened.prepared, rows={p: r[:3] for p, r in opened.rows.items()})
    )
    with pytest.raises(BadInputError, match=r"records of train have 'gap'.*so that 4"):
        run_property(limited, PropertyConfig("gap"), tmp_path)


def test_from_the_command_line_to_files_and_a_store(small_run, slice_store, tmp_path):
    options = ("--members", 2, "--epochs", 3, "--out", tmp_path / "fit", "--features", tmp_path / "features")
    run = ("--run", small_run.folder, "--store", slice_store.folder)
    said = call("fit", *run, "--target", "density", "--most", 60, *options)
    assert said.code == 0, said.err
    assert "training median" in said.out
    assert "90 % normalised coverage" in said.out
    assert f"Next: prismat predict --head {tmp_path / 'fit'} your.cif" in said.out
    files = small.write_folder(tmp_path / "files", step=25)
    (files / "broken.cif").write_text("data_broken\n")
    paths = sorted(files.glob("*.cif"))
    told = call("predict", *paths, "--head", tmp_path / "fit")
    assert told.code == 0, told.err
    assert " g/cm3" in told.out
    assert f"not read: {files / 'broken.cif'}:" in told.out
    plain = json.loads(call("predict", *paths, "--head", tmp_path / "fit", "--level", 0.5, "--json").out)
    assert [r["id"] for r in plain["rejects"]] == [str(files / "broken.cif")]
    assert len(plain["predictions"]) == len(paths) - 1
    first = plain["predictions"][0]
    assert first["low"] < first["value"] < first["high"]
    assert (first["unit"], plain["level"]) == ("g/cm3", 0.5)
    out = tmp_path / "said.parquet"
    stored = call("predict", "--head", tmp_path / "fit", "--store", slice_store.folder, "--out", out)
    assert f"{len(slice_store)} predictions → {out}" in stored.out
    table = pq.read_table(out)
    assert table["id"].to_pylist() == slice_store.ids
    assert table.schema.metadata[b"property"] == b"density"
    as_json = json.loads(
        call("fit", *run, "--target", "crystal_system", "--most", 60, *options, "--json").out
    )
    assert as_json["target"]["name"] == "crystal_system"
    classes = call("predict", paths[-1], "--head", tmp_path / "fit")
    assert "90% set" in classes.out


def test_mistakes_on_the_command_line_say_the_remedy(small_run, slice_store, density, tmp_path):
    run = ("--run", small_run.folder, "--store", slice_store.folder, "--out", tmp_path)
    wrong = {
        ("fit", *run, "--target", "band_gap"): "Name one of: density",
        ("fit", *run, "--target", "density", "--windows", "dos"): "Name some of: structure",
        ("fit", *run, "--target", "density", "--head", "linear", "--fusion", "gated"): "Use fusion concat",
        ("predict", "--head", density[0]): "no records given",
        ("predict", "--head", tmp_path / "none", "a.cif"): "Fit one: prismat fit",
        ("predict", "--head", density[0], "a.cif", "--store", slice_store.folder): "Give one of them",
        ("predict", "--head", density[0], tmp_path / "none.cif"): "no record could be read",
    }
    for words, says in wrong.items():
        said = call(*words)
        assert (said.code, says in said.err) == (1, True), said.err
