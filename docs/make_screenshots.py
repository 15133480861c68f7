"""Screenshots of the web page for the docs, from a running server.

Usage: python docs/make_screenshots.py --address http://127.0.0.1:8321 --pattern measured.xy
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import tyro
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
SLOW = 120_000
"""Milliseconds; a graphics card drawn in software may be slow."""


@dataclass(frozen=True)
class Options:
    """What to take.

    Attributes:
        address: of a server that ``prismat serve`` started, with a store and a map.
        pattern: a measured .xy file to drop.
        words: searched for, with their conditions.
        heat: words whose heat the phone's map shows.
        out: folder of the pictures.
        only: views to take; all where empty.
    """

    address: str = "http://127.0.0.1:8321"
    pattern: Path = Path("measured.xy")
    words: str = "layered copper oxide superconductor not bismuth +Cu,O density:5.5.."
    heat: str = "zeolite"
    out: Path = Path("docs/images")
    only: tuple[str, ...] = ()


def ask(page: Page, words: str) -> None:
    """Types words and waits for the answer."""
    page.fill("#words", words)
    page.press("#words", "Enter")
    page.wait_for_selector("#results[aria-busy=false] .card-actions")
    page.evaluate("document.activeElement.blur()")


def bring(page: Page, options: Options) -> None:
    """Gives the measured pattern and opens what it finds."""
    page.set_input_files("#file", options.pattern)
    page.wait_for_selector("#results[aria-busy=false] .card-actions")
    page.click(".card h3 a")
    page.wait_for_selector(".plot path.measured")
    page.wait_for_selector(".stage[data-ready]")


def search(page: Page, options: Options) -> None:
    """Results of words and conditions."""
    ask(page, options.words)


def detail(page: Page, options: Options) -> None:
    """The measured over the simulated pattern."""
    bring(page, options)
    page.evaluate("document.activeElement.blur()")


def explain(page: Page, options: Options) -> None:
    """What makes a match of words."""
    ask(page, options.words.split(" not ")[0])
    page.click(".card h3 a")
    page.wait_for_selector(".stage[data-ready]")
    page.click("#explain")
    page.wait_for_selector(".why-part")
    page.mouse.move(2, 2)
    page.evaluate("document.activeElement.blur()")


def world(page: Page, options: Options) -> None:
    """The map, with the results of words."""
    ask(page, options.words.split(" not ")[0])
    page.click("nav [data-tab=map]")
    page.wait_for_selector("#map[data-ready]")
    if page.viewport_size and page.viewport_size["width"] < 600:
        page.fill(".heat input", options.heat)
        page.press(".heat input", "Enter")
        page.wait_for_selector(".ramp")
    page.evaluate("document.activeElement.blur()")


VIEWS: dict[str, Callable[[Page, Options], None]] = {
    "search": search,
    "detail": detail,
    "explain": explain,
    "map": world,
}


def take(browser: Browser, options: Options, view: str, size: str, theme: str) -> Path:
    """One picture."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        device_scale_factor=2 if size == "phone" else 1,
        reduced_motion="reduce",
    )
    context.set_default_timeout(SLOW)
    page = context.new_page()
    page.goto(options.address)
    page.wait_for_selector(".examples")
    VIEWS[view](page, options)
    page.wait_for_timeout(1500)
    path = options.out / f"web_{view}_{size}_{theme}.png"
    page.screenshot(path=path, timeout=SLOW)
    context.close()
    return path


def main(options: Options) -> None:
    """Takes every view in both sizes and both themes."""
    found = os.environ.get("PRISMAT_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver, driver.chromium.launch(executable_path=found, args=FLAGS) as browser:
        for view, size, theme in product(options.only or VIEWS, SIZES, ("light", "dark")):
            path = take(browser, options, view, size, theme)
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main(tyro.cli(Options))
