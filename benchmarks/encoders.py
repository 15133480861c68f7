"""Every structure encoder at laptop scale, and CGCNN, PaiNN and ALIGNN against PyTorch Geometric.

Run from anywhere: ``python benchmarks/encoders.py [--threads 1 2]``. All see the same AMCSD crystals, as
graphs of the full primitive cell and as graphs of its symmetry orbits. A reference sees the full graph, holds
our weights, and is checked in the same run to be the same function. Collating is timed for none. Peak memory
is that of a child process for each.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import torch
from _data import SEED, amcsd_materials, interleaved, medians
from _machine import write
from _reference_alignn import ReferenceAlignn
from _reference_cgcnn import ReferenceCgcnn
from _reference_painn import ReferencePainn
from torch import nn
from torch_geometric import __version__ as pyg_version

from prismat.encoders.alignn import Alignn
from prismat.encoders.crystal import CrystalConfig, CrystalEncoder, Part, build_part
from prismat.encoders.line_graph import line_graph
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureBatch, StructureModality, StructureSettings
from prismat.recipes.scale import LAPTOP_GRAPHS

CRYSTALS, CHECKED, REPEATS, THREADS = 128, 16, 5, (1, 2)
LIMIT_S = 15.0
"""Rounds of one encoder end here, whatever their number."""
GRAPHS = ("reduced", "full")
MODES = ("forward", "train")

_UNNORMALIZED = replace(LAPTOP_GRAPHS, cgcnn=replace(LAPTOP_GRAPHS.cgcnn, normalize=False))
_FILTERED = replace(LAPTOP_GRAPHS, mpgnn=replace(LAPTOP_GRAPHS.mpgnn, filtered=True))
VARIANTS: dict[str, tuple[Part, CrystalConfig]] = {
    "cgcnn_unnormalized": ("cgcnn", CrystalConfig(graphs=_UNNORMALIZED)),
    "mpgnn_filtered": ("mpgnn", CrystalConfig(graphs=_FILTERED)),
}
ENCODERS = (*get_args(Part), *VARIANTS, "default")
REFERENCES: dict[str, Callable[..., nn.Module]] = {
    "cgcnn": ReferenceCgcnn,
    "cgcnn_unnormalized": ReferenceCgcnn,
    "painn": ReferencePainn,
    "alignn": ReferenceAlignn,
}


@dataclass(frozen=True)
class Contender:
    """A model and what it is called with."""

    model: nn.Module
    inputs: tuple[Any, ...]


def build(key: str) -> nn.Module:
    """The encoder with first weights that depend on the seed alone."""
    torch.manual_seed(SEED)
    laptop = CrystalConfig(graphs=LAPTOP_GRAPHS)
    if key == "default":
        return CrystalEncoder(laptop)
    return build_part(*VARIANTS.get(key, (key, laptop)))


def graph(materials: list[Material], which: str) -> StructureBatch:
    """One batch, with PotNet's lattice sums, and with random numbers in the place of CHGNet's features."""
    modality = StructureModality(StructureSettings(reduced=which == "reduced", extras=("potentials",)))
    rows = [modality.featurize(m) for m in materials]
    batch = modality.collate(pack_features(modality.columns, rows))
    pretrained = torch.randn(batch.n_graphs, 64, generator=torch.Generator().manual_seed(SEED))
    return replace(batch, pretrained=pretrained, has_pretrained=torch.ones(batch.n_graphs, dtype=torch.bool))


def reference_inputs(ours: nn.Module, full: StructureBatch) -> tuple[Any, ...]:
    """ALIGNN's reference gets its line graph ready-made, as its public loader has it."""
    return (full, line_graph(full, ours.config.angle_neighbors)) if isinstance(ours, Alignn) else (full,)


def contenders(key: str, graphs: dict[str, StructureBatch]) -> dict[str, Contender]:
    """``full``, ``reduced`` and, where there is one, ``reference``."""
    ours = build(key)
    found = {which: Contender(ours, (batch,)) for which, batch in graphs.items()}
    if key in REFERENCES and "full" in graphs:
        found["reference"] = Contender(REFERENCES[key](ours), reference_inputs(ours, graphs["full"]))
    return found


def forward(contender: Contender) -> None:
    contender.model.eval()
    with torch.inference_mode():
        contender.model(*contender.inputs)


def train(contender: Contender) -> None:
    contender.model.train().zero_grad(set_to_none=True)
    contender.model(*contender.inputs).square().mean().backward()


def timed(found: dict[str, Contender], crystals: int, repeats: int, limit_s: float) -> dict[str, Any]:
    """Seconds of a forward pass and of a training step, one encoder's contenders interleaved."""
    steps = dict(zip(MODES, (forward, train), strict=True))
    calls = {f"{name}/{mode}": partial(step, c) for name, c in found.items() for mode, step in steps.items()}
    interleaved(calls, 1)
    seconds = interleaved(calls, repeats, limit_s)
    median = medians(seconds)
    return {
        "crystals_per_s": {name: crystals / s for name, s in median.items()},
        "full_over_reduced": over(median, "full", GRAPHS[:1]),
        "reference_over_prismat": over(median, "reference", GRAPHS),
        "seconds": seconds,
    }


def over(median: dict[str, float], slower: str, faster: tuple[str, ...]) -> dict[str, float]:
    """Time of one contender over that of others; nothing where the one is not there."""
    names = [(f, mode) for f in faster for mode in MODES if f"{slower}/{mode}" in median]
    return {f"{f}/{mode}": median[f"{slower}/{mode}"] / median[f"{f}/{mode}"] for f, mode in names}


def timings(wanted: argparse.Namespace, graphs: dict[str, StructureBatch]) -> list[dict[str, Any]]:
    """Of every encoder for every number of threads."""
    found = []
    for threads in wanted.threads:
        torch.set_num_threads(threads)
        of = {
            key: timed(contenders(key, graphs), wanted.crystals, wanted.repeats, wanted.limit)
            for key in wanted.only
        }
        found.append({"threads": threads, "encoders": of})
    return found


def double(batch: StructureBatch) -> StructureBatch:
    """The batch in float64."""
    values = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return replace(batch, **{k: v.double() for k, v in values.items() if v.is_floating_point()})


def differences(key: str, full: StructureBatch) -> dict[str, float]:
    """Largest relative differences from the reference in float64; ``gradient`` is the atom embedding's."""
    ours = build(key)
    with torch.no_grad():
        # Away from first values: a bias or a scale that is left out would not show at zero or one.
        for parameter in ours.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        ours.train()(full)  # so that running statistics are not their first values either
    pair = REFERENCES[key](ours).double(), ours.double()
    full = double(full)
    inputs = reference_inputs(ours, full), (full,)
    with torch.no_grad():
        found = {"forward": difference(*(m.eval()(*i) for m, i in zip(pair, inputs, strict=True)))}
    outputs = [m.train()(*i) for m, i in zip(pair, inputs, strict=True)]
    for out in outputs:
        out.square().mean().backward()
    found["train"] = difference(*(out.detach() for out in outputs))
    return found | {"gradient": difference(*(m.embedding.linear.weight.grad for m in pair))}


def reduction_difference(key: str, graphs: dict[str, StructureBatch]) -> float:
    """Largest relative difference between outputs for reduced and for full graphs, in float32."""
    model = build(key).eval()
    with torch.inference_mode():
        return difference(*(model(graphs[which]) for which in GRAPHS))


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def peak(key: str, count: int) -> dict[str, dict[str, float]]:
    """Resident MiB of this process at most, and how much of it a training step added to what was there."""
    torch.set_num_threads(1)
    materials, found = amcsd_materials(count), {}
    for name, contender in contenders(key, {which: graph(materials, which) for which in GRAPHS}).items():
        before = forget_peak()
        train(contender)
        found[name] = {"peak_mib": resident("VmHWM"), "added_by_training_mib": resident("VmHWM") - before}
        contender.model.zero_grad(set_to_none=True)
    return found


def forget_peak() -> float:
    """Resident MiB now; on Linux the peak starts anew from here, elsewhere it keeps that of loading."""
    clear = Path("/proc/self/clear_refs")
    if not clear.exists():
        return resident("VmHWM")
    clear.write_text("5", encoding="ascii")
    return resident("VmRSS")


def resident(which: str) -> float:
    """MiB by the name of the kernel's status; the peak where there is no such file."""
    status = Path("/proc/self/status")
    if status.is_file():
        lines = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
        return int(lines[which].split()[0]) / 2**10
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 2**10)


def peak_in_child(key: str, count: int) -> dict[str, dict[str, float]]:
    command = [sys.executable, __file__, "--crystals", str(count), "--peak", key]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    return json.loads(done.stdout)


def size(batch: StructureBatch) -> dict[str, int]:
    """Rows that the encoders work on."""
    angles = len(line_graph(batch).edge_of)
    edges, pairs = len(batch.receiver), len(batch.pair_receiver)
    return {"nodes": batch.n_nodes, "edges": edges, "angles": angles, "pairs": pairs}


def described(key: str) -> dict[str, Any]:
    model = build(key)
    return {"config": asdict(model.config), "parameters": sum(p.numel() for p in model.parameters())}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=THREADS)
    parser.add_argument("--crystals", type=int, default=CRYSTALS)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds of rounds per encoder")
    parser.add_argument("--only", nargs="+", default=ENCODERS, choices=ENCODERS)
    parser.add_argument("--peak", choices=ENCODERS, help="measure the memory of one encoder in this process")
    return parser.parse_args()


def main(wanted: argparse.Namespace) -> None:
    materials = amcsd_materials(wanted.crystals)
    graphs = {which: graph(materials, which) for which in GRAPHS}
    checked = {which: graph(materials[:CHECKED], which) for which in GRAPHS}
    payload = {
        "seed": SEED,
        "crystals": wanted.crystals,
        "torch_geometric": pyg_version,
        "graphs": {which: size(batch) for which, batch in graphs.items()},
        "encoders": {key: described(key) for key in wanted.only},
        "largest_relative_difference_from_reference": {
            key: differences(key, checked["full"]) for key in wanted.only if key in REFERENCES
        },
        "largest_relative_difference_of_reduced_from_full": {
            key: reduction_difference(key, checked) for key in wanted.only
        },
        "timings": timings(wanted, graphs),
        "peak_memory": {key: peak_in_child(key, wanted.crystals) for key in wanted.only},
        "notes": [
            "float32; forward: evaluation in inference mode; train: forward and backward; neither collates",
            "full: one node per atom of the primitive cell, the graph that a reference sees; reduced: one "
            "per orbit, with the same output",
            "differences: on the first crystals of the batch; from the reference in float64 and after a "
            "change of all weights, between the two graphs in float32, the precision of their edges",
            "alignn: ours makes the line graph in each pass, the reference gets it ready-made",
            "cgcnn_unnormalized: the reference is PyTorch Geometric's CGConv; cgcnn: message passing with "
            "the two normalisations of the paper's code, which CGConv has not",
            "chgnet: the trained part alone, on random numbers in the place of the pretrained features",
            "peak_memory: a training step on one thread",
        ],
    }
    print(write("encoders", payload).read_text(encoding="utf-8"))


if __name__ == "__main__":
    chosen = arguments()
    if chosen.peak:
        print(json.dumps(peak(chosen.peak, chosen.crystals)))
    else:
        main(chosen)
