import json
import shutil

import numpy as np
import pytest

import helpers_small as small
from prismat.errors import BadInputError, VersionError
from prismat.heads.base import lean_model
from prismat.heads.config import FitConfig, HeadConfig
from prismat.heads.conformal import calibrate, calibrate_classes
from prismat.heads.features import composition_features, encode_rows, read_features
from prismat.heads.files import load_head, save_head
from prismat.heads.fit import fit_head
from prismat.heads.model import HeadSpec, HeadTarget, PropertyHead
from prismat.store import Store
from prismat.tasks.opened import open_run
from prismat.tasks.property.predict import GivenFiles, predict_files, predict_store, write_parquet


@pytest.fixture(scope="module")
def opened(small_run, small_store):
    return open_run(small_run.folder, small_store)


def fitted(opened, windows, feature="encoder", loss="squared", log=False, fusion="concat"):
    """A head that says how many sites a cell has, or whether it has more than two."""
    rows = np.concatenate([opened.rows[p] for p in ("train", "val", "test")])
    sites = np.array(opened.records.table["n_sites"], dtype=float)[rows]
    features = read_features(opened, rows, windows, feature)
    n, m = len(opened.rows["train"]), len(opened.rows["val"])
    y = np.log10(sites) if log else sites if loss == "squared" else (sites > 2).astype(int)
    config = HeadConfig(hidden=16, width=8, feature=feature, fusion=fusion)
    heads = fit_head(
        features, y, np.arange(n), np.arange(n, n + m), config, FitConfig(epochs=8, batch=16, members=2), loss
    )
    test = np.arange(n + m, len(rows))
    said = heads.members(features.take(test))
    if loss == "squared":
        conformal = calibrate(y[test], said[..., 0].mean(0), said[..., 0].std(0), 0.1)
    else:
        conformal = calibrate_classes(y[test], said.mean(0))
    classes = () if loss == "squared" else ("small", "large")
    spec = HeadSpec(HeadTarget("sites", "", log, classes), tuple(windows), config)
    return PropertyHead(lean_model(opened.prismat, windows, feature), spec, heads, conformal)


@pytest.fixture(scope="module")
def structure_head(opened):
    return fitted(opened, ["structure"])


@pytest.mark.parametrize("feature", ["encoder", "joint"])
def test_a_store_and_raw_crystals_give_the_same_features(opened, feature):
    head = fitted(opened, ["structure", "xrd"], feature)
    rows = np.arange(6)
    ids = [opened.records.ids[r] for r in rows]
    from_store = read_features(opened, rows, ["structure", "xrd"], feature)
    said = head.predict(structures=[small.crystal(i) for i in ids])
    again = head.predict_features(from_store)
    # A store keeps patterns in single precision.
    np.testing.assert_allclose(said.values, again.values, rtol=1e-3)
    np.testing.assert_allclose(said.high - said.values, again.high - again.values, rtol=1e-2)


def test_the_small_copy_has_no_more_windows_than_it_must(opened):
    lean = lean_model(opened.prismat, ["structure"])
    assert lean.recipe.windows == ("structure", "xrd")
    assert lean.reader is None
    assert lean_model(opened.prismat, ["text"]).recipe.windows == ("structure", "text")
    assert lean_model(opened.prismat, ["structure"], "joint").recipe.windows == ("structure", "text", "xrd")
    lean.model.encoders["structure"].requires_grad_(False).zero_grad()
    for parameter in lean.model.parameters():
        parameter.data.zero_()
    assert any(p.abs().sum() > 0 for p in opened.prismat.model.parameters()), "nothing is shared"


def test_features_do_not_depend_on_chunks_or_the_cache(opened, tmp_path, monkeypatch):
    rows = np.array([5, 2, 60, 41])
    plain = read_features(opened, rows, ["structure", "text"])
    monkeypatch.setattr("prismat.heads.features.CHUNK", 3)
    read_features(opened, np.array([41, 7]), ["structure", "text"], cache=tmp_path)
    cached = read_features(opened, rows, ["structure", "text"], cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    for window in ("structure", "text"):
        np.testing.assert_allclose(cached.vectors[window], plain.vectors[window], atol=1e-5)
        np.testing.assert_array_equal(cached.present[window], plain.present[window])
    monkeypatch.setattr("prismat.heads.features.encode_rows", None)
    again = read_features(opened, rows, ["structure", "text"], cache=tmp_path)
    np.testing.assert_array_equal(again.vectors["text"], cached.vectors["text"])


def test_a_damaged_cache_says_so(opened, tmp_path):
    read_features(opened, np.arange(2), ["structure"], cache=tmp_path)
    next(tmp_path.iterdir()).write_bytes(b"nothing")
    with pytest.raises(BadInputError, match="Delete it"):
        read_features(opened, np.arange(2), ["structure"], cache=tmp_path)


@pytest.mark.parametrize(
    ("rows", "windows"), [([0], ["dos"]), ([0], ["xrd", "xrd"]), ([0], []), ([], ["xrd"])], ids=str
)
def test_features_that_cannot_be_read(opened, rows, windows):
    with pytest.raises(BadInputError, match=r"Name some of|one at least"):
        read_features(opened, np.array(rows, dtype=int), windows)


def test_composition_features_know_the_formula_only(opened):
    records = opened.records
    halite, again = records.ids.index("rock_salt_Na-Cl"), records.ids.index("halite_again")
    other = records.ids.index("caesium_chloride_Na-Cl")
    found = composition_features(records.fractions)
    vectors = found.vectors["composition"]
    np.testing.assert_array_equal(vectors[halite], vectors[again])
    np.testing.assert_array_equal(vectors[halite], vectors[other])
    assert not np.array_equal(vectors[halite], vectors[0])
    assert found.any_present.all()


def test_a_head_alone_in_another_place_says_the_same(structure_head, tmp_path):
    save_head(structure_head, tmp_path / "made" / "head")
    shutil.move(tmp_path / "made", tmp_path / "moved")
    loaded = load_head(tmp_path / "moved")
    crystals = [small.crystal("rock_salt_Na-Cl"), small.crystal("rutile_Ti-O")]
    first, second = structure_head.predict(crystals, level=0.8), loaded.predict(crystals, level=0.8)
    for name in ("values", "low", "high", "spread"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert (second.name, second.unit, second.level) == ("sites", "", 0.8)
    assert {p.name for p in (tmp_path / "moved" / "head").iterdir()} == {
        "config.json", "model.safetensors", "README.md", "base",
    }  # fmt: skip


def test_a_logarithm_comes_back_as_the_quantity(opened):
    head = fitted(opened, ["structure"], log=True)
    said = head.predict([small.crystal("rock_salt_Na-Cl")])
    features = read_features(opened, np.array([opened.records.ids.index("rock_salt_Na-Cl")]), ["structure"])
    exponent = head.fitted.predict(features)[0, 0]
    assert said.values[0] == pytest.approx(10**exponent, rel=1e-4)
    assert said.low[0] > 0
    assert said.high[0] / said.values[0] == pytest.approx(said.values[0] / said.low[0], rel=1e-9)


def test_classes_come_with_sets(opened):
    head = fitted(opened, ["structure"], loss="cross_entropy")
    said = head.predict([small.crystal("rock_salt_Na-Cl"), small.crystal("spinel_Mg-Al-O")])
    assert said.classes == ("small", "large")
    assert set(said.labels) <= {"small", "large"}
    np.testing.assert_allclose(said.probabilities.sum(1), 1)
    assert said.sets.any(1).all()


def test_a_fused_head_reads_what_a_record_has(opened):
    head = fitted(opened, ["structure", "text", "xrd"], fusion="attention")
    halite = small.crystal("rock_salt_Na-Cl")
    said = head.predict(
        structures=[halite, None, None, halite],
        texts=["sodium chloride", None, "a spinel", None],
        patterns=[None, small.measured("rutile_Ti-O"), None, small.measured("rutile_Ti-O")],
    )
    assert np.isfinite(said.values).all()
    assert len(set(said.values.tolist())) == 4


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "no records given"),
        ({"structures": []}, "0 structures"),
        ({"structures": ["x"], "texts": ["a", "b"]}, "1 structures, 2 texts"),
        ({"texts": ["words"]}, "none of the windows"),
        ({"structures": ["data_broken"]}, "record 0"),
    ],
    ids=["nothing", "empty", "lengths", "other window", "broken"],
)
def test_input_that_cannot_be_used(structure_head, given, says):
    with pytest.raises(BadInputError, match=says):
        structure_head.predict(**given)


def test_files_that_cannot_be_read_do_not_stop_the_rest(structure_head, tmp_path):
    files = small.write_folder(tmp_path / "files", step=20)
    good = sorted(files.glob("*.cif"))[:3]
    (files / "broken.cif").write_text("data_broken\n")
    given = GivenFiles((good[0], files / "broken.cif", files / "missing.cif", *good[1:]))
    found = predict_files(structure_head, given)
    assert found.names == [str(p) for p in good]
    assert [r.id.rsplit("/")[-1] for r in found.rejects] == ["broken.cif", "missing.cif"]
    assert all(r.reason for r in found.rejects)
    assert len(found.prediction.values) == 3
    only = predict_files(structure_head, GivenFiles((files / "broken.cif",)))
    assert only.prediction is None
    with pytest.raises(BadInputError, match="no record could be predicted"):
        write_parquet(tmp_path / "out.parquet", only)
    with pytest.raises(BadInputError, match="1 structures, 2 texts"):
        predict_files(structure_head, GivenFiles((good[0],), ("a", "b")))


def test_a_store_is_predicted_as_its_crystals_are(structure_head, small_store):
    rows = np.array([3, 50])
    found = predict_store(structure_head, small_store, rows)
    ids = [small_store.ids[r] for r in rows]
    assert found.names == ids
    direct = structure_head.predict([small.crystal(i) for i in ids])
    np.testing.assert_allclose(found.prediction.values, direct.values, rtol=1e-4)


def test_records_of_a_store_without_the_window_are_rejected(structure_head, opened, tmp_path):
    from prismat.prepare import PrepareSettings, prepare

    rows = (*small.patchy()[:3], *small.patchy()[60:63])
    settings = PrepareSettings(profile=small.tiny_recipe().profile, workers=1)
    store = prepare(small.SmallSource(rows), tmp_path / "store", settings)
    found = predict_store(structure_head, store)
    assert len(found.names) == 3
    assert [r.id for r in found.rejects] == ["words_0", "words_1", "words_2"]
    both = predict_store(fitted(opened, ["structure", "text"]), store)
    assert (len(both.names), both.rejects) == (6, [])
    with pytest.raises(BadInputError, match="no record has structure"):
        predict_store(structure_head, Store(tmp_path / "store"), np.array([3, 4]))


def damage(folder, change):
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.update(kind="predictor"), "holds no head"),
        (lambda c: c.update(base_hash="0"), "missing or damaged"),
        (lambda c: c.update(weights_sha256="0"), "missing or damaged"),
        (lambda c: c.pop("spec"), "missing or damaged"),
        (lambda c: c.update(widths={"structure": 3}), "missing or damaged"),
        (lambda c: c.update(validation=[0.0] * 3), "missing or damaged"),
    ],
    ids=["kind", "base", "weights", "spec", "widths", "members"],
)
def test_a_damaged_head_says_so(structure_head, tmp_path, change, says):
    save_head(structure_head, tmp_path / "head")
    damage(tmp_path / "head", change)
    with pytest.raises(BadInputError, match=says):
        load_head(tmp_path / "head")


def test_other_formats_and_empty_folders_say_so(structure_head, tmp_path):
    save_head(structure_head, tmp_path / "head")
    damage(tmp_path / "head", lambda c: c.update(format_version=99))
    with pytest.raises(VersionError, match="head format 99"):
        load_head(tmp_path / "head")
    with pytest.raises(BadInputError, match="prismat fit"):
        load_head(tmp_path / "nothing")


def test_encoding_a_store_in_one_go_is_the_same(opened, structure_head):
    rows = np.arange(5)
    direct = encode_rows(structure_head.prismat, opened.data, rows, ["structure"])
    np.testing.assert_allclose(
        direct.vectors["structure"],
        read_features(opened, rows, ["structure"]).vectors["structure"],
        atol=1e-6,
    )


def test_the_formula_beside_a_window_is_read_the_same_from_files_stores_and_copies(opened, tmp_path):
    head = fitted(opened, ["structure", "composition"])
    assert head.prismat.recipe.windows == ("structure", "xrd"), "no model is kept for the formula"
    save_head(head, tmp_path / "head")
    again = load_head(tmp_path / "head")
    ids = ["rock_salt_Na-Cl", "rutile_Ti-O", "caesium_chloride_Na-Cl"]
    raw = again.predict([small.crystal(i) for i in ids])
    rows = np.array([opened.records.ids.index(i) for i in ids])
    direct = head.predict_features(read_features(opened, rows, ["structure", "composition"]))
    np.testing.assert_allclose(raw.values, direct.values, rtol=1e-4)
    data = opened.data
    stored = head.predict_features(encode_rows(again.prismat, data, rows, ["structure", "composition"]))
    np.testing.assert_allclose(stored.values, direct.values, rtol=1e-4)


def test_the_formula_alone_needs_no_window_of_the_model(opened):
    head = fitted(opened, ["composition"])
    halite, cubic = head.predict(
        [small.crystal(f"{kind}_Na-Cl") for kind in ("rock_salt", "caesium_chloride")]
    ).values
    assert halite == cubic
    with pytest.raises(BadInputError, match="none of the windows that the head reads"):
        head.predict(structures=[None])
