from suite import StructureEncoderSuite

from prismat.encoders.potnet import PotNet, PotNetConfig


class TestPotNet(StructureEncoderSuite):
    extras = ("potentials",)

    def build(self):
        return PotNet(PotNetConfig(width=16, layers=3, out=8, edge_centers=32, pair_centers=32))
