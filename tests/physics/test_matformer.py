from suite import StructureEncoderSuite

from prismat.encoders.matformer import Matformer, MatformerConfig


class TestMatformer(StructureEncoderSuite):
    def build(self):
        return Matformer(MatformerConfig(width=16, heads=2, layers=2, out=8))


class TestMatformerWithoutSelfEdges(StructureEncoderSuite):
    def build(self):
        return Matformer(MatformerConfig(width=16, heads=1, layers=1, out=8, self_edges=False))
