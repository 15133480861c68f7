import json

import pytest

from helpers_cli import call
from prismat.search.backends.opening import open_any


@pytest.fixture
def words(small_run, small_store, tmp_path):
    """Options of ``index-edit`` for a usearch index of all crystals but its own copy of the run."""
    pytest.importorskip("usearch")
    place = str(tmp_path / "index")
    run = ("--run", str(small_run.folder))
    said = call("index", *run, "--store", str(small_store.folder), "--out", place, "--backend", "usearch")
    assert said.code == 0, said.err
    assert f"→ {place}" in said.out
    assert f"Next: prismat search --run {small_run.folder} --index {place}" in said.out
    return (*run, "--index", place)


def edit(words, *more):
    said = call("index-edit", *words, *more, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_records_go_and_come_back(words, small_store):
    before = open_any(words[-1])
    gone = [hit.id for hit in before.records(3, 6)]
    told = edit(words, "--remove", *gone, "nobody")
    assert (told["removed"], told["not there"], told["version"]) == (gone, ["nobody"], 2)
    assert told["records"] == len(before) - 3
    back = edit(words, "--add", str(small_store.folder), "--compact")
    assert (back["added"], back["updated"], back["records"]) == (gone, [], len(before))
    assert len(back["skipped, there already"]) == len(before) - 3
    after = open_any(words[-1])
    for key in before.keys:
        ours, theirs = before.vectors_of(key, gone)[0], after.vectors_of(key, gone)[0]
        assert ours == pytest.approx(theirs, abs=1e-5)


def test_replacing_and_a_list_of_ids(words, small_store, tmp_path):
    first = open_any(words[-1]).records(0, 2)
    (tmp_path / "ids.txt").write_text(f"{first[0].id}\n\n  nobody \n")
    said = call(
        "index-edit",
        *words,
        "--remove-listed",
        str(tmp_path / "ids.txt"),
        "--add",
        str(small_store.folder),
        "--replace",
    )
    assert said.code == 0, said.err
    assert "removed: 1" in said.out
    assert "not there: 1 (nobody)" in said.out
    assert "added: 1" in said.out
    assert "updated:" in said.out
    assert "Next: prismat search" in said.out


@pytest.mark.parametrize(
    ("verb", "more", "message"),
    [
        ("index-edit", (), "nothing to do"),
        ("index-edit", ("--compact", "--index", "nowhere"), "there is no index"),
        ("index-edit", ("--remove-listed", "nowhere.txt"), "no such file"),
        ("index", ("--half",), "exact keeps full precision"),
        ("index", ("--uri", "x.db", "--out", "y"), "both a folder and a URI"),
        ("index", ("--backend", "milvus", "--out", "plain"), "Give a file that ends in .db"),
    ],
)
def test_bad_options_are_named(small_run, small_store, verb, more, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = ("--store", str(small_store.folder)) if verb == "index" else ()
    said = call(verb, "--run", str(small_run.folder), *store, *more)
    assert said.code not in (0, 2)
    assert message in str(said.code) + said.err
