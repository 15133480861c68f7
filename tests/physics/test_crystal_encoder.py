from suite import StructureEncoderSuite

from prismat.encoders.cgcnn import CgcnnConfig
from prismat.encoders.composition import CompositionConfig
from prismat.encoders.crystal import CrystalConfig, CrystalEncoder, GraphConfigs
from prismat.encoders.lattice import LatticeConfig
from prismat.encoders.mpgnn import MpgnnConfig


class TestCrystalEncoder(StructureEncoderSuite):
    mirror_invariant = False  # as of its lattice part

    def build(self):
        config = CrystalConfig(
            parts=("cgcnn", "mpgnn", "composition", "lattice"),
            width=8,
            graphs=GraphConfigs(
                cgcnn=CgcnnConfig(width=16, layers=2, out=8), mpgnn=MpgnnConfig(width=8, layers=2)
            ),
            composition=CompositionConfig(hidden=32, out=8),
            lattice=LatticeConfig(hidden=32, out=8),
        )
        return CrystalEncoder(config)
