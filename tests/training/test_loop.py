import logging

import numpy as np
import pytest
import torch

from helpers_loop import PAIRS, Encoder, Noisy, Rows, assert_equal, fit, metrics, scored, trainer
from prismat.errors import BadInputError, MismatchError
from prismat.training.optimizer import OptimizerConfig, build_optimizer
from prismat.training.schedule import Stage, warmup_cosine


def test_one_seed_gives_one_training(tmp_path):
    runs = []
    for i, seed in enumerate((0, 0, 1)):
        runs.append(trainer(seed=seed))
        fit(runs[-1], tmp_path / str(i))
    assert_equal(runs[0], runs[1])
    assert metrics(tmp_path / "0") == metrics(tmp_path / "1")
    assert metrics(tmp_path / "0")[0]["loss"] != metrics(tmp_path / "2")[0]["loss"]
    assert [entry["step"] for entry in metrics(tmp_path / "0")] == list(range(1, 13))
    assert "val/score" in metrics(tmp_path / "0")[3]
    assert "val/score" not in metrics(tmp_path / "0")[4]


@pytest.mark.parametrize("stop", [(2,), (4,), (7,), (1, 5, 9, 11)])
def test_an_interrupted_training_ends_as_the_unbroken_one(tmp_path, stop):
    whole = trainer()
    told = fit(whole, tmp_path / "whole")
    for step in (*stop, None):
        part = trainer()

        def interrupt(done, total, entry, at=step):
            assert total == 12
            if done == at:
                raise KeyboardInterrupt

        if step is None:
            outcome = fit(part, tmp_path / "part", progress=interrupt)
        else:
            with pytest.raises(KeyboardInterrupt):
                fit(part, tmp_path / "part", progress=interrupt)
    assert_equal(part, whole)
    assert outcome.history == told.history
    assert (outcome.best_step, outcome.epochs) == (told.best_step, told.epochs)
    assert (tmp_path / "part/metrics.jsonl").read_bytes() == (tmp_path / "whole/metrics.jsonl").read_bytes()


def test_a_finished_training_is_not_repeated(tmp_path):
    first, second = trainer(), trainer()
    told = fit(first, tmp_path)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    again = fit(second, tmp_path, progress=lambda *_: pytest.fail("a step was taken"))
    assert_equal(first, second)
    assert again.history == told.history
    assert again.seconds == told.seconds > 0
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_a_checkpoint_of_another_job_is_refused(tmp_path):
    fit(trainer(), tmp_path)
    with pytest.raises(MismatchError, match="training with other data or settings"):
        fit(trainer(), tmp_path, job="another")


def test_the_best_weights_are_kept(tmp_path):
    run, validate = trainer(), scored(0.2, 0.7, 0.7)
    outcome = fit(run, tmp_path, validate)
    assert outcome.best_step == 8
    assert [e["val/score"] for e in outcome.history] == [0.2, 0.7, 0.7]
    assert all(torch.equal(v, validate.seen[1][k]) for k, v in run.model.state_dict().items())
    assert not torch.equal(
        validate.seen[1]["encoders.a.net.0.weight"], validate.seen[2]["encoders.a.net.0.weight"]
    )


def test_patience_stops_after_validations_without_gain(tmp_path):
    run = trainer(steps=40, patience=2)
    outcome = fit(run, tmp_path, scored(0.5, 0.4, 0.6, 0.6, 0.1))
    assert (run.step, outcome.best_step) == (20, 12)
    again = trainer(steps=40, patience=2)
    assert fit(again, tmp_path, scored()).best_step == 12


def test_micro_batches_average_their_gradients():
    run, naive = (trainer(dropout=0.0, micro_batches=3) for _ in range(2))
    # Running statistics of the batch normalisation follow the micro-batches one by one in both.
    total = torch.zeros(())
    for _ in range(3):
        rows = naive._next_rows()
        embedded = naive.model(naive.learner.data.batches(rows, naive.rng), naive.learner.data.same(rows))
        total = total + naive.learner.objective(embedded).total
    (total / 3).backward()
    parameters = [*naive.model.parameters(), *naive.learner.objective.parameters()]
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    for group in naive.optimizer.param_groups:
        group["lr"] = 2e-3 * warmup_cosine(0, 12, 0.1)
    naive.optimizer.step()
    run.train_step()
    for found, expected in zip(run.model.parameters(), naive.model.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_curriculum_weights_act(tmp_path):
    stages = (Stage(0.0, {"a-b": 0.0, "a-c": 0.5}), Stage(0.5, {"a-b": 2.0}))
    fit(trainer(curriculum=stages), tmp_path)
    for entry in metrics(tmp_path):
        weights = {"a-b": 0.0 if entry["step"] <= 6 else 2.0, "a-c": 0.5, "b-c": 1.0}
        assert ("a-b" in entry) == (entry["step"] > 6)
        expected = sum(weights[name] * entry.get(name, 0.0) for name in PAIRS)
        assert entry["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_pass_shows_every_row_and_no_batch_holds_one_twice():
    run = trainer(rows=20, batch=8)
    batches = [run._next_rows() for _ in range(400)]
    assert all(len(set(rows.tolist())) == 8 for rows in batches)
    drawn = np.concatenate(batches)
    assert sorted(drawn[:20]) == list(range(20))
    assert drawn[:20].tolist() != drawn[20:40].tolist()
    assert np.bincount(drawn) == pytest.approx(np.full(20, 160), abs=16)


def test_epochs_count_rows_really_seen(tmp_path):
    assert fit(trainer(rows=16, micro_batches=2), tmp_path / "a").epochs == pytest.approx(12 * 8 * 2 / 16)
    assert fit(trainer(rows=16, batch=512), tmp_path / "b").epochs == pytest.approx(12)


def test_decay_spares_vectors_and_temperatures():
    run = trainer()
    with_decay, without = build_optimizer(
        [run.model, run.learner.objective], OptimizerConfig(weight_decay=0.3)
    ).param_groups
    assert (with_decay["weight_decay"], without["weight_decay"]) == (0.3, 0.0)
    assert {p.ndim for p in with_decay["params"]} == {2}
    assert {p.ndim for p in without["params"]} == {0, 1}
    assert len(with_decay["params"]) + len(without["params"]) == len(list(run.model.parameters())) + 3


def test_a_collapsed_model_is_told_of(tmp_path, caplog):
    run = trainer(dropout=0.0, steps=4, optimizer=OptimizerConfig(learning_rate=0.0))
    with torch.no_grad():
        for projection in run.model.projections.values():
            projection.net.weight.zero_()
            projection.net.bias.fill_(1.0)
    with caplog.at_level(logging.WARNING, logger="prismat"):
        outcome = fit(run, tmp_path, scored(0.0))
    assert "step 4: a@b: mean cosine 1.00, embeddings crowd together" in caplog.text
    told = outcome.history[-1]["warnings"]
    assert len(told) == 6
    assert all(message in caplog.text for message in told)
    assert outcome.history[-1]["mean_cosine/a@b"] == pytest.approx(1)


def test_only_records_that_have_a_window_are_watched(tmp_path):
    class Half(Noisy):
        def batches(self, rows, rng):
            made = super().batches(rows, rng)
            present = torch.arange(len(rows)) < 4
            values = torch.where(present[:, None], made["a"].values, 0.0)
            return {**made, "a": Rows(values, present)}

    run = trainer(Half(), dropout=0.0, steps=4)
    entry = fit(run, tmp_path).history[-1]
    rows = run.learner.last.toward["a", "b"].detach()[:4]
    expected = (float((rows @ rows.T).sum()) - 4) / 12
    assert entry["mean_cosine/a@b"] == pytest.approx(expected, abs=1e-5)


def test_a_batch_without_any_pair_teaches_nothing(tmp_path):
    run = trainer(Noisy(absent=("a", "b")), dropout=0.0, optimizer=OptimizerConfig(weight_decay=0.0))
    before = {k: v.clone() for k, v in run.model.named_parameters()}
    fit(run, tmp_path)
    assert all(torch.equal(v, before[k]) for k, v in run.model.named_parameters())
    assert metrics(tmp_path)[0] == {"step": 1, "loss": 0.0}


def test_a_diverged_training_says_so(tmp_path):
    data = Noisy()
    data.points[:] = float("nan")
    with pytest.raises(BadInputError, match=r"train: the loss is nan at step 1\. Lower the learning rate"):
        fit(trainer(data), tmp_path)


def test_mixed_precision_keeps_single_precision_weights(tmp_path):
    run = trainer(optimizer=OptimizerConfig(bf16=True))
    assert np.isfinite(fit(run, tmp_path).history[-1]["loss"])
    assert {p.dtype for p in run.model.parameters()} == {torch.float32}
    assert run.learner.last.toward["a", "b"].dtype == torch.float32


class Slow(Encoder):
    """An encoder whose first layer learns at a share of the rate."""

    def learning_rates(self):
        return {"net.0.weight": 0.1, "net.0.bias": 0.1}


def test_without_shares_the_groups_are_one_rate():
    run = trainer()
    groups = build_optimizer(
        [run.model, run.learner.objective], OptimizerConfig(learning_rate=3e-3)
    ).param_groups
    assert [(g["scale"], g["lr"]) for g in groups] == [(1.0, 3e-3)] * 2


def test_shares_of_the_learning_rate_make_groups_of_their_own():
    model = torch.nn.ModuleDict({"slow": Slow(0.0), "plain": Encoder(0.0)})
    groups = build_optimizer([model], OptimizerConfig(learning_rate=1e-2, weight_decay=0.3)).param_groups
    assert [(g["scale"], g["lr"], g["weight_decay"]) for g in groups] == [
        (1.0, 1e-2, 0.3),
        (1.0, 1e-2, 0.0),
        (0.1, pytest.approx(1e-3), 0.3),
        (0.1, pytest.approx(1e-3), 0.0),
    ]
    slow = {id(model["slow"].net[0].weight), id(model["slow"].net[0].bias)}
    assert {id(p) for g in groups[2:] for p in g["params"]} == slow
    assert {id(p) for g in groups for p in g["params"]} == {id(p) for p in model.parameters()}


def test_the_schedule_keeps_the_shares(tmp_path):
    run = trainer()
    run.model.encoders["a"] = Slow(0.0)
    run.optimizer = build_optimizer([run.model, run.learner.objective], run.config.optimizer)
    weight = run.model.encoders["a"].net[0].weight
    for step in range(3):
        run.train_step()
        expected = run.config.optimizer.learning_rate * warmup_cosine(step, 12, 0.1)
        rates = {(g["scale"], g["lr"]) for g in run.optimizer.param_groups}
        assert rates == {(1.0, expected), (0.1, expected * 0.1)}
    assert weight.grad is not None


def test_an_interrupted_run_with_shares_ends_as_the_unbroken_one(tmp_path):
    def made():
        run = trainer()
        torch.manual_seed(5)
        run.model.encoders["a"] = Slow(0.0)
        run.optimizer = build_optimizer([run.model, run.learner.objective], run.config.optimizer)
        run.best_weights = {k: v.clone() for k, v in run.model.state_dict().items()}
        return run

    def stop(step, *_):
        if step == 6:
            raise KeyboardInterrupt

    whole = made()
    fit(whole, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(made(), tmp_path / "broken", progress=stop)
    again = made()
    fit(again, tmp_path / "broken")
    weights = whole.model.state_dict()
    assert all(torch.equal(v, weights[k]) for k, v in again.model.state_dict().items())
