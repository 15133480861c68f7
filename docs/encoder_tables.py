"""The page docs/encoders.md: every encoder with what it reads, costs and finds, from benchmarks/results."""

import json
from pathlib import Path
from string import Template
from typing import Any

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
TEMPLATE = Path(__file__).parent / "encoders.template"
Found = dict[str, Any]

STRUCTURE = {
    "composition": ("composition alone, the baseline", "–"),
    "cgcnn": ("CGCNN", "Xie & Grossman 2018"),
    "mpgnn": ("MP-GNN, literal: distances do not enter", "the tri-modal proposal"),
    "mpgnn-filtered": ("MP-GNN with radially filtered messages", "the tri-modal proposal"),
    "painn": ("PaiNN", "Schütt et al. 2021"),
    "alignn": ("ALIGNN", "Choudhary & DeCost 2021"),
    "potnet": ("PotNet", "Lin et al. 2023"),
    "megnet": ("MEGNet", "Chen et al. 2019"),
    "gatgnn": ("GATGNN", "Louis et al. 2020"),
    "matformer": ("Matformer", "Yan et al. 2022"),
    "chgnet": ("CHGNet's features, frozen", "Deng et al. 2023"),
    "default": ("CGCNN ⊕ composition ⊕ lattice", "the default recipe"),
}
"""Names for ``--structure``, what they are and where they come from."""


def load(name: str) -> Found:
    """One result file."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def encoders_page() -> str:
    """The whole page, from its template."""
    speed, retrieval = load("encoders"), load("structure_encoders")
    energy, windows = load("formation_energy"), load("windows")
    settings = energy["settings"]
    facts = {
        "structure_table": "\n".join(structure_table(retrieval["encoders"], energy, speed)),
        "window_table": "\n".join(window_table(windows["cases"])),
        "median": f"{energy['median_predictor_mae']:.2f}",
        **{name: f"{settings[name]:,}" for name in ("train_rows", "val_rows", "steps", "batch")},
    }
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(facts)


def structure_table(retrieval: Found, energy: Found, speed: Found) -> list[str]:
    """One line for each structure encoder."""
    lines = []
    for name, (what, source) in STRUCTURE.items():
        cells = [f"`{name}`", what, source, *retrieval_cells(retrieval.get(name))]
        cells += [*energy_cells(energy["encoders"].get(name)), *speed_cells(speed, name.replace("-", "_"))]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def retrieval_cells(found: Found | None) -> tuple[str, str]:
    """Recall, and the gain with its interval."""
    if found is None:
        return "–", "–"
    direction = found["xrd->structure"]
    gain = direction.get("gain@10")
    recall = f"{direction['recall@1']:.2f} / {direction['recall@10']:.2f}"
    return recall, interval(gain, 2) if gain else "–"


def energy_cells(found: Found | None) -> tuple[str, str]:
    """Error, and the paired difference with its interval."""
    if found is None:
        return "–", "–"
    difference = found.get("minus_composition")
    return f"{found['mae_ev_per_atom']:.3f}", interval(difference, 3) if difference else "–"


def speed_cells(speed: Found, name: str) -> tuple[str, str]:
    """Forward and backward on reduced graphs, one thread, and what training adds to memory."""
    rate = speed["timings"][0]["encoders"].get(name, {}).get("crystals_per_s", {}).get("reduced/train")
    memory = speed["peak_memory"].get(name, {}).get("reduced", {}).get("added_by_training_mib")
    return f"{rate:,.0f}" if rate else "–", f"{memory:,.0f} MiB" if memory is not None else "–"


def interval(values: list[float], digits: int) -> str:
    """Mean and interval."""
    mean, low, high = values
    return f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def window_table(cases: Found) -> list[str]:
    """One line for each pair of windows and direction."""
    lines = []
    for case, found in cases.items():
        for direction, result in found["retrieval"].items():
            base = found.get("composition", {}).get(direction)
            against = f"{base['recall@1']:.2f} / {base['recall@10']:.2f}" if base else "–"
            low, high = result["ci95"]["recall@10"]
            cells = [
                case,
                direction.replace("->", " → "),
                f"{result['pool']:.0f}",
                f"{result['recall@1']:.2f}",
            ]
            cells += [
                f"{result['recall@10']:.2f} [{low:.2f}, {high:.2f}]",
                f"{result['chance@1']:.3f}",
                against,
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines
