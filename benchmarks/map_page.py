"""Frames of the page of a map with 10⁵ points, while it is dragged and zoomed in a headless browser.

The points are synthetic (twenty Gaussian clouds, seeded). The page draws on the processor, with or without a
graphics card. Run: python benchmarks/map_page.py [--points 100000]
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
from _machine import write
from playwright.sync_api import Page, sync_playwright

from prismat.maps.page import map_page
from prismat.maps.world import Cluster, MaterialsMap

CLUSTERS, SEED, FRAMES = 20, 0, 120
WINDOW = {"width": 1440, "height": 900}
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
DRAG = """async frames => {
  const map = window.prismatMap, gaps = [], draws = [], drawn = [];
  let last = performance.now();
  for (let i = 0; i < frames; i++) {
    map.state.x += 0.004 * Math.cos(i / 9); map.state.y += 0.004 * Math.sin(i / 9);
    map.state.scale *= i % 60 < 30 ? 1.01 : 1 / 1.01;
    map.move();
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    gaps.push(now - last); draws.push(map.state.last); drawn.push(map.state.drawn); last = now;
  }
  await new Promise(done => setTimeout(done, 600));
  return {gaps, draws, drawn, still: map.state.last, still_drawn: map.state.drawn};
}"""


def synthetic(points: int) -> MaterialsMap:
    """A map of so many points in clouds."""
    rng = np.random.default_rng(SEED)
    middle = rng.uniform(-0.8, 0.8, (CLUSTERS, 2))
    cluster = rng.integers(0, CLUSTERS, points)
    xy = np.clip(middle[cluster] + rng.normal(0, 0.07, (points, 2)), -1, 1).astype(np.float32)
    named = tuple(
        Cluster(f"cloud {i}", (f"cloud {i}",), int((cluster == i).sum()), *map(float, middle[i]))
        for i in range(CLUSTERS)
    )
    names = tuple(f"p{i:06d}" for i in range(points))
    return MaterialsMap(
        names, names, names, xy, cluster.astype(np.int16), named, {}, {}, "pca", "synthetic", "none"
    )


def measured(page: Page) -> dict[str, float]:
    """Times of frames in milliseconds and points drawn in them."""
    found = page.evaluate(DRAG, FRAMES)
    gaps, draws = np.array(found["gaps"][5:]), np.array(found["draws"][5:])
    return {
        "frame_p50_ms": round(float(np.median(gaps)), 1),
        "frame_p95_ms": round(float(np.percentile(gaps, 95)), 1),
        "draw_p50_ms": round(float(np.median(draws)), 1),
        "draw_p95_ms": round(float(np.percentile(draws, 95)), 1),
        "points_in_a_moving_frame": int(np.median(found["drawn"][5:])),
        "draw_of_all_ms": round(found["still"], 1),
        "points_at_rest": found["still_drawn"],
    }


def main() -> None:
    """Measures and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100_000)
    options = parser.parse_args()
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        path = Path(folder) / "map.html"
        path.write_text(map_page(synthetic(options.points), "Frames", "Synthetic points."), encoding="utf-8")
        browser = play.chromium.launch(executable_path=browser_path, args=FLAGS)
        page = browser.new_page(viewport=WINDOW)
        page.goto(path.as_uri())
        page.wait_for_function("window.prismatMap && window.prismatMap.state.drawn > 0", timeout=60_000)
        found = measured(page)
        browser.close()
        size = path.stat().st_size
    result = {"points": options.points, "frames": FRAMES, "window": WINDOW, "page_bytes": size, **found}
    write("map_page", result)
    print(result)


if __name__ == "__main__":
    main()
