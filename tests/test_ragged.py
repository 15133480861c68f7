import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from prismat.ragged import Ragged, pack, ranges, take

lists = st.lists(st.lists(st.integers(-99, 99), max_size=6), min_size=1, max_size=12)


@given(lists)
def test_pack_keeps_every_row(rows):
    packed = pack([np.array(r, dtype=np.int64) for r in rows])
    assert len(packed) == len(rows)
    assert [packed[i].tolist() for i in range(len(rows))] == rows
    assert packed.offsets[-1] == len(packed.values)


@given(lists, st.data())
def test_take_equals_naive_slicing_in_any_order_with_repeats(rows, data):
    packed = pack([np.array(r, dtype=np.int64) for r in rows])
    wanted = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=20))
    taken = take(packed.values, packed.offsets, np.array(wanted, dtype=np.int64))
    assert [taken[i].tolist() for i in range(len(wanted))] == [rows[i] for i in wanted]


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 5)), max_size=10))
def test_ranges_equal_naive_ranges(pairs):
    starts, lengths = (np.array([p[k] for p in pairs], dtype=np.int64) for k in (0, 1))
    naive = [i for start, length in pairs for i in range(start, start + length)]
    assert ranges(starts, lengths).tolist() == naive


def test_ranges_do_not_overflow_small_integers():
    found = ranges(np.array([120, 5], dtype=np.int8), np.array([100, 100], dtype=np.int8))
    assert found[99] == 219
    assert found[-1] == 104


def test_trailing_shape_and_type_are_kept():
    packed = pack([np.ones((2, 3), np.float32), np.zeros((0, 3), np.float32)])
    assert packed.values.dtype == np.float32
    assert packed[1].shape == (0, 3)
    taken = take(packed.values, packed.offsets, np.array([1, 0, 1]))
    assert taken.lengths.tolist() == [0, 2, 0]
    assert taken.values.shape == (2, 3)


def test_no_rows():
    assert len(pack([])) == 0
    assert len(Ragged(np.zeros(0), np.zeros(0, dtype=np.int64)).offsets) == 1
