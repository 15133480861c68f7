"""Saved heads: a folder that can be copied anywhere and used alone."""

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from prismat.api import load
from prismat.errors import BadInputError, VersionError
from prismat.files import replacing_folder, sha256, write_json, write_text
from prismat.heads.conformal import Conformal
from prismat.heads.fit import Fitted
from prismat.heads.model import HeadSpec, PropertyHead
from prismat.heads.network import Head
from prismat.model_files import damaged, read_card, read_object
from prismat.recipes.serial import from_json, to_json

KIND = "property_head"
FORMAT_VERSION = 1
BASE = "base"
_SCORES = "conformal.scores"


def save_head(head: PropertyHead, folder: Path) -> None:
    """Writes config.json, model.safetensors, README.md and, in ``base``, the model that the head reads."""
    fitted, first = head.fitted, head.fitted.heads[0]
    tensors = {
        f"{number}.{name}": value.contiguous()
        for number, member in enumerate(fitted.heads)
        for name, value in member.state_dict().items()
    }
    tensors[_SCORES] = torch.from_numpy(head.conformal.scores.astype(np.float64))
    config = {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "spec": to_json(head.spec),
        "widths": first.widths,
        "outputs": first.outputs,
        "loss": fitted.loss,
        "mean": fitted.mean,
        "spread": fitted.spread,
        "validation": list(fitted.validation),
        "floor": head.conformal.floor,
        "base_hash": head.prismat.hash,
    }
    with replacing_folder(Path(folder)) as temporary:
        head.prismat.save(temporary / BASE)
        save_file(tensors, temporary / "model.safetensors")
        write_text(temporary / "README.md", head.card or "# Prismat head\n")
        config["weights_sha256"] = sha256(temporary / "model.safetensors")
        write_json(temporary / "config.json", config)


def load_head(folder: str | Path) -> PropertyHead:
    """Loads a saved head, or that of the folder that ``prismat fit`` wrote.

    Args:
        folder: with config.json, or with such a folder named ``head`` in it.

    Raises:
        BadInputError: no head there, or its files are damaged.
        VersionError: written by a newer format.
    """
    folder = Path(folder)
    folder = folder / "head" if (folder / "head" / "config.json").is_file() else folder
    path = folder / "config.json"
    if not path.is_file():
        raise BadInputError(f"no head in {folder}", field="head", remedy="Fit one: prismat fit.")
    config = read_object(path)
    if config.get("kind") != KIND:
        raise BadInputError(f"{folder} holds no head", field="head", remedy="Fit one: prismat fit.")
    if config.get("format_version") != FORMAT_VERSION:
        raise VersionError(
            f"{folder} has head format {config.get('format_version')}, this program reads {FORMAT_VERSION}. "
            "Install the prismat that wrote it."
        )
    try:
        return _build(folder, config)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise damaged(path) from error


def _build(folder: Path, config: dict) -> PropertyHead:
    spec = from_json(HeadSpec, config["spec"])
    prismat = load(folder / BASE)
    if prismat.hash != config["base_hash"]:
        raise damaged(folder / BASE / "config.json")
    tensors = _tensors(folder / "model.safetensors", config["weights_sha256"])
    members = []
    for number in range(len(config["validation"])):
        head = Head(spec.head, {str(w): int(n) for w, n in config["widths"].items()}, int(config["outputs"]))
        own = {k.partition(".")[2]: v for k, v in tensors.items() if k.partition(".")[0] == str(number)}
        try:
            head.load_state_dict(own)
        except RuntimeError as error:
            raise damaged(folder / "model.safetensors") from error
        members.append(head.eval())
    validation = tuple(float(v) for v in config["validation"])
    fitted = Fitted(
        tuple(members), config["loss"], float(config["mean"]), float(config["spread"]), validation
    )
    floor = None if config["floor"] is None else float(config["floor"])
    conformal = Conformal(tensors[_SCORES].numpy(), floor)
    return PropertyHead(prismat, spec, fitted, conformal, read_card(folder))


def _tensors(path: Path, expected: str) -> dict[str, torch.Tensor]:
    try:
        if sha256(path) != expected:
            raise damaged(path)
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise damaged(path) from error
