from suite import StructureEncoderSuite

from prismat.encoders.lattice import LatticeConfig, LatticeEncoder


class TestLattice(StructureEncoderSuite):
    sees_shape = False
    mirror_invariant = False  # the space-group number tells P3_121 from P3_221

    def build(self):
        return LatticeEncoder(LatticeConfig(hidden=32, out=8))
