"""The attention verb from a run to its page, and a real title."""

import json

import pytest

from helpers_cli import call
from prismat.explain.attention.kinds import kinds_of
from prismat.explain.attention.tokens import words_of
from prismat.material import Material
from prismat.modalities.text import clean_text


@pytest.fixture(scope="module")
def record(commanded):
    from prismat.store import Store

    store = Store(commanded.store)
    rows = zip(store.ids, store.table["texts"].to_pylist(), strict=True)
    return next((i, dict(t)["title"]) for i, t in rows if len(dict(t).get("title", "").split()) > 2)


def test_a_record_is_compared_with_its_crystal(commanded, record, tmp_path):
    identifier, title = record
    said = call(
        "attention",
        "--run",
        commanded.run,
        "--store",
        commanded.store,
        "--id",
        identifier,
        "--beside",
        "random",
        "--out",
        tmp_path,
    )
    assert said.code == 0, said.err
    assert f"cosine with the crystal of {identifier}" in said.out
    assert "attention × gradient" in said.out
    assert "random weights" in said.out
    told = json.loads((tmp_path / "attention.json").read_text())
    assert told["text"] == title
    assert told["check"]["occlusion"]["orders"] == 20
    assert set(told["distance"]) == {"tiny, random weights"}
    page = (tmp_path / "attention.html").read_text()
    assert page.count("<svg") >= 5
    for name in ("words", "beside", "heads", "matrix", "deletion", "insertion"):
        assert (tmp_path / f"attention_{name}.svg").is_file()


def test_words_alone_are_compared_with_themselves(commanded, tmp_path):
    said = call(
        "attention",
        "--run",
        commanded.run,
        "--text",
        "sodium chloride halite",
        "--layer",
        1,
        "--head",
        1,
        "--matrices",
        "--json",
        "--out",
        tmp_path,
    )
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert told["compared_with"] == "the whole text"
    assert "attention × gradient" not in told["values"]
    assert "layer 1 of 1, head 1" in told["values"]
    assert len(told["weights"]) == 1


def test_one_word_is_shown_and_not_checked(commanded, tmp_path):
    said = call("attention", "--run", commanded.run, "--text", "halite", "--out", tmp_path)
    assert said.code == 0, said.err
    assert "no order that could be checked" in said.out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "Give --text, or --id"),
        (("--text", "!!!"), "no letter and no digit"),
        (("--text", "halite", "--layer", "9"), "layers 1 to 1"),
        (("--text", "halite", "--beside", "/nowhere"), "neither a folder"),
    ],
)
def test_bad_input_is_told(commanded, tmp_path, words, problem):
    said = call("attention", "--run", commanded.run, *words, "--out", tmp_path)
    assert said.code == 1
    assert problem in said.err
    assert "Traceback" not in said.err


def test_unknown_records_and_texts_are_told(commanded, record, tmp_path):
    options = ("attention", "--run", commanded.run, "--store", commanded.store, "--out", tmp_path)
    assert (
        "No such record" in call(*options, "--id", "nothing").err
        or "no such record" in call(*options, "--id", "nothing").err
    )
    said = call(*options, "--id", record[0], "--view", "poem")
    assert "the record has no poem" in said.err


def test_kinds_of_real_titles(amcsd):
    titles = [clean_text(m.texts.get("title", "")) for m in amcsd.read(0, 300) if isinstance(m, Material)]
    found = [kind for t in titles if t for kind in kinds_of(words_of(t), t)]
    share = {kind: found.count(kind) / len(found) for kind in set(found)}
    assert share["glue"] > 0.2
    assert share["mineral"] > 0.05
    assert share["formula"] + share["element"] > 0.05
