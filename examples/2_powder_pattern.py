"""Simulates powder patterns, renders clean and distorted profiles, and draws them.

Run: python examples/2_powder_pattern.py
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from prismat import Material, Pattern
from prismat.modalities.base import pack_features
from prismat.modalities.profile import ProfileNoise, ProfileSettings, XrdModality, from_measured
from prismat.modalities.xrd import powder_lines

HALITE = """data_halite
_cell_length_a 5.6402
_cell_length_b 5.6402
_cell_length_c 5.6402
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Na 0 0 0
Cl 0.5 0.5 0.5
"""


def main() -> None:
    material = Material.of(HALITE, id="halite")
    lines = powder_lines(material.structure)
    print("2θ (Cu Kα)  intensity")
    for place in np.argsort(-lines.intensity)[:5]:
        print(f"{lines.two_theta[place]:8.2f}°  {lines.intensity[place]:9.1f}")

    settings = ProfileSettings()
    window = XrdModality(settings)
    packed = pack_features(window.columns, [window.featurize(material)])
    clean = window.collate(packed).profile[0].numpy()
    distorted = window.collate(packed, ProfileNoise(), torch.Generator().manual_seed(0)).profile[0].numpy()

    scan = measure(lines.two_theta, lines.intensity)
    measured = from_measured(scan, settings)
    cosine = float(clean @ measured) / float(np.linalg.norm(clean) * np.linalg.norm(measured))
    print(f"cosine of the simulated and the 'measured' profile: {cosine:.2f}")
    assert cosine > 0.8

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.add_subplot(xlabel="q = 4π sin θ / λ (1/Å)", ylabel="√intensity, shifted")
    for shift, (name, profile) in enumerate(
        {"clean": clean, "distorted for training": distorted, "scan, cleaned": measured}.items()
    ):
        axes.plot(settings.grid, profile + 8 * shift, lw=0.8, label=name)
    axes.legend()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "halite.png"
        figure.savefig(path, dpi=150)
        print(f"drew {path.name}, {path.stat().st_size / 1000:.0f} kB")


def measure(two_theta: np.ndarray, intensity: np.ndarray) -> Pattern:
    """A scan as an instrument would give it: broad peaks on a falling background, with counting noise."""
    angles = np.arange(10, 86, 0.02)
    peaks = intensity @ np.exp(-(((angles - two_theta[:, None]) / 0.06) ** 2))
    counts = np.random.default_rng(0).poisson(20 * peaks + 60 * np.exp(-angles / 40))
    return Pattern(angles, counts.astype(float))


if __name__ == "__main__":
    main()
