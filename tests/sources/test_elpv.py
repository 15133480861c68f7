"""The source of electroluminescence images: the real set where it is, and small copies of its form."""

import pickle
from collections import Counter

import numpy as np
import pytest
from PIL import Image as Pillow

from prismat.errors import BadInputError
from prismat.material import Material, Reject
from prismat.measurements import Image
from prismat.packaged import ELPV, locate_folder_present
from prismat.sources.base import Source
from prismat.sources.elpv import ElpvSource

LABELS = """\
images/cell0001.png  1.0                 mono
images/cell0002.png  0.3333333333333333  poly
images/cell0003.png  0.0                 poly
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for i in (1, 2, 3):
        pixels = np.full((40, 40), 20 * i, np.uint8)
        Pillow.fromarray(pixels).save(tmp_path / "images" / f"cell000{i}.png")
    (tmp_path / "labels.csv").write_text(LABELS)
    return tmp_path


@pytest.fixture(scope="module")
def elpv():
    path = locate_folder_present(ELPV)
    if path is None:
        pytest.skip("elpv-dataset is neither installed nor cached")
    return ElpvSource(path)


def test_small_copy(folder):
    source = ElpvSource(folder)
    assert isinstance(source, Source)
    found = list(source.read(0, 10))
    assert [m.id for m in found] == ["elpv-0001", "elpv-0002", "elpv-0003"]
    assert [m.properties["defect_probability"].value for m in found] == [1.0, 1 / 3, 0.0]
    assert [m.tags["module_type"] for m in found] == ["monocrystalline", "polycrystalline", "polycrystalline"]
    image = found[1].measurement("image", Image)
    assert image.kind == "electroluminescence"
    assert (image.pixels == 40).all()
    assert found[0].provenance.licence == "CC BY-NC-SA 4.0"
    assert "Buerhop-Lutz" in found[0].provenance.citation
    assert [m.id for m in source.read(1, 2)] == ["elpv-0002"]
    assert found[0].texts == {}


def test_travels_to_other_processes(folder):
    source = ElpvSource(folder)
    twin = pickle.loads(pickle.dumps(source))
    assert [m.id for m in twin.read(0, 3)] == [m.id for m in source.read(0, 3)]
    assert twin.fingerprint() == source.fingerprint()


def test_fingerprint_follows_content(folder):
    before = ElpvSource(folder).fingerprint()
    Pillow.fromarray(np.zeros((40, 40), np.uint8)).save(folder / "images" / "cell0002.png")
    changed = ElpvSource(folder).fingerprint()
    (folder / "labels.csv").write_text(LABELS.replace("1.0 ", "0.0 "))
    assert len({before, changed, ElpvSource(folder).fingerprint()}) == 3


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("images/cell0009.png 1.0 mono", "no image 'images/cell0009.png'"),
        ("../secret.png 1.0 mono", "no image '../secret.png'"),
        ("images/cell0001.png 2.0 mono", "a probability and mono or poly"),
        ("images/cell0001.png nan mono", "a probability and mono or poly"),
        ("images/cell0001.png 1.0 thin-film", "a probability and mono or poly"),
        ("images/cell0001.png 1.0", "a probability and mono or poly"),
    ],
)
def test_a_bad_row_is_rejected_and_stops_no_other(folder, line, reason):
    (folder.parent / "secret.png").write_bytes((folder / "images" / "cell0001.png").read_bytes())
    lines = LABELS.splitlines()
    (folder / "labels.csv").write_text("\n".join([lines[0], line, lines[2]]))
    first, second, third = ElpvSource(folder).read(0, 3)
    assert isinstance(first, Material)
    assert isinstance(third, Material)
    assert isinstance(second, Reject)
    assert second.id == "elpv-row-2"
    assert reason in second.reason


def test_a_damaged_image_is_rejected(folder):
    path = folder / "images" / "cell0002.png"
    path.write_bytes(path.read_bytes()[:60])
    found = list(ElpvSource(folder).read(0, 3))
    assert [type(m) for m in found] == [Material, Reject, Material]
    assert "damaged" in found[1].reason or "not a PNG" in found[1].reason


def test_another_folder(tmp_path):
    with pytest.raises(BadInputError, match=r"no labels.csv in it.*Give the folder that holds labels.csv"):
        ElpvSource(tmp_path)
    (tmp_path / "labels.csv").write_text("\n")
    with pytest.raises(BadInputError, match=r"labels\.csv is empty"):
        ElpvSource(tmp_path)
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match=r"labels\.csv cannot be read"):
        ElpvSource(tmp_path)


def test_the_real_set(elpv):
    """Counts by type and probability as its authors publish them."""
    assert len(elpv) == 2624
    found = Counter(tuple(row.split()[1:]) for row in elpv._rows)
    assert found[("0.0", "mono")] == 588
    assert found[("1.0", "poly")] == 402
    assert sum(n for (_, kind), n in found.items() if kind == "mono") == 1074
    some = list(elpv.read(1000, 1020))
    assert all(isinstance(m, Material) for m in some)
    assert {m.measurements["image"].pixels.shape for m in some} == {(300, 300)}
    assert len({m.id for m in some}) == 20


def test_located_by_package_name(elpv):
    assert ElpvSource().folder == elpv.folder
