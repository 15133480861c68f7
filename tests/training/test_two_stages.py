"""A second stage goes on from the best weights of the first, with other texts at another rate."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

import helpers_small as small
from prismat.api import load
from prismat.recipes.base import FineTune
from prismat.recipes.serial import to_json
from prismat.tasks.quickstart import Talk, train_recipe
from prismat.training.loop import Trainer
from prismat.training.optimizer import OptimizerConfig
from prismat.training.session import _stages
from prismat.training.windows import TokenBank, ViewConfig

TUNE = FineTune(steps=4, learning_rate=1e-4, text={"keywords": 1.0})
WINDOWS = ("structure", "text")


def job(tune=TUNE, select="recall", **train):
    """Two windows, for the sake of speed."""
    recipe = small.tiny_recipe(windows=WINDOWS, views=ViewConfig(text={"title": 0.7, "description": 0.3}))
    settings = {"steps": 6, "evaluate_every": 2, **train}
    return replace(small.tiny_job(recipe, **settings), fine_tune=tune, select=select)


def stopping_at(total, step):
    """Talk that interrupts the stage of ``total`` steps after a step."""

    def bar(stage, done, of, entry):
        if (stage, of, done) == ("tiny", total, step):
            raise KeyboardInterrupt

    return Talk(bar=bar)


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(small_prepared, tmp_path_factory):
    """An unbroken training of both stages, with its folder."""
    folder = tmp_path_factory.mktemp("two stages")
    return train_recipe(small_prepared, job(), folder), folder


def test_each_stage_has_its_folder(whole):
    trained, folder = whole
    assert [e["step"] for e in metrics(folder)] == [1, 2, 3, 4, 5, 6]
    assert [e["step"] for e in metrics(folder / "fine_tune")] == [1, 2, 3, 4]
    assert [e["step"] for e in trained.outcome.history] == [2, 4]
    assert (folder / "fine_tune/checkpoint/state.safetensors").is_file()
    first = sum(json.loads((folder / p).read_text())["seconds"] for p in ("checkpoint/progress.json",))
    assert trained.outcome.seconds > first > 0
    config = json.loads((folder / "config.json").read_text())
    assert config["fine_tune"] == to_json(TUNE)


def test_the_first_stage_is_kept_as_a_model(whole, small_prepared, tmp_path):
    """It is the model that the training gives without a second stage."""
    trained, folder = whole
    alone = train_recipe(small_prepared, job(replace(TUNE, steps=0)), tmp_path)
    first = load(folder / "first_stage")
    weights = alone.prismat.model.state_dict()
    assert [k for k, v in first.model.state_dict().items() if not torch.equal(v, weights[k])] == []
    assert first.hash != trained.prismat.hash == load(folder).hash
    assert first.embed(texts=["halite"])["text@structure"].shape == (1, 16)
    assert not (tmp_path / "first_stage").exists()
    assert not (tmp_path / "fine_tune").exists()


def test_the_second_stage_begins_with_the_best_weights_of_the_first(small_prepared, tmp_path, monkeypatch):
    """A stage at rate 0 ends with them."""
    best = iter((0.1, 0.9, 0.3, 0.2, 0.8))
    monkeypatch.setattr("prismat.tasks.quickstart.validation_score", lambda *_: {"score": next(best)})
    seen, step = {}, Trainer.train_step

    def remembering(trainer):
        loss = step(trainer)
        names = {k: v.detach().clone() for k, v in trainer.model.named_parameters()}
        seen[trainer.config.steps, trainer.step] = names
        return loss

    monkeypatch.setattr(Trainer, "train_step", remembering)
    trained = train_recipe(small_prepared, job(replace(TUNE, learning_rate=0.0)), tmp_path)
    found = dict(trained.prismat.model.named_parameters())
    assert all(torch.equal(found[k], v) for k, v in seen[6, 4].items())
    assert not all(torch.equal(found[k], v) for k, v in seen[6, 6].items())
    assert trained.outcome.best_step == 4


def test_each_stage_has_its_texts_and_its_rate(small_prepared, tmp_path, monkeypatch):
    texts, rates, batch, step = [], [], TokenBank.batch, Trainer.train_step

    def remembering(bank, rows, config, rng):
        found = batch(bank, rows, config, rng)
        if rng is not None:
            views = [bank.tokens[bank.names.index(n)] for n in config.text]
            width = found.ids.shape[1]
            same = torch.stack(
                [(v.ids[rows][:, :width] == found.ids[:, : v.ids.shape[1]]).all(1) for v in views]
            )
            texts.append((config.text, bool((same.any(0) | ~found.present).all())))
        return found

    def rated(trainer):
        loss = step(trainer)
        rates.append({g["lr"] for g in trainer.optimizer.param_groups})
        return loss

    monkeypatch.setattr(TokenBank, "batch", remembering)
    monkeypatch.setattr(Trainer, "train_step", rated)
    optimizer = OptimizerConfig(learning_rate=1e-3, schedule="constant", warmup=0.0)
    train_recipe(small_prepared, job(replace(TUNE, schedule="constant"), optimizer=optimizer), tmp_path)
    assert texts == [({"title": 0.7, "description": 0.3}, True)] * 6 + [({"keywords": 1.0}, True)] * 4
    assert rates == [{1e-3}] * 6 + [{1e-4}] * 4


def test_without_texts_of_its_own_a_stage_reads_those_of_the_first(small_prepared, tmp_path, monkeypatch):
    texts, batch = [], TokenBank.batch

    def remembering(bank, rows, config, rng):
        texts.extend([] if rng is None else [config.text])
        return batch(bank, rows, config, rng)

    monkeypatch.setattr(TokenBank, "batch", remembering)
    train_recipe(small_prepared, job(FineTune(steps=1), steps=1, evaluate_every=1), tmp_path)
    assert texts == [{"title": 0.7, "description": 0.3}] * 2


@pytest.mark.parametrize(("total", "step"), [(6, 3), (6, 6), (4, 1), (4, 3)])
def test_a_training_interrupted_in_either_stage_ends_as_the_unbroken_one(
    small_prepared, tmp_path, whole, total, step
):
    expected, there = whole
    with pytest.raises(KeyboardInterrupt):
        train_recipe(small_prepared, job(), tmp_path, stopping_at(total, step))
    assert (tmp_path / "first_stage").exists() == (total == 4)
    found = train_recipe(small_prepared, job(), tmp_path)
    for name in (
        "model/model.safetensors",
        "first_stage/model.safetensors",
        "fine_tune/checkpoint/state.safetensors",
    ):
        left, right = load_file(tmp_path / name), load_file(there / name)
        assert left.keys() == right.keys()
        assert [k for k in left if not torch.equal(left[k], right[k])] == []
    for name in ("metrics.jsonl", "fine_tune/metrics.jsonl"):
        assert (tmp_path / name).read_bytes() == (there / name).read_bytes()
    assert found.outcome.history == expected.outcome.history
    assert found.scales == expected.scales


def test_what_one_stage_freezes_the_next_may_train(small_prepared, tmp_path):
    optimizer = OptimizerConfig(freeze=("encoders.structure.*",))
    tune = replace(TUNE, freeze=("encoders.text.*", "projections.*"))
    trained = train_recipe(small_prepared, job(tune, optimizer=optimizer), tmp_path)
    start = train_recipe(
        small_prepared, job(FineTune(), steps=1, optimizer=OptimizerConfig(0.0)), tmp_path / "0"
    )
    names = [n for n, _ in trained.prismat.model.named_parameters()]
    at = [
        dict(p.model.named_parameters())
        for p in (start.prismat, load(tmp_path / "first_stage"), trained.prismat)
    ]

    def changed(a, b, prefix):
        return [n for n in names if n.startswith(prefix) and not torch.equal(at[a][n], at[b][n])]

    assert not changed(0, 1, "encoders.structure")
    assert changed(0, 1, "encoders.text")
    assert changed(0, 1, "projections")
    assert changed(1, 2, "encoders.structure")
    assert not changed(1, 2, "encoders.text")
    assert not changed(1, 2, "projections")
    assert all(p.requires_grad for p in trained.prismat.model.parameters())


def test_a_stage_without_names_to_freeze_trains_everything():
    optimizer = OptimizerConfig(freeze=("encoders.structure.*",), schedule="one_cycle", weight_decay=0.3)
    stages = _stages(job(replace(TUNE, schedule="cosine"), optimizer=optimizer, evaluate_every=5))
    first, second = stages[""].train, stages["fine_tune"].train
    assert first.optimizer == optimizer
    assert second.optimizer == replace(optimizer, freeze=(), schedule="cosine", learning_rate=1e-4)
    assert (second.steps, second.evaluate_every, second.batch) == (4, 4, 40)
    assert list(_stages(job(FineTune()))) == [""]


def test_checkpoints_may_be_chosen_by_words(small_prepared, tmp_path):
    trained = train_recipe(small_prepared, job(select="words"), tmp_path)
    for entry in trained.outcome.history:
        assert entry["val/score"] == entry["val/words/roc_auc"]
        assert 0 < entry["val/score"] < 1
    scores = {e["step"]: e["val/score"] for e in trained.outcome.history}
    assert scores[trained.outcome.best_step] == max(scores.values())
    assert trained.validation["words/roc_auc"] == max(scores.values())
