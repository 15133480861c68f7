"""Batches of every window moved from one device to another; ``meta`` stands in for a GPU."""

from dataclasses import dataclass, fields, is_dataclass

import numpy as np
import pytest
import torch

import helpers_crystals as real
import helpers_windows as windows
from prismat.api import recipe_modalities
from prismat.device import moved
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.charge_density import DensityBatch
from prismat.modalities.dos import DosBatch
from prismat.modalities.image import ImageBatch
from prismat.modalities.profile import XrdBatch
from prismat.modalities.properties import PropertiesBatch
from prismat.modalities.structure import StructureBatch, StructureModality, StructureSettings
from prismat.modalities.text import FrozenTextBatch, TokenBatch, pad_tokens

BATCHES = {
    "xrd": XrdBatch,
    "image": ImageBatch,
    "dos": DosBatch,
    "phonon_dos": DosBatch,
    "charge_density": DensityBatch,
    "properties": PropertiesBatch,
}


def structure(*extras):
    modality = StructureModality(StructureSettings(extras=extras))
    crystals = [Material(n, c) for n, c in list(real.crystals().items())[:3]]
    return modality.collate(pack_features(modality.columns, [modality.featurize(m) for m in crystals]))


def measured(window):
    modality = recipe_modalities(windows.recipe(window, "structure"))[window]
    packed = pack_features(modality.columns, [modality.featurize(m) for m in windows.materials()[:4]])
    return modality.collate(packed)


def made():
    found = {"structure": structure(), "potentials": structure("potentials")}
    found |= {window: measured(window) for window in BATCHES}
    frozen = FrozenTextBatch(torch.zeros(2, 3), torch.ones(2, 4), torch.tensor([True, False]))
    return found | {"tokens": pad_tokens([[2, 5, 3], [2]], [True, False]), "frozen": frozen}


@pytest.fixture(scope="module")
def batches():
    return made()


def test_every_kind_of_batch_is_here(batches):
    kinds = {type(b) for b in batches.values()}
    assert kinds == {StructureBatch, TokenBatch, FrozenTextBatch, *BATCHES.values()}
    assert {w: type(batches[w]) for w in BATCHES} == BATCHES
    assert batches["potentials"].potential is not None
    assert batches["structure"].potential is None


@pytest.mark.parametrize("name", ["structure", "potentials", "tokens", "frozen", *BATCHES])
def test_every_tensor_moves_and_nothing_else_changes(batches, name):
    batch = batches[name]
    there = moved(batch, "meta")
    assert type(there) is type(batch)
    for field in fields(batch):
        before, after = getattr(batch, field.name), getattr(there, field.name)
        if isinstance(before, torch.Tensor):
            assert after.device.type == "meta"
            assert (after.shape, after.dtype) == (before.shape, before.dtype)
            assert before.device.type == "cpu"
        else:
            assert after is before
    assert sum(isinstance(getattr(batch, f.name), torch.Tensor) for f in fields(batch)) >= 2


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_what_is_there_already_stays_the_same_object(batches, device):
    for batch in batches.values():
        assert moved(batch, device) is batch


@dataclass(frozen=True)
class Outer:
    inner: XrdBatch
    number: int
    name: str
    nothing: torch.Tensor | None = None


def test_batches_inside_batches_move_along():
    inner = XrdBatch(torch.zeros(2, 5), torch.ones(2) > 0)
    outer = Outer(inner, 3, "meta")
    there = moved(outer, "meta")
    assert is_dataclass(there)
    assert there.inner.profile.device.type == there.inner.present.device.type == "meta"
    assert (there.number, there.name, there.nothing) == (3, "meta", None)
    assert moved(outer, "cpu") is outer
    assert moved(torch.zeros(2), "meta").device.type == "meta"
    values = np.zeros(3)
    assert moved(values, "meta") is values
