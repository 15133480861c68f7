from suite import StructureEncoderSuite

from prismat.encoders.cgcnn import Cgcnn, CgcnnConfig


class TestCgcnn(StructureEncoderSuite):
    def build(self):
        return Cgcnn(CgcnnConfig(width=16, layers=3, out=8))


class TestCgcnnWithoutNormalization(StructureEncoderSuite):
    def build(self):
        return Cgcnn(CgcnnConfig(width=16, layers=2, out=8, normalize=False))
