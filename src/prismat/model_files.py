"""What every saved model has in common: JSON beside tensors, checked by hash, nothing ever executed."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from prismat.errors import BadInputError
from prismat.files import digest, sha256


def damaged(path: Path) -> BadInputError:
    """The error for a file that is not as it was saved."""
    return BadInputError(f"{path} is missing or damaged", remedy="Copy the model again, or train again.")


def read_object(path: Path) -> dict:
    """A JSON object.

    Raises:
        BadInputError: the file is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(path) from error
    if not isinstance(content, dict):
        raise damaged(path)
    return content


def load_weights(model: nn.Module, path: Path, expected: str) -> None:
    """Reads tensors only where the file is the one that was saved.

    Args:
        model: receives them.
        path: a safetensors file.
        expected: its SHA-256.

    Raises:
        BadInputError: the file is missing or damaged.
    """
    try:
        if sha256(path) != expected:
            raise damaged(path)
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise damaged(path) from error


def weight_hashes(model: nn.Module) -> dict[str, str]:
    """Hash of every tensor by name."""
    return {k: digest(v.tolist() if v.ndim == 0 else _bytes_hash(v)) for k, v in model.state_dict().items()}


def read_card(folder: Path) -> str:
    """The model card; empty where there is none."""
    card = folder / "README.md"
    return card.read_text(encoding="utf-8") if card.is_file() else ""


def check_text_hash(name: str, found: str, expected: str) -> None:
    """Refuses another text encoder than the one a model was trained with.

    Raises:
        BadInputError: the hashes differ.
    """
    if found != expected:
        raise BadInputError(
            f"{name} has hash {found[:8]}, the model needs {expected[:8]}",
            remedy="Install the version of its weights that the model was trained with.",
        )


def _bytes_hash(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
