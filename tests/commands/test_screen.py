import json

import pyarrow.csv as pa_csv
import pytest

from helpers_cli import call
from prismat.store import Store


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("tasks") / "screening"


@pytest.fixture(scope="module")
def base(commanded, out):
    """The run, its store, and where results go."""
    return ("--run", commanded.run, "--store", commanded.store, "--out", out)


def test_a_ranking_is_printed_and_written(base, tmp_path):
    said = call("screen", "magnesium oxide", *base, "--k", 5, "--with", "O", "--table", tmp_path / "hits.csv")
    assert said.code == 0, said.err
    assert "prompts, averaged: magnesium oxide; crystal structure of a magnesium oxide" in said.out
    assert f"5 crystals → {tmp_path / 'hits.csv'}" in said.out
    assert "Next: prismat" in said.out
    table = pa_csv.read_csv(tmp_path / "hits.csv")
    assert table.num_rows == 5
    assert all("O" in formula for formula in table["formula"].to_pylist())


def test_a_store_and_an_index_rank_alike(commanded, base):
    one = call("screen", "spinel", *base, "--k", 6, "--json", "--prompts", "{}", "a mineral: {}")
    two = call(
        *("screen", "spinel", "--run", commanded.run, "--index", commanded.run / "index", "--k", 6, "--json"),
        *("--prompts", "{}", "a mineral: {}"),
    )
    assert one.code == two.code == 0, two.err
    first, second = json.loads(one.out), json.loads(two.out)
    assert first["prompts"] == ["spinel", "a mineral: spinel"]
    assert [h["id"] for h in first["hits"]] == [h["id"] for h in second["hits"]]


def test_the_protocol_writes_its_page(base, out):
    said = call(
        "screen", "--evaluate", *base, "--words", "high pressure", "thermal expansion", "--part", "all"
    )
    assert said.code == 0, said.err
    for name in ("screening.html", "screening.json", "roc_own.svg"):
        assert (out / name).is_file(), name
    assert f"Page: {out / 'screening.html'}" in said.out
    assert "words can be scored" in said.out
    told = json.loads((out / "screening.json").read_text())
    assert told["own_split"]
    assert set(told["sets"]["own"]["words"]) <= {"high pressure", "thermal expansion"}


def test_violins_of_the_own_numbers(base, out):
    said = call(
        *("screen", "--violin", "magnesium oxide", *base, "--property", "gap", "--part", "all", "--k", 5),
        "--json",
    )
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert told["property"]["unit"] == "eV"
    assert len(told["top"]["magnesium oxide"]) == 5
    assert (out / "violins.svg").is_file()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ((), "nothing, or several things, to do"),
        (("garnet", "--evaluate"), "nothing, or several things, to do"),
        (("123",), "has no word"),
        (("garnet", "--k", "0"), "0 results asked for"),
        (("--violin", "metal"), "values from nowhere, or from two sources"),
        (("--violin", "metal", "--property", "colour"), "no record has the property 'colour'"),
        (("--violin", "metal", "--predictor", "."), "holds no predictor"),
        (("--evaluate", "--words", "lava"), "titles that have it: lava 0"),
    ],
    ids=["nothing", "both", "no-word", "no-results", "no-values", "no-property", "no-predictor", "no-title"],
)
def test_errors_of_screen(base, words, error):
    said = call("screen", *words, *base)
    assert said.code == 1
    assert error in said.err
    assert "Traceback" not in said.err


def test_a_run_without_a_store_beside_it_asks_for_one(commanded, tmp_path):
    run = tmp_path / "run"
    run.symlink_to(commanded.run)
    said = call("screen", "garnet", "--run", run)
    assert said.code == 1
    assert "Name it with --store" in said.err


def test_files_are_tagged_and_a_bad_one_is_listed(commanded, base):
    cifs = sorted(commanded.files.glob("rock_salt_*.cif"))[:2]
    name = Store(commanded.store).ids[0]
    said = call("tag", *cifs, commanded.files / "broken.cif", name, *base, "--k", 3, "--json")
    if "no keyword is in the texts" in said.err:
        pytest.fail(said.err)
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert list(told["tags"]) == [*map(str, cifs), name]
    assert all(len(tags) == 3 for tags in told["tags"].values())
    assert list(told["failed"]) == [str(commanded.files / "broken.cif")]
    plain = call("tag", cifs[0], *base, "--k", 3, "--prior", 0)
    assert plain.code == 0, plain.err
    assert "Next: prismat screen" in plain.out


def test_tags_are_judged(base, out):
    said = call("tag", "--evaluate", *base)
    assert said.code == 0, said.err
    assert "most frequent words" in said.out
    assert (out / "tagging.html").is_file()


@pytest.mark.parametrize(
    ("words", "error"),
    [((), "nothing, or two things, to do"), (("nobody",), "none of 1 structures could be read")],
    ids=["nothing", "nobody"],
)
def test_errors_of_tag(base, words, error):
    said = call("tag", *words, *base)
    assert said.code == 1
    assert error in said.err
