import pytest
import torch
from suite import StructureEncoderSuite, to_batch

pytest.importorskip("chgnet")

import helpers_crystals as real
from prismat.encoders.chgnet import Chgnet, ChgnetConfig


class TestChgnet(StructureEncoderSuite):
    extras = ("chgnet",)
    sees_shape = False  # CHGNet reads no molecules

    def build(self):
        return Chgnet(ChgnetConfig(hidden=32, out=8))

    def test_crystals_are_told_apart(self, encoder):
        """Ordered ones are; disordered ones, which CHGNet cannot read, share one vector."""
        with torch.no_grad():
            found = encoder(to_batch(self.original()))
        disordered = torch.tensor([name in real.DISORDERED for name in real.crystals()])
        ordered = found[~disordered]
        distance = torch.cdist(ordered, ordered) / ordered.norm(dim=1).mean() + torch.eye(len(ordered))
        assert distance.min() > 1e-3
        assert (found[disordered] == found[disordered][0]).all()
        assert (found[~disordered] != found[disordered][0]).any(1).all()
