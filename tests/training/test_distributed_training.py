"""A training of twenty steps by two processes against the same training by one, in float64."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import helpers_training as toys
from helpers_cli import TINY
from prismat.api import load
from prismat.recipes.base import Job
from prismat.recipes.serial import from_json

TESTS = Path(__file__).parent.parent
LOOPBACK = "lo" if sys.platform == "linux" else "lo0"


def launch(*words, patience=200):
    """Two processes under torchrun."""
    kept = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    kept |= {
        "GLOO_SOCKET_IFNAME": LOOPBACK,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join((str(TESTS), os.environ.get("PYTHONPATH", ""))),
    }
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    command = [sys.executable, *torchrun, "--nproc-per-node", "2", *map(str, words)]
    done = subprocess.run(command, env=kept, capture_output=True, text=True, timeout=patience, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """The folder in which two processes trained all cases."""
    folder = tmp_path_factory.mktemp("ranks")
    launch(toys.__file__, folder)
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same cases trained by this process, each once."""
    folder, found = tmp_path_factory.mktemp("alone"), {}

    def train(name):
        if name not in found:
            with torch.random.fork_rng():
                found[name] = toys.weights(toys.fit(folder / name, name))
        return folder / name, found[name]

    return train


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def difference(found, expected):
    """Largest difference of a tensor, relative to its largest entry."""
    assert found.keys() == expected.keys()
    return max(float((found[k] - v).abs().max() / v.abs().max().clamp_min(1e-3)) for k, v in expected.items())


@pytest.mark.parametrize("name", ["plain", "chunk", "average", "micro"])
def test_two_processes_train_as_one(ranks, alone, name):
    folder, expected = alone(name)
    told, found = metrics(folder), metrics(ranks / name)
    steps = toys.CASES[name][1].get("steps", 20)
    assert [e["step"] for e in found] == list(range(1, steps + 1))
    for left, right in zip(found, told, strict=True):
        assert left.keys() == right.keys()
        assert {k: v for k, v in left.items() if k != "warnings"} == pytest.approx(
            {k: v for k, v in right.items() if k != "warnings"}, rel=1e-8
        )
    assert [e["loss"] for e in found] == pytest.approx([e["loss"] for e in told], rel=1e-10)
    assert found[0]["masked_language"] > 1
    assert {"structure-text", "structure-xrd", "text-xrd"} < found[0].keys()
    assert len({e["loss"] for e in found}) == steps
    for rank in (0, 1):
        assert difference(load_file(ranks / f"{name}-{rank}.safetensors"), expected) < 1e-8


def test_a_chunked_training_is_the_plain_one(alone):
    assert difference(alone("chunk")[1], alone("plain")[1]) < 1e-8


@pytest.mark.parametrize("name", toys.CASES)
def test_ranks_hold_the_same_weights_to_the_last_bit(ranks, name):
    first, other = (load_file(ranks / f"{name}-{rank}.safetensors") for rank in (0, 1))
    assert all(torch.equal(other[k], v) for k, v in first.items())


def test_a_resumed_training_ends_as_the_unbroken_one(ranks):
    """With dropout and drawn masks, stopped between two checkpoints."""
    assert json.loads((ranks / "0.json").read_text())["stopped"] == "broken"
    whole, broken = (load_file(ranks / f"{name}-0.safetensors") for name in ("dropout", "broken"))
    assert whole.keys() == broken.keys()
    assert [k for k in whole if not torch.equal(whole[k], broken[k])] == []
    assert (ranks / "broken/metrics.jsonl").read_bytes() == (ranks / "dropout/metrics.jsonl").read_bytes()


def test_what_is_drawn_is_not_what_one_process_draws(ranks, alone):
    """Each rank has a stream of its own: only the size of the loss is the same."""
    found, told = metrics(ranks / "dropout"), metrics(alone("dropout")[0])
    assert found[0]["loss"] != pytest.approx(told[0]["loss"], rel=1e-6)
    assert found[0]["loss"] == pytest.approx(told[0]["loss"], rel=0.5)


def test_rank_1_writes_nothing(ranks):
    wrote = [json.loads((ranks / f"{rank}.json").read_text())["wrote"] for rank in (0, 1)]
    assert any("metrics.jsonl" in w for w in wrote[0])
    assert wrote[1] == []
    assert not list((ranks / "plain/rank 1").iterdir())


@pytest.mark.slow
def test_the_command_line_trains_on_two_processes(commanded, tmp_path):
    words = ("train", "--store", commanded.store, "--out", tmp_path / "run", "--no-baselines", *TINY)
    done = launch("-m", "prismat", *words)
    assert done.stdout.count("best at step") == 1
    assert [e["step"] for e in metrics(tmp_path / "run")] == list(range(1, 7))
    job = from_json(Job, json.loads((tmp_path / "run/config.json").read_text()))
    assert job == from_json(Job, json.loads((commanded.run / "config.json").read_text()))
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert names == {"checkpoint", "config.json", "metrics.jsonl", "model", "split.json"}
    vectors = load(tmp_path / "run").embed(texts=["halite"])
    assert set(vectors) == set(load(commanded.run).embed(texts=["halite"]))
