import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import helpers_small as small
from helpers_cli import SETTINGS, TINY, call, options
from prismat.api import load
from prismat.commands.build import Train, summary
from prismat.errors import BadInputError
from prismat.recipes.base import Job
from prismat.recipes.scale import at_laptop_scale
from prismat.recipes.serial import from_json, to_json
from prismat.recipes.systems import system_job
from prismat.store import Store
from prismat.tasks import quickstart as flow


def test_every_command_ends_well(commanded):
    assert {verb: said.code for verb, said in commanded.said.items()} == dict.fromkeys(commanded.said, 0)


def test_train_writes_a_run_and_its_baselines(commanded):
    said = commanded.said["train"]
    assert "best at step" in said.out
    assert f"Next: prismat evaluate --store {commanded.store} --run {commanded.run}" in said.out
    assert "loss=" in said.err
    job = from_json(Job, json.loads((commanded.run / "config.json").read_text()))
    assert (job.train.steps, job.recipe.encoders.text.kind, job.recipe.projection.dim) == (6, "bpe", 16)
    assert load(commanded.run).recipe == job.recipe
    assert len(list((commanded.run / "baselines").iterdir())) == 2


def test_evaluate_prints_the_figures(commanded):
    out = commanded.said["evaluate"].out
    for name in (
        "text->structure",
        "structure->xrd",
        "masked minerals->structure",
        "text_with_formula->structure",
    ):
        assert name in out
    assert "over composition only" in out
    assert f"Report: {commanded.run / 'report.html'}" in out
    assert f"Next: prismat index --store {commanded.store} --run {commanded.run}" in out
    assert (commanded.run / "report.html").stat().st_size > 5000


def test_the_commands_that_are_suggested_are_understood(commanded):
    """Every “Next:” line is a command line that parses."""
    for said in commanded.said.values():
        line = next(line for line in said.out.splitlines() if line.startswith("Next:"))
        verb = line.split()[2]
        words = line.split('"')[0].split()[3:]
        assert call(verb, *[w for w in words if w != "--text"], "--help").code == 0
        options = [w for w in words if w.startswith("--")]
        text = call(verb, "--help").out
        assert all(option in text for option in options)


def test_evaluate_as_json_is_the_report(commanded):
    said = call("evaluate", "--store", commanded.store, "--run", commanded.run, "--json")
    report = json.loads(said.out)
    written = json.loads((commanded.run / "report.json").read_text())
    assert report["retrieval"] == written["retrieval"]
    assert report["model_hash"] == load(commanded.run).hash
    assert report["dataset"]["rejected"] == 1


def test_prepare_and_train_go_on_where_they_stopped(commanded, tmp_path, monkeypatch):
    """Ctrl-C ends with 130 and a promise; the same command keeps it."""
    step = flow.train_recipe

    def interrupted(prepared, job, folder, talk, world):
        def bar(stage, done, total, entry):
            talk.bar(stage, done, total, entry)
            if done == 4:
                raise KeyboardInterrupt

        return step(prepared, job, folder, flow.Talk(talk.note, bar), world)

    words = ("train", "--store", commanded.store, "--out", tmp_path, "--no-baselines", *TINY)
    monkeypatch.setattr(flow, "train_recipe", interrupted)
    said = call(*words)
    assert said.code == 130
    assert said.err.splitlines()[-1] == "prismat: interrupted; the same command goes on where it stopped"
    assert json.loads((tmp_path / "checkpoint/progress.json").read_text())["step"] == 3
    monkeypatch.setattr(flow, "train_recipe", step)
    assert call(*words).code == 0
    assert load(tmp_path).hash == load(commanded.run).hash
    assert (tmp_path / "metrics.jsonl").read_bytes() == (commanded.run / "metrics.jsonl").read_bytes()
    assert not (tmp_path / "baselines").exists()


def test_quickstart_does_everything(commanded, tmp_path):
    shutil.copytree(commanded.store, tmp_path / "store")
    windows = ("--job.recipe.windows", "structure", "text")
    source = (
        "folder",
        "--path",
        commanded.files,
        "--licence",
        "CC0",
        "--workers",
        1,
    )
    # The store was made with the usual profile grid, which a recipe without patterns may share.
    words = options({k: v for k, v in SETTINGS.items() if k != "recipe.profile.points"})
    said = call("quickstart", "--out", tmp_path, *source, *words, *windows)
    assert said.code == 0, said.err
    assert "zeolite framework" in said.out
    assert said.out.count("space group") == 5
    assert f"Report: {tmp_path / 'run' / 'report.html'}" in said.out
    assert {p.name for p in tmp_path.iterdir()} == {"store", "run", "index"}
    again = call("quickstart", "--out", tmp_path, *source, *words, *windows, "--json")
    report = json.loads(again.out)
    assert set(report["baselines"]) == {"composition"}
    assert {"text->structure", "structure->text"} <= set(report["retrieval"])


def test_quickstart_without_a_text_window_searches_by_no_words(tmp_path, monkeypatch):
    files = small.write_folder(tmp_path / "files", step=3)
    source = ("folder", "--path", files, "--workers", 1)
    windows = ("--job.recipe.windows", "structure", "xrd")
    said = call("quickstart", "--out", tmp_path / "out", *source, *TINY, *windows)
    assert said.code == 0, said.err
    assert "zeolite" not in said.out
    assert "xrd->structure" in said.out


def test_evaluating_nothing_names_the_way_out(tmp_path, commanded):
    said = call("evaluate", "--store", commanded.store, "--run", tmp_path)
    assert (said.code, said.out) == (1, "")
    assert said.err == f"prismat: No run in {tmp_path}. Run 'prismat train' first.\n"


def test_training_on_nothing_names_the_way_out(tmp_path):
    said = call("train", "--store", tmp_path, "--out", tmp_path / "run")
    assert said.code == 1
    assert (
        said.err
        == f"prismat: No finished store in {tmp_path}. Run 'prismat prepare'; it resumes where it stopped.\n"
    )


def test_another_job_in_the_folder_is_refused(commanded):
    said = call("train", "--store", commanded.store, "--out", commanded.run, *TINY, "--job.train.seed", 5)
    assert said.code == 1
    assert "is of a training with other data or settings. Give another run folder, or remove it." in said.err
    assert from_json(Job, json.loads((commanded.run / "config.json").read_text())).train.seed == 0


def test_a_value_that_makes_no_sense_is_told_in_one_line(tmp_path):
    said = call("train", "--out", tmp_path, "--job.recipe.profile.points", 10)
    assert said.code == 1
    assert len(said.err.splitlines()) == 1
    assert "a grid of 10 points" in said.err
    assert "at least 64 points" in said.err


def test_the_summary_names_the_intervals():
    values = {"recall@1": (0.1, -0.05, 0.25), "recall@10": (0.2, 0.1, 0.3)}
    report = {"differences": {d: {"composition": values} for d in ("xrd->structure", "polymorph")}}
    first, second = summary(report).splitlines()[1:]
    assert first == "xrd->structure     R@10 +0.200  [+0.100, +0.300] over composition only"
    assert second == "polymorph          R@1  +0.100  [-0.050, +0.250] over composition only"
    assert summary({"differences": {"xrd->structure": {"other": values}}}) == ""


def test_short_options_make_a_job(commanded):
    store = Store(commanded.store)
    command = Train(structure="painn", windows=("structure", "xrd"), scale="laptop")
    job = command.resolved(store)
    assert job.recipe.encoders.structure.parts == ("painn",)
    assert job.recipe.windows == ("structure", "xrd")
    assert (job.recipe.encoders.structure.graphs.painn.width, job.train.batch) == (64, 128)
    assert Train().resolved(store) == Job()


def test_a_system_by_name(commanded):
    store = Store(commanded.store)
    assert Train(recipe="cmml").resolved(store) == system_job("cmml")
    laptop = Train(recipe="clac", scale="laptop").resolved(store)
    assert laptop == at_laptop_scale(system_job("clac"))
    fewer = Train(recipe="multimat-anchored", windows=("dos", "charge_density")).resolved(store)
    assert fewer.recipe.objective.anchor == ""
    other = Train(recipe="clasp", structure="painn").resolved(store)
    assert other.recipe.encoders.structure.parts == ("painn",)
    assert other.recipe.objective == system_job("clasp").recipe.objective


def test_a_job_of_a_file(commanded, tmp_path):
    store, path = Store(commanded.store), tmp_path / "config.json"
    job = replace(system_job("cmml"), train=small.tiny_job().train)
    path.write_text(json.dumps(to_json(job)))
    assert Train(job_file=path).resolved(store) == job
    assert Train(job_file=commanded.run / "config.json").resolved(store).recipe.name == "tiny"
    path.write_text("{")
    with pytest.raises(BadInputError, match=r"job: .*config\.json cannot be read .*Give the config\.json of"):
        Train(job_file=path).started()
    with pytest.raises(BadInputError, match=r"nothing\.json cannot be read"):
        Train(job_file=tmp_path / "nothing.json").started()


@pytest.mark.parametrize(
    "given",
    [
        {"recipe": "clasp", "job_file": Path("config.json")},
        {"recipe": "clasp", "job": small.tiny_job()},
        {"job": small.tiny_job(), "job_file": Path("config.json")},
    ],
)
def test_one_recipe_at_a_time(given):
    with pytest.raises(
        BadInputError, match=r"recipe: several recipes are given\. Give one of --recipe, --job-file and --job"
    ):
        Train(**given).started()


def test_a_system_that_does_not_exist_is_told_of_by_the_command_line(commanded, tmp_path):
    said = call("train", "--store", commanded.store, "--out", tmp_path, "--recipe", "clip")
    assert said.code == 2
    assert "clasp" in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_system_trains_from_the_command_line(commanded, tmp_path):
    """Its steps are those of a file: ``cmml`` made short, at laptop scale."""
    job = at_laptop_scale(system_job("cmml"))
    recipe = replace(job.recipe, profile=small.tiny_recipe().profile)
    train = replace(job.train, steps=2, batch=16, evaluate_every=1)
    (tmp_path / "job.json").write_text(json.dumps(to_json(replace(job, recipe=recipe, train=train))))
    words = ("--store", commanded.store, "--job-file", tmp_path / "job.json")
    said = call("train", *words, "--out", tmp_path / "run", "--no-baselines")
    assert said.code == 0, said.err
    assert "best at step" in said.out
    model = load(tmp_path / "run")
    assert (model.recipe.name, model.recipe.windows) == ("cmml", ("structure", "xrd"))
    both = call("train", *words, "--out", tmp_path / "run", "--recipe", "cmml")
    assert both.code == 1
    assert "several recipes are given" in both.err.lower()
