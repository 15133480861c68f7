"""Randomness and batch statistics that can be taken back, so that a pass can be done again."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Randomness:
    """State of torch's default generators: of the CPU, and of a GPU where there is one."""

    cpu: torch.Tensor
    cuda: torch.Tensor | None

    @classmethod
    def now(cls, device: str) -> "Randomness":
        """As it is at this moment."""
        is_cuda = torch.device(device).type == "cuda"
        return cls(torch.get_rng_state(), torch.cuda.get_rng_state(device) if is_cuda else None)

    def restore(self, device: str) -> None:
        """Puts the generators back."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, device)


def own_streams(rng: np.random.Generator, rank: int) -> tuple[np.random.Generator, int]:
    """Streams of one rank and one batch alone: nothing but the common ``rng`` must be known to go on.

    Args:
        rng: in the same state on all ranks; one number is drawn from it.
        rank: of this process.

    Returns:
        The rank's generator of views, and a seed that all ranks share. Torch's generators are seeded too.
    """
    seed = int(rng.integers(2**62))
    own = np.random.default_rng((seed, rank))
    torch.manual_seed(int(own.integers(2**62)))
    return own, seed


@contextmanager
def buffers_kept(module: torch.nn.Module) -> Generator[None]:
    """Running statistics and other buffers are afterwards what they were before."""
    kept = {name: value.clone() for name, value in module.named_buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, value in module.named_buffers():
                value.copy_(kept[name])


@contextmanager
def seeded(seed: int, device: str) -> Generator[None]:
    """Draws inside come from ``seed`` and leave the generators as they were."""
    before = Randomness.now(device)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        before.restore(device)
