"""A network with one layer exchanged, its weights shared and itself untouched."""

import copy

import torch
from torch import nn


class Given(nn.Module):
    """Gives the same tensor whatever it is asked, such as atoms or tokens on the way from a baseline.

    Args:
        values: the tensor.
        old: the layer that it stands in for, whose own layers others may ask after.
    """

    def __init__(self, values: torch.Tensor, old: nn.Module) -> None:
        super().__init__()
        self._modules.update(old._modules)
        self._parameters.update(old._parameters)
        self.values = values

    def forward(self, *_: object, **__: object) -> torch.Tensor:
        """The tensor."""
        return self.values


def exchanged(root: nn.Module, old: nn.Module, new: nn.Module) -> nn.Module:
    """``root`` with ``new`` in the place of ``old``; modules on the way are copied, all others shared.

    A forward hook would do so too, but a server's other threads use the same model.
    """
    if root is old:
        return new
    changed = {}
    for name, child in root.named_children():
        made = exchanged(child, old, new)
        if made is not child:
            changed[name] = made
    if not changed:
        return root
    clone = copy.copy(root)
    clone._modules = {**root._modules, **changed}
    return clone
