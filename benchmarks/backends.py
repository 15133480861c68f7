"""Index back ends side by side: build, size, memory, time and recall, against the exact index of the run.

Vectors are those of a real index, under three keys of 256 dimensions. Where more records are wanted than it
has, its records are repeated with seeded noise of length 0.2 added to each unit vector (cosine about 0.98).

Run: python benchmarks/backends.py [--index runs/quickstart/index] [--records 10000 100000] [--limit 900]
Each back end builds and answers in processes of its own, written down after each one. Beside the wall time
of a query stands its processor time (all threads), which other jobs on the machine disturb less.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _machine import RESULTS, ROOT, write

from prismat.search.backends.opening import build_any, open_any
from prismat.search.backends.options import BuildOptions
from prismat.search.filters import Filter
from prismat.search.index import Index

KEYS = ("structure@text", "text@structure", "xrd@structure")
K, SEED, QUERIES = 10, 0, 30
NOISE, QUERY_NOISE = 0.2, 0.5
FILTER = Filter(with_elements=("Fe",), properties={"density": (3.0, 6.0)})
CASES = {
    "one key": (KEYS[:1], None),
    "three keys": (KEYS, None),
    "one key, filter": (KEYS[:1], FILTER),
}
CONFIGS = {
    "exact": ("exact", BuildOptions()),
    "usearch, exact": ("usearch", BuildOptions()),
    "usearch, HNSW": ("usearch", BuildOptions(approximate=True)),
    "usearch, HNSW, f16": ("usearch", BuildOptions(approximate=True, dtype="f16")),
    "LanceDB, exact": ("lancedb", BuildOptions()),
    "LanceDB, IVF": ("lancedb", BuildOptions(approximate=True)),
    "Milvus (lite), exact": ("milvus", BuildOptions()),
    "Milvus (lite), HNSW": ("milvus", BuildOptions(approximate=True)),
}


def noisy(vectors: np.ndarray, length: float, rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal(vectors.shape, dtype=np.float32)
    noise *= length / np.linalg.norm(noise, axis=1, keepdims=True)
    out = vectors + noise
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def prepare(source: Path, records: int, folder: Path) -> None:
    """Vectors, presence, metadata and queries as files, the same for every back end."""
    index, rng = Index.open(source), np.random.default_rng(SEED)
    rows = np.arange(records) % len(index)
    first = min(records, len(index))
    for i, key in enumerate(KEYS):
        out = np.array(index.vectors[key][rows])
        out[first:] = noisy(out[first:], NOISE, rng)
        out[~index.present[key][rows]] = 0
        np.save(folder / f"v{i}.npy", out)
        np.save(folder / f"p{i}.npy", index.present[key][rows])
        asked = rng.choice(np.flatnonzero(index.present[key][:first]), QUERIES, replace=False)
        np.save(folder / f"q{i}.npy", noisy(out[asked], QUERY_NOISE, rng))
    table = index.table.take(pa.array(rows))
    names = pa.array([f"{name}-{i}" for i, name in enumerate(table["id"].to_pylist())])
    pq.write_table(table.set_column(0, "id", names), folder / "table.parquet")


def place_of(config: str, folder: Path) -> Path:
    kind = CONFIGS[config][0]
    return folder / (f"made-{list(CONFIGS).index(config)}" + (".db" if kind == "milvus" else ""))


def build(config: str, folder: Path) -> dict:
    kind, options = CONFIGS[config]
    embeddings = {key: np.load(folder / f"v{i}.npy", mmap_mode="r") for i, key in enumerate(KEYS)}
    present = {key: np.load(folder / f"p{i}.npy") for i, key in enumerate(KEYS)}
    place = place_of(config, folder)
    start, used = time.perf_counter(), time.process_time()
    build_any(kind, place, (embeddings, present, pq.read_table(folder / "table.parquet")), "bench", options)
    seconds, cpu = time.perf_counter() - start, time.process_time() - used
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    return {"build_s": round(seconds, 2), "build_cpu_s": round(cpu, 2), "disk_mb": round(size / 1e6, 1)}


def resident() -> dict[str, float]:
    """Resident memory in MB: of its own, and of files that are mapped."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    told = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("RssAnon", "RssFile"))}
    return {name: int(value) / 1024 for name, value in told.items()}


def ask(config: str, folder: Path, budget: float) -> dict:
    before = resident()
    start = time.perf_counter()
    index = open_any(place_of(config, folder), "bench")
    out: dict = {"open_s": round(time.perf_counter() - start, 3)}
    queries = [np.load(folder / f"q{i}.npy") for i in range(len(KEYS))]
    for case, (keys, condition) in CASES.items():
        times, cpu, answers = [], [], []
        began = time.perf_counter()
        for i in range(-1, QUERIES):
            vectors = {key: queries[j][max(i, 0)] for j, key in enumerate(KEYS) if key in keys}
            start, used = time.perf_counter(), time.process_time()
            hits = index.search(vectors, None, condition, K)
            if i >= 0:
                times.append(1e3 * (time.perf_counter() - start))
                cpu.append(1e3 * (time.process_time() - used))
                answers.append([hit.row for hit in hits])
            if time.perf_counter() - began > budget and len(times) >= 5:
                break
        out[case] = {
            "queries": len(times),
            "p50_ms": round(float(np.percentile(times, 50)), 2),
            "p95_ms": round(float(np.percentile(times, 95)), 2),
            "cpu_ms": round(float(np.median(cpu)), 2),
            "answers": answers,
        }
    after = resident()
    own, files = after["RssAnon"] - before["RssAnon"], after["RssFile"] - before["RssFile"]
    return out | {"memory_mb": round(own, 1), "mapped_mb": round(files, 1)}


def worker(what: str, config: str, folder: Path, limit: float) -> dict | None:
    """The result of a process of its own; None where it took longer than the limit."""
    command = [sys.executable, __file__, "--worker", what, config, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        raise RuntimeError(f"{config}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compared(found: dict, exact: dict) -> dict:
    """Recall and the ratio of times, against the exact index of the same run."""
    for case in CASES:
        ours, reference = found[case].pop("answers"), exact[case]["reference"]
        pairs = list(zip(ours, reference, strict=False))
        shared = [len(set(a) & set(b)) / len(b) for a, b in pairs if b]
        found[case]["recall@10"] = round(float(np.mean(shared)), 4)
        found[case]["same answers"] = round(float(np.mean([a == b for a, b in pairs])), 4)
        for name, what in (("wall", "p50_ms"), ("cpu", "cpu_ms")):
            found[case][f"{name}, times the exact index"] = round(found[case][what] / exact[case][what], 2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--index", type=Path, default=ROOT / "runs" / "quickstart" / "index")
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--limit", type=float, default=900, help="seconds for one build")
    parser.add_argument("--only", nargs="+", default=list(CONFIGS), choices=list(CONFIGS))
    parser.add_argument("--worker", nargs=3)
    options = parser.parse_args()
    if options.worker:
        what, config, folder = options.worker
        print(json.dumps(build(config, Path(folder)) if what == "build" else ask(config, Path(folder), 20)))
        return
    path = RESULTS / "backends.json"
    results = json.loads(path.read_text(encoding="utf-8"))["results"] if path.is_file() else {}
    for records in options.records:
        folder = Path(tempfile.mkdtemp(prefix="prismat-backends-"))
        try:
            prepare(options.index, records, folder)
            results.setdefault(str(records), {})
            exact: dict = {}
            for config in dict.fromkeys(["exact", *options.only]):
                built = worker("build", config, folder, options.limit)
                if built is None:
                    entry = {"unfinished": f"the build took longer than {options.limit:.0f} s"}
                else:
                    asked = worker("ask", config, folder, options.limit)
                    if config == "exact":
                        exact = json.loads(json.dumps(asked))
                        for case in CASES:
                            exact[case]["reference"] = exact[case]["answers"]
                    entry = built | compared(asked, exact)
                results[str(records)][config] = entry
                print(records, config, entry, flush=True)
                shutil.rmtree(place_of(config, folder), ignore_errors=True)
                about = {"keys": list(KEYS), "k": K, "queries": QUERIES, "noise": NOISE, "seed": SEED}
                write("backends", {"settings": about, "results": results})
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
