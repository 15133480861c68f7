"""Set2Set: a recurrent query attends over a set (Vinyals, Bengio & Kudlur, ICLR 2016, section 4.1)."""

import torch
from jaxtyping import Float
from torch import nn

from prismat.encoders.segment import Groups, group_softmax, group_sum, spread


class Set2Set(nn.Module):
    """Items of each set → (sets, 2 · hidden), whatever their order, as MEGNet has it.

    m_i = W x_i + b; then ``passes`` times q = LSTM(q*), a_i = softmax_i(m_i · q), r = Σ_i a_i m_i and
    q* = q ⊕ r. The query of an empty set is followed by zeros.

    Args:
        width: of an item.
        hidden: of m, q and r.
        passes: steps of the recurrence.
    """

    def __init__(self, width: int, hidden: int, passes: int) -> None:
        super().__init__()
        self.hidden, self.passes = hidden, passes
        self.item = nn.Linear(width, hidden)
        self.gates = nn.Linear(2 * hidden, 4 * hidden)

    def forward(
        self,
        items: Float[torch.Tensor, "items width"],
        groups: Groups,
        count: Float[torch.Tensor, " items"],
    ) -> Float[torch.Tensor, "sets twice"]:
        """One vector per set.

        Args:
            items: features, shape (items, width).
            groups: set of each item.
            count: equal items that each stands for, shape (items,).
        """
        dtype = self.item.weight.dtype
        memory = self.item(items).to(dtype)
        star = memory.new_zeros(len(groups.first), 2 * self.hidden)
        cell = memory.new_zeros(len(groups.first), self.hidden)
        for _ in range(self.passes):
            enter, forget, candidate, leave = self.gates(star).to(dtype).chunk(4, dim=1)
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(candidate)
            query = torch.sigmoid(leave) * torch.tanh(cell)
            scores = (memory * spread(query, groups)).sum(1, keepdim=True)
            attention = group_softmax(scores, groups, count.to(dtype))[:, 0]
            star = torch.cat([query, group_sum(memory, groups, attention)], dim=1)
        return star
