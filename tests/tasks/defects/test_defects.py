"""Classes of pictures: where they come from, the systems, the page, and data that cannot be used."""

import json
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image as Pillow

import helpers_small as small
import helpers_windows as windows
from helpers_cli import call
from prismat.commands import classify
from prismat.errors import BadInputError
from prismat.heads.config import FitConfig, HeadConfig
from prismat.modalities.image import ImageSettings
from prismat.modalities.windows import MeasuredSettings
from prismat.packaged import ELPV, locate_folder_present
from prismat.prepare import PrepareSettings, prepare
from prismat.sources.elpv import ElpvSource
from prismat.sources.images import ImagesSource
from prismat.tasks.defects.identify import STATISTICS, identify_defects
from prismat.tasks.defects.labels import picture_classes
from prismat.tasks.defects.pictures import open_pictures, picture_statistics
from prismat.tasks.defects.systems import DefectsConfig
from prismat.tasks.quickstart import train_recipe
from prismat.training.session import open_prepared

pytestmark = pytest.mark.skipif(find_spec("timm") is None, reason="needs the extra image")

SIDE = 32


def settings():
    return PrepareSettings(
        measured=MeasuredSettings(image=ImageSettings(size=SIDE)), shard_rows=80, workers=1
    )


def quick(**others):
    """A configuration of seconds."""
    base = DefectsConfig(size=SIDE, head=HeadConfig(hidden=8), fit=FitConfig(epochs=8, members=1))
    return replace(base, train=replace(base.train, steps=4, batch=16, evaluate_every=2), **others)


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Pictures with a bright field or a dark crack, in groups of four, with a probability."""
    folder, rng = tmp_path_factory.mktemp("cells"), np.random.default_rng(0)
    lines = ["file,label,group,defect_probability []"]
    for i in range(80):
        picture = rng.normal(150, 12, (40, 40))
        if i % 2:
            picture[:, 10 + i % 15 : 16 + i % 15] -= 110
        name = f"{i:03}.png"
        Pillow.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / name)
        lines.append(f"{name},{'cracked' if i % 2 else 'whole'},module {i // 4},{[0, 0.33, 0.67, 1][i % 4]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return prepare(ImagesSource(folder), tmp_path_factory.mktemp("prepared") / "store", settings())


@pytest.fixture(scope="module")
def pictures(cells):
    return open_pictures(cells, size=SIDE)


def test_classes_come_from_the_tag_a_property_or_a_threshold(pictures):
    by_tag = picture_classes(pictures.prepared, pictures.present)
    assert (by_tag.label, by_tag.names) == ("label", ["cracked", "whole"])
    levels = picture_classes(pictures.prepared, pictures.present, "defect_probability")
    assert levels.names == ["0", "0.33", "0.67", "1"]
    cut = picture_classes(pictures.prepared, pictures.present, "defect_probability", 0.5)
    assert cut.names == ["below 0.5", "0.5 or more"]
    assert ((levels.of >= 2) == (cut.of == 1)).all()
    assert sum(map(len, cut.rows.values())) == 80


def test_cells_of_a_module_stay_together(pictures):
    classes = picture_classes(pictures.prepared, pictures.present)
    parts = [set(pictures.groups[rows].tolist()) for rows in classes.rows.values()]
    assert all(not a & b for i, a in enumerate(parts) for b in parts[:i])


def test_records_without_a_picture_or_class_are_counted(pictures):
    present = pictures.present.copy()
    gone = pictures.prepared.rows["train"][:3]
    present[gone] = False
    classes = picture_classes(pictures.prepared, present)
    assert classes.left_out == {"train": 3, "val": 0, "test": 0}
    assert not np.isin(gone, classes.rows["train"]).any()


@pytest.mark.parametrize(
    ("label", "threshold", "message"),
    [
        ("colour", None, "no record has 'colour'.*Name one of: defect_probability"),
        ("group", None, None),
        ("defect_probability", 2.0, "all training records are of one class"),
    ],
    ids=["unknown", "groups-as-classes", "beyond"],
)
def test_labels_that_cannot_be_used(pictures, label, threshold, message):
    # Each module is in one part only: test has classes that training lacks.
    expected = message or "no training record is of the class"
    with pytest.raises(BadInputError, match=expected):
        picture_classes(pictures.prepared, pictures.present, label, threshold)


def test_a_store_without_pictures_is_refused(small_store):
    with pytest.raises(BadInputError, match=r"no record has an image.*Prepare pictures"):
        identify_defects(small_store, quick(), small_store.folder)


def test_statistics_are_shares_mean_and_spread(pictures):
    rows = np.arange(6)
    found = picture_statistics(pictures, rows)
    pixels = pictures.batch(rows).pixels.flatten(1).numpy()
    assert found[:, :32].sum(1) == pytest.approx(1.0)
    assert found[:, 32] == pytest.approx(pixels.mean(1), abs=1e-5)
    counts, _ = np.histogram(np.clip(pixels[2], -3, 3), bins=32, range=(-3, 3))
    assert found[2, :32] == pytest.approx(counts / pixels.shape[1], abs=1e-6)


def test_larger_pictures_are_averaged_down(cells):
    small_ones = open_pictures(cells, size=16).batch(np.array([0])).pixels
    assert small_ones.shape == (1, 1, 16, 16)
    assert float(small_ones.mean()) == pytest.approx(
        float(open_pictures(cells, size=32).batch(np.array([0])).pixels.mean()), abs=0.02
    )


@pytest.mark.parametrize("mode", ["frozen", "tuned"])
def test_from_a_store_to_a_page(cells, tmp_path, mode):
    result = identify_defects(cells, quick(mode=mode), tmp_path / "out")
    main = f"random weights, {mode}"
    assert list(result["metrics"]) == [main, STATISTICS]
    # A crack is dark: its shadow in the intensities tells it.
    assert result["metrics"][STATISTICS]["accuracy"][0] > 0.9
    assert result["baselines"]["most frequent"]["accuracy"][0] <= 0.6
    assert np.sum(result["metrics"][main]["confusion"]) == result["dataset"]["test"]
    assert set(result["differences"]) == {STATISTICS}
    names = {p.name for p in (tmp_path / "out").iterdir() if p.is_file()}
    assert {"defects.json", "defects.html", "confusion.svg", "pictures.svg"} <= names
    again = identify_defects(cells, quick(mode=mode), tmp_path / "again")
    assert again["metrics"] == result["metrics"]


def test_the_encoder_of_a_run(tmp_path):
    """A run with an image window beside the same network with random weights, frozen and tuned."""
    source = small.SmallSource(tuple(labelled(m) for m in windows.materials() if "image" in m.measurements))
    prepared = open_prepared(prepare(source, tmp_path / "store", windows.settings()), small.SPLIT)
    job = small.tiny_job(windows.recipe("structure", "image"), steps=4, evaluate_every=2)
    train_recipe(prepared, job, tmp_path / "run")
    for mode in ("frozen", "tuned"):
        result = identify_defects(prepared.store, quick(mode=mode), tmp_path / mode, tmp_path / "run")
        assert result["system"] == f"aligned encoder, {mode}"
        assert list(result["metrics"]) == [
            f"aligned encoder, {mode}",
            f"random weights, {mode}",
            STATISTICS,
        ]
        assert result["model"]["windows"] == ["structure", "image"]
        assert result["model"]["trained_on_this_split"]
        assert set(result["differences"]) == {f"random weights, {mode}", STATISTICS}


def labelled(material):
    bright = material.measurements["image"].pixels[0, 0] > 80
    return replace(material, tags={**material.tags, "label": "bright" if bright else "dark"})


def test_a_run_without_images_is_refused(small_run, small_store, tmp_path):
    with pytest.raises(BadInputError, match=r"has no image window.*give one trained with images"):
        identify_defects(small_store, quick(), tmp_path, small_run.folder)


def test_verb(cells, small_store, tmp_path, monkeypatch):
    # The lengths of a real task would take half a minute here.
    monkeypatch.setattr(classify, "DefectsConfig", lambda *given: quick(mode=given[2], size=given[5]))
    words = ("defects", "--store", cells.folder, "--size", SIDE, "--out", tmp_path / "out")
    said = call(*words)
    assert said.code == 0, said.err
    assert "image statistics, linear" in said.out
    assert f"{tmp_path / 'out' / 'defects'}.html" in said.out
    told = call(*words, "--mode", "tuned", "--steps", 2, "--json")
    assert json.loads(told.out)["config"]["train"]["steps"] == 2
    wrong = call("defects", "--store", small_store.folder)
    assert (wrong.code, wrong.out) == (1, "")
    assert "no record has an image" in wrong.err.lower()


def test_real_cells(tmp_path):
    """A slice of the real data set: both kinds of cells, whole modules apart."""
    path = locate_folder_present(ELPV)
    if path is None:
        pytest.skip("the ELPV images are neither installed nor cached")
    source = ElpvSource(path)
    rows = tuple(m for start in range(0, 2624, 96) for m in source.read(start, start + 6))
    store = prepare(small.SmallSource(rows), tmp_path / "store", settings())
    result = identify_defects(store, quick(threshold=0.5), tmp_path / "out")
    assert result["classes"] == ["below 0.5", "0.5 or more"]
    assert result["label"] == "defect_probability"
    assert sum(result["dataset"][p] for p in ("train", "val", "test")) == len(rows)
