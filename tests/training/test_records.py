import numpy as np
import pytest

import helpers_small as small
from prismat.elements import atomic_number
from prismat.material import Material
from prismat.prepare import PrepareSettings, prepare
from prismat.training.records import fraction_matrix, read_records


@pytest.fixture(scope="module")
def records(small_prepared):
    return small_prepared.records


def test_rows_follow_the_store(records, small_store):
    kept = [m for m in small.materials() if isinstance(m, Material)]
    assert len(records) == len(small_store) == len(kept)
    assert records.ids == [m.id for m in kept]
    assert records.titles == [m.texts.get("title", "") for m in kept]
    assert records.minerals == [m.tags.get("mineral", "") for m in kept]
    assert {"Halite", ""} < set(records.minerals)
    assert set(records.publications) == {""}


def test_fractions_are_those_of_the_crystals(records):
    for row, name in enumerate(records.ids):
        expected = np.zeros(99)
        for symbol, share in small.crystal(name).fractions.items():
            expected[atomic_number(symbol)] = share
        np.testing.assert_allclose(records.fractions[row], expected, atol=1e-6)


def test_fraction_matrix_takes_records_without_elements():
    matrix = fraction_matrix([["Na", "Cl"], [], ["O"]], [[0.5, 0.5], [], [1.0]])
    assert matrix.shape == (3, 99)
    assert matrix.sum(axis=1).tolist() == [1, 0, 1]
    assert matrix[0, [11, 17]].tolist() == [0.5, 0.5]


def test_labels_join_duplicates_and_nothing_else(records):
    def of(label, id):
        return label[records.ids.index(id)]

    structure, text = records.structure_label, records.text_label
    assert of(structure, "rock_salt_Na-Cl") == of(structure, "halite_again")
    assert len(set(structure)) == len(records) - 1
    assert of(text, "rock_salt_Na-Cl") == of(text, "shared_text")
    empty = sum(not t for t in records.titles)
    assert empty > 3
    assert len(set(text)) == len({*records.titles} - {""}) + empty


def test_records_without_a_structure_are_nobodys_duplicates(tmp_path):
    settings = PrepareSettings(profile=small.tiny_recipe().profile, workers=1)
    records = read_records(prepare(small.SmallSource(small.patchy()), tmp_path / "store", settings))
    bare = np.flatnonzero(~records.fractions.any(axis=1))
    assert len(bare) == 16
    assert len(set(records.structure_label)) == len(records)
