import pytest

from prismat.api import load
from prismat.hygiene.manifest import manifest
from prismat.store import Store
from prismat.tasks.card import model_card


@pytest.fixture(scope="module")
def card(small_whole):
    return model_card(small_whole.engine.prismat, small_whole.report)


def test_the_card_lies_beside_the_weights(card, small_whole):
    assert (small_whole.folder / "run/model/README.md").read_text() == card
    assert load(small_whole.folder / "run").card == card


def test_the_card_tells_what_the_model_is(card, small_whole):
    report = small_whole.report
    assert card.startswith("# Prismat model: tiny\n")
    assert "Windows: structure, text, xrd." in card
    assert f"{report['cost']['parameters']:,} trained parameters, 16 dimensions, pair heads" in card
    assert (
        f"Trained on {report['split']['train']} of {report['dataset']['records']} records of small (CC0"
        in card
    )
    assert f"Split {report['split']['hash'][:12]}" in card
    assert "## Limits" in card


def test_every_direction_has_its_row_beside_the_baseline(card, small_whole):
    rows = {line.split(" | ")[0].strip("| "): line for line in card.splitlines() if line.startswith("| ")}
    report = small_whole.report
    for direction, found in report["retrieval"].items():
        if "pool" not in found:
            continue
        base = report["baselines"]["composition"][direction]
        cells = [c.strip() for c in rows[direction].strip("| ").split("|")]
        assert cells[2:4] == [f"{found['recall@1']:.3f}", f"{found['recall@10']:.3f}"]
        assert cells[5:] == [f"{base['recall@1']:.3f}", f"{base['recall@10']:.3f}"]


def test_a_report_without_baselines_leaves_their_cells_open(small_whole):
    card = model_card(small_whole.engine.prismat, {**small_whole.report, "baselines": {}})
    assert card.count("| – | – |") == 7


def test_a_given_division_is_told_with_what_it_lets_cross(small_whole):
    report = small_whole.report
    rule = {"given": True, "tolerance": 0.02, "crossing": {"composition": 1200, "title": 0}}
    given = {**report, "split": {**report["split"], "rule": rule}}
    card = model_card(small_whole.engine.prismat, given)
    assert "the division that the data came with; what it lets cross: 1,200 by composition." in card
    assert "a title, a publication" not in card


def test_limits_are_those_of_the_data(small_whole):
    report = small_whole.report
    assert "unlike those of small" in model_card(small_whole.engine.prismat, report)
    minerals = {**report, "dataset": {**report["dataset"], "source": "amcsd"}}
    assert "Minerals and simple inorganic" in model_card(small_whole.engine.prismat, minerals)


def test_the_card_inherits_licences_and_provenance(small_whole):
    report = small_whole.report
    store = Store(small_whole.folder / "store")
    found = manifest(store)
    found["provenance"].append(
        {"source": "a|b", "licence": "CC BY-NC 4.0", "citation": "<b>Nobody</b>", "records": 1200}
    )
    found["texts"] = {"keywords": {"model": "small-7b", "prompt_hash": "0123456789abcdef", "licence": ""}}
    found["notice"] = "1,200 of 1,300 records for non-commercial use."
    inherited = {**report, "dataset": {**report["dataset"], "manifest": found}}
    card = model_card(small_whole.engine.prismat, inherited)
    assert "## Data and licences\n\n1,200 of 1,300 records for non-commercial use." in card
    assert f"| small | {store.info['licence']} | {store.info['citation']} |" in card
    assert "| a\\|b | CC BY-NC 4.0 | &lt;b&gt;Nobody&lt;/b&gt; | 1,200 |" in card
    assert "- texts 'keywords' made by small-7b, prompt 0123456789ab: no licence stated" in card
    plain = {**report, "dataset": {k: v for k, v in report["dataset"].items() if k != "manifest"}}
    assert "## Data and licences" not in model_card(small_whole.engine.prismat, plain)
