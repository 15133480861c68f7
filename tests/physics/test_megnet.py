from suite import StructureEncoderSuite

from prismat.encoders.megnet import Megnet, MegnetConfig


class TestMegnet(StructureEncoderSuite):
    def build(self):
        return Megnet(MegnetConfig(width=12, hidden=16, readout=8, out=8))
