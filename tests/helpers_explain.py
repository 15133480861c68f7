"""Toy sides whose scores are known in closed form."""

import numpy as np
import torch

from prismat.explain.explanation import Item
from prismat.explain.side import Comparison, Target


class ToySide:
    """Numbers as parts; taking one away sets it to zero. The vector is any function of the numbers."""

    window, unit, operator, baseline, chunk = "toy", "peak", "numbers are set to zero", "zeros", 5

    def __init__(self, numbers, function, baseline=None):
        self.numbers = torch.tensor(numbers, dtype=torch.float32)
        self.start = torch.zeros_like(self.numbers) if baseline is None else torch.tensor(baseline)
        self.function, self.data, self.embedded = function, {}, 0

    def __len__(self):
        return len(self.numbers)

    def items(self, values):
        return [Item(f"n{i}", float(v)) for i, v in enumerate(values)]

    def embed(self, kept):
        self.embedded += len(kept)
        return self.embed_inputs((self.numbers * torch.from_numpy(kept),))

    def path(self):
        return (self.numbers,), (self.start,)

    def embed_inputs(self, inputs):
        return {"toy": self.function(inputs[0])}

    def gather(self, gradients):
        return ((self.numbers - self.start) * gradients[0]).double().numpy(), 0.0


def ones(dim=1, weight=1.0):
    """A target that adds the vector's entries."""
    return Target([Comparison("toy", "other", np.ones(dim, dtype=np.float32), weight)])


def linear(weights):
    """A vector of one entry, linear in the numbers."""
    w = torch.tensor(weights, dtype=torch.float32)
    return lambda x: (x @ w)[:, None]
