"""AdamW, which parameters it trains at which rate, and an average of the weights it passes through."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol, runtime_checkable

import torch

from prismat.errors import BadInputError
from prismat.training.schedule import Schedule


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW and its schedule.

    Attributes:
        learning_rate: peak, after the warm-up.
        weight_decay: decoupled; not applied to temperatures, biases and norms.
        betas: decay of the two moments.
        schedule: of the learning rate, see ``schedule.rate_factor``.
        warmup: share of the steps.
        clip: largest gradient norm.
        bf16: mixed precision; None for where the device gains from it (a GPU).
        ema: decay of an exponential moving average of the weights, which is then what is validated and kept
            (Polyak & Juditsky 1992); 0 for none.
        freeze: parameters that stay as they are, by name with wildcards, such as ``encoders.structure.*``.
    """

    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    betas: tuple[float, float] = (0.9, 0.98)
    schedule: Schedule = "cosine"
    warmup: float = 0.1
    clip: float = 1.0
    bf16: bool | None = None
    ema: float = 0.0
    freeze: tuple[str, ...] = ()


@runtime_checkable
class LayerRates(Protocol):
    """A module whose parameters do not all learn at the recipe's rate."""

    def learning_rates(self) -> dict[str, float]:
        """Share of the recipe's learning rate by parameter name; 1 for those left out."""
        ...


def build_optimizer(modules: list[torch.nn.Module], config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW with decay on matrices only; vectors (biases, norms, temperatures) are left alone.

    The groups of a share other than 1 follow those of the full rate; each has its share as ``scale``.
    """
    scales = _scales(modules)
    parameters = [p for m in modules for p in m.parameters() if p.requires_grad]
    shares = sorted({scales.get(id(p), 1.0) for p in parameters} - {1.0}, reverse=True)
    groups = []
    for share in [1.0, *shares]:
        own = [p for p in parameters if scales.get(id(p), 1.0) == share]
        for decay, members in (
            (config.weight_decay, [p for p in own if p.ndim > 1]),
            (0.0, [p for p in own if p.ndim <= 1]),
        ):
            lr = config.learning_rate * share
            groups.append({"params": members, "weight_decay": decay, "scale": share, "lr": lr})
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas)


def _scales(modules: list[torch.nn.Module]) -> dict[int, float]:
    """Share of the learning rate of every parameter that has one, by the parameter's ``id``."""
    scales = {}
    for part in (part for module in modules for part in module.modules()):
        if isinstance(part, LayerRates):
            named = dict(part.named_parameters())
            scales |= {id(named[name]): rate for name, rate in part.learning_rates().items()}
    return scales


def freeze(model: torch.nn.Module, patterns: tuple[str, ...]) -> list[str]:
    """Keeps parameters from being trained; gives their names.

    Dropout and batch statistics of a frozen part go on as in training: they are no parameters.

    Raises:
        BadInputError: a pattern that fits no parameter.
    """
    named, frozen = dict(model.named_parameters()), []
    for pattern in patterns:
        found = [name for name in named if fnmatchcase(name, pattern)]
        if not found:
            groups = sorted({".".join(name.split(".")[:2]) + ".*" for name in named})
            raise BadInputError(
                f"no parameter is called {pattern!r}",
                field="optimizer.freeze",
                remedy=f"Name some of these: {', '.join(groups)}.",
            )
        frozen += found
    for name in frozen:
        named[name].requires_grad_(False)
    return frozen


class MovingAverage:
    """Exponential moving average of a model's weights; its buffers are those of the model.

    w̄ ← β w̄ + (1 − β) w with β = min(decay, (1 + t) / (10 + t)) at step t, so that the start is forgotten.

    Args:
        model: whose weights are followed.
        decay: β.
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {k: v.detach().clone() for k, v in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: torch.nn.Module, step: int) -> None:
        """Takes in the weights after step ``step``, counted from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.named_parameters():
            self.weights[name].lerp_(value.detach(), 1 - decay)

    @torch.no_grad()
    def swap(self, model: torch.nn.Module) -> None:
        """Exchanges the model's weights and the average; twice is nothing."""
        for name, value in model.named_parameters():
            kept = value.detach().clone()
            value.copy_(self.weights[name])
            self.weights[name].copy_(kept)
