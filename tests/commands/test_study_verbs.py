import json

import pytest

from helpers_cli import call
from helpers_studies import moment
from prismat.commands.study import BaseOptions
from prismat.recipes.serial import to_json
from prismat.store import Store


@pytest.fixture(scope="module")
def job_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("job") / "config.json"
    path.write_text(json.dumps(to_json(moment())))
    return path


def test_ablate_sweep_and_report_from_the_command_line(small_store, job_file, tmp_path):
    common = (
        "--store",
        small_store.folder,
        "--job-file",
        job_file,
        "--workers",
        0,
        "--threads",
        1,
        "--no-baseline",
    )
    vary = ("--vary", "recipe.projection.hidden=0", "--vary", "recipe.windows=structure+xrd")
    said = call("ablate", *common, "--out", tmp_path / "a", *vary, "--seeds", 1, "--test")
    assert said.code == 0, said.err
    assert "projection.hidden=0" in said.out
    assert f"Next: prismat report {tmp_path / 'a'}" in said.out
    for name in ("ablation.json", "ablation.html", "ablation_differences.svg", "ablation_cost.svg"):
        assert (tmp_path / "a" / name).stat().st_size > 500
    assert json.loads((tmp_path / "a" / "ablation.json").read_text())["test"]["looks"] == 1
    again = call("ablate", *common, "--out", tmp_path / "a", *vary, "--seeds", 1, "--test")
    assert again.code == 1
    assert "--again looks once more, which is counted" in again.err
    assert call("ablate", *common, "--out", tmp_path / "a", *vary, "--seeds", 1).code == 0
    assert "test" in json.loads((tmp_path / "a" / "ablation.json").read_text())

    space = ("--space", "train.batch=16,24", "--search", "grid", "--trials", 1)
    said = call("sweep", *common, "--out", tmp_path / "s", *space, "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["best"]["name"] in ("base", "point 0")
    assert (tmp_path / "s" / "sweep_course.svg").is_file()
    best = tmp_path / "s" / "best" / "config.json"
    said = call(
        "train", "--store", small_store.folder, "--job-file", best, "--out", tmp_path / "r", "--no-baselines"
    )
    assert said.code == 0, said.err

    said = call("report", tmp_path / "a", tmp_path / "s", tmp_path / "r", "--out", tmp_path / "report")
    assert said.code == 0, said.err
    assert "a: base" in said.out
    assert "s: point 0" in said.out
    assert (tmp_path / "report" / "comparison.csv").is_file()


def test_a_wrong_path_names_the_nearest(small_store, tmp_path):
    said = call(
        "ablate", "--store", small_store.folder, "--out", tmp_path / "a", "--vary", "recipe.projektion.dim=8"
    )
    assert said.code == 1
    assert "recipe.projektion.dim: no setting 'projektion'. Did you mean 'projection'?" in said.err
    assert not (tmp_path / "a").exists()


def test_the_base_is_what_train_would_make(small_store, job_file):
    store = Store(small_store.folder)
    assert BaseOptions(job_file=job_file, first_seed=1).job(store) == moment()
    laptop = BaseOptions(recipe="clasp", steps=40, batch=64, first_seed=3).job(store)
    assert (laptop.train.steps, laptop.train.batch, laptop.train.evaluate_every) == (40, 64, 20)
    assert (laptop.train.seed, laptop.recipe.name) == (3, "clasp")


def test_report_of_nothing_is_told(tmp_path):
    said = call("report", tmp_path, "--out", tmp_path / "out")
    assert said.code == 1
    assert "no figures there. Give a run folder of 'prismat train'" in said.err
