"""Batches from one device to another."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch


def moved(batch: Any, device: torch.device | str) -> Any:
    """The same frozen dataclass with every tensor on ``device``; itself where nothing has to move."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device)
    if not is_dataclass(batch):
        return batch
    # A modality's batch holds tensors and further batches, never lists of them.
    changed = {
        f.name: moved(value, device) for f in fields(batch) if (value := getattr(batch, f.name)) is not None
    }
    is_same = all(value is getattr(batch, name) for name, value in changed.items())
    return batch if is_same else replace(batch, **changed)
