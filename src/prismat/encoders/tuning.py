"""Which layers of a pretrained transformer are trained, and at which share of the learning rate."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from prismat.errors import BadInputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class TuningConfig:
    """Layer-wise tuning (Howard & Ruder, ACL 2018; Clark et al., ICLR 2020, for the decay).

    Attributes:
        tuned_layers: transformer layers trained, counted from the top; 0 for none, None for all of them and
            the embeddings below.
        layer_decay: a layer d below the topmost learns at ``layer_decay**d`` times the topmost one's rate;
            the embeddings count as one more layer.
        rate: the topmost layer's learning rate as a share of the recipe's, which is that of new weights: 0.01
            of 2e-3 is the 2e-5 at which BERT is tuned (Devlin et al., NAACL 2019).
    """

    tuned_layers: int | None = None
    layer_decay: float = 1.0
    rate: float = 0.01


def tuned_rates(model: "PreTrainedModel", config: TuningConfig, pooler: bool) -> dict[str, float]:
    """Share of the recipe's learning rate for every parameter that is trained, by name.

    Args:
        model: a transformer of Hugging Face.
        config: what is trained.
        pooler: whether the pooler takes part; where not, it is left alone.

    Raises:
        BadInputError: more layers than there are, a rate or a decay that makes no sense, or a model whose
            layers cannot be told apart.
    """
    _check(config)
    if config.tuned_layers == 0:
        return {}
    names = [name for name, _ in model.named_parameters() if pooler or "pooler" not in name.split(".")]
    if config.tuned_layers is None and config.layer_decay == 1:
        return dict.fromkeys(names, config.rate)
    depth, layers = _depths(model)
    wanted = config.tuned_layers
    if wanted is not None and wanted > layers:
        raise BadInputError(
            f"{wanted} layers cannot be tuned, for the model has {layers}",
            field="tuning.tuned_layers",
            remedy=f"Give 0 to {layers}, or none for all and the embeddings.",
        )
    tuned = layers + 1 if wanted is None else wanted
    return {name: config.rate * config.layer_decay ** depth[name] for name in names if depth[name] < tuned}


def _check(config: TuningConfig) -> None:
    problems = [
        ("tuned_layers", config.tuned_layers, config.tuned_layers is None or config.tuned_layers >= 0),
        ("layer_decay", config.layer_decay, 0 < config.layer_decay <= 1),
        ("rate", config.rate, 0 < config.rate < float("inf")),
    ]
    for name, value, is_sound in problems:
        if not is_sound:
            wanted = {"tuned_layers": "0 or more", "layer_decay": "above 0, at most 1", "rate": "above 0"}
            raise BadInputError(
                f"{value} is no sound value", field=f"tuning.{name}", remedy=f"Give one {wanted[name]}."
            )


def _depths(model: "PreTrainedModel") -> tuple[dict[str, int], int]:
    """Depth of every parameter below the topmost layer, and the number of layers.

    What follows the layers (a last norm, a pooler) has depth 0; what precedes them, and every table of
    embeddings wherever it stands, has the number of layers.
    """
    prefix, layers = _layers(model)
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    depth, below = {}, True
    for name, parameter in model.named_parameters():
        if name.startswith(f"{prefix}."):
            below = False
            depth[name] = layers - 1 - int(name.removeprefix(f"{prefix}.").split(".")[0])
        else:
            depth[name] = layers if below or id(parameter) in tables else 0
    return depth, layers


def _layers(model: "PreTrainedModel") -> tuple[str, int]:
    """Name and length of the list that holds the transformer layers."""
    count = getattr(model.config, "num_hidden_layers", None)
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return name, len(module)
    raise BadInputError(
        f"the layers of a {type(model).__name__} cannot be told apart",
        field="tuning",
        remedy="Tune all of it (tuned_layers none, layer_decay 1) or nothing (tuned_layers 0).",
    )
