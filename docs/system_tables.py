"""The page docs/systems.md: the published systems, what became of them and what they find here."""

import json
from pathlib import Path
from string import Template
from typing import Any

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"
Found = dict[str, Any]

DIRECTIONS = ("text->structure", "structure->text", "xrd->structure", "structure->xrd")


def load(name: str) -> Found:
    """One result file."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def systems_page() -> str:
    """The whole page, from its template."""
    found, crysmmnet = load("systems"), load("crysmmnet")
    settings = crysmmnet["settings"]
    facts = {
        "systems_table": "\n".join(systems_table(found["systems"])),
        "cost_table": "\n".join(cost_table(found["systems"])),
        "steps": f"{found['steps']:,}",
        "batch": f"{found['batch']:,}",
        "multimat_table": "\n".join(multimat_table(load("multimat")["variants"])),
        "objectives_table": "\n".join(objectives_table(load("objectives"))),
        "crysmmnet_table": "\n".join(crysmmnet_table(crysmmnet["networks"])),
        **{f"crysmmnet_{k}": f"{settings[k]:,}" for k in ("steps", "batch", "train_rows", "val_rows")},
    }
    return Template((DOCS / "systems.template").read_text(encoding="utf-8")).substitute(facts)


def systems_table(systems: Found) -> list[str]:
    """Recall@10 by direction with its interval, and the gain over composition."""
    lines = []
    for name, entry in systems.items():
        words = entry.get("words/roc_auc")
        cells = [f"`{name}`", ", ".join(entry["windows"]), str(len(entry["seeds"]))]
        # The default's baseline is not set against itself.
        whiches = () if name == "composition" else ("own", "default")
        cells += [direction_cell(entry.get(direction), whiches) for direction in DIRECTIONS]
        cells.append(f"{words['mean']:.2f}" if words else "–")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def direction_cell(found: Found | None, whiches: tuple[str, ...]) -> str:
    """Recall@10 [interval], and the paired gains over both baselines [intervals]."""
    if found is None:
        return "–"
    low, high = found["interval@10"]
    gains = [f"{w}: {signed(found[f'gain@10/{w}'])}" for w in whiches if f"gain@10/{w}" in found]
    return "<br>".join([f"{found['recall@10']:.2f} [{low:.2f}, {high:.2f}]", *gains])


def signed(gain: list[float]) -> str:
    """A difference with its interval."""
    return f"{gain[0]:+.2f} [{gain[1]:+.2f}, {gain[2]:+.2f}]"


def cost_table(systems: Found) -> list[str]:
    """Time and size of every run, and the recall of each seed."""
    lines = []
    for name, entry in systems.items():
        first = next(entry[d] for d in DIRECTIONS if d in entry)
        seeds = " ".join(f"{v:.2f}" for v in first["seeds@10"])
        seconds = f"{entry['train_s']:,} s"
        cells = (f"`{name}`", entry["text"] or "–", f"{entry['parameters']:,}", seconds, seeds)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def multimat_table(variants: Found) -> list[str]:
    """MultiMat's own windows on its example data."""
    lines = []
    for name, entry in variants.items():
        figures = [entry[d]["recall@1"] if d in entry else None for d in MULTIMAT]
        cells = [f"`{name}`", *(f"{v:.2f}" if v is not None else "–" for v in figures)]
        cells.append(f"{entry['train_s']:,} s")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


MULTIMAT = (
    "dos->structure",
    "structure->dos",
    "charge_density->structure",
    "structure->charge_density",
    "charge_density->dos",
    "dos->charge_density",
)


def objectives_table(found: Found) -> list[str]:
    """One step with 16,384 records, at once and in chunks."""
    lines = []
    for entry in found["training_step"]["large"]:
        chunk = f"{entry['chunk']:,}" if entry["chunk"] else "at once"
        loss = f"{entry['loss_chunk']:,}" if entry["loss_chunk"] else "whole"
        seconds = entry["cpu_user_s"] + entry["cpu_system_s"]
        memory = f"{entry['added_mib'] / 1024:.1f} GiB" if entry["fits"] else "does not fit"
        lines.append(f"| {chunk} | {loss} | {memory} | {seconds:.0f} s |")
    return lines


def crysmmnet_table(networks: Found) -> list[str]:
    """Error of every network, and the paired difference to composition."""
    lines = []
    for name, entry in networks.items():
        mae, low, high = entry["mae"]
        difference = entry.get("mae_minus_composition")
        said = f"{difference[0]:+.3f} [{difference[1]:+.3f}, {difference[2]:+.3f}]" if difference else "–"
        lines.append(f"| `{name}` | {mae:.3f} [{low:.3f}, {high:.3f}] | {said} |")
    return lines
