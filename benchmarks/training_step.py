"""One training step of CGCNN: Prismat against PyTorch Geometric's CGConv of equal width, depth and edges.

Run from anywhere: ``python benchmarks/training_step.py``. A step is collate, forward and backward. The graphs
are those of AMCSD crystals in their primitive cells; ``prismat_full`` and ``pyg_full`` see identical edges,
``prismat_reduced`` one node per symmetry orbit. Peak memory is that of a child process for each variant.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from _data import SEED, amcsd_materials, interleaved, medians
from _machine import write
from torch import nn
from torch_geometric import __version__ as pyg_version
from torch_geometric.data import Batch, Data
from torch_geometric.nn import CGConv, global_mean_pool

from prismat.elements import features
from prismat.encoders.cgcnn import Cgcnn, CgcnnConfig, CgcnnLayer
from prismat.encoders.layers import RadialBasis
from prismat.material import Material
from prismat.modalities.base import Features, pack_features
from prismat.modalities.structure import StructureModality, StructureSettings

SIZE = CgcnnConfig(width=64, layers=3, centers=41)
BATCHES, THREADS, REPEATS = (128, 256), (1, 2), 5
LIMIT_S = 15.0
"""Rounds of one setting end here on a machine that is busy."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
VARIANTS = ("pyg_full", "prismat_full", "prismat_reduced")


class PygCgcnn(nn.Module):
    """CGCNN of CGConv layers, with Prismat's radial basis and head around them."""

    def __init__(self, normalize: bool) -> None:
        super().__init__()
        self.embedding = nn.Linear(features().shape[1], SIZE.width)
        self.basis = RadialBasis(0.0, SIZE.cutoff, SIZE.centers)
        self.convolutions = nn.ModuleList(
            CGConv(SIZE.width, dim=SIZE.centers, batch_norm=normalize) for _ in range(SIZE.layers)
        )
        self.head = nn.Sequential(nn.Softplus(), nn.Linear(SIZE.width, SIZE.out), nn.Softplus())

    def forward(self, batch: Data) -> torch.Tensor:
        """Crystal features, shape (graphs, out)."""
        nodes, radial = self.embedding(batch.x), self.basis(batch.distance)
        for convolution in self.convolutions:
            nodes = convolution(nodes, batch.edge_index, radial)
        return self.head(global_mean_pool(nodes, batch.batch))


def pyg_data(modality: StructureModality, row: Features) -> Data:
    """The same graph for PyTorch Geometric; a mixed site is the mean of its elements' descriptors."""
    graph = modality.collate(pack_features(modality.columns, [row]))
    table = torch.from_numpy(features()).float()
    x = torch.zeros(graph.n_nodes, table.shape[1])
    x.index_add_(0, graph.species_node, table[graph.species] * graph.occupancy[:, None])
    return Data(x=x, edge_index=torch.stack([graph.sender, graph.receiver]), distance=graph.distance)


def step(model: nn.Module, collate: Callable[[], object], dtype: torch.dtype) -> None:
    model.zero_grad(set_to_none=True)
    batch = collate()
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        out = model(batch)
    out.float().square().mean().backward()


def prepared(variant: str, materials: list[Material], normalize: bool) -> tuple[nn.Module, Callable]:
    """A model and what collates its batch from ready features."""
    torch.manual_seed(SEED)
    modality = StructureModality(StructureSettings(reduced=variant == "prismat_reduced"))
    rows = [modality.featurize(m) for m in materials]
    if variant == "pyg_full":
        graphs = [pyg_data(modality, r) for r in rows if r is not None]
        return PygCgcnn(normalize), partial(Batch.from_data_list, graphs)
    config = CgcnnConfig(SIZE.width, SIZE.layers, SIZE.out, SIZE.centers, SIZE.cutoff, normalize)
    return Cgcnn(config), lambda: modality.collate(pack_features(modality.columns, rows))


def largest_message_difference(materials: list[Material]) -> float:
    """Of one convolution without normalisation, CGConv holding our weights; both on the same graph."""
    torch.manual_seed(SEED)
    modality = StructureModality(StructureSettings(reduced=False))
    rows = [modality.featurize(m) for m in materials]
    ours = modality.collate(pack_features(modality.columns, rows))
    theirs = Batch.from_data_list([pyg_data(modality, r) for r in rows if r is not None])
    layer, conv = CgcnnLayer(SIZE.width, SIZE.centers, False), CGConv(SIZE.width, dim=SIZE.centers)
    weight = torch.cat([layer.receiver.weight, layer.sender.weight, layer.edge.weight], dim=1)
    with torch.no_grad():
        for linear, part in ((conv.lin_f, slice(0, SIZE.width)), (conv.lin_s, slice(SIZE.width, None))):
            linear.weight.copy_(weight[part])
            linear.bias.copy_(layer.receiver.bias[part])
        nodes, radial = torch.randn(ours.n_nodes, SIZE.width), RadialBasis()(ours.distance)
        # Ours ends in the paper's softplus; CGConv leaves it out.
        expected = nn.functional.softplus(conv(nodes, theirs.edge_index, radial))
        return float((layer(nodes, radial, ours) - expected).abs().max() / expected.abs().max())


def graph_size(materials: list[Material], reduced: bool) -> dict[str, int]:
    modality = StructureModality(StructureSettings(reduced=reduced))
    batch = modality.collate(pack_features(modality.columns, [modality.featurize(m) for m in materials]))
    return {"nodes": batch.n_nodes, "edges": len(batch.receiver)}


def timed(materials: list[Material], normalize: bool) -> list[dict]:
    """Seconds of a step for every precision and number of threads, the variants interleaved."""
    models = {v: prepared(v, materials, normalize) for v in VARIANTS}
    calls = {
        f"{variant}/{precision}": partial(step, *models[variant], dtype)
        for precision, dtype in PRECISIONS.items()
        for variant in VARIANTS
    }
    found = []
    for threads in THREADS:
        torch.set_num_threads(threads)
        interleaved(calls, 1)
        seconds = interleaved(calls, REPEATS, LIMIT_S)
        median = medians(seconds)
        found.append(
            {
                "crystals": len(materials),
                "normalize": normalize,
                "threads": threads,
                "seconds_median": median,
                "crystals_per_s": {name: len(materials) / s for name, s in median.items()},
                "pyg_over_prismat": ratios(median),
                "seconds": seconds,
            }
        )
    return found


def ratios(median: dict[str, float]) -> dict[str, float]:
    """Time of PyTorch Geometric over ours: in equal precision, and ours in bfloat16 over its float32."""
    found = {}
    for variant in VARIANTS[1:]:
        for precision in PRECISIONS:
            found[f"{variant}, both {precision}"] = (
                median[f"pyg_full/{precision}"] / median[f"{variant}/{precision}"]
            )
        found[f"{variant} bfloat16, pyg float32"] = median["pyg_full/float32"] / median[f"{variant}/bfloat16"]
    return found


def peak(variant: str, precision: str, count: int) -> dict[str, float]:
    """Peak resident MiB of this process, and how much of it two training steps added."""
    torch.set_num_threads(1)
    model, collate = prepared(variant, amcsd_materials(count), True)
    before = resident_peak()
    for _ in range(2):
        step(model, collate, PRECISIONS[precision])
    return {"peak_mib": resident_peak(), "added_by_training_mib": resident_peak() - before}


def resident_peak() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 2**10)


def peak_in_child(variant: str, precision: str, count: int) -> dict[str, float]:
    command = [sys.executable, __file__, variant, precision, str(count)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent, timeout=120
    )
    return json.loads(done.stdout)


def bfloat16_instructions() -> bool | None:
    """Whether the processor multiplies bfloat16 in hardware, as the kernel's flags tell; None if unknown."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return None
    flags = set(cpuinfo.read_text(encoding="utf-8").split())
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def main() -> None:
    # Children first: on Linux a child's peak starts at what its parent holds when it is forked.
    memory = {f"{v}/{p}": peak_in_child(v, p, max(BATCHES)) for v in VARIANTS for p in PRECISIONS}
    materials = amcsd_materials(max(BATCHES))
    timings = [t for n in BATCHES for t in timed(materials[:n], True)] + timed(materials, False)
    sizes = {name: graph_size(materials, name == "reduced") for name in ("full", "reduced")}
    payload = {
        "seed": SEED,
        "torch_geometric": pyg_version,
        "width": SIZE.width,
        "layers": SIZE.layers,
        "centers": SIZE.centers,
        "repeats": REPEATS,
        "bfloat16_instructions": bfloat16_instructions(),
        "graphs_of_largest_batch": sizes,
        "largest_message_difference_relative": largest_message_difference(materials[:16]),
        "timings": timings,
        "peak_memory": memory,
        "notes": [
            "with normalize, Prismat normalises gates over edges and sums over nodes, as the CGCNN paper's "
            "code does; CGConv normalises its output only, which is less work",
            "in bfloat16 Prismat keeps sums and statistics in float32; CGConv adds messages up in bfloat16",
            "Prismat ends every convolution in softplus as the paper does; CGConv does not",
            "peak_memory: largest batch, one thread, normalize on",
        ],
    }
    print(write("training_step", payload).read_text(encoding="utf-8"))


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(json.dumps(peak(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
    else:
        main()
