import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from prismat.duplicates import duplicate_structures, same_matrix, text_labels

CELL = np.array([5.0, 6.0, 7.0, 90.0, 95.0, 90.0])


def labels(changes):
    """Labels of one crystal under small changes (fraction, cell, space group, sites)."""
    fractions = np.array([[0.5 + f, 0.5 - f] for f, *_ in changes])
    cells = np.stack(
        [CELL * np.r_[np.full(3, 1 + a), np.ones(3)] + np.r_[0, 0, 0, 0, b, 0] for _, a, b, *_ in changes]
    )
    return duplicate_structures(
        fractions, cells, np.array([c[3] for c in changes]), np.array([c[4] for c in changes])
    ).tolist()


def test_what_counts_as_the_same_crystal():
    base = (0, 0, 0, 14, 8)
    near = (0.004, 0.004, 0.4, 14, 8)
    others = [
        (0.006, 0, 0, 14, 8),
        (0, 0.006, 0, 14, 8),
        (0, 0, 0.6, 14, 8),
        (0, 0, 0, 15, 8),
        (0, 0, 0, 14, 9),
    ]
    assert labels([base, near]) == [0, 0]
    for other in others:
        assert labels([base, other]) == [0, 1], other


def test_links_are_transitive():
    chain = [(0, 0.004 * i, 0, 14, 8) for i in range(4)]
    assert labels(chain) == [0, 0, 0, 0]
    assert len(set(labels(chain[::3]))) == 2


def test_single_record_is_its_own_group():
    assert labels([(0, 0, 0, 1, 1)]) == [0]


def test_absent_structures_are_not_duplicates_of_present_ones():
    found = duplicate_structures(
        np.array([[0.0, 0.0], [0.5, 0.5]]), np.array([np.zeros(6), CELL]), np.array([0, 14]), np.array([0, 8])
    )
    assert found[0] != found[1]


def test_texts_agree_whatever_case_and_spaces():
    found = text_labels(["A  title", "a TITLE ", "another", "", "", "  "])
    assert found[0] == found[1]
    assert len(set(found.tolist())) == 5


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.data())
def test_same_matrix_equals_naive(first, data):
    second = data.draw(st.lists(st.integers(0, 3), min_size=len(first), max_size=len(first)))
    found = same_matrix(np.array(first), np.array(second))
    naive = [
        [a == c or b == d for c, d in zip(first, second, strict=True)]
        for a, b in zip(first, second, strict=True)
    ]
    assert found.tolist() == naive
