"""The model card of a fitted head."""

from collections.abc import Mapping
from typing import Any

from prismat.heads.files import BASE
from prismat.heads.model import PropertyHead


def head_card(head: PropertyHead, report: Mapping[str, Any]) -> str:
    """Markdown from a finished report."""
    target, dataset = head.spec.target, report["dataset"]
    what = f"one of {', '.join(target.classes)}" if target.classes else (target.unit or "a pure number")
    name, key = ("accuracy", "accuracy") if target.classes else ("MAE", "mae")
    lines = [
        f"# Prismat head: {target.name}",
        "",
        f"Predicts {target.name} ({what}) from {' and '.join(head.spec.windows)}, encoders "
        f"{'trained along' if head.spec.tuned else 'frozen'}. The model it reads is in `{BASE}`.",
        "",
        f"Fitted to {dataset['train']:,} records of {dataset['source']} ({dataset['licence']}; "
        f"{dataset['citation']}); intervals calibrated on {dataset['calibrate']:,} others.",
        "",
        f"## On the test part ({dataset['test']:,} records)",
        "",
        f"| | {name} |",
        "|---|---|",
    ]
    for system, found in {"this head": report["metrics"], **report["baselines"]}.items():
        value, low, high = found[key]
        lines.append(f"| {system} | {value:.4f} [{low:.4f}, {high:.4f}] |")
    lines += ["", "## Limits", "", f"Nothing is known of materials unlike those of {dataset['source']}.", ""]
    return "\n".join(lines)
