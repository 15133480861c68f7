"""Two crystals, recorded runs of Abinit 9.6.2 for them, and programs that stand in for Abinit."""

import stat
import sys
import zipfile
from pathlib import Path

import numpy as np

from prismat.compute.plan import make_plan
from prismat.compute.program import Program
from prismat.compute.pseudopotentials import NAME, Pseudopotentials, choices
from prismat.compute.settings import AbinitSettings, Suitable
from prismat.crystal import Crystal, element_site
from prismat.elements import SYMBOLS

RECORDED = Path(__file__).parent / "compute" / "recorded"

SMALL = AbinitSettings(cutoff_scale=0.3, k_spacing=1.3, k_spacing_metal=1.3, points=12, empty_ev=4.0)
"""Too coarse for physics; as the recorded runs were made."""

SILICON = Crystal(
    np.array([[0.0, 2.7155, 2.7155], [2.7155, 0.0, 2.7155], [2.7155, 2.7155, 0.0]]),
    np.array([[0.0, 0.0, 0.0], [0.25, 0.25, 0.25]]),
    (element_site("Si"),) * 2,
)
MAGNESIUM = Crystal(
    np.array([[3.21, 0.0, 0.0], [-1.605, 1.605 * 3**0.5, 0.0], [0.0, 0.0, 5.21]]),
    np.array([[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]),
    (element_site("Mg"),) * 2,
)
SALT = Crystal(
    np.array([[0.0, 2.8201, 2.8201], [2.8201, 0.0, 2.8201], [2.8201, 2.8201, 0.0]]),
    np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]),
    (element_site("Na"), element_site("Cl")),
)
CRYSTALS = {"si": SILICON, "mg": MAGNESIUM}

_FAKE = """#!{python} -S
import os, pathlib, subprocess, sys, time, zipfile
if sys.argv[1:] == ["--version"]:
    print("9.6.2")
    sys.exit()
mode, here = {mode!r}, pathlib.Path.cwd()
asked = pathlib.Path(sys.argv[1]).read_text()
if "znucl 12" in asked:
    recorded = {folder!r} + "/mg.zip"
elif "znucl 14" in asked:
    recorded = {folder!r} + "/si.zip"
else:
    sys.exit("no such recording")
with open({journal!r}, "a") as stream:
    stream.write(asked.split("znucl")[1].splitlines()[0].strip() + "\\n")
def good(change=lambda name, content: content):
    with zipfile.ZipFile(recorded) as archive:
        for name in archive.namelist():
            if name != "log":
                (here / name).write_bytes(change(name, archive.read(name)))
        print(archive.read("log").decode())
SHORT = b"\\n nstep= 3 was not enough SCF cycles to converge;\\n  maximum energy difference= 1.0E-04"
SHORT += b"\\n--- !ResultsGS"
def unconverged(name, content):
    return content.replace(b"\\n--- !ResultsGS", SHORT, 1) if name == "run.abo" else content
def half(name, content):
    return content[: len(content) // 2] if name == {half!r} else content
if mode == "good":
    good()
elif mode == "unconverged":
    good(unconverged)
elif mode == "converges when gentle":
    good() if "diemix" in asked else good(unconverged)
elif mode == "hang":
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    pathlib.Path({journal!r} + ".child").write_text(str(child.pid))
    time.sleep(60)
elif mode == "spin":
    while True:
        pass
elif mode == "eat memory":
    kept = [bytearray(1 << 24) for _ in range(1000)]
elif mode == "crash":
    print("--- !ERROR\\nsrc_file: m_x.F90\\nmessage: |\\n    The sky fell on k point 3\\n...")
    sys.exit(14)
elif mode == "killed":
    os.kill(os.getpid(), 9)
elif mode == "half":
    good(half)
elif mode == "absent":
    good()
    (here / {half!r}).unlink()
elif mode == "big file":
    with open("big", "wb") as stream:
        for _ in range(100):
            stream.write(bytes(1 << 20))
elif mode == "silent":
    pass
elif mode == "fails for magnesium":
    sys.exit(3) if "mg" in recorded else good()
elif mode == "slow":
    time.sleep(0.5)
    good()
else:
    raise ValueError(mode)
"""


def fake_abinit(folder: Path, mode: str, half: str = "") -> Program:
    """A program that behaves, or misbehaves, as ``mode`` says; ``half`` names the file that suffers.

    What it is asked for is written, a line of atomic numbers each time, to ``journal`` beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "abinit"
    path.write_text(
        _FAKE.format(
            python=sys.executable,
            mode=mode,
            folder=str(RECORDED),
            journal=str(folder / "journal"),
            half=half,
        )
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Program(path, "9.6.2")


def journal(program: Program) -> list[str]:
    """What a stand-in was asked for."""
    path = program.path.with_name("journal")
    return path.read_text().splitlines() if path.is_file() else []


def pseudopotentials(folder: Path) -> Pseudopotentials:
    """Files with the heads of real ones; no more is read of them here."""
    folder.mkdir(parents=True, exist_ok=True)
    for z, (electrons, _) in choices().items():
        text = f"{NAME} of {SYMBOLS[z]}\n {z} {electrons} 010605 zatom,zion,pspdat\n 3 1 1 0 2001 0\n"
        (folder / f"{z}{SYMBOLS[z].lower()}.{electrons}.hgh").write_text(text)
    return Pseudopotentials(folder)


def plan_of(crystal: Crystal, folder: Path, settings: AbinitSettings = SMALL, **suitable: int):
    """The plan of a crystal with such files."""
    return make_plan(crystal, pseudopotentials(folder), settings, Suitable(**suitable))


def recorded(name: str, file: str) -> bytes:
    """A file of a recorded run."""
    with zipfile.ZipFile(RECORDED / f"{name}.zip") as archive:
        return archive.read(file)
