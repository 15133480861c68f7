"""Crystal features of the pretrained CHGNet, frozen (Deng et al., Nat. Mach. Intell. 5, 1031, 2023).

The feature is the mean over atoms of the last 64 atom features, the input of CHGNet's energy network, so
that it does not depend on the size of the cell. (The package's own crystal feature is their sum.) The graph
is made here: the same edges and angles as the package's converter, from arrays instead of objects.
"""

import contextlib
import hashlib
import importlib.util
import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from prismat.crystal import Crystal
from prismat.errors import MismatchError, MissingExtraError
from prismat.neighbors import Pairs, neighbor_pairs
from prismat.ragged import ranges

WIDTH = 64
MAX_ATOMIC_NUMBER = 94
"""CHGNet knows the elements up to plutonium."""
VERSION = "0.3.0"
WEIGHTS = f"pretrained/{VERSION}/chgnet_0.3.0_e29f68s314m37.pth.tar"
SHA256 = "d14ab7c0f093efe64b60a7bcd540bca10e74fb7f46c86108a079af60524659d1"


def chgnet_features(crystal: Crystal) -> Float[np.ndarray, " 64"] | None:
    """CHGNet's feature of one crystal; many at a time would be no faster.

    Returns:
        Shape (64,), or None where CHGNet does not apply: a molecule, a disordered crystal, an element beyond
        plutonium, or no two atoms within its cutoff of 6 Å.

    Raises:
        MissingExtraError: the package chgnet is not installed.
        MismatchError: its weights are not those of CHGNet 0.3.0.
    """
    model = _model()
    graph = _graph(crystal, model)
    if graph is None:
        return None
    with torch.no_grad():
        total = model([graph], return_crystal_feas=True)["crystal_fea"][0]
    return total.numpy() / len(crystal)


@cache
def _model() -> Any:
    """CHGNet with its published weights, in float64, so that the description of a crystal does not show.

    The weights are a file of the installed package; they are used only if its hash is the known one, and read
    without unpickling anything but tensors and plain containers.
    """
    spec = importlib.util.find_spec("chgnet")
    if spec is None or spec.origin is None:
        raise MissingExtraError("chgnet", "chgnet")
    try:
        from chgnet.model.model import CHGNet
    except ImportError as error:
        raise MissingExtraError(error.name or "chgnet", "chgnet") from error
    published = _read_weights(Path(spec.origin).parent / WEIGHTS)
    # The package prints, and draws initial weights that are then replaced: neither should show outside.
    with contextlib.redirect_stdout(io.StringIO()), torch.random.fork_rng(devices=[]):
        model = CHGNet(**published["model_args"], mlp_out_bias=False)
    model.load_state_dict(published["state_dict"])
    model.composition_model = None  # reference energies, which no feature reads
    return model.double().eval().requires_grad_(False)


def _read_weights(path: Path) -> dict[str, Any]:
    """The checkpoint's model arguments and tensors.

    Raises:
        MismatchError: the file is missing or has another hash.
    """
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise MismatchError(
            f"{path} is not the checkpoint of CHGNet {VERSION}. Run: pip install --force-reinstall --no-deps "
            "chgnet==0.4.2"
        )
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)["model"]


def _graph(crystal: Crystal, model: Any) -> Any:
    """CHGNet's ``CrystalGraph`` of a crystal, or None where CHGNet does not apply."""
    if not crystal.periodic or not crystal.is_ordered or max(crystal.composition) > MAX_ATOMIC_NUMBER:
        return None
    converter = model.graph_converter
    pairs = neighbor_pairs(crystal.lattice, crystal.frac, float(converter.atom_graph_cutoff))
    if not len(pairs.i):
        return None
    from chgnet.graph.crystalgraph import CrystalGraph

    directed2undirected, undirected2directed = _undirected(pairs)
    return CrystalGraph(
        atomic_number=torch.tensor([site[0][0] for site in crystal.sites], dtype=torch.int32),
        atom_frac_coord=torch.from_numpy(crystal.frac.astype(np.float64)),
        atom_graph=_int(np.stack([pairs.i, pairs.j], axis=1)),
        atom_graph_cutoff=converter.atom_graph_cutoff,
        neighbor_image=torch.from_numpy(pairs.offset.astype(np.float64)),
        directed2undirected=_int(directed2undirected),
        undirected2directed=_int(undirected2directed),
        bond_graph=_int(_angles(pairs, directed2undirected, float(converter.bond_graph_cutoff))),
        bond_graph_cutoff=converter.bond_graph_cutoff,
        lattice=torch.from_numpy(np.array(crystal.lattice, dtype=np.float64)),
    )


def _int(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.int32))


def _undirected(pairs: Pairs) -> tuple[Int[np.ndarray, " edges"], Int[np.ndarray, " bonds"]]:
    """Bond of each directed edge, and one edge of each bond; the reverse of i → j + S is j → i − S."""
    forward = np.column_stack([pairs.i, pairs.j, pairs.offset])
    backward = np.column_stack([pairs.j, pairs.i, -pairs.offset])
    # Of the two ways to write a bond, the one whose first differing number is smaller.
    difference = forward - backward
    first = np.argmax(difference != 0, axis=1)
    is_backward = difference[np.arange(len(first)), first] > 0
    bonds = np.where(is_backward[:, None], backward, forward)
    _, edge, bond = np.unique(bonds, axis=0, return_index=True, return_inverse=True)
    return bond.reshape(-1), edge


def _angles(pairs: Pairs, bond: Int[np.ndarray, " edges"], cutoff: float) -> Int[np.ndarray, "angles 5"]:
    """Ordered pairs of two short edges at one atom: atom, bond, edge, other bond, other edge."""
    edge = np.flatnonzero(pairs.distance < cutoff)
    edge = edge[np.argsort(pairs.i[edge], kind="stable")]
    center = pairs.i[edge]
    counts = np.bincount(center)
    start = np.cumsum(counts) - counts
    left = np.repeat(edge, counts[center])
    right = edge[ranges(start[center], counts[center])]
    is_angle = left != right
    left, right = left[is_angle], right[is_angle]
    return np.stack([pairs.i[left], bond[left], left, bond[right], right], axis=1)
