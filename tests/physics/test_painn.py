from suite import StructureEncoderSuite

from prismat.encoders.painn import Painn, PainnConfig


class TestPainn(StructureEncoderSuite):
    def build(self):
        return Painn(PainnConfig(width=16, layers=3, out=8))
