import json
import shutil

import pytest
import tyro

import helpers_pool as work
import helpers_small as small
from helpers_chat import completion, fake_chat
from helpers_server import Answer
from prismat.commands import describe
from prismat.commands.describe import Describe, ModelOptions
from prismat.errors import BadInputError
from prismat.fetch.errors import FetchError
from prismat.modalities.standard_cell import standardize
from prismat.store import Store
from prismat.store_texts import read_added_texts, read_texts_info
from prismat.texts.robocrys import robocrys_texts
from prismat.texts.template import describe_cell

PARAGRAPH = (
    "This compound is made of few elements whose atoms stand in a regular framework, and every atom of one "
    "kind has the same neighbours in the same arrangement, which is what one expects of so simple a crystal."
)


@pytest.fixture
def folder(small_store, tmp_path, monkeypatch):
    """A copy of the store, to be written to, and a cache of its own."""
    monkeypatch.setenv("PRISMAT_CACHE", str(tmp_path / "cache"))
    shutil.copytree(small_store.folder, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def chat():
    def say(payload):
        return '["simple solid"]' if "keywords" in payload["messages"][0]["content"] else PARAGRAPH

    with fake_chat(say) as fake:
        yield fake


def llm(chat, **options):
    return ModelOptions(chat.url, "tiny", **options)


def rejects(folder, kind):
    lines = (folder / "texts" / f"{kind}.rejects.jsonl").read_text().splitlines()
    return {row["id"]: row["reason"] for row in map(json.loads, lines)}


@pytest.mark.parametrize("kind", ["template", "template_global", "template_local"])
def test_templates_of_a_whole_store(folder, capsys, kind):
    Describe(folder, kind).run()
    store = Store(folder)
    texts = read_added_texts(folder)[kind]
    assert list(texts) == store.ids
    assert texts["rock_salt_Na-Cl"] == describe_cell(standardize(small.crystal("rock_salt_Na-Cl")), kind)
    assert dict(store.column("texts")[0])[kind] == texts[store.ids[0]]
    info = read_texts_info(folder)[kind]
    assert (info["method"], info["version"], info["records"]) == (kind, 1, len(store))
    assert "CC0" in info["licence_note"]
    assert info["seconds"] >= 0
    out = capsys.readouterr().out
    assert f"{len(store)} texts, 0 rejected" in out
    assert f"Next: prismat train --store {folder}" in out


def test_limit(folder):
    Describe(folder, limit=5).run()
    assert list(read_added_texts(folder)["template"]) == Store(folder).ids[:5]


def test_records_keep_the_keywords_they_came_with(folder):
    for _ in range(2):
        Describe(folder, "keywords").run()
        given = {row["id"]: dict(row["texts"]) for row in Store(folder).table.to_pylist()}
        own = [record for record, texts in given.items() if texts.get("keywords") == "inorganic, simple"]
        assert len(own) == sum("keywords" in m.texts for m in small.materials() if hasattr(m, "texts"))
        assert not set(own) & set(read_added_texts(folder)["keywords"])
    assert set(rejects(folder, "keywords").values()) <= {"no title and no abstract", "no keyword found"}


def test_a_record_without_a_structure_is_a_reject(tmp_path):
    from prismat.prepare import PrepareSettings, prepare

    settings = PrepareSettings(profile=small.tiny_recipe().profile, workers=1)
    folder = tmp_path / "patchy"
    prepare(small.SmallSource(tuple(small.patchy())), folder, settings)
    Describe(folder).run()
    assert rejects(folder, "template")["words_0"] == "no structure"


def test_keywords_by_a_language_model(folder, chat, capsys):
    command = Describe(folder, "keywords", "llm", llm(chat, price_in=1.0, price_out=2.0))
    command.run()
    info = read_texts_info(folder)["keywords"]
    assert set(read_added_texts(folder)["keywords"].values()) == {"simple solid"}
    assert info["model"] == "tiny"
    assert len(info["prompt_sha256"]) == 64
    assert info["requests"] == chat.asked
    assert info["cost"] == pytest.approx(chat.asked * (100 * 1.0 + 20 * 2.0) / 1e6)
    assert "tiny" in info["licence_note"]
    assert f"{chat.asked} requests for" in capsys.readouterr().err
    before = chat.asked
    command.run()
    assert chat.asked == before
    assert read_texts_info(folder)["keywords"]["requests"] == 0


def test_narratives(folder, chat):
    Describe(folder, "narrative", language_model=llm(chat), limit=6).run()
    assert set(read_added_texts(folder)["narrative"].values()) == {PARAGRAPH}
    facts = chat.payloads[0]["messages"][1]["content"]
    assert "symmetry-distinct" in facts


def test_dry_run_asks_and_writes_nothing(folder, chat, capsys):
    Describe(folder, "narrative", language_model=llm(chat, price_in=3.0), dry_run=True, limit=4).run()
    out = capsys.readouterr().out
    assert "4 requests for 4 records, about" in out
    assert "cost about 0.00" in out
    assert "--- system ---" in out
    assert "space group" in out
    assert "Nothing was asked." in out
    assert chat.asked == 0
    assert not (folder / "texts").exists()
    Describe(folder, dry_run=True).run()
    assert f"{len(Store(folder))} records would be described" in capsys.readouterr().out


def test_an_interrupted_job_goes_on(folder, chat, monkeypatch):
    monkeypatch.setenv("CHAT_KEY", "k")
    good = [Answer.json(completion('["garnet"]')) for _ in range(7)]
    chat.fault(*good, *[Answer.json({}, 401)] * 30)
    command = Describe(folder, "keywords", "llm", llm(chat, concurrency=1, api_key_env="CHAT_KEY"))
    with pytest.raises(FetchError, match="environment variable CHAT_KEY"):
        command.run()
    assert not (folder / "texts").exists()
    chat.fault()
    before = chat.asked
    command.run()
    info = read_texts_info(folder)["keywords"]
    assert chat.asked - before == info["requests"]
    assert "k" not in {str(value) for value in info.values()}
    assert "garnet" in read_added_texts(folder)["keywords"].values()


def test_robocrys(folder, monkeypatch):
    monkeypatch.setattr(describe, "robocrys_version", lambda: "0.0")

    def faked(crystals, cache, settings, progress):
        return robocrys_texts(crystals, cache, settings, progress, describe=work.formula)

    monkeypatch.setattr(describe, "robocrys_texts", faked)
    Describe(folder, "robocrys", workers=1, timeout=2.0).run()
    found = rejects(folder, "robocrys")
    assert found["rock_salt_Mg-O"] == "no result within 2 s"
    assert "disordered" in found["wuestite"]
    assert read_added_texts(folder)["robocrys"]["rock_salt_Na-Cl"] == "This is NaCl."
    assert read_texts_info(folder)["robocrys"]["rejected"] == len(found)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"kind": "template", "method": "llm"}, "made without a language model"),
        ({"kind": "narrative", "method": "local"}, "narratives need a language model"),
        ({"kind": "narrative"}, "no http or https address"),
        ({"kind": "narrative", "language_model": ModelOptions("http://localhost/v1")}, "no model is named"),
        (
            {"kind": "narrative", "language_model": ModelOptions("http://localhost/v1", "m", concurrency=0)},
            "no request",
        ),
    ],
)
def test_bad_options(folder, options, problem):
    with pytest.raises(BadInputError, match=problem):
        Describe(folder, **options).run()
    assert not (folder / "texts").exists()


def test_no_record_gets_a_text(folder, chat):
    chat.fault(*[Answer.json(completion("no"))] * 3)
    with pytest.raises(BadInputError, match="no record got a text"):
        Describe(folder, "narrative", language_model=llm(chat), limit=1).run()
    assert "wrong form" in next(iter(rejects(folder, "narrative").values()))


def test_options_of_the_command_line():
    model = "--endpoint http://h/v1 --model m --api-key-env K"
    words = f"--store s --kind keywords --method llm {model} --dry-run --limit 3"
    found = tyro.cli(Describe, args=words.split())
    assert (found.language_model.endpoint, found.language_model.api_key_env) == ("http://h/v1", "K")
    assert (found.kind, found.method, found.dry_run, found.limit) == ("keywords", "llm", True, 3)
