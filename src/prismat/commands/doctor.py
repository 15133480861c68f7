"""The verb that looks at the installation."""

import importlib.metadata
import importlib.util
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from prismat.packaged import AMCSD, MINILM, cache_dir, locate_present

EXTRAS = {
    "transformers": ("text", "frozen and tuned sentence encoders"),
    "timm": ("image", "images through ResNet-50 and any other network of timm"),
    "torchvision": ("image", "images"),
    "chgnet": ("chgnet", "features of the pretrained CHGNet"),
    "ase": ("ase", "reading ase Atoms"),
    "robocrys": ("describe", "robocrystallographer's descriptions"),
    "ray": ("scale", "preparation on a cluster"),
    "tensorboard": ("tracking", "training curves in TensorBoard"),
}
CORE = (
    "torch",
    "numpy",
    "scipy",
    "pymatgen-core",
    "gemmi",
    "moyopy",
    "vesin",
    "pyarrow",
    "tokenizers",
    "tyro",
)


@dataclass(frozen=True)
class Doctor:
    """Say what is installed, what is missing and how to get it.

    Attributes:
        json: print JSON.
    """

    json: bool = False

    def run(self) -> None:
        """Prints the findings."""
        findings = examine()
        if self.json:
            import json

            print(json.dumps(findings, indent=2, ensure_ascii=False))
            return
        for name, value in findings.items():
            print(f"{name:<24} {value}")


def examine() -> dict[str, str]:
    """Versions, extras, data files, machine."""
    import torch

    found = {"python": platform.python_version(), "machine": f"{platform.machine()}, {platform.system()}"}
    found |= {name: importlib.metadata.version(name) for name in ("prismat", *CORE)}
    found["threads"] = str(torch.get_num_threads())
    found["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "none (not needed)"
    for module, (extra, purpose) in EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        found[module] = (
            importlib.metadata.version(module)
            if there
            else f"missing: pip install 'prismat[{extra}]' for {purpose}"
        )
    found["AMCSD"] = str(locate_present(AMCSD) or "fetched at first use (4 MB)")
    weights = locate_present(MINILM[0])
    found["all-MiniLM-L6-v2"] = str(weights.parent) if weights else "fetched at first use (84 MB)"
    found["abinit"] = shutil.which("abinit") or "missing: apt install abinit abinit-data for prismat compute"
    found["cache"] = str(cache_dir())
    found["free disk"] = f"{shutil.disk_usage(Path.cwd()).free / 2**30:.0f} GB"
    return found
