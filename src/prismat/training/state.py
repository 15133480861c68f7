"""Checkpoints that resume bit for bit: tensors as safetensors, the rest as JSON, no pickle."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from prismat.errors import BadInputError, MismatchError
from prismat.files import replacing_folder, write_json


def save_state(
    folder: Path,
    modules: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    generator: np.random.Generator,
    progress: dict,
) -> None:
    """Writes everything a training needs to go on as if it had never stopped.

    Args:
        folder: appears whole or not at all.
        modules: by name; parameters and buffers are kept.
        optimizer: its per-parameter tensors are kept by position.
        generator: numpy's generator of batches and views.
        progress: JSON-serialisable counters and histories; must hold ``job``, a hash of what is trained.
    """
    tensors = {f"{n}/{k}": v for n, m in modules.items() for k, v in m.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{k}": torch.as_tensor(v) for k, v in values.items()}
    tensors["torch_rng"] = torch.get_rng_state()
    with replacing_folder(folder) as temporary:
        save_file({k: v.contiguous().clone() for k, v in tensors.items()}, temporary / "state.safetensors")
        write_json(temporary / "progress.json", {**progress, "numpy_rng": generator.bit_generator.state})


def load_state(
    folder: Path,
    modules: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    generator: np.random.Generator,
    job: str,
) -> dict:
    """Restores what ``save_state`` wrote and returns its progress.

    Raises:
        MismatchError: the checkpoint belongs to another job.
        BadInputError: the checkpoint is damaged.
    """
    try:
        progress = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "state.safetensors")
        of = progress["job"]
    except Exception as error:
        raise BadInputError(
            f"{folder} cannot be read ({error})", remedy="Remove it to start again."
        ) from error
    _same_job(folder, of, job)
    for name, module in modules.items():
        module.load_state_dict(_under(tensors, f"{name}/"))
    _restore_optimizer(optimizer, _under(tensors, "optimizer/"))
    torch.set_rng_state(tensors["torch_rng"])
    generator.bit_generator.state = progress.pop("numpy_rng")
    return progress


def check_job(folder: Path, job: str) -> None:
    """Refuses a checkpoint of another job before anything beside it is written; none at all is well.

    Raises:
        MismatchError: the checkpoint belongs to another job.
        BadInputError: the checkpoint is damaged.
    """
    path = folder / "progress.json"
    if not path.is_file():
        return
    try:
        of = json.loads(path.read_text(encoding="utf-8"))["job"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(
            f"{folder} cannot be read ({error})", remedy="Remove it to start again."
        ) from error
    _same_job(folder, of, job)


def _same_job(folder: Path, of: str, job: str) -> None:
    if of != job:
        raise MismatchError(
            f"{folder} is of a training with other data or settings. Give another run folder, or remove it."
        )


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
