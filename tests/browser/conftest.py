"""A real server over the small run, and a real browser that may talk to nothing else."""

import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra app is not installed")
pytest.importorskip("uvicorn", reason="the extra app is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

import helpers_small as small  # noqa: E402
from prismat.app.limits import Limits  # noqa: E402
from prismat.app.server import make_app  # noqa: E402
from prismat.app.state import Places, open_served  # noqa: E402
from prismat.formats import to_cif  # noqa: E402
from prismat.maps.build import MapConfig, make_map  # noqa: E402

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
FLAGS = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # WebGL without a graphics card.
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
INSTALL_SECONDS = 60


def find_browser(driver):
    """Path of a Chromium; None where none can be had."""
    named = os.environ.get("PRISMAT_CHROMIUM")
    own = Path(driver.chromium.executable_path)
    found = (
        named or next(filter(None, map(shutil.which, NAMES)), None) or (str(own) if own.exists() else None)
    )
    if found:
        return found
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return str(own) if own.exists() else None


@pytest.fixture(scope="session")
def browser():
    """One headless Chromium for all tests."""
    with playwright.sync_playwright() as driver:
        path = find_browser(driver)
        if path is None:
            pytest.skip(
                "no Chromium: set PRISMAT_CHROMIUM, put one on the PATH, or run playwright install chromium"
            )
        with driver.chromium.launch(executable_path=path, args=list(FLAGS)) as chromium:
            yield chromium


@pytest.fixture(scope="session")
def site(small_whole):
    """Address of a server over the small run, with a map of four clusters."""
    import uvicorn

    served = open_served(Places(small_whole.folder))
    world = make_map(served.prismat, served.index, MapConfig(method="pca", clusters=4))
    app = make_app(replace(served, world=world.bound(served.index)), Limits(per_second=0.0))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server took a minute"
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def visit(browser, site):
    """Opens the page in a fresh context; at the end nothing may have failed or left this machine."""
    contexts, faults = [], []

    def make(fragment="", **settings):
        options = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}
        context = browser.new_context(**{**options, **settings})
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: m.type == "error" and faults.append(f"console: {m.text}"))
        page.on("pageerror", lambda error: faults.append(f"page: {error}"))
        page.on("request", lambda r: _is_foreign(r.url, site) and faults.append(f"request: {r.url}"))
        page.goto(site + fragment)
        page.wait_for_selector("#served b", state="attached")
        return page

    make.faults = faults
    yield make
    for context in contexts:
        context.close()
    assert faults == []


def _is_foreign(url, site):
    return not url.startswith((site, "blob:" + site.rstrip("/"), "data:"))


@pytest.fixture(scope="session")
def cif_text():
    """A crystal of the small set as CIF."""
    return to_cif(small.crystal("spinel_Mg-Al-O"), name="spinel")


@pytest.fixture(scope="session")
def xy_text():
    """A pattern of the small set as an instrument would give it."""
    pattern = small.measured("rock_salt_Na-Cl")
    rows = zip(pattern.two_theta, pattern.intensity, strict=True)
    return "\n".join(f"{angle:.4f} {count:.4f}" for angle, count in rows) + "\n"
