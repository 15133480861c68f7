import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from prismat.errors import BadInputError, MismatchError
from prismat.groups import key_codes
from prismat.splits import PARTS, Split, check_leaks, count_leaks, group_records, make_split


def naive_groups(fractions, keys, tolerance):
    """Repeated relabelling over all pairs."""
    label = list(range(len(fractions)))
    for i, j in combinations(range(len(fractions)), 2):
        close = np.abs(fractions[i] - fractions[j]).max() <= tolerance + 1e-9
        if close or any(column[i] and column[i] == column[j] for column in keys):
            old, new = label[j], label[i]
            label = [new if x == old else x for x in label]
    return label


def same_partition(a, b):
    return len(set(zip(a, b, strict=True))) == len(set(a)) == len(set(b))


def compositions(n, seed=0, elements=12):
    rng = np.random.default_rng(seed)
    fractions = np.zeros((n, elements))
    for row in fractions:
        which = rng.choice(elements, rng.integers(1, 5), replace=False)
        row[which] = rng.dirichlet(np.full(len(which), 3.0))
    return fractions


@settings(max_examples=40, deadline=None)
@given(
    counts=arrays(np.int64, st.tuples(st.integers(1, 14), st.just(4)), elements=st.integers(0, 40)),
    keys=st.lists(st.sampled_from(["", "", "a", "b", "c"]), min_size=14, max_size=14),
)
def test_groups_agree_with_the_naive_definition(counts, keys):
    counts[:, 0] += counts.sum(axis=1) == 0
    fractions = counts / counts.sum(axis=1, keepdims=True)
    column = keys[: len(fractions)]
    # A tolerance off any ratio of small integers, so that rounding decides nothing.
    found = group_records(fractions, [column], tolerance=0.02345)
    assert same_partition(found, naive_groups(fractions, [column], 0.02345))


def test_groups_agree_where_space_is_cut_into_regions():
    fractions = compositions(700, elements=5)
    found = group_records(fractions, [], tolerance=0.013)
    assert same_partition(found, naive_groups(fractions, [], 0.013))
    assert 20 < len(set(found)) < 700


def test_a_difference_of_the_tolerance_links_and_a_larger_one_does_not():
    fractions = np.array([[0.50, 0.50], [0.52, 0.48], [0.5412, 0.4588]])
    assert group_records(fractions).tolist() == [0, 0, 1]


def test_a_trace_element_does_not_separate():
    fractions = np.array([[0.5, 0.5, 0.0], [0.49, 0.495, 0.015], [0.4, 0.3, 0.3]])
    assert group_records(fractions).tolist() == [0, 0, 1]


def test_links_chain_through_different_kinds_of_key():
    fractions = np.eye(5)
    title = ["t", "t", "", "", ""]
    mineral = ["", "quartz", " Quartz ", "", "t"]
    assert group_records(fractions, [title, mineral]).tolist() == [0, 0, 0, 1, 2]


def test_a_crowd_of_near_equal_compositions_is_one_group_in_bounded_time():
    rng = np.random.default_rng(0)
    fractions = np.concatenate([compositions(2000, 1), np.tile(compositions(1, 2), (4000, 1))])
    fractions[2000:] += rng.uniform(0, 1e-3, (4000, 12))
    fractions /= fractions.sum(axis=1, keepdims=True)
    groups = group_records(fractions)
    assert len(set(groups[2000:])) == 1


def test_a_chain_is_not_broken_where_space_is_cut():
    first = np.linspace(0.1, 0.9, 501)
    fractions = np.stack([first, 1 - first], axis=1)
    assert len(set(group_records(fractions, tolerance=0.00165))) == 1
    assert len(set(group_records(fractions, tolerance=0.00155))) == 501


def test_outsiders_of_a_crowd_are_linked_to_it_or_not():
    first = np.concatenate([np.linspace(0.498, 0.502, 300), [0.52, 0.538, 0.46, 0.559]])
    groups = group_records(np.stack([first, 1 - first], axis=1))
    assert groups.tolist() == [0] * 302 + [1, 2]


def test_records_without_a_structure_are_linked_by_keys_only():
    fractions = np.array([[1.0, 0], [0, 0], [0, 0], [0.0, 1], [0, 0]])
    assert group_records(fractions).tolist() == [0, 1, 2, 3, 4]
    assert group_records(fractions, [["", "t", "", "t", ""]]).tolist() == [0, 1, 2, 1, 3]
    split = Split(("0", "1"), (), ("2", "3", "4"), {})
    assert check_leaks(split, list("01234"), fractions, {}).total == 0


def test_no_records_have_no_groups():
    assert group_records(np.zeros((0, 3)), [[]]).shape == (0,)


def test_key_codes_ignore_case_and_blanks_and_give_no_code_to_no_key():
    assert key_codes(["A b", " a  B", "", "  ", "c"]).tolist() == [0, 0, -1, -1, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: group_records(np.array([[0.5, 0.2]])), "row 0 .* do not add up to 1"),
        (lambda: group_records(np.array([[np.nan, 1.0]])), "row 0 .* do not add up to 1"),
        (lambda: group_records(np.eye(2), [["a"]]), r"keys\[0\]: 1 keys for 2 records"),
        (lambda: group_records(np.eye(2), [], 1.0), "tolerance 1.0 is not in"),
        (lambda: make_split(["a"], np.array([0, 1])), "2 groups for 1 ids"),
        (lambda: make_split(["a"] * 3, np.arange(3), (0.8, 0.3, 0.1)), "do not add up to 1"),
        (lambda: make_split(["a"] * 3, np.arange(3), (0.0, 0.5, 0.5)), "something to train on"),
        (lambda: make_split(["a", "b", "c"], np.array([0, 0, 1])), "2 groups cannot fill 3 parts"),
        (lambda: make_split(["a", "b", "a"], np.arange(3)), "record 'a': an id stands in the split twice"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(BadInputError, match=message):
        call()


def split_of(sizes, fractions=(0.8, 0.1, 0.1), seed=0):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    ids = [f"r{i}" for i in range(len(groups))]
    return ids, groups, make_split(ids, groups, fractions, seed, {"keys": ["title"]})


def test_sizes_are_as_asked_and_the_giant_group_is_in_train():
    sizes = [3000, 500, 200, 120, *([1] * 3000), *([3] * 500), *([9] * 200)]
    ids, groups, split = split_of(sizes)
    assert len(split.train) + len(split.val) + len(split.test) == len(ids)
    for part in ("val", "test"):
        assert len(getattr(split, part)) == pytest.approx(0.1 * len(ids), abs=2)
    rows = split.rows(ids)
    parts = [set(groups[rows[part]]) for part in PARTS]
    assert sum(map(len, parts)) == len(sizes)
    assert {0, 1} <= parts[0]


def test_large_groups_are_held_out_only_where_no_small_ones_are_left():
    _, _, split = split_of([100] * 10)
    assert {len(split.train), len(split.val), len(split.test)} == {800, 100}


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 30), min_size=3, max_size=12), seed=st.integers(0, 99))
def test_every_part_is_filled_and_no_group_is_broken(sizes, seed):
    ids, groups, split = split_of(sizes, seed=seed)
    rows = split.rows(ids)
    assert all(len(rows[part]) for part in PARTS)
    assert sum(len(set(groups[rows[part]])) for part in PARTS) == len(sizes)
    assert np.argmax(sizes) in groups[rows["train"]]


def test_a_part_of_share_zero_stays_empty():
    _, _, split = split_of([1] * 50, (0.9, 0.0, 0.1))
    assert (len(split.val), len(split.test)) == (0, 5)


def test_the_draw_depends_on_the_seed_only():
    sizes = [1] * 200
    assert split_of(sizes)[2].hash == split_of(sizes)[2].hash
    assert set(split_of(sizes)[2].test) != set(split_of(sizes, seed=1)[2].test)


def test_the_hash_knows_parts_and_rule_but_no_order():
    split = Split(("a", "b"), ("c",), ("d",), {"seed": 0})
    assert split.hash == Split(("b", "a"), ("c",), ("d",), {"seed": 0}).hash
    others = [
        Split(("a", "c"), ("b",), ("d",), {"seed": 0}),
        Split(("a", "b"), ("c",), ("d",), {"seed": 1}),
        Split(("a", "b"), ("d",), ("c",), {"seed": 0}),
    ]
    assert len({split.hash, *(o.hash for o in others)}) == 4
    assert len(split.hash) == 64


def test_json_round_trip():
    split = split_of([1] * 30)[2]
    again = Split.from_json(split.to_json())
    assert again == split
    assert again.hash == split.hash
    assert again.rule["keys"] == ["title"]
    assert again.rule["fractions"] == [0.8, 0.1, 0.1]


def changed(**changes):
    content = json.loads(Split(("a",), ("b",), ("c",), {}).to_json())
    return json.dumps({k: v for k, v in (content | changes).items() if v is not None})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a split"),
        ("[]", "not a split"),
        (changed(test=None), "not a split: 'test'"),
        (changed(train=[1]), "an id is not a string"),
        (changed(train=["b"]), "an id stands in the split twice"),
        (changed(train=["z"]), "the ids do not match the hash"),
        (changed(rule={"seed": 3}), "the ids do not match the hash"),
    ],
)
def test_a_damaged_split_file_is_refused(text, message):
    with pytest.raises(BadInputError, match=message):
        Split.from_json(text)


def test_rows_follow_the_split_and_skip_others():
    rows = Split(("c", "a"), ("d",), (), {}).rows(["a", "b", "c", "d"])
    assert {part: r.tolist() for part, r in rows.items()} == {"train": [2, 0], "val": [3], "test": []}


def test_rows_refuse_another_store():
    with pytest.raises(MismatchError, match="2 ids of the split are not among the records, the first 'x'"):
        Split(("a", "x"), ("y",), (), {}).rows(["a", "b"])


def records(n=300):
    rng = np.random.default_rng(4)
    fractions = compositions(n, 4)
    keys = {"title": [f"t{i}" for i in rng.integers(0, 3 * n, n)], "mineral": [""] * n}
    return [f"r{i}" for i in range(n)], fractions, keys


def test_a_grouped_split_has_no_leak():
    ids, fractions, keys = records()
    split = make_split(ids, group_records(fractions, list(keys.values())))
    report = check_leaks(split, ids, fractions, keys)
    assert (report.total, report.keys, report.compositions) == (0, {"title": 0, "mineral": 0}, 0)


def test_leaks_are_counted_by_kind():
    fractions = np.array([[1.0, 0, 0], [0.985, 0.015, 0], [0, 1.0, 0], [0, 0, 1.0], [0, 0.9, 0.1]])
    split = Split(("0", "2"), ("1",), ("3", "4"), {})
    keys = {"title": ["t", "", "u", "T", "u"], "fingerprint": ["a", "b", "a", "c", "d"]}
    report = count_leaks(split, list("01234"), fractions, keys)
    assert report.keys == {"title": 2, "fingerprint": 0}
    assert report.compositions == 1
    assert report.total == 3


def test_a_held_out_record_is_counted_once():
    fractions = np.array([[1.0, 0], [1.0, 0], [1.0, 0], [0.0, 1]])
    split = Split(("0",), ("1",), ("2", "3"), {})
    assert count_leaks(split, list("0123"), fractions, {}).compositions == 2


def test_a_leaking_split_is_refused():
    ids, fractions, keys = records()
    keys = keys | {"mineral": ["halite"] * len(ids)}
    split = make_split(ids, np.arange(len(ids)))
    with pytest.raises(BadInputError, match=r"the split leaks across its parts: .*mineral 1"):
        check_leaks(split, ids, fractions, keys)
