"""Labelled texts and tagged sentences from files, their division, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers_shared import SHARED
from prismat.errors import BadInputError
from prismat.tasks.text_tasks.corpus import crossing, divide
from prismat.tasks.text_tasks.read_csv import read_labelled
from prismat.tasks.text_tasks.read_tags import read_bio, read_sofc


def write_csv(path, rows, head="Abstract,Label"):
    path.write_text("\n".join([head, *(f'"{t}",{k}' for t, k in rows)]) + "\n", encoding="utf-8")


@pytest.fixture
def abstracts(tmp_path):
    rows = [("glass of silica", 1), ("an alloy, cold rolled", 0), ("", 1), ("melt and quench", "")]
    write_csv(tmp_path / "train.csv", rows)
    write_csv(tmp_path / "dev.csv", [("a glass", 1)])
    write_csv(tmp_path / "test.csv", [("Glass of  silica", 1), ("steel", 0)])
    return tmp_path


def test_parts_of_a_folder_are_kept(abstracts):
    found = read_labelled(abstracts)
    assert found.given
    assert {p: len(r) for p, r in found.parts.items()} == {"train": 2, "val": 1, "test": 2}
    assert [found.texts[i] for i in found.parts["train"]] == ["glass of silica", "an alloy, cold rolled"]
    assert [found.labels[i] for i in found.parts["test"]] == ["1", "0"]
    assert [row["reason"] for row in found.left_out] == ["no text", "no class"]
    assert crossing(found.texts, found.parts) == {"val": 0, "test": 1}


def test_one_file_is_divided_with_equal_texts_together(tmp_path):
    write_csv(tmp_path / "all.csv", [(f"text {i // 2}", i % 2) for i in range(60)], head="Sentence,Class")
    found = read_labelled(tmp_path / "all.csv")
    assert not found.given
    assert sorted(np.concatenate(list(found.parts.values())).tolist()) == list(range(60))
    assert crossing(found.texts, found.parts) == {"val": 0, "test": 0}
    assert found.parts["test"].tolist() == read_labelled(tmp_path / "all.csv").parts["test"].tolist()


@given(st.lists(st.integers(0, 30), min_size=40, max_size=80))
def test_a_division_is_whole_and_parts_no_label(labels):
    labels = np.array([*labels, *range(10)])
    parts = divide(labels)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(labels)))
    kinds = [set(labels[rows].tolist()) for rows in parts.values()]
    assert sum(map(len, kinds)) == len(set().union(*kinds))


def test_columns_by_name(tmp_path):
    write_csv(tmp_path / "t.csv", [(f"t {i}", i % 2) for i in range(20)], head="body,kind")
    assert read_labelled(tmp_path / "t.csv", "body", "kind").labels[:2] == ["0", "1"]
    with pytest.raises(BadInputError, match=r"none of the columns text, abstract.*Name one of: body, kind"):
        read_labelled(tmp_path / "t.csv")
    with pytest.raises(BadInputError, match="no column 'words'"):
        read_labelled(tmp_path / "t.csv", "words", "kind")


@pytest.mark.parametrize(
    ("train", "val", "message"),
    [
        ([("a", 1), ("b", 0)], [("c", 2)], "no training text has the class '2', which val has"),
        ([("a", 1), ("b", 1)], [("c", 1)], "all training texts are of the class '1'"),
        ([], [("c", 1)], "train.csv.*no rows"),
    ],
    ids=["unknown", "one", "empty"],
)
def test_classes_that_cannot_be_learnt(tmp_path, train, val, message):
    for name, rows in {"train": train, "val": val, "test": val}.items():
        write_csv(tmp_path / f"{name}.csv", rows)
    with pytest.raises(BadInputError, match=message):
        read_labelled(tmp_path)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(BadInputError, match="no file or folder"):
        read_labelled(tmp_path / "nowhere")
    write_csv(tmp_path / "train.csv", [("a", 1)])
    with pytest.raises(BadInputError, match=r"no val, test in .*Name the files"):
        read_labelled(tmp_path)


def test_links_that_lead_out_are_not_read(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "test.csv"
    inside.mkdir()
    write_csv(outside, [("a", 1)])
    for name in ("train", "val"):
        write_csv(inside / f"{name}.csv", [("a", 1), ("b", 0)])
    (inside / "test.csv").symlink_to(outside)
    with pytest.raises(BadInputError, match="no test in"):
        read_labelled(inside)


BIO = "The O\nspinel B-MAT\nMg  Al I-MAT\n\n\nglows O\nred B-PRO\n\nbroken \nO O\n"


def write_bio(folder):
    for name in ("train", "dev", "test"):
        (folder / f"{name}.txt").write_text(BIO, encoding="utf-8")
    return folder


def test_bio_files(tmp_path):
    found = read_bio(write_bio(tmp_path))
    assert found.words[:2] == [["The", "spinel", "Mg  Al"], ["glows", "red"]]
    assert found.tags[:2] == [["O", "B-MAT", "I-MAT"], ["O", "B-PRO"]]
    assert {p: len(r) for p, r in found.parts.items()} == {"train": 2, "val": 2, "test": 2}
    assert found.left_out[0]["id"] == "train.txt sentence 3"
    assert "'broken' has no tag" in found.left_out[0]["reason"]


def test_one_bio_file_is_divided(tmp_path):
    (tmp_path / "all.txt").write_text("a B-X\n\n" * 20, encoding="utf-8")
    found = read_bio(tmp_path / "all.txt")
    assert not found.given
    assert {p: len(r) for p, r in found.parts.items()} == {"train": 16, "val": 2, "test": 2}


def test_bio_without_entities(tmp_path):
    (tmp_path / "all.txt").write_text("a b c\n\nd O\n", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"no entity in 1 sentences \(the first reason: .*'c' is no IOB2"):
        read_bio(tmp_path / "all.txt")


def write_sofc(folder, sets=("train", "dev", "test")):
    """Three documents in the corpus's own format, each with one annotated sentence and one other."""
    tables = folder / "annotations"
    for part in ("sentences", "entity_types_and_slots"):
        (tables / part).mkdir(parents=True)
    (folder / "texts").mkdir()
    text = "Nothing here. A Ni anode ran."
    words = [("A", "O", "O"), ("Ni", "B-MATERIAL", "B-anode_material"), ("anode", "O", "O")]
    words += [("ran", "B-EXPERIMENT", "B-experiment_evoking_word")]
    lines, at = [], 0
    for i, (word, kind, slot) in enumerate(words, start=1):
        begin = text[14:].index(word, at)
        at = begin + len(word)
        lines.append(f"2\t{i}\t{begin}\t{at}\t{kind}\t{slot}")
    for number, name in enumerate(("PMC1", "PMC2", "PMC3")):
        (folder / "texts" / f"{number:02}_{name}.txt").write_text(text, encoding="utf-8")
        (tables / "sentences" / f"{name}.csv").write_text("1\t0\t0\t13\n2\t0\t14\t29\n", encoding="utf-8")
        (tables / "entity_types_and_slots" / f"{name}.csv").write_text("\n".join(lines) + "\n")
    rows = [f"{name}\t{part}" for name, part in zip(("PMC1", "PMC2", "PMC3"), sets, strict=True)]
    (folder / "SOFC-Exp-Metadata.csv").write_text("\n".join(["name\tset", *rows]) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("level", "tags"),
    [
        ("slots", ["O", "B-anode_material", "O", "B-experiment_evoking_word"]),
        ("entities", ["O", "B-MATERIAL", "O", "B-EXPERIMENT"]),
    ],
)
def test_the_sofc_corpus(tmp_path, level, tags):
    found = read_sofc(write_sofc(tmp_path), level)
    assert found.words == [["A", "Ni", "anode", "ran"]] * 3
    assert found.tags == [tags] * 3
    assert {p: r.tolist() for p, r in found.parts.items()} == {"train": [0], "val": [1], "test": [2]}
    assert found.documents.tolist() == [0, 1, 2]


def test_a_document_of_no_part_is_left_out(tmp_path):
    folder = write_sofc(tmp_path, ("train", "dev", "elsewhere"))
    with pytest.raises(BadInputError, match="no sentence of test can be used"):
        read_sofc(folder)


def test_what_is_no_sofc_corpus(tmp_path):
    (tmp_path / "SOFC-Exp-Metadata.csv").write_text("a\tb\n1\t2\n")
    with pytest.raises(BadInputError, match="no table of documents with the columns name and set"):
        read_sofc(tmp_path)


def test_the_real_files_are_read_whole():
    """Counts that the files' own authors give, or that a plain count of lines gives."""
    folder = SHARED / "text_tasks"
    if not folder.is_dir():
        pytest.skip("text_tasks is not in PRISMAT_SHARED_DATA")
    glass = read_labelled(folder / "glass_non_glass")
    assert {p: len(r) for p, r in glass.parts.items()} == {"train": 900, "val": 300, "test": 300}
    assert sorted(set(glass.labels)) == ["0", "1"]
    sofc = read_sofc(folder / "sofc-exp-corpus", "entities")
    assert len(sofc.parts["test"]) == 173
    assert {t[2:] for tags in sofc.tags for t in tags} - {""} == {"MATERIAL", "VALUE", "DEVICE", "EXPERIMENT"}
