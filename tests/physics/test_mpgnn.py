from suite import StructureEncoderSuite

from prismat.encoders.mpgnn import Mpgnn, MpgnnConfig


class TestMpgnn(StructureEncoderSuite):
    sees_shape = False

    def build(self):
        return Mpgnn(MpgnnConfig(width=16, layers=3))


class TestFilteredMpgnn(StructureEncoderSuite):
    sees_shape = True

    def build(self):
        return Mpgnn(MpgnnConfig(width=16, layers=3, filtered=True))
