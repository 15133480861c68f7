"""The worked example of docs/extending.md, held to what every other part obeys."""

import importlib.util
from pathlib import Path

import pytest
import torch
from suite import StructureEncoderSuite

from prismat.modalities.base import Modality, pack_features

ROOT = Path(__file__).parents[2]
PATH = ROOT / "examples" / "5_own_encoder_and_window.py"


def _example():
    spec = importlib.util.spec_from_file_location("example_five", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example = _example()


class TestRadialEncoder(StructureEncoderSuite):
    def build(self):
        return example.RadialEncoder(example.RadialConfig(width=16, out=8))


def test_formula_window_is_a_modality():
    modality = example.FormulaModality()
    assert isinstance(modality, Modality)
    materials = example.crystals()
    features = [None, *(modality.featurize(m) for m in materials)]
    batch = modality.collate(pack_features(modality.columns, features))
    assert batch.present.tolist() == [False] + [True] * len(materials)
    torch.testing.assert_close(batch.fractions.sum(1), torch.tensor([0.0] + [1.0] * len(materials)))
    salt = [m.id for m in materials].index("NaCl") + 1
    assert batch.fractions[salt, [11, 17]].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("name", ["RadialEncoder", "FormulaModality", "FormulaEncoder"])
def test_the_page_shows_the_example_as_it_is(name):
    """Code blocks of docs/extending.md are cut from the example, so they cannot grow old."""
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    source = PATH.read_text(encoding="utf-8")
    start = source.index(f"class {name}")
    whole = source[start:].split("\n\n\n")[0]
    assert whole in page
