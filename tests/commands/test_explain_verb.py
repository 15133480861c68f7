import json

from helpers_cli import call


def test_a_match_is_explained_and_written(commanded, tmp_path):
    store, run, out = commanded.store, commanded.run, tmp_path / "why"
    said = call(
        *("explain", "--run", run, "--store", store, "--text", "calcium oxide study", "--out", out),
        *("--orders", 3, "--method", "occlusion"),
    )
    assert said.code == 0, said.err
    assert "Words of the query by occlusion" in said.out
    assert "beats random" in said.out
    assert "Next: open" in said.out
    assert json.loads((out / "explanation.json").read_text(encoding="utf-8"))["parts"]
    assert (out / "explanation.html").is_file()


def test_a_record_like_another_in_json(commanded, tmp_path):
    store, run = commanded.store, commanded.run
    hits = json.loads(call("search", "--run", run, "--text", "oxide", "--json").out)["hits"]
    said = call(
        *("explain", "--run", run, "--store", store, "--like", hits[0]["id"], "--id", hits[1]["id"]),
        *("--json", "--orders", 2, "--method", "occlusion", "--out", tmp_path / "why"),
    )
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert told["id"] == hits[1]["id"]
    assert {p["unit"] for p in told["parts"]} == {"atom", "bond"}


def test_wrong_input_is_told_in_one_line(commanded, tmp_path):
    base = ("explain", "--run", commanded.run, "--store", commanded.store, "--out", tmp_path / "why")
    for words, problem in (
        (("--text", "oxide", "--id", "nobody"), "no such record"),
        ((), "the query is empty"),
        (("--like", "a", "--structure", commanded.files / "broken.cif"), "two structures given"),
        (("--text", "oxide", "--direction", "text"), "unknown direction"),
    ):
        said = call(*base, *words)
        assert said.code == 1
        assert problem in said.err.lower()
        assert "Traceback" not in said.err
    assert not (tmp_path / "why").exists()
