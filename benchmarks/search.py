"""Time of exact search over a million vectors of 128 dimensions, and what its answers are checked against.

Run: python benchmarks/search.py [records]
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from _machine import write

from prismat.search.exact import top_k
from prismat.search.filters import Filter
from prismat.search.index import Index
from prismat.search.index_files import property_field

DIM, K, SEED, REPEATS = 128, 10, 0, 15


def milliseconds(call: Callable[[], object], repeats: int = REPEATS) -> dict[str, float]:
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return {"median_ms": round(float(np.median(times)), 2), "best_ms": round(min(times), 2)}


def unit(rng: np.random.Generator, records: int) -> np.ndarray:
    vectors = rng.standard_normal((records, DIM), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def metadata(rng: np.random.Generator, records: int) -> pa.Table:
    symbols = np.array(["H", "O", "Si", "Al", "Fe", "Mg", "Ca", "Na", "K", "Ti", "S", "U"])
    flat = pa.array(symbols[rng.integers(0, len(symbols), 3 * records)])
    offsets = pa.array(np.arange(0, 3 * records + 1, 3, dtype=np.int32))
    columns = {
        "id": pa.array([f"r{i}" for i in range(records)]),
        "formula": pa.array(["SiO2"] * records),
        "spacegroup": pa.array(["P1"] * records),
        "spacegroup_number": pa.array(np.ones(records, np.int32)),
        "title": pa.array([""] * records),
        "elements": pa.ListArray.from_arrays(offsets, flat),
        "n_sites": pa.array(rng.integers(1, 100, records).astype(np.int32)),
    }
    return pa.table(columns).append_column(
        property_field("density", "g/cm3"), pa.array(rng.random(records) * 10)
    )


def same_as_float64(query: np.ndarray, gallery: np.ndarray) -> float:
    """Share of queries whose k rows are those of a float64 scan with a stable sort."""
    rows = top_k(query, gallery, K)[1]
    agree = 0
    for i, vector in enumerate(query.astype(np.float64)):
        blocks = [gallery[s : s + 65_536].astype(np.float64) @ vector for s in range(0, len(gallery), 65_536)]
        order = np.argsort(-np.concatenate(blocks).astype(np.float32), kind="stable")[:K]
        agree += np.array_equal(order, rows[i])
    return agree / len(query)


def main(records: int = 1_000_000) -> None:
    rng = np.random.default_rng(SEED)
    results: dict[str, object] = {"records": records, "dim": DIM, "k": K, "seed": SEED, "repeats": REPEATS}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        vectors = {"structure": unit(rng, records), "xrd": unit(rng, records)}
        present = {"xrd": rng.random(records) < 0.7}
        table = metadata(rng, records)
        start = time.perf_counter()
        Index.build(Path(folder) / "index", vectors, present, table, "benchmark")
        results["build_s"] = round(time.perf_counter() - start, 2)
        del vectors, table
        start = time.perf_counter()
        index = Index.open(Path(folder) / "index")
        results["open_s"] = round(time.perf_counter() - start, 2)
        start = time.perf_counter()
        results["element_bits_words"] = list(index.bits.words.shape)
        results["element_bits_s"] = round(time.perf_counter() - start, 2)
        gallery = index.vectors["structure"]
        queries = unit(rng, 100)
        one, other = queries[0], queries[1]
        chosen = Filter(with_elements=("U", "Fe"), n_sites=(1, 50), properties={"density": (2.0, 8.0)})
        mask = chosen.mask(index.table, index.bits)
        results["share_passing_the_filter"] = round(float(mask.mean()), 5)
        results["matrix_vector_product_alone"] = milliseconds(lambda: gallery @ one)
        results["top_k_one_query"] = milliseconds(lambda: top_k(queries[:1], gallery, K))
        results["top_k_one_query_by_records"] = {
            str(size): milliseconds(lambda part=gallery[:size]: top_k(queries[:1], part, K))
            for size in (10_000, 100_000, records)
        }
        results["top_k_one_query_k_1000"] = milliseconds(lambda: top_k(queries[:1], gallery, 1000))
        results["top_k_filtered"] = milliseconds(lambda: top_k(queries[:1], gallery, K, mask))
        results["top_k_100_queries"] = milliseconds(lambda: top_k(queries, gallery, K), 3)
        results["filter_mask"] = milliseconds(lambda: chosen.mask(index.table, index.bits))
        results["index_one_part"] = milliseconds(lambda: index.search({"structure": one}, k=K))
        both = {"structure": one, "xrd": other}
        results["index_two_parts"] = milliseconds(lambda: index.search(both, k=K))
        results["index_two_parts_filtered"] = milliseconds(lambda: index.search(both, filter=chosen, k=K))
        results["share_equal_to_a_float64_scan"] = same_as_float64(queries[:10], gallery)
    print(write("search", results).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
