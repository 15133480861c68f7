"""The model card: what a model is, what it was made from, and what it can and cannot do."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from prismat.api import Prismat
from prismat.hygiene.manifest import text_line


def model_card(prismat: Prismat, report: dict[str, Any]) -> str:
    """Markdown from a finished report.

    The licences and the provenance of the data are those of ``report["dataset"]["manifest"]``, see
    :func:`prismat.hygiene.manifest.manifest`; without it the card names the source's own terms.
    """
    dataset, split, cost = report["dataset"], report["split"], report["cost"]
    lines = [
        f"# Prismat model: {report['recipe']}",
        "",
        f"Windows: {', '.join(prismat.recipe.windows)}. {cost['parameters']:,} trained parameters, "
        f"{prismat.recipe.projection.dim} dimensions, {prismat.recipe.projection.heads} heads.",
        "",
        f"Trained on {split['train']:,} of {dataset['records']:,} records of {dataset['source']} "
        f"({dataset['licence']}; {dataset['citation']}). Split {split['hash'][:12]}: "
        f"{_division(split['rule'])}.",
        "",
        "## Retrieval on the test part",
        "",
        "| direction | pool | R@1 | R@10 | median rank | composition only R@1 | R@10 |",
        "|---|---|---|---|---|---|---|",
        *_rows(report),
        "",
        *_provenance(dataset.get("manifest")),
        "## Limits",
        "",
        _limits(dataset["source"], prismat.recipe.windows),
        "",
    ]
    return "\n".join(lines)


def _division(rule: dict[str, Any]) -> str:
    """How the records were divided, in words."""
    if rule.get("given"):
        crossing = ", ".join(f"{count:,} by {kind}" for kind, count in rule["crossing"].items() if count)
        return f"the division that the data came with; what it lets cross: {crossing or 'nothing'}"
    return (
        f"records that share a formula (within {rule['tolerance']} of each element fraction), a title, a "
        "publication or a mineral name stay in one part"
    )


def _limits(source: str, windows: Sequence[str]) -> str:
    """What the model has not seen."""
    told = [f"Nothing is known of materials unlike those of {source}."]
    if source == "amcsd":
        told = [
            "Minerals and simple inorganic compounds; no molecules, few organic or metal–organic crystals.",
            "Hydrogen of water molecules is missing where the source does not place it.",
        ]
    if "xrd" in windows:
        told.append(
            "Patterns are simulated kinematic powder patterns; measured ones are read, not trained on."
        )
    return " ".join([*told, *(["Text is mostly English."] if "text" in windows else [])])


def _rows(report: dict[str, Any]) -> list[str]:
    base = report["baselines"].get("composition", {})
    rows = []
    for name, found in report["retrieval"].items():
        if "pool" not in found:
            continue
        other = base.get(name)
        against = f"{other['recall@1']:.3f} | {other['recall@10']:.3f}" if other else "– | –"
        rows.append(
            f"| {name} | {found['pool']:.0f} | {found['recall@1']:.3f} | {found['recall@10']:.3f} | "
            f"{found['median_rank']:.0f} | {against} |"
        )
    return rows


def _provenance(manifest: Mapping[str, Any] | None) -> list[str]:
    """Terms of the data that the model was made from, which its users inherit."""
    if not manifest:
        return []
    rows = [
        f"| {_cell(o['source'])} | {_cell(o['licence'] or 'not stated')} | {_cell(o['citation'] or '–')} | "
        f"{o['records']:,} |"
        for o in manifest["provenance"]
    ]
    texts = [f"- {_cell(text_line(kind, info))}" for kind, info in manifest["texts"].items()]
    return [
        "## Data and licences",
        "",
        f"{manifest['notice']} Store {manifest['hash'][:12]}.",
        "",
        "| source | licence | cite | records |",
        "|---|---|---|---|",
        *rows,
        "",
        *([*texts, ""] if texts else []),
    ]


def _cell(text: str) -> str:
    """Text that a Markdown table and the HTML within it leave as it is."""
    return escape(" ".join(text.split()), quote=False).replace("|", "\\|")
