from suite import StructureEncoderSuite

from prismat.encoders.alignn import Alignn, AlignnConfig


class TestAlignn(StructureEncoderSuite):
    def build(self):
        return Alignn(AlignnConfig(width=16, embedding=8, alignn_layers=2, gcn_layers=1))


class TestAlignnOfNearestBondsPooledOverAtoms(StructureEncoderSuite):
    """As published: atoms alone are pooled, and those of one element cannot tell diamond from graphite."""

    sees_positions = False

    def build(self):
        config = AlignnConfig(
            width=16, embedding=8, alignn_layers=1, gcn_layers=1, angle_neighbors=4, pool_links=False
        )
        return Alignn(config)
