"""Folders of pictures with labels."""

import pickle

import numpy as np
import pytest
from PIL import Image as Pillow

from prismat.errors import BadInputError
from prismat.material import Material, Property, Reject
from prismat.prepare import PrepareSettings, prepare
from prismat.sources.base import Source
from prismat.sources.images import ImagesOptions, ImagesSource


def png(path, value=40):
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(np.full((20, 24), value, np.uint8)).save(path)


@pytest.fixture
def classes(tmp_path):
    root = tmp_path / "pictures"
    for name in ("cracked/1.png", "cracked/more/2.tif", "whole/1.png"):
        png(root / name)
    (root / "readme.txt").write_text("nothing")
    png(root / ".hidden" / "3.png")
    return root


def rows(source):
    return {item.id: item for item in source.read(0, len(source))}


def test_subfolders_name_classes(classes):
    source = ImagesSource(classes, kind="sem", licence="CC0", citation="Me")
    assert isinstance(source, Source)
    found = rows(source)
    assert {key: m.tags for key, m in found.items()} == {
        "cracked/1": {"label": "cracked"},
        "cracked/more/2": {"label": "cracked"},
        "whole/1": {"label": "whole"},
    }
    first = found["cracked/1"]
    assert (first.measurements["image"].kind, first.measurements["image"].pixels.shape) == ("sem", (20, 24))
    assert (first.provenance.source, first.provenance.source_id) == ("images", "cracked/1.png")
    assert (first.provenance.licence, first.provenance.citation) == ("CC0", "Me")


def test_a_division_above_the_classes(tmp_path):
    for name in ("train/a/1.png", "Valid/b/2.png", "test/3.png", "4.png"):
        png(tmp_path / name)
    assert {key: m.tags for key, m in rows(ImagesSource(tmp_path)).items()} == {
        "4": {},
        "Valid/b/2": {"split": "val", "label": "b"},
        "test/3": {"split": "test"},
        "train/a/1": {"split": "train", "label": "a"},
    }


def test_a_table_labels_and_groups(classes):
    png(classes / "other.jpg")
    (classes / "labels.csv").write_text(
        "file,label,group,grain size [µm],title,batch\n"
        "cracked/1.png,0,7,12.5,A crack,x\nwhole/1,1,8,,,y\n2.tif,1,8,3,,\nlost.png,1,8,3,,\n1.png,0,8,3,,\n"
    )
    found = rows(ImagesOptions(classes).open())
    assert list(found) == ["cracked/1", "whole/1", "cracked/more/2", "lost.png", "1.png", "other"]
    first = found["cracked/1"]
    assert first.tags == {"label": "0", "group": "7", "batch": "x"}
    assert first.properties == {"grain size": Property(12.5, "µm")}
    assert first.texts == {"title": "A crack"}
    assert found["lost.png"] == Reject("lost.png", "the folder has no picture 'lost.png'")
    assert found["1.png"].reason == "'1.png' names several pictures: cracked/1.png, whole/1.png"
    assert found["other"].tags == {}


def test_pictures_that_differ_in_their_extension_alone(tmp_path):
    png(tmp_path / "a" / "1.png")
    png(tmp_path / "a" / "1.jpg")
    png(tmp_path / "a" / "2.png")
    assert list(rows(ImagesSource(tmp_path))) == ["a/1.jpg", "a/1.png", "a/2"]


def test_a_damaged_picture_is_rejected_alone(classes):
    (classes / "cracked" / "1.png").write_bytes(b"no picture")
    found = rows(ImagesSource(classes))
    assert [type(m) for m in found.values()] == [Reject, Material, Material]
    assert "not a PNG" in found["cracked/1"].reason


def test_nothing_outside_the_folder(classes, tmp_path):
    png(tmp_path / "secret.png")
    (classes / "cracked" / "link.png").symlink_to(tmp_path / "secret.png")
    (classes / "labels.csv").write_text(f"file,label\n../secret.png,a\n{tmp_path}/secret.png,b\nlink.png,c\n")
    found = list(rows(ImagesSource(classes)).values())
    assert [type(m) for m in found] == [Reject] * 3 + [Material] * 3


def test_fingerprint_and_pickle(classes):
    source = ImagesSource(classes)
    copy = pickle.loads(pickle.dumps(source))
    assert [m.id for s in range(3) for m in copy.read(s, s + 1)] == list(rows(source))
    assert b"cracked" not in pickle.dumps(source)
    seen = {source.fingerprint(), copy.fingerprint()}
    assert len(seen) == 1
    seen.add(ImagesSource(classes, kind="sem").fingerprint())
    png(classes / "whole" / "1.png", 41)
    seen.add(ImagesSource(classes).fingerprint())
    (classes / "labels.csv").write_text("file,label\n2.tif,a\n")
    seen.add(ImagesSource(classes).fingerprint())
    assert len(seen) == 4


def test_errors(tmp_path, classes):
    with pytest.raises(BadInputError, match="no such folder"):
        ImagesSource(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match="no pictures in it"):
        ImagesSource(tmp_path / "empty")
    (classes / "a.csv").write_text("file,size\n2.tif,1\n")
    with pytest.raises(BadInputError, match=r"column 'size': a number without a unit"):
        ImagesSource(classes)
    (classes / "a.csv").write_text("file,id,label\n2.tif,x,1\nwhole/1,cracked/1,1\n")
    with pytest.raises(BadInputError, match="the id 'cracked/1' occurs twice"):
        ImagesSource(classes)
    (classes / "b.csv").write_text("file,label\n2.tif,1\n")
    with pytest.raises(BadInputError, match=r"several tables: a\.csv, b\.csv"):
        ImagesSource(classes)


def test_prepared_into_a_store(classes, tmp_path):
    store = prepare(ImagesSource(classes, licence="CC0"), tmp_path / "store", PrepareSettings(workers=1))
    assert (len(store), store.info["rejected"], store.info["licence"]) == (3, 0, "CC0")
