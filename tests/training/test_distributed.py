"""Processes that train together against one process that does it alone, in float64."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import helpers_distributed as helpers
from prismat.embedded import Embedded
from prismat.encoders.properties_encoder import MaskedStandardisation
from prismat.errors import BadInputError
from prismat.training import distributed
from prismat.training.distributed import World, join_world, leave_world

SCRIPT = helpers.__file__
EXACT = [
    name
    for name, scenario in helpers.SCENARIOS.items()
    if not (scenario.mean_of_all or scenario.ddp or (scenario.batch_norm and not scenario.frozen))
]


def environment(**more: str) -> dict[str, str]:
    """Nothing but the loopback interface, and one thread each."""
    loopback = "lo" if sys.platform == "linux" else "lo0"
    kept = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    return kept | {"GLOO_SOCKET_IFNAME": loopback, "OMP_NUM_THREADS": "1"} | more


class Run:
    """What the processes of one launch wrote."""

    def __init__(self, size: int, folder: Path) -> None:
        self.size = size
        launch = ["-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
        command = [sys.executable, *launch, "--nproc-per-node", str(size), SCRIPT, str(folder)]
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, done.stderr[-4000:]
        self.found = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(size)]
        self.steps = {
            name: [load_file(folder / f"{name}-{rank}.safetensors") for rank in range(size)]
            for name in helpers.SCENARIOS
        }


@pytest.fixture(scope="module", params=[2, 3])
def run(request, tmp_path_factory):
    return Run(request.param, tmp_path_factory.mktemp("ranks"))


def alone(name):
    with torch.random.fork_rng():
        return helpers.step(World(), helpers.SCENARIOS[name])


def difference(found, expected):
    """Largest difference of a gradient, relative to the largest entry of its parameter."""
    assert found.keys() == expected.keys()
    return max(float((found[k] - v).abs().max() / v.abs().max().clamp_min(1e-3)) for k, v in expected.items())


@pytest.mark.parametrize("name", EXACT)
def test_every_gradient_equals_that_of_one_process(run, name):
    expected = alone(name)
    objective = [v for k, v in expected.items() if k.startswith("objective.")]
    assert objective or name in ("barlow", "tensor_clip")
    assert all(v.abs().max() > 1e-6 for k, v in expected.items() if "scale" in k)
    encoders = [v for k, v in expected.items() if k.startswith("model.encoders.")]
    assert len(encoders) == 18
    assert all(v.abs().max() > 1e-6 for v in encoders)
    for found in run.steps[name]:
        assert difference(found, expected) < 1e-10


@pytest.mark.parametrize("name", EXACT)
def test_ranks_hold_the_same_gradient_to_the_last_bit(run, name):
    first, *others = run.steps[name]
    assert all(torch.equal(other[k], v) for other in others for k, v in first.items())


def test_batch_statistics_are_not_those_of_one_process_unless_frozen(run):
    found, expected = run.steps["batch norm in training"][0], alone("batch norm in training")
    assert difference(found, expected) > 1e-3
    frozen = run.steps["batch norm frozen"][0]
    assert difference(frozen, alone("batch norm frozen")) < 1e-10


def test_a_mean_over_ranks_is_too_small_by_their_number(run):
    found, expected = run.steps["mean over ranks"][0], alone("mean over ranks")
    scaled = {k: v / run.size if k.startswith("model.") else v for k, v in expected.items()}
    assert difference(found, scaled) < 1e-10
    assert difference(found, expected) > 1e-3


def test_distributed_data_parallel_agrees_when_the_loss_is_multiplied_by_the_number_of_ranks(run):
    """Those of the encoders do; a temperature's, which every rank has in full, comes out too large."""
    expected = {k: v for k, v in alone("DistributedDataParallel").items() if k != "loss"}
    scaled = {k: v * run.size if k.startswith("objective.") else v for k, v in expected.items()}
    for found in run.steps["DistributedDataParallel"]:
        assert difference({k: found[k] for k in found if k != "loss"}, scaled) < 1e-10


def test_ranks_share_and_gather_rows(run):
    rows = [0, 10, 20, 30, 40, 50, 60]
    assert [n for found in run.found for n in found["share"]] == rows
    lengths = [len(found["share"]) for found in run.found]
    assert max(lengths) - min(lengths) == 1
    for rank, found in enumerate(run.found):
        assert found["rank"] == [rank, run.size, "cpu", rank == 0]
        assert found["rows"] == rows
        assert found["row type"] == "int32"


def test_numbers_are_summed_and_rank_0_is_believed(run):
    pairs = run.size * (run.size - 1) // 2
    for found in run.found:
        assert found["number"] == pairs + run.size / 2
        assert found["tensor"] == [run.size, pairs]
        assert found["told"] == {"rank": 0, "of": [1, 2.5, None, "λ" * 99]}
        assert found["nothing"] is None


def test_gradients_that_a_rank_lacks_count_as_zero(run):
    ranks = range(1, run.size + 1)
    for found in run.found:
        for name in ("everywhere", "large", "larger", "single"):
            assert found["unused"][name] == [sum(ranks)]
        assert found["unused"]["last rank"] == [run.size]
        assert found["unused"]["nowhere"] is None
        assert found["unused"]["mean"] == [sum(ranks) / run.size] * 2


def test_gradients_travel_in_buckets_of_one_type():
    large = [torch.nn.Parameter(torch.zeros(2 * 10**6, dtype=torch.float64)) for _ in range(3)]
    small = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    buckets = list(distributed._buckets([small[0], *large, small[1], small[2]]))
    assert [len(bucket) for bucket in buckets] == [1, 1, 1, 1, 2]
    assert list(distributed._buckets([])) == []


def test_windows_types_and_rows_may_differ_between_ranks(run):
    counts = [rank + 2 for rank in range(run.size)]
    total = sum(counts)
    of = [rank for rank, n in enumerate(counts) for _ in range(n)]
    first = [n for count in counts for n in range(count)]
    for rank, report in enumerate(run.found):
        found = report["gathered"]
        single = [float(np.float32(r + 1 / 3)) if r else 0.0 for r in of]
        assert found["a"] == [[v, v] for v in single]
        assert found["b"] == [[1 / 7, 1 / 7]] * total
        assert found["toward"] == [[-r, -r] for r in of]
        assert found["views"] == [r + 0.5 for r in of]
        assert found["types"] == ["torch.float32", "torch.float64", "torch.bfloat16"]
        assert found["present"]["b"] == [n > 0 for n in first]
        assert found["present"]["a"] == [n > 0 and r > 0 for n, r in zip(first, of, strict=True)]
        assert found["gradient"] == [i + 1 for i, r in enumerate(of) if r == rank]
        assert found["rest"] == ["b", True, rank]


def test_ranks_that_do_not_fit_together_are_all_told(run):
    widths, empty = run.found[0]["refused"]
    assert "embeddings/a has 3 columns of torch.float32 in one process and 4 of torch.float32" in widths
    assert "same recipe" in widths
    assert "without any window" in empty
    assert all(found["refused"] == [widths, empty] for found in run.found)


def test_running_statistics_become_those_of_all_ranks(run):
    parts = [helpers.property_values(rank, part) for part in (0, 1) for rank in range(run.size)]
    values, mask = (torch.cat(p) for p in zip(*parts, strict=True))
    columns = [values[mask[:, k], k] for k in range(3)]
    middle = (run.size - 1) / 2
    for rank, report in enumerate(run.found):
        found = report["statistics"]
        assert found["0.running_mean"] == [middle] * 2
        assert found["0.running_var"] == [1 + middle] * 2
        assert found["1.mean"] == pytest.approx([float(c.mean()) for c in columns], rel=1e-12)
        assert found["1.var"] == pytest.approx([float(c.var(correction=0)) for c in columns], rel=1e-12)
        assert found["1.count"] == pytest.approx([len(c) / run.size for c in columns])
        assert found["2.table"] == [float(torch.tensor(0.1 * (rank + 1)))]


def test_a_rank_that_says_nothing_does_not_hold_up_the_others():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, SCRIPT, "wait"]
    silent = subprocess.Popen(command, env=environment(RANK="1", **place))
    try:
        done = subprocess.run(
            command,
            env=environment(RANK="0", **place),
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
    finally:
        silent.kill()
        silent.wait()
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.startswith("gave up after 2.")


def test_alone_everything_is_as_it_was():
    world = World()
    batch = Embedded({"a": torch.zeros(2, 3)}, {"a": torch.ones(2) > 0}, same=torch.eye(2) > 0)
    rows = np.arange(4)
    assert world.gather(batch) is batch
    assert world.is_main
    np.testing.assert_array_equal(world.gather_rows(world.share(rows)), rows)
    assert world.total(2.5) == 2.5
    value = torch.ones(2, requires_grad=True)
    assert not world.total(value).requires_grad
    assert world.agree({"a": (1, 2)}) == {"a": [1, 2]}
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.ones(2)
    world.reduce_gradients([parameter])
    assert parameter.grad.tolist() == [1, 1]
    module = MaskedStandardisation(1)
    world.average_buffers(module)
    assert module.count.tolist() == [0]
    world.barrier()
    leave_world(world)


def test_fewer_records_than_processes_are_refused():
    with pytest.raises(BadInputError, match=r"2 records cannot be shared among 3 .* larger batch"):
        World(0, 3).share(np.arange(2))
    assert World(2, 3).share(np.arange(3)).tolist() == [2]


def test_a_parameter_is_summed_or_averaged():
    shared = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(BadInputError, match="summed and averaged"):
        World().reduce_gradients([shared], [shared])


def test_only_json_is_told():
    with pytest.raises(BadInputError, match="cannot be told to the other processes"):
        World().agree({"a": object()})


@pytest.fixture
def no_launcher(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def gpus(no_launcher):
    """As if there were two GPUs."""
    no_launcher.setattr(torch.cuda, "is_available", lambda: True)
    no_launcher.setattr(torch.cuda, "device_count", lambda: 2)
    no_launcher.setattr(torch.cuda, "set_device", lambda _: None)
    return no_launcher


def test_without_torchrun_there_is_one_process(no_launcher):
    assert join_world("cpu") == World()
    no_launcher.setattr(torch.cuda, "is_available", lambda: False)
    assert join_world() == World()


def test_torchrun_with_one_process_needs_no_connections(no_launcher):
    no_launcher.setenv("RANK", "0")
    no_launcher.setenv("WORLD_SIZE", "1")
    assert join_world("cpu") == World()
    assert not torch.distributed.is_initialized()


def test_gpus_are_chosen_by_local_rank(gpus):
    assert join_world() == World(device="cuda:0")
    assert join_world("cuda:1") == World(device="cuda:1")
    assert join_world("cpu") == World()
    joined = []
    gpus.setattr(torch.distributed, "init_process_group", lambda *a, **k: joined.append((a, k)))
    for name, value in {"RANK": 3, "WORLD_SIZE": 4, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2}.items():
        gpus.setenv(name, str(value))
    gpus.setenv("MASTER_ADDR", "127.0.0.1")
    gpus.setenv("MASTER_PORT", "1")
    assert join_world() == World(3, 4, "cuda:1")
    assert joined[0][0] == ("nccl",)
    assert joined[0][1]["device_id"] == torch.device("cuda:1")
    assert joined[0][1]["timeout"] == distributed.TIMEOUT
    with pytest.raises(BadInputError, match="2 processes cannot share cuda:0"):
        join_world("cuda:0")


@pytest.mark.parametrize("device", ["tpu", "cuda:", "cuda:-1", "mps", "cpu:0", ""])
def test_unknown_devices_are_refused(no_launcher, device):
    with pytest.raises(BadInputError, match=r"unknown device .* Give auto, cpu or cuda"):
        join_world(device)


def test_missing_gpus_are_refused(gpus):
    with pytest.raises(BadInputError, match="cuda:2 needs GPU 2 of this machine, which has 2"):
        join_world("cuda:2")
    for name, value in {"RANK": 0, "WORLD_SIZE": 3, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 3}.items():
        gpus.setenv(name, str(value))
    gpus.setenv("MASTER_ADDR", "127.0.0.1")
    gpus.setenv("MASTER_PORT", "1")
    with pytest.raises(BadInputError, match="Start at most 2 processes per machine"):
        join_world()
    gpus.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInputError, match=r"which has 0\. Give cpu"):
        join_world("cuda")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"RANK": "0"}, "WORLD_SIZE is '', not a number"),
        ({"WORLD_SIZE": "2"}, "RANK is '', not a number"),
        ({"RANK": "one", "WORLD_SIZE": "2"}, "RANK is 'one'"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK=2 is not below WORLD_SIZE=2"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, "MASTER_ADDR and MASTER_PORT are not set"),
    ],
)
def test_a_broken_launch_is_refused(no_launcher, variables, said):
    for name, value in variables.items():
        no_launcher.setenv(name, value)
    with pytest.raises(BadInputError, match=said):
        join_world("cpu")
