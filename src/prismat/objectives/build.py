"""From a configuration to a loss with fresh scalars."""

from collections.abc import Callable, Sequence

from prismat.errors import BadInputError
from prismat.objectives.anchored import Anchored
from prismat.objectives.barlow import BarlowTwins
from prismat.objectives.base import Objective
from prismat.objectives.config import ObjectiveConfig
from prismat.objectives.cosface import CosFace
from prismat.objectives.infonce import InfoNce
from prismat.objectives.jsd import JensenShannon
from prismat.objectives.pairs import AllPairs, PairTerm
from prismat.objectives.siglip import SigLip
from prismat.objectives.tensor_clip import TensorClip
from prismat.objectives.triplet import Triplet


def build_objective(config: ObjectiveConfig, windows: Sequence[str], dim: int) -> Objective:
    """The loss that a configuration names.

    Args:
        config: kind and settings.
        windows: the modalities that meet.
        dim: of the joint space.

    Raises:
        BadInputError: an unknown kind; a number of windows that it cannot take; an anchor that is no window
            or that it has no use for; a weight for a pair that is none, or weights where it has no pairs.
    """
    makers: dict[str, Callable[[], PairTerm]] = {
        "infonce": lambda: InfoNce(config.infonce),
        "cosface": lambda: CosFace(config.cosface),
        "siglip": lambda: SigLip(config.siglip),
        "triplet": lambda: Triplet(config.triplet),
    }
    if config.anchor and config.kind not in makers:
        raise BadInputError(
            f"{config.kind} takes no anchor",
            field="objective.anchor",
            remedy=f"Leave it empty, or choose one of {', '.join(makers)}.",
        )
    if config.kind in makers:
        make, shared = makers[config.kind], config.kind == "infonce" and config.infonce.shared
        if config.anchor:
            return Anchored(config.anchor, windows, make, config.weights, config.auxiliary, shared)
        return AllPairs(windows, make, config.weights, config.auxiliary, shared)
    if config.kind == "jsd":
        return JensenShannon(windows, dim, config.jsd, config.weights, config.auxiliary)
    return _whole(config, windows)


def _whole(config: ObjectiveConfig, windows: Sequence[str]) -> Objective:
    """A loss over all windows at once."""
    if config.weights:
        raise BadInputError(
            f"{config.kind} has no pairs to weigh",
            field="objective.weights",
            remedy="Leave them empty, or choose infonce, cosface, siglip, triplet or jsd.",
        )
    if config.kind == "tensor_clip":
        return TensorClip(windows, config.tensor_clip, config.auxiliary)
    if config.kind == "barlow":
        return BarlowTwins(windows, config.barlow, config.auxiliary)
    raise BadInputError(
        f"objective {config.kind!r}",
        field="objective.kind",
        remedy="Choose infonce, cosface, siglip, triplet, jsd, tensor_clip or barlow.",
    )
