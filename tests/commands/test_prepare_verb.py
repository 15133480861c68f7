import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers_cli import call
from prismat.store import Store

SOURCES = (
    *("amcsd", "folder", "cod", "materials_project", "jarvis", "oqmd", "optimade", "matbench", "mp2018"),
    *("synthesis", "elpv", "images", "packaged"),
)
TABLE = {
    "material_id": ["a", "b"],
    "numbers": [[11, 17], [12, 8]],
    "lattice": [[5.6, 0, 0, 0, 5.6, 0, 0, 0, 5.6], [4.2, 0, 0, 0, 4.2, 0, 0, 0, 4.2]],
    "frac_coords": [[0, 0, 0, 0.5, 0.5, 0.5], [0, 0, 0, 0.5, 0.5, 0.5]],
    "band_gap": [5.0, None],
}


def write_table(path):
    pq.write_table(pa.Table.from_pydict(TABLE), path)
    return ("--path", path, "--layout", "custom", "--properties", "band_gap=eV", "--settings.workers", 1)


def test_prepare_tells_what_it_wrote(commanded):
    out, store = commanded.said["prepare"].out, Store(commanded.store)
    assert f"{len(store)} records, 1 rejected" in out
    assert f"Rejects with reasons: {commanded.store / 'rejects.jsonl'}" in out
    assert f"{len(store):,}  folder: CC0" in out
    assert "Terms: " in out
    assert f"Next: prismat train --store {commanded.store}" in out
    assert json.loads((commanded.store / "rejects.jsonl").read_text())["id"] == "broken"
    assert "prepare" in commanded.said["prepare"].err


def test_prepare_writes_a_data_card(commanded):
    card = json.loads((commanded.store / "data_card.json").read_text())
    assert card["counts"]["records"] == len(Store(commanded.store))
    assert "<html" in (commanded.store / "data_card.html").read_text()
    assert f"Data card: {commanded.store / 'data_card.html'}" in commanded.said["prepare"].out


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_has_help_with_the_options_of_prepare(source):
    said = call("prepare", source, "--help")
    assert said.code == 0
    assert f"usage: prismat prepare {source}" in said.out
    assert all(option in said.out for option in ("--out", "--attach", "--settings.workers"))


@pytest.mark.parametrize("words", [("prepare",), ("prepare", "nowhere"), ("prepare", "folder")])
def test_a_source_and_its_path_are_asked_for(words):
    said = call(*words)
    assert said.code == 2
    assert said.err
    assert "Traceback" not in said.err


def test_a_missing_file_is_named(tmp_path):
    said = call("prepare", "amcsd", "--path", tmp_path / "none.db")
    assert said.code == 1
    assert "no such file" in said.err


def test_the_store_is_named_after_its_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = call("prepare", "mp2018", *write_table(tmp_path / "t.parquet"))
    assert said.code == 0, said.err
    assert len(Store(tmp_path / "stores" / "table")) == 2


def test_computed_results_are_attached_to_any_source(tmp_path, monkeypatch):
    taken = []

    def attached(source, folder, only):
        taken.append((source.name, folder, only))
        return source

    monkeypatch.setattr("prismat.commands.prepare.AttachedSource", attached)
    words = ("--attach", tmp_path / "computed", "--attach-only", "--out", tmp_path / "store")
    assert call("prepare", "mp2018", *write_table(tmp_path / "t.parquet"), *words).code == 0
    assert taken == [("table", tmp_path / "computed", True)]


def test_a_source_that_fetches_does_so_first(server, tmp_path):
    said = call(
        *("prepare", "optimade", "--base-url", server.url, "--cache", tmp_path / "cache"),
        *("--out", tmp_path / "store"),
    )
    assert said.code == 1
    assert server.seen
    assert "HTTP 404" in said.err
    assert not (tmp_path / "store").exists()
