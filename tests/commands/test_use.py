import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import helpers_small as small
from helpers_cli import TINY, call
from prismat.api import load
from prismat.formats_xrd import read_xy
from prismat.search.engine import SearchEngine
from prismat.search.language import read_words
from prismat.search.query import Query
from prismat.store import Store


def search(commanded, *words):
    """Results as JSON objects."""
    said = call("search", "--run", commanded.run, *words, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out)["hits"]


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """The measured pattern of a crystal of the folder, as a file."""
    pattern = small.measured("rock_salt_Mg-O")
    path = tmp_path_factory.mktemp("scan") / "scan.xy"
    np.savetxt(path, np.stack([pattern.two_theta, pattern.intensity], axis=1))
    return path


def test_index_tells_what_it_wrote(commanded):
    out = commanded.said["index"].out
    assert f"{len(Store(commanded.store))} records under" in out
    assert f"→ {commanded.run / 'index'}" in out
    assert f'Next: prismat search --run {commanded.run} --text "your words"' in out


def test_search_by_words(commanded):
    hits = search(commanded, "--text", "rock salt structure", "--k", 4)
    assert len(hits) == 4
    assert set(hits[0]) == {
        *("id", "score", "scores", "formula", "spacegroup", "spacegroup_number", "title", "elements"),
        *("n_sites", "properties", "rank", "parts", "probability"),
    }
    assert [h["score"] for h in hits] == sorted((h["score"] for h in hits), reverse=True)
    table = call("search", "--run", commanded.run, "--text", "rock salt structure", "--k", 4).out.splitlines()
    assert table[0].split() == ["id", "score", "formula", "space", "group", "title"]
    assert [line.split()[0] for line in table[2:6]] == [h["id"] for h in hits]
    assert "No calibration is at hand: make one with prismat calibrate." in table


def test_the_same_query_in_every_form_gives_the_same_answer(commanded, scan, tmp_path):
    line = "oxide not zinc +O gap:1.. like:rutile_Ti-O"
    saved = tmp_path / "query.json"
    by_line = call(
        "search",
        "--run",
        commanded.run,
        "--q",
        line,
        "--xrd",
        scan,
        "--k",
        7,
        "--json",
        "--save-query",
        saved,
    )
    options = ("--text", "oxide", "--not-text", "zinc", "--with", "O", "--range", "gap:1:", "--xrd", scan)
    by_options = call("search", "--run", commanded.run, *options, "--like", "rutile_Ti-O", "--k", 7, "--json")
    by_file = call("search", "--run", commanded.run, "--query", saved, "--json")
    answers = [json.loads(said.out) for said in (by_line, by_options, by_file)]
    engine = SearchEngine.open(load(commanded.run), commanded.run / "index")
    answers += [
        engine.respond(Query.from_json(saved.read_text())).to_dict(),
        engine.respond(replace(read_words(line, k=7), xrd=read_xy(scan, record="scan"))).to_dict(),
    ]
    for answer in answers:
        answer.pop("took_ms")
    assert all(answer == answers[0] for answer in answers)
    assert set(answers[0]["hits"][0]["parts"]) <= {"text", "xrd", "not_text", "like"}
    assert answers[0]["hits"]
    assert answers[0]["notes"] == ["The record given as an example is left out of the results."]
    fewer = search(commanded, "--query", saved, "--k", 2, "--without", "Zn")
    assert len(fewer) == 2
    assert not any("Zn" in h["elements"] for h in fewer)


def test_scores_of_the_parts_are_printed_beside_the_total(commanded, scan):
    said = call(
        "search", "--run", commanded.run, "--text", "oxide", "--xrd", scan, "--not-text", "zinc", "--k", 3
    )
    lines = said.out.splitlines()
    assert lines[0].split()[:5] == ["id", "score", "text", "xrd", "not_text"]
    total, *parts = (float(cell) for cell in lines[2].split()[1:5])
    assert total == pytest.approx((parts[0] + parts[1] - 0.4 * parts[2]) / 2.4, abs=0.05)
    assert any("records meet the conditions" in line for line in lines)


def test_further_conditions_hold(commanded):
    def ask(*words):
        return search(commanded, "--text", "oxide", "--k", 100, *words)

    assert {h["spacegroup_number"] for h in ask("--spacegroup", 220, 230)} <= set(range(220, 231))
    assert all(h["spacegroup_number"] >= 195 for h in ask("--system", "cubic"))
    assert {len(h["elements"]) for h in ask("--n-elements", 3, 3)} == {3}


def test_search_by_a_structure_finds_it(commanded):
    path = commanded.files / "rock_salt_Mg-O.cif"
    hit = search(commanded, "--structure", path, "--k", 1)[0]
    assert (hit["id"], hit["formula"], hit["spacegroup_number"]) == ("rock_salt_Mg-O", "MgO", 225)
    assert hit["score"] == pytest.approx(1, abs=1e-3)


def test_search_by_a_measured_pattern(commanded, scan):
    hits = search(commanded, "--xrd", scan, "--k", 60)
    assert max(hits, key=lambda h: h["scores"]["profile"])["id"] == "rock_salt_Mg-O"
    other = search(commanded, "--xrd", scan, "--wavelength", 1.0, "--k", 60)
    assert max(other, key=lambda h: h["scores"]["profile"])["id"] != "rock_salt_Mg-O"


def test_search_by_several_at_once_with_weights(commanded, scan):
    alone = search(commanded, "--xrd", scan, "--k", 3)
    both = search(
        commanded, "--xrd", scan, "--text", "perovskite", "--weights", "text", 1e-9, "xrd", 1.0, "--k", 3
    )
    assert [h["id"] for h in both] == [h["id"] for h in alone]


def test_conditions_hold(commanded):
    def ask(*words):
        return search(commanded, "--text", "oxide", "--k", 100, *words)

    assert {h["id"] for h in ask("--with", "O", "Ti")} <= {
        i for i in Store(commanded.store).ids if "Ti-O" in i
    }
    assert ask("--with", "O", "Ti")
    assert not any({"O", "F"} & set(h["elements"]) for h in ask("--without", "O", "F"))
    assert {h["formula"] for h in ask("--only", "Zn", "S")} == {"ZnS"}
    assert {h["n_sites"] for h in ask("--n-sites", 4, 5)} == {4, 5}
    gaps = [h["properties"]["gap"] for h in ask("--range", "gap:1:2")]
    assert gaps
    assert all(1 <= gap["value"] <= 2 and gap["unit"] == "eV" for gap in gaps)
    assert all(h["properties"]["gap"]["value"] >= 3 for h in ask("--range", "gap:3:"))
    none = call("search", "--run", commanded.run, "--text", "oxide", "--with", "Pu")
    assert (none.code, none.out) == (0, "no crystal meets the conditions\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--q", "not oxide"), "query: the query says only what is not wanted."),
        (("--q", "oxide gap:1..x"), "q: cannot read the range (at 'gap:1..x'). Write gap:3..5"),
        (("--q", "a", "--text", "b"), "text: words are given twice. Give --q or --text."),
        (("--text", "a", "--like", "nobody"), "record 'nobody', id: no such record in this index."),
        (("--query", "nowhere.json"), "record 'nowhere.json', path: no such file"),
        (("--query", "nowhere.json", "--text", "a"), "query: a query file and parts of a query."),
        (("--text", "a", "--system", "round"), "unknown crystal system 'round'"),
        ((), "query: the query is empty. Give a text, a structure or a pattern."),
        (("--text", "?"), "text: query has no letter and no digit."),
        (("--text", "a", "--with", "Qq"), "Qq"),
        (("--text", "a", "--range", "gap"), "range: cannot read 'gap'. Write name:low:high."),
        (("--text", "a", "--range", "gap:one:2"), "range: cannot read 'gap:one:2'. Write name:low:high."),
        (("--text", "a", "--range", "hardness:1:2"), "unknown property 'hardness'. This index has: gap."),
        (("--text", "a", "--k", "0"), "k: k is 0. Ask for at least one result."),
        (
            ("--xrd", "nowhere.xy"),
            "record 'nowhere.xy', path: no such file, or it cannot be read. Check the path.",
        ),
        (("--structure", "nowhere.cif"), "record 'query'"),
    ],
)
def test_errors_of_a_search_take_one_line(commanded, words, message):
    said = call("search", "--run", commanded.run, *words)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("prismat: ")
    assert len(said.err.splitlines()) == 1
    assert message in said.err


def test_a_run_without_a_model_or_an_index_names_the_way_out(commanded, tmp_path):
    said = call("search", "--run", tmp_path, "--text", "oxide")
    assert said.code == 1
    assert "Train one: prismat quickstart." in said.err
    shutil.copytree(commanded.run / "model", tmp_path / "model")
    said = call("search", "--run", tmp_path, "--text", "oxide")
    assert said.code == 1
    assert "prismat index" in said.err


def test_an_index_of_another_model_is_refused(commanded, small_run, tmp_path):
    shutil.copytree(small_run.folder / "model", tmp_path / "model")
    shutil.copytree(commanded.run / "index", tmp_path / "index")
    said = call("search", "--run", tmp_path, "--text", "oxide")
    assert said.code == 1
    assert "another model" in said.err or "other model" in said.err


def test_index_goes_where_it_is_asked_to(commanded, tmp_path):
    said = call("index", "--store", commanded.store, "--run", commanded.run, "--out", tmp_path / "there")
    assert said.code == 0
    first, second = (
        (f / "table.parquet").read_bytes() for f in (tmp_path / "there", commanded.run / "index")
    )
    assert first == second
    assert f"--index {tmp_path / 'there'}" in said.out
    shutil.copytree(commanded.run / "model", tmp_path / "model")
    found = call("search", "--run", tmp_path, "--index", tmp_path / "there", "--text", "oxide", "--json")
    usual = call("search", "--run", commanded.run, "--text", "oxide", "--json")
    assert found.code == 0
    assert json.loads(found.out)["hits"] == json.loads(usual.out)["hits"]
    assert call("search", "--run", tmp_path, "--text", "oxide").code == 1


def test_embed_writes_arrays_without_pickle(commanded, scan, tmp_path):
    model, out = load(commanded.run), tmp_path / "deep" / "vectors.npz"
    cifs = [
        commanded.files / f"{n}.cif"
        for n in ("rock_salt_Mg-O", "rutile_Ti-O")
        if (commanded.files / f"{n}.cif").exists()
    ]
    given = {"--structures": cifs, "--texts": ["rock salt", "an oxide"], "--patterns": [scan]}
    expected = {
        "--structures": model.embed(structures=cifs),
        "--texts": model.embed(texts=["rock salt", "an oxide"]),
    }
    for option, values in given.items():
        said = call("embed", "--run", commanded.run, option, *values, "--out", out)
        assert said.code == 0, said.err
        assert said.out.startswith(f"{len(values)} embedded under ")
        found = np.load(out, allow_pickle=False)
        assert found["names"].tolist() == [str(v) for v in values]
        for key, vectors in expected.get(option, {}).items():
            np.testing.assert_allclose(found[key], vectors, atol=1e-5)
    assert set(found) == {"names", "profile", "xrd@structure", "xrd@text"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "embed: 0 kinds of input given"),
        (("--texts", "a", "--structures", "b.cif"), "embed: 2 kinds of input given"),
        (("--structures", "nowhere.cif"), "record 'nowhere.cif'"),
        (("--patterns", "nowhere.xy"), "record 'nowhere.xy'"),
    ],
)
def test_embed_says_what_is_wrong(commanded, tmp_path, words, message):
    said = call("embed", "--run", commanded.run, *words, "--out", tmp_path / "x.npz")
    assert said.code == 1
    assert message in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_found_in_every_folder_that_holds_it(commanded, small_whole):
    expected = load(commanded.run).hash
    assert load(commanded.run).hash == load(commanded.run / "model").hash == expected
    assert load(small_whole.folder).hash == small_whole.engine.prismat.hash


@pytest.fixture(scope="module")
def with_targets(commanded, tmp_path_factory):
    """A run of structures against properties, trained and indexed by commands."""
    run = tmp_path_factory.mktemp("targets") / "run"
    windows = ("--windows", "structure", "properties", "--no-baselines")
    trained = call("train", "--store", commanded.store, "--out", run, *windows, *TINY)
    assert trained.code == 0, trained.err
    assert "val properties->structure/recall@10" in trained.out
    assert call("index", "--store", commanded.store, "--run", run).code == 0
    return run


def test_search_by_target_properties(with_targets):
    said = call("search", "--run", with_targets, "--target", "gap=2500:meV", "--k", 3, "--json")
    assert said.code == 0, said.err
    hits = json.loads(said.out)["hits"]
    assert len(hits) == 3
    same = call("search", "--run", with_targets, "--target", "gap=2.5:eV", "--k", 3, "--json")
    assert json.loads(same.out)["hits"] == hits


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--target", "gap"), "Write name=value:unit"),
        (("--target", "gap=wide:eV"), "Write name=value:unit"),
        (("--target", "gap=2.5"), "gap"),
        (("--target", "mass=2.5:g"), "properties"),
        (("--dos", "nowhere.dat"), "nowhere.dat"),
    ],
)
def test_targets_and_files_that_cannot_be_read(with_targets, words, said):
    found = call("search", "--run", with_targets, *words)
    assert found.code == 1
    assert said in found.err
