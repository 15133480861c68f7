import numpy as np

from prismat.modalities.base import pack_features

COLUMNS = {"a.x": (np.dtype(np.float32), (3,)), "a.n": (np.dtype(np.int16), ())}


def test_absent_records_have_length_zero():
    row = {"a.x": np.ones((2, 3)), "a.n": np.array([7])}
    packed = pack_features(COLUMNS, [None, row, None])
    assert packed["a.x"].lengths.tolist() == [0, 2, 0]
    assert packed["a.n"].lengths.tolist() == [0, 1, 0]
    assert packed["a.n"][1].tolist() == [7]


def test_types_and_shapes_are_those_of_the_columns():
    packed = pack_features(COLUMNS, [None])
    assert packed["a.x"].values.shape == (0, 3)
    assert packed["a.x"].values.dtype == np.float32
    assert packed["a.n"].values.dtype == np.int16


def test_columns_without_records_keep_type_and_shape():
    packed = pack_features(COLUMNS, [])
    assert (packed["a.x"].values.shape, packed["a.x"].values.dtype) == ((0, 3), np.float32)
    assert len(packed["a.n"]) == 0
