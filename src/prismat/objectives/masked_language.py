"""Cross-entropy of hidden tokens, as a sum and a count that add up over parts of a batch."""

import torch
from jaxtyping import Float, Int
from torch import nn

from prismat.objectives.base import at_least_single


def masked_language_sum(
    logits: Float[torch.Tensor, "rows entries"], targets: Int[torch.Tensor, " rows"]
) -> tuple[Float[torch.Tensor, ""], int]:
    """Σ_t −log softmax(logits_t)[target_t] over the tokens that were hidden, and their number.

    Devlin et al., NAACL 2019, section 3.1. The mean over a batch is Σ sums / Σ counts: taken over chunks of a
    batch or over processes it is exact, which a mean of their means is not, for texts hide unequal numbers
    of tokens. It enters a loss as ``Embedded.auxiliary["masked_language"]``, a scalar already divided by the
    count of the whole batch, with the weight that the objective's ``auxiliary`` gives it (CLaC: 0.1). Which
    tokens are hidden and what gives the logits is the business of ``encoders.masked_language``.

    Args:
        logits: one row per hidden token, over the vocabulary.
        targets: the tokens that were hidden.

    Returns:
        The sum in nats, 0 with gradients of 0 where no token was hidden; and the number of rows.
    """
    total = nn.functional.cross_entropy(at_least_single(logits), targets.long(), reduction="sum")
    return total, len(targets)
