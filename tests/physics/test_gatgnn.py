from suite import StructureEncoderSuite

from prismat.encoders.gatgnn import Gatgnn, GatgnnConfig


class TestGatgnn(StructureEncoderSuite):
    def build(self):
        return Gatgnn(GatgnnConfig(width=16, heads=2, out=8))
