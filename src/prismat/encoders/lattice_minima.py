"""Successive minima of a lattice: three lengths that do not depend on the choice of its basis."""

import torch
from jaxtyping import Float

STEPS = 1000
"""Bound on the steps of the reduction; stored cells need fewer than ten."""

# Pairs of a superbase, and behind each the other two vectors.
_PAIRS = ((0, 1, 2, 3), (0, 2, 1, 3), (0, 3, 1, 2), (1, 2, 0, 3), (1, 3, 0, 2), (2, 3, 0, 1))


@torch.no_grad()
def lattice_minima(lattice: Float[torch.Tensor, "graphs 3 3"]) -> Float[torch.Tensor, "graphs 3"]:
    """λ₁ ≤ λ₂ ≤ λ₃: λₖ is the least length within which a lattice has k independent vectors.

    The seven shortest vectors of the classes modulo 2Λ are sums over an obtuse superbase (Conway & Sloane,
    Proc. R. Soc. A 436, 55, 1992), and the minima are among them: the two shortest, then the shortest of the
    classes that those two do not span.

    Args:
        lattice: row vectors in Å of cells with a volume, shape (graphs, 3, 3).

    Returns:
        Å, ascending, in the precision of ``lattice``, shape (graphs, 3).
    """
    base = _obtuse_superbase(_shortened(lattice.double()))
    # Every vector v of Λ/2Λ once: bits of 1 … 7 choose the members of the superbase to add up.
    label = torch.arange(1, 8, device=lattice.device)
    members = ((label[:, None] >> torch.arange(3, device=lattice.device)) & 1).double()
    length = (members @ base[:, :3]).norm(dim=2)
    order = length.argsort(dim=1)
    first, second = label[order[:, 0]], label[order[:, 1]]
    spanned = torch.stack([first, second, first ^ second], dim=1)
    is_spanned = (label[None, :, None] == spanned[:, None]).any(2)
    third = length.masked_fill(is_spanned, torch.inf).amin(1)
    return torch.cat([length.sort(dim=1).values[:, :2], third[:, None]], dim=1).to(lattice.dtype)


def _shortened(basis: Float[torch.Tensor, "graphs 3 3"]) -> Float[torch.Tensor, "graphs 3 3"]:
    """Whole multiples of shorter vectors taken off longer ones: removes a large skew in few steps."""
    for _ in range(STEPS):
        order = basis.norm(dim=2).argsort(dim=1)
        basis = basis.gather(1, order[:, :, None].expand(-1, -1, 3))
        a, b, c = basis.unbind(1)
        b = b - _nearest(a, b) * a
        c = c - _nearest(b, c) * b
        c = c - _nearest(a, c) * a
        reduced = torch.stack([a, b, c], dim=1)
        if torch.equal(reduced, basis):
            break
        basis = reduced
    return basis


def _nearest(
    short: Float[torch.Tensor, "graphs 3"], long: Float[torch.Tensor, "graphs 3"]
) -> Float[torch.Tensor, "graphs 1"]:
    """How often ``short`` is contained in ``long``, to the nearest integer; exact ties stay as they are."""
    share = (short * long).sum(1, keepdim=True) / (short * short).sum(1, keepdim=True)
    return torch.where(share.abs() <= 0.5 + 1e-9, 0.0, share.round())


def _obtuse_superbase(basis: Float[torch.Tensor, "graphs 3 3"]) -> Float[torch.Tensor, "graphs 4 3"]:
    """Selling's reduction: four vectors that add up to zero, no two of them at an acute angle."""
    base = torch.cat([basis, -basis.sum(1, keepdim=True)], dim=1)
    rows = torch.arange(len(base), device=base.device)
    pairs = torch.tensor(_PAIRS, device=base.device)
    for _ in range(STEPS):
        product = (base[:, pairs[:, 0]] * base[:, pairs[:, 1]]).sum(2)
        size = base.square().sum((1, 2))
        worst, pair = product.max(dim=1)
        is_acute = worst > 1e-12 * size
        if not bool(is_acute.any()):
            break
        i, _, k, m = pairs[pair].unbind(1)
        v = base[rows, i]
        step = base.clone()
        step[rows, i], step[rows, k], step[rows, m] = -v, base[rows, k] + v, base[rows, m] + v
        base = torch.where(is_acute[:, None, None], step, base)
    return base
