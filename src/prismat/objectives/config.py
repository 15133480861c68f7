"""Which loss is trained, and its settings."""

from dataclasses import dataclass, field
from typing import Literal

from prismat.objectives.barlow import BarlowConfig
from prismat.objectives.cosface import CosFaceConfig
from prismat.objectives.infonce import InfoNceConfig
from prismat.objectives.jsd import JsdConfig
from prismat.objectives.siglip import SigLipConfig
from prismat.objectives.tensor_clip import TensorClipConfig
from prismat.objectives.triplet import TripletConfig

Kind = Literal["infonce", "cosface", "siglip", "triplet", "jsd", "tensor_clip", "barlow"]


@dataclass(frozen=True)
class ObjectiveConfig:
    """A loss by name; only the settings of that loss are read.

    Attributes:
        kind: the loss. ``infonce``, ``cosface``, ``siglip``, ``triplet`` and ``jsd`` are sums over pairs of
            two or more windows, ``tensor_clip`` takes three windows, ``barlow`` two to four.
        anchor: window that every pair must hold; empty for all pairs. For infonce, cosface, siglip and
            triplet.
        weights: λ by pair, named ``a-b`` in alphabetical order; a pair not named weighs 1, one that weighs 0
            is skipped. For sums over pairs.
        auxiliary: weight of each further loss by name, such as ``masked_language``; 1 for those not named.
        infonce: symmetric InfoNCE.
        cosface: large-margin cosine loss.
        siglip: sigmoid loss.
        triplet: triplet margin loss.
        jsd: Jensen–Shannon loss with intra-modal and prior terms.
        tensor_clip: contrastive loss over triples.
        barlow: Barlow Twins of two to four windows.
    """

    kind: Kind = "infonce"
    anchor: str = ""
    weights: dict[str, float] = field(default_factory=dict)
    auxiliary: dict[str, float] = field(default_factory=dict)
    infonce: InfoNceConfig = field(default_factory=InfoNceConfig)
    cosface: CosFaceConfig = field(default_factory=CosFaceConfig)
    siglip: SigLipConfig = field(default_factory=SigLipConfig)
    triplet: TripletConfig = field(default_factory=TripletConfig)
    jsd: JsdConfig = field(default_factory=JsdConfig)
    tensor_clip: TensorClipConfig = field(default_factory=TensorClipConfig)
    barlow: BarlowConfig = field(default_factory=BarlowConfig)
