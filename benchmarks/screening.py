"""Screening and tagging by the default model: CLaSP's protocol, tags, and what phrases sort by.

Run after ``prismat quickstart`` and with a store of true gaps:
``python benchmarks/screening.py [--run runs/quickstart] [--gaps runs/stores/mp2018] [--predictor HEAD]``.
"""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

from _machine import write

from prismat.store import Store
from prismat.tasks.opened import open_run
from prismat.tasks.report import to_plain
from prismat.tasks.screening.evaluation import (
    Bench,
    ScreeningConfig,
    composition_model,
    evaluate_screening,
)
from prismat.tasks.screening.prompts import TEMPLATES, PromptConfig
from prismat.tasks.screening.protocol import ProtocolConfig
from prismat.tasks.screening.sorting import PHRASES, sort_by_phrases, sorted_result
from prismat.tasks.screening.tag_evaluation import evaluate_tagging
from prismat.tasks.screening.tagging import tag_source
from prismat.tasks.screening.values import predicted_values, true_values

RIVALS = {
    f"{variations}, {len(templates)} templates": PromptConfig(variations, templates)
    for variations in ("none", "english", "all")
    for templates in (("{}",), TEMPLATES)
}


def prompts_on_validation(bench: Bench) -> dict[str, Any]:
    """Mean ROC-AUC over the words of every way of wording, on validation titles."""
    quick = ProtocolConfig(resamples=200, draws=50)
    found = {}
    for name, prompts in RIVALS.items():
        sets = evaluate_screening(bench, "val", ScreeningConfig(prompts=prompts, protocol=quick))
        found[name] = {s: f.figures["mean"]["systems"]["prompt ensemble"]["roc_auc"] for s, f in sets.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, default=Path("runs/quickstart"))
    parser.add_argument("--gaps", type=Path, default=Path("runs/stores/mp2018"))
    parser.add_argument("--predictor", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    folder = options.out or options.run / "run" / "tasks" / "screening"
    started, baseline = time.perf_counter(), composition_model(options.run)
    own = Store(options.run / "store")
    bench = Bench(open_run(options.run, own), folder, baseline)
    result: dict[str, Any] = {"prompts_on_validation": prompts_on_validation(bench)}
    result["words"] = {n: s.figures for n, s in evaluate_screening(bench).items()}
    result["tags"] = evaluate_tagging(tag_source(bench))
    if options.predictor is not None:
        values = partial(predicted_values, options.predictor, own)
        result["predicted_gaps"] = sorted_result(sort_by_phrases(bench, values), own)
    gaps = Store(options.gaps)
    other = Bench(open_run(options.run, gaps), folder, baseline)
    true = sort_by_phrases(other, partial(true_values, gaps, "band_gap"), (*PHRASES, "metal"))
    result["true_gaps"] = sorted_result(true, gaps)
    for found in (result.get("predicted_gaps", {}), result["true_gaps"]):
        found.pop("top", None)
    print(write("screening", {"seconds": round(time.perf_counter() - started), **to_plain(result)}))


if __name__ == "__main__":
    main()
