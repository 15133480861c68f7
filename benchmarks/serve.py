"""Load on the HTTP API over loopback: latency, throughput and memory at 1, 8 and 64 clients.

The index is that of a quickstart on AMCSD (9,170 minerals), extended to 10⁴ and 10⁵ records by copies of its
vectors with a little seeded noise. The server is a process of its own; no query is asked twice within a
level; every answer is compared with that of the engine embedded in this process.

Run: python benchmarks/serve.py [--run runs/quickstart] [--work runs/serve] [--sizes 10000 100000]
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import torch
from _machine import ROOT, write

from prismat.api import Prismat, load
from prismat.app.patterns import broadened
from prismat.confidence.confidence import Confidence
from prismat.modalities.xrd import XrdSettings, powder_lines
from prismat.search.engine import SearchEngine
from prismat.search.index import Index
from prismat.search.query import Query
from prismat.search.steer import Steer
from prismat.store import Store

CLIENTS = (1, 8, 64)
REQUESTS = {1: 40, 8: 96, 64: 192}
"""Requests of each kind at each number of clients."""
K, SEED, NOISE, WORKERS = 20, 0, 0.02, 2
GRID = np.arange(5.0, 90.0, 0.05)
SERVER = """
import sys
from pathlib import Path
import torch
from prismat.app.limits import Limits
from prismat.app.running import Listening, address_of, bind, run
from prismat.app.server import make_app
from prismat.app.state import Places, open_served
run_folder, index, workers = sys.argv[1:]
torch.set_num_threads(1)
listening = Listening(port=0, grace=2.0)
bound = bind(listening)
served = open_served(Places(Path(run_folder), Path(index)))
app = make_app(served, Limits(per_second=0.0, workers=int(workers), seconds=120.0))
run(app, bound, listening, lambda: print(address_of(bound, listening), flush=True))
"""


@dataclass(frozen=True)
class Ask:
    """One request, and the same question to the engine.

    Attributes:
        method: of the request.
        path: with its parameters.
        body: JSON, or None.
        query: typed.
    """

    method: str
    path: str
    body: dict | None
    query: Query


def extended(index: Index, size: int, folder: Path) -> Index:
    """The index with copies of its records up to a size; made once."""
    if (folder / "index.json").is_file():
        return Index.open(folder, index.model_hash)
    rng = np.random.default_rng(SEED)
    own = len(index)
    rows = np.concatenate([np.arange(own), rng.integers(0, own, max(0, size - own))])[:size]
    vectors, present = {}, {}
    for key, values in index.vectors.items():
        new = np.array(values)[rows]
        copies = new[own:]
        copies += rng.standard_normal(copies.shape, dtype=np.float32) * (NOISE / np.sqrt(copies.shape[1]))
        vectors[key], present[key] = new, np.array(index.present[key])[rows]
        # A profile has no negative intensities.
        if key == "profile":
            np.maximum(new, 0, out=new)
        new[~present[key]] = 0
    names = index.table["id"].take(pa.array(rows)).to_pylist()
    ids = [name if i < own else f"{name}~{i}" for i, name in enumerate(names)]
    table = index.table.take(pa.array(rows)).combine_chunks()
    table = table.set_column(table.schema.get_field_index("id"), "id", pa.array(ids))
    return Index.build(folder, vectors, present, table, index.model_hash)


def questions(store: Store, ids: list[str], many: int) -> dict[str, list[Ask]]:
    """Distinct requests of every kind."""
    rng = np.random.default_rng(SEED)
    titles = sorted({dict(texts).get("title", "") for texts in store.table["texts"].to_pylist()} - {""})
    texts = [titles[i] for i in rng.permutation(len(titles))[:many]]
    asked = {"text": [_posted({"text": text, "k": K}) for text in texts]}
    rows = rng.permutation(len(store))[:many]
    patterns = []
    for crystal in filter(None, store.crystals(rows)):
        lines = powder_lines(crystal, XrdSettings())
        # Some intensities as a counter gives them, so that no pattern is exactly one of the index.
        counts = rng.poisson(50 + 10 * broadened(GRID, lines.two_theta, lines.intensity))
        xrd = {"two_theta": GRID.round(3).tolist(), "intensity": counts.tolist(), "wavelength": 1.54184}
        patterns.append(_posted({"xrd": xrd, "k": K}))
    chosen = [ids[i] for i in rng.permutation(len(ids))[:many]]
    alike = [
        Ask("GET", f"/v1/materials/{one}/similar?k={K}", None, Query(steer=Steer(like=(one,)), k=K))
        for one in chosen
    ]
    return asked | {"pattern": patterns, "similar": alike}


def _posted(body: dict) -> Ask:
    return Ask("POST", "/v1/search", body, Query.from_json(json.dumps(body)))


class Server:
    """The API in a process of its own, as a context."""

    def __init__(self, run: Path, index: Path) -> None:
        command = [sys.executable, "-c", SERVER, str(run), str(index), str(WORKERS)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        self.url = (self.process.stdout.readline() if self.process.stdout else "").strip()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)

    def memory(self) -> dict[str, float]:
        """Resident memory in MiB: all, and without the pages of mapped files, which the system can drop."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines()
        found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.endswith("kB")}
        return {"rss_mib": round(found["VmRSS"]), "anonymous_mib": round(found["RssAnon"])}


async def level(url: str, asks: list[Ask], clients: int) -> tuple[list[float], list[list[str] | None], float]:
    """Latencies (s), ids of each answer (None for an error), and the time of all together."""
    waiting = list(enumerate(asks))[::-1]
    times, found = [0.0] * len(asks), [None] * len(asks)

    async def client(session: httpx.AsyncClient) -> None:
        while waiting:
            number, ask = waiting.pop()
            start = time.perf_counter()
            try:
                answer = await session.request(ask.method, ask.path, json=ask.body)
            except httpx.TransportError:
                answer = None
            times[number] = time.perf_counter() - start
            if answer is not None and answer.status_code == 200:
                found[number] = [hit["id"] for hit in answer.json()["hits"]]

    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as session:
        start = time.perf_counter()
        await asyncio.gather(*(client(session) for _ in range(clients)))
        return times, found, time.perf_counter() - start


def figures(times: list[float], found: list, expected: list, seconds: float) -> dict[str, float]:
    """Percentiles in ms, throughput, errors and answers that differ from the engine's."""
    p50, p95, p99 = (round(1e3 * float(q), 1) for q in np.percentile(times, [50, 95, 99]))
    differ = sum(one is not None and one != truth for one, truth in zip(found, expected, strict=True))
    return {
        "requests": len(times),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "per_second": round(len(times) / seconds, 1),
        "errors": sum(one is None for one in found),
        "different": differ,
    }


def best_of(runs: list[dict]) -> dict:
    """The run of the least median, with errors and differences of all."""
    best = min(runs, key=lambda run: run["p50_ms"])
    return {**best, **{name: sum(run[name] for run in runs) for name in ("errors", "different")}}


def measure(options: argparse.Namespace, prismat: Prismat, size: int, say: Callable[[str], None]) -> dict:
    """Everything at one size."""
    own = Index.open(options.run / "index", prismat.hash)
    folder = options.work / f"index_{size}"
    index = extended(own, size, folder)
    engine, trust = SearchEngine(prismat, index), _confidence(options.run, prismat)
    counts = {clients: max(clients, round(many * options.share)) for clients, many in REQUESTS.items()}
    asked = questions(Store(options.run / "store"), index.table["id"].to_pylist(), max(counts.values()))
    started = time.perf_counter()
    expected = {
        kind: [[hit.id for hit in engine.respond(ask.query, trust).hits] for ask in asks]
        for kind, asks in asked.items()
    }
    alone = (time.perf_counter() - started) / sum(map(len, asked.values()))
    say(f"{size}: {1e3 * alone:.0f} ms a query in the engine alone")
    found: dict = {"records": len(index), "engine_ms": round(1e3 * alone, 1), "levels": []}
    with Server(options.run, folder) as server:
        found["memory_at_start"] = server.memory()
        asyncio.run(level(server.url, [asks[-1] for asks in asked.values()], 1))
        found["memory_after_first"] = server.memory()
        for clients in CLIENTS:
            for kind, asks in asked.items():
                part = asks[: counts[clients]]
                runs = []
                for _ in range(options.repeats):
                    times, ids, seconds = asyncio.run(level(server.url, part, clients))
                    runs.append(figures(times, ids, expected[kind][: len(part)], seconds))
                row = {"clients": clients, "kind": kind, **best_of(runs)}
                found["levels"].append(row)
                say(f"{size} {row}")
        found["memory_at_end"] = server.memory()
    return found


def _confidence(run: Path, prismat: Prismat) -> Confidence | None:
    folder = run / "run" / "confidence"
    return Confidence.load(folder, prismat.hash) if (folder / "confidence.json").is_file() else None


def table(found: list[dict], machine: str) -> str:
    """The figures as Markdown."""
    lines = [
        "| records | clients | query | p50 (ms) | p95 (ms) | p99 (ms) | per second | errors | different |",
        "|---:|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for one in found:
        lines += [
            f"| {one['records']:,} | {row['clients']} | {row['kind']} | {row['p50_ms']:.0f} | "
            f"{row['p95_ms']:.0f} | {row['p99_ms']:.0f} | {row['per_second']:.1f} | {row['errors']} | "
            f"{row['different']} |"
            for row in one["levels"]
        ]
    lines += [
        "",
        "| records | memory at the start (MiB) | after the first answers | at the end | "
        "of these mapped from the index |",
        "|---:|---:|---:|---:|---:|",
    ]
    for one in found:
        start, first, end = (one[f"memory_{at}"] for at in ("at_start", "after_first", "at_end"))
        mapped = end["rss_mib"] - end["anonymous_mib"]
        lines.append(
            f"| {one['records']:,} | {start['rss_mib']:,} | {first['rss_mib']:,} | {end['rss_mib']:,} | "
            f"{mapped:,} |"
        )
    return "\n".join([machine, "", *lines]) + "\n"


def main() -> None:
    """Measures all sizes and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--run", type=Path, default=ROOT / "runs" / "quickstart")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "serve")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=2, help="the run of the least median is reported")
    parser.add_argument("--share", type=float, default=1.0, help="of the requests; less for a quick look")
    options = parser.parse_args()
    torch.set_num_threads(1)
    prismat = load(options.run)
    started = time.perf_counter()
    load_before = os.getloadavg()[0]
    found = [measure(options, prismat, size, lambda line: print(line, flush=True)) for size in options.sizes]
    settings = {
        "k": K,
        "noise": NOISE,
        "seed": SEED,
        "workers": WORKERS,
        "repeats": options.repeats,
        "share": options.share,
    }
    payload = {"settings": settings, "load_before": round(load_before, 1), "sizes": found}
    path = write("serve", {**payload, "seconds": round(time.perf_counter() - started)})
    machine = json.loads(path.read_text(encoding="utf-8"))["machine"]
    words = (
        f"{machine['cpu']}, {machine['cores']} cores, {WORKERS} worker threads, client and server on one "
        f"machine; load average before the run {load_before:.1f}. Best of {options.repeats} runs by median."
    )
    print(table(found, words))


if __name__ == "__main__":
    main()
