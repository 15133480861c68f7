"""Image networks of timm: found by name, sized, and loaded with weights from the hub where it is in reach."""

import difflib
import logging
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal

import torch
from torch import nn

from prismat.errors import BadInputError, MissingExtraError
from prismat.torchvision_shim import ready_torchvision

logger = logging.getLogger(__name__)

Pretrained = Literal["auto", "hub", "none"]
WeightsFrom = Literal["hub", "scratch"]

HUB_TIMEOUT = 10.0
"""Seconds until the hub counts as out of reach."""

_WEIGHTS_FILE = "model.safetensors"


@dataclass(frozen=True)
class Backbone:
    """A network without its classifier.

    Attributes:
        model: images (batch, channels, size, size) → features (batch, width).
        width: of the features.
        weights_from: where the weights in it came from.
    """

    model: nn.Module
    width: int
    weights_from: WeightsFrom


def import_timm() -> ModuleType:
    """The module timm, with torchvision made to import beside this torch.

    Raises:
        MissingExtraError: timm or torchvision is not installed.
        BadInputError: torchvision belongs to another version of torch.
    """
    ready_torchvision()
    try:
        return import_module("timm")
    except ModuleNotFoundError as error:
        raise MissingExtraError("timm", "image") from error


def make_backbone(name: str, pretrained: Pretrained, channels: int, size: int) -> Backbone:
    """A network by its name in timm, tried on one blank image so that a misfit shows before any training.

    Args:
        name: such as ``resnet50``, or with the tag of one set of weights ``resnet50.a1_in1k``.
        pretrained: ``hub`` insists on the hub's weights (or its local cache), ``auto`` takes them where they
            can be had and else says in the log that weights are random, ``none`` asks nobody.
        channels: of the images; the hub's first convolution, of three, is adapted to another number.
        size: edge of the square images in pixels.

    Raises:
        BadInputError: no such name or tag, weights out of reach with ``hub``, or a network that does not take
            such images.
        MissingExtraError: as ``import_timm``.
    """
    check_name(name)
    file = _find_file(name) if pretrained != "none" else None
    if isinstance(file, str):
        problem = f"weights of {name} cannot be had from the hub ({file})"
        if pretrained == "hub":
            raise BadInputError(problem, field="image.pretrained", remedy=_HUB_REMEDY)
        logger.warning("%s; the image encoder starts from random weights", problem)
    path = file if isinstance(file, Path) else None
    model = _create(name, path, channels, size)
    width = _try(model, name, channels, size)
    # Convolutions run 15 to 50 % faster on a CPU with the channels last in memory.
    model = model.to(memory_format=torch.channels_last)  # ty: ignore[no-matching-overload]
    return Backbone(model, width, "hub" if path is not None else "scratch")


_HUB_REMEDY = (
    "Connect, or copy the Hugging Face cache of a connected machine and set HF_HUB_CACHE to it, or set "
    "pretrained='none' to start from random weights."
)


def check_name(name: str) -> None:
    """Refuses what is not a network of timm, and the prefixes by which timm would load from elsewhere.

    Raises:
        BadInputError: no such name; suggests the nearest.
    """
    timm = import_timm()
    base, _, tag = name.partition(".")
    if ":" in name or "/" in name or not timm.is_model(base):
        near = difflib.get_close_matches(base, timm.list_models(), n=3, cutoff=0.5)
        said = f"Did you mean {', '.join(near)}? " if near else ""
        raise BadInputError(
            f"{name!r} is no network of timm {timm.__version__}",
            field="image.backbone",
            remedy=f"{said}timm.list_models() names all.",
        )
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{base}.*")]
    if tag and tag not in tags:
        known = f"Its tags: {', '.join(tags)}." if tags else f"Write {base!r}; it has no published weights."
        raise BadInputError(f"{base} has no weights {tag!r}", field="image.backbone", remedy=known)


def _find_file(name: str) -> Path | str:
    """The weights in the hub's local cache, else on the hub; a string says why there are none."""
    cfg = import_timm().get_pretrained_cfg(name)
    if cfg is None or not cfg.hf_hub_id:
        return "none are published there"
    found = _hub_file(cfg.hf_hub_id, local=True)
    return found if isinstance(found, Path) else _hub_file(cfg.hf_hub_id, local=False)


def _hub_file(repository: str, local: bool) -> Path | str:
    """One safetensors file; pickled weights are never asked for."""
    import huggingface_hub

    try:
        if not local:
            # One attempt: the download itself would try for half a minute where there is no network.
            huggingface_hub.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=HUB_TIMEOUT)
        return Path(
            huggingface_hub.hf_hub_download(
                repository, _WEIGHTS_FILE, etag_timeout=HUB_TIMEOUT, local_files_only=local
            )
        )
    except Exception as error:  # Offline, unknown, gated: each client library has errors of its own.
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"


def _create(name: str, file: Path | None, channels: int, size: int) -> nn.Module:
    """The network without classifier, with the weights of a safetensors file or random ones."""
    timm = import_timm()
    cfg = timm.get_pretrained_cfg(name)
    # Transformers with learned positions are made for one size; convolutions take any.
    sized = {"img_size": size} if cfg is not None and cfg.fixed_input_size else {}
    loaded = {"pretrained_cfg_overlay": {"file": str(file)}} if file is not None else {}
    try:
        return timm.create_model(
            name, pretrained=file is not None, in_chans=channels, num_classes=0, **sized, **loaded
        )
    except Exception as error:  # Hundreds of networks, each with complaints of its own.
        raise _misfit(name, channels, size, error) from error


def _try(model: nn.Module, name: str, channels: int, size: int) -> int:
    """Width of the features of one blank image; statistics and random numbers stay untouched."""
    try:
        with torch.no_grad():
            features = model.eval()(torch.zeros(1, channels, size, size))
    except Exception as error:
        raise _misfit(name, channels, size, error) from error
    if features.ndim != 2:
        raise _misfit(name, channels, size, f"features of shape {tuple(features.shape)}")
    model.train()
    return int(features.shape[1])


def _misfit(name: str, channels: int, size: int, reason: object) -> BadInputError:
    return BadInputError(
        f"{name} cannot be made for {channels} × {size} × {size} images ({reason})",
        field="image.backbone",
        remedy="Choose another size of image or another network, such as resnet50.",
    )
