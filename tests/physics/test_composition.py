from suite import StructureEncoderSuite

from prismat.encoders.composition import CompositionConfig, CompositionEncoder


class TestComposition(StructureEncoderSuite):
    sees_shape = False
    sees_positions = False

    def build(self):
        return CompositionEncoder(CompositionConfig(hidden=32, out=8))
