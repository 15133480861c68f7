import json

import numpy as np
import pytest
import torch
from torch import nn

from prismat.errors import BadInputError, MismatchError
from prismat.training.state import load_state, save_state


class Run:
    """A small training with all that must be restored: dropout, AdamW, running statistics, numpy draws."""

    def __init__(self, seed=0):
        torch.manual_seed(seed)
        self.net = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.GELU(), nn.Dropout(0.5), nn.Linear(8, 1)
        )
        self.scale = nn.ParameterDict({"a-b": nn.Parameter(torch.zeros(()))})
        parameters = [*self.net.parameters(), *self.scale.parameters()]
        groups = [
            {"params": parameters[:2], "weight_decay": 0.1},
            {"params": parameters[2:], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=0.01)
        self.rng = np.random.default_rng(seed)
        self.losses = []

    @property
    def modules(self):
        return {"net": self.net, "scale": self.scale}

    def steps(self, n):
        for _ in range(n):
            x = torch.from_numpy(self.rng.normal(size=(16, 4)).astype(np.float32))
            self.optimizer.zero_grad()
            loss = (self.net(x).square() * self.scale["a-b"].exp()).mean()
            loss.backward()
            self.optimizer.step()
            self.losses.append(float(loss.detach()))
        return self

    def save(self, folder, **progress):
        save_state(folder, self.modules, self.optimizer, self.rng, {"job": "j", **progress})

    def load(self, folder, job="j"):
        return load_state(folder, self.modules, self.optimizer, self.rng, job)


def test_three_and_three_steps_equal_six_to_the_last_bit(tmp_path):
    whole = Run().steps(6)
    Run().steps(3).save(tmp_path / "c", step=3, history=[{"loss": 0.1}])
    second = Run(seed=99)  # other weights, other generators: everything must come from the file
    progress = second.load(tmp_path / "c")
    assert progress == {"job": "j", "step": 3, "history": [{"loss": 0.1}]}
    second.steps(3)
    assert second.losses == whole.losses[3:]
    for name, module in whole.modules.items():
        ours = second.modules[name].state_dict()
        assert all(torch.equal(ours[k], v) for k, v in module.state_dict().items())
    a, b = whole.optimizer.state_dict(), second.optimizer.state_dict()
    assert a["param_groups"] == b["param_groups"]
    assert all(torch.equal(b["state"][i][k], v) for i, s in a["state"].items() for k, v in s.items())
    assert whole.rng.random() == second.rng.random()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c"]


def test_without_the_restored_generators_the_run_would_differ(tmp_path):
    Run().steps(3).save(tmp_path / "c")
    second = Run()
    second.load(tmp_path / "c")
    torch.manual_seed(5)
    assert second.steps(3).losses != Run().steps(6).losses[3:]


def test_a_checkpoint_before_the_first_step(tmp_path):
    Run().save(tmp_path / "c")
    second = Run(seed=9)
    second.load(tmp_path / "c")
    assert second.steps(2).losses == Run().steps(2).losses


def test_saving_again_replaces_the_checkpoint(tmp_path):
    run = Run().steps(1)
    run.save(tmp_path / "c", step=1)
    run.steps(1).save(tmp_path / "c", step=2)
    assert Run().load(tmp_path / "c")["step"] == 2


def test_another_job_is_refused_before_anything_changes(tmp_path):
    Run().steps(2).save(tmp_path / "c")
    other = Run(seed=1)
    before = {k: v.clone() for k, v in other.net.state_dict().items()}
    with pytest.raises(MismatchError, match=r"other data or settings\. Give another run folder"):
        other.load(tmp_path / "c", job="another")
    assert all(torch.equal(before[k], v) for k, v in other.net.state_dict().items())


@pytest.mark.parametrize("name", ["state.safetensors", "progress.json"])
def test_a_damaged_checkpoint_is_named(tmp_path, name):
    Run().steps(1).save(tmp_path / "c")
    path = tmp_path / "c" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadInputError, match=r"c cannot be read.*Remove it to start again"):
        Run().load(tmp_path / "c")


def test_a_missing_file_is_named(tmp_path):
    Run().steps(1).save(tmp_path / "c")
    (tmp_path / "c" / "state.safetensors").unlink()
    with pytest.raises(BadInputError, match="cannot be read"):
        Run().load(tmp_path / "c")


def test_there_is_no_pickle_in_a_checkpoint(tmp_path):
    Run().steps(1).save(tmp_path / "c")
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["progress.json", "state.safetensors"]
    progress = json.loads((tmp_path / "c" / "progress.json").read_text())
    assert progress["numpy_rng"]["bit_generator"] == "PCG64"
