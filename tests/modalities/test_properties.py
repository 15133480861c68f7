"""The property window: single materials and whole tables must agree, and nothing without a unit passes."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prismat.errors import BadInputError
from prismat.material import Material, Property
from prismat.modalities.base import Modality, pack_features
from prismat.modalities.properties import PropertiesModality, PropertiesSettings, PropertySpec
from prismat.prepare import TABLE, describe
from prismat.ragged import take

SETTINGS = PropertiesSettings(
    (PropertySpec("gap", "eV"), PropertySpec("bulk", "GPa", log=True), PropertySpec("ratio", ""))
)
MODALITY = PropertiesModality(SETTINGS)


def material(id: str = "a", **properties: tuple[float, str]) -> Material:
    return Material(id, properties={k: Property(*v) for k, v in properties.items()})


MATERIALS = [
    material("a", gap=(1500.0, "meV"), bulk=(1000.0, "kbar"), ratio=(0.3, "")),
    material("b", bulk=(10.0, "GPa"), colour=(3.0, "stars")),
    material("c"),
    material("d", colour=(3.0, "stars")),
    material("e", gap=(0.0, "eV"), ratio=(20.0, "%")),
    material("f", ratio=(-1.0, "")),
]
WANTED = np.array(
    [[1.5, 2, 0.3], [np.nan, 1, np.nan], [np.nan] * 3, [np.nan] * 3, [0, np.nan, 0.2], [np.nan, np.nan, -1]]
)


def column(materials: list[Material]) -> pa.ChunkedArray:
    return pa.Table.from_pylist([describe(m, None) for m in materials], schema=TABLE)["properties"]


def test_values_units_and_gaps():
    assert isinstance(MODALITY, Modality)
    rows = [MODALITY.featurize(m) for m in MATERIALS]
    assert [r is None for r in rows] == [False, False, True, True, False, False]
    batch = MODALITY.collate(pack_features(MODALITY.columns, rows))
    assert np.array_equal(batch.mask, np.isfinite(WANTED))
    assert batch.values.numpy() == pytest.approx(np.nan_to_num(WANTED), rel=1e-6)
    assert batch.present.tolist() == [True, True, False, False, True, True]


def test_a_whole_table_gives_the_same():
    one_by_one = pack_features(MODALITY.columns, [MODALITY.featurize(m) for m in MATERIALS])
    whole = MODALITY.rows(column(MATERIALS))
    assert np.array_equal(whole.lengths, one_by_one["properties.values"].lengths)
    assert np.array_equal(whole.values, one_by_one["properties.values"].values, equal_nan=True)
    assert whole.values.dtype == np.float32


def test_any_piece_of_a_table():
    both = pa.chunked_array([*column(MATERIALS).chunks, *column(MATERIALS[:2]).chunks])
    whole = MODALITY.rows(both)
    assert len(whole) == 8
    piece = MODALITY.rows(both.slice(3, 4))
    wanted = take(whole.values, whole.offsets, np.arange(3, 7))
    assert np.array_equal(piece.lengths, wanted.lengths)
    assert np.array_equal(piece.values, wanted.values, equal_nan=True)
    missing = pa.array(
        [None, [], [{"name": "gap", "value": 2.0, "unit": "eV"}]], TABLE.field("properties").type
    )
    assert MODALITY.rows(missing).lengths.tolist() == [0, 0, 3]
    assert len(MODALITY.rows(missing.slice(0, 0))) == 0
    assert MODALITY.rows(missing.slice(2)).values[0] == 2


UNITS = {"gap": ["eV", "meV"], "bulk": ["GPa", "kbar"], "ratio": ["", "%"], "other": ["", "eV"]}
PROPERTY = st.sampled_from(list(UNITS)).flatmap(
    lambda name: st.tuples(st.just(name), st.floats(1e-3, 1e6), st.sampled_from(UNITS[name]))
)


@given(st.lists(st.lists(PROPERTY, max_size=5), max_size=12))
@settings(max_examples=40)
def test_tables_and_single_materials_agree(records):
    materials = [material(str(n), **{k: (v, u) for k, v, u in r}) for n, r in enumerate(records)]
    packed = pack_features(MODALITY.columns, [MODALITY.featurize(m) for m in materials])["properties.values"]
    whole = MODALITY.rows(column(materials))
    assert np.array_equal(whole.lengths, packed.lengths)
    assert np.array_equal(whole.values, packed.values, equal_nan=True)


def test_no_properties_at_all():
    nothing = PropertiesModality()
    assert nothing.featurize(MATERIALS[0]) is None
    assert nothing.rows(column(MATERIALS)).lengths.tolist() == [0] * 6
    batch = nothing.collate(pack_features(nothing.columns, [None, None]))
    assert batch.values.shape == (2, 0)
    assert not batch.present.any()


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"gap": (1.0, "")}, "property 'gap': a value without a unit where 'eV' is wanted.*Give its unit"),
        ({"gap": (1.0, "GPa")}, r"'GPa' \(pressure\) does not convert to 'eV' \(energy\)"),
        ({"gap": (1.0, "electronvolts")}, "unknown unit 'electronvolts'"),
        ({"ratio": (1.0, "eV")}, "does not convert to ''"),
        ({"gap": (float("nan"), "eV")}, "a value of nan.*leave the property out"),
        ({"gap": (float("inf"), "eV")}, "a value of inf"),
        ({"gap": (1e20, "eV")}, r"a value of 1e\+20, beyond 1e\+15.*log=True"),
        ({"bulk": (0.0, "GPa")}, "a value of 0, which has no logarithm.*log=False"),
        ({"bulk": (-5.0, "GPa")}, "a value of -5, which has no logarithm"),
    ],
)
def test_refusals_name_record_property_and_remedy(properties, message):
    bad = material("mp-7", **properties)
    with pytest.raises(BadInputError, match=message) as caught:
        MODALITY.featurize(bad)
    assert caught.value.record == "mp-7"
    assert caught.value.remedy
    several = [MATERIALS[0], MATERIALS[2], bad]
    with pytest.raises(BadInputError, match=message) as caught:
        MODALITY.rows(column(several), [m.id for m in several])
    assert caught.value.record == "mp-7"
    with pytest.raises(BadInputError, match=message) as caught:
        MODALITY.rows(column(several))
    assert caught.value.record == "2"


def test_large_quantities_as_logarithms():
    modality = PropertiesModality(PropertiesSettings((PropertySpec("carriers", "1/cm3", log=True),)))
    row = modality.featurize(material(carriers=(1e21, "1/cm³")))
    assert row["properties.values"][0] == pytest.approx(21)


def test_bad_settings_and_rows_of_others():
    for names in (("a", "a"), ("",)):
        with pytest.raises(BadInputError, match="Name every property once"):
            PropertiesSettings(tuple(PropertySpec(n, "eV") for n in names))
    packed = pack_features(MODALITY.columns, [MODALITY.featurize(MATERIALS[0])])
    other = PropertiesModality(PropertiesSettings(SETTINGS.properties[:2]))
    with pytest.raises(BadInputError, match=r"rows of \[3\] properties where the settings name 2"):
        other.collate(packed)
