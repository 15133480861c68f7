"""Text tasks from files to a page, on the tiny run: pieces, baselines, frozen and tuned encoders."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers_cli import call
from prismat.commands import classify
from prismat.errors import BadInputError
from prismat.heads.config import FitConfig, HeadConfig
from prismat.heads.network import Head
from prismat.modalities.text import train_tokenizer
from prismat.tasks.text_tasks import encoders
from prismat.tasks.text_tasks.bag import bag_of_words, word_windows
from prismat.tasks.text_tasks.encoders import ALIGNED, LANGUAGE, RANDOM, open_rivals
from prismat.tasks.text_tasks.networks import TEXT, TextClassifier, TokenTagger
from prismat.tasks.text_tasks.page import systems_table
from prismat.tasks.text_tasks.pieces import Pieces, words_of
from prismat.tasks.text_tasks.settings import task_config
from prismat.tasks.text_tasks.tagging import LEXICON, WINDOW
from prismat.tasks.text_tasks.task import run_text_task

METALS = ("sodium", "calcium", "barium", "nickel", "cobalt", "zinc", "lead")
ANIONS = ("oxide", "chloride", "sulfide", "fluoride")


def sentences(count, seed=0):
    rng = np.random.default_rng(seed)
    return [
        [
            "Structure",
            "of",
            str(rng.choice(METALS)),
            str(rng.choice(ANIONS)),
            f"at {int(i)}"[-2:].strip() or "x",
        ]
        for i in rng.integers(10, 99, count)
    ]


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    """Metals are one entity, anions another: words alone tell which."""
    folder = tmp_path_factory.mktemp("tagged")
    for part, count in {"train": 60, "dev": 12, "test": 20}.items():
        lines = []
        for words in sentences(count, seed=count):
            tags = [f"B-{'MAT' if w in METALS else 'ION'}" if w in METALS + ANIONS else "O" for w in words]
            lines += [*(f"{w} {t}" for w, t in zip(words, tags, strict=True)), ""]
        (folder / f"{part}.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labelled")
    for part, count in {"train": 60, "val": 16, "test": 24}.items():
        rows = [" ".join(words) for words in sentences(count, seed=count)]
        lines = [f"{text},{'oxide' in text}" for text in rows]
        (folder / f"{part}.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    return folder


def quick(task, mode="frozen", form=None):
    config = task_config(task, form, mode)
    fit = FitConfig(epochs=12, batch=64, members=1)
    train = replace(config.train, steps=12, evaluate_every=6)
    return replace(config, head=HeadConfig(hidden=16), fit=fit, train=train)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([" ".join(s) for s in sentences(40)], 300)


def test_pieces_hold_every_token_once_and_in_order(tokenizer):
    words = [*sentences(5), ["a-word-of-very-many-tokens-1234567890" * 2], [""]]
    pieces = Pieces(words, tokenizer, positions=12)
    batch = pieces.take(np.arange(len(words)))
    ids, mask = batch.tokens.ids, batch.tokens.mask
    assert int(mask.sum(1).max()) <= 12
    assert (ids[:, 0] == 1).all()
    for row, text in enumerate(words[:5]):
        told = [int(i) for p in torch.where(batch.owner == row)[0] for i in ids[p][mask[p]][1:]]
        whole = tokenizer.encode(text, is_pretokenized=True, add_special_tokens=False).ids
        assert told == whole
    first = [int(ids[p, c]) for p, c in zip(batch.piece, batch.place, strict=True)]
    alone = [
        tokenizer.encode([w], is_pretokenized=True, add_special_tokens=False).ids for s in words for w in s
    ]
    assert first == [found[0] if found else 1 for found in alone]


def test_a_batch_is_the_same_pieces_whatever_stands_beside(tokenizer):
    words = [s * 3 for s in sentences(6)]
    pieces = Pieces(words, tokenizer, positions=16)
    both, alone = pieces.take(np.array([4, 1])), pieces.take(np.array([1]))
    own = both.owner == 1
    assert both.tokens.ids[own][:, : alone.tokens.ids.shape[1]].tolist() == alone.tokens.ids.tolist()
    n = len(words[1])
    assert (both.piece[-n:] - int((~own).sum())).tolist() == alone.piece.tolist()
    assert both.place[-n:].tolist() == alone.place.tolist()


def test_words_of_an_empty_text_are_one_empty_word():
    assert words_of(" \n") == [""]
    assert words_of("a  b") == ["a", "b"]


def test_features_of_texts_and_words(small_run):
    """A text in one piece has the encoder's own vector; a word has that of its first token."""
    prismat = small_run.trained.prismat
    encoder, reader = prismat.model.encoders["text"], prismat.reader
    words = ["Structure", "of", "sodium", "chloride"]
    batch = Pieces([words], reader.tokenizer, 48).take(np.array([0]))
    head = Head(HeadConfig(hidden=4), {TEXT: 16}, 2)
    with torch.inference_mode():
        read = reader.read([" ".join(words)])
        text, states = encoder(read), encoder.tokens(read)
        assert torch.allclose(TextClassifier(encoder, head).features(batch), text, atol=1e-6)
        found = TokenTagger(encoder, head).features(batch)
    assert torch.allclose(found, states[0][batch.place], atol=1e-6)


def test_bag_of_words_by_hand():
    texts = ["salt salt water", "salt rock", "rock water water ice", "ice"]
    found = bag_of_words(texts, np.array([0, 1, 2]))
    # salt, rock and water stand in two of the three training texts; ice in one, too few.
    assert found.shape == (4, 3)
    weight = np.array([0.0, np.log(3 / 2), (1 + np.log(2)) * np.log(3 / 2)])
    assert np.sort(found[0]) == pytest.approx(np.sort(weight / np.linalg.norm(weight)))
    assert found[3].tolist() == [0, 0, 0]


def test_windows_know_words_of_training_only():
    found = word_windows([["a", "b"], ["B", "z"]], np.array([0]))
    a, b = 1, 2
    assert found.numbers.tolist() == [[0, a, b], [a, b, 0], [0, b, 0], [b, 0, 0]]
    assert found.take(np.array([1])).tolist() == [[0, b, 0], [b, 0, 0]]


def test_rivals_of_a_run(small_run, small_store, tmp_path):
    rivals = open_rivals(small_run.folder, small_store, tmp_path)
    assert list(rivals.encoders) == [ALIGNED, LANGUAGE, RANDOM]
    log = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    # As many steps as the run had, and the language is learnt.
    assert len(log) == small_run.job.train.steps
    assert log[-1]["masked_language"] < log[0]["masked_language"]
    shapes = [[p.shape for p in e.parameters()] for e in rivals.encoders.values()]
    assert shapes[0] == shapes[1] == shapes[2]
    again = open_rivals(small_run.folder, small_store, tmp_path).encoders[LANGUAGE]
    pairs = zip(again.parameters(), rivals.encoders[LANGUAGE].parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    without = open_rivals(small_run.folder, None, tmp_path)
    assert without.left_out == {LANGUAGE: "the run's store is not given"}


@pytest.mark.parametrize("mode", ["frozen", "tuned"])
def test_tokens_from_files_to_a_page(small_run, tagged, tmp_path, mode):
    result = run_text_task(small_run.folder, tagged, quick("tokens", mode), tmp_path / "out")
    assert list(result["metrics"]) == [ALIGNED, RANDOM, WINDOW, LEXICON]
    assert result["classes"] == ["ION", "MAT"]
    # Every word of the test part is in training: the commonest tag is always right.
    assert result["metrics"][LEXICON]["micro_f1"] == [1.0, 1.0, 1.0]
    for difference in result["differences"].values():
        value, low, high = difference["micro_f1"]
        assert low <= value <= high
    assert result["dataset"]["test"] == 20
    page = (tmp_path / "out" / "text_task.html").read_text(encoding="utf-8")
    assert "F1 (micro)" in page
    # No sentence of the data is redistributed.
    assert "Structure of" not in page
    assert "Structure of" not in (tmp_path / "out" / "text_task.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", ["frozen", "tuned"])
def test_classes_from_files_to_a_page(small_run, labelled, tmp_path, mode):
    config = quick("classify", mode)
    result = run_text_task(small_run.folder, labelled, config, tmp_path / "out")
    assert result["metrics"]["bag of words, linear"]["accuracy"][0] == 1.0
    assert {"most frequent", "stratified chance"} == set(result["baselines"])
    again = run_text_task(small_run.folder, labelled, config, tmp_path / "again")
    assert again["metrics"] == result["metrics"]
    head, rows = systems_table(result)
    assert all(len(row) == len(head) for row in rows)


def test_a_run_without_text_is_refused(small_run, tagged, tmp_path, monkeypatch):
    bare = replace(small_run.trained.prismat.recipe, windows=("structure", "xrd"))
    model = type("Bare", (), {"reader": None, "recipe": bare})()
    monkeypatch.setattr(encoders, "load", lambda _: model)
    with pytest.raises(BadInputError, match=r"has no text window.*It has structure, xrd"):
        run_text_task(small_run.folder, tagged, quick("tokens"), tmp_path)


def test_verb(small_run, labelled, tagged, tmp_path, monkeypatch):
    # The lengths of a real task would take most of a minute here.
    monkeypatch.setattr(classify, "task_config", lambda task, form, mode, _: quick(task, mode, form))
    out = tmp_path / "out"
    words = ("text-task", "--run", small_run.folder, "--data", labelled, "--out", out)
    said = call(*words)
    assert said.code == 0, said.err
    assert "aligned" in said.out
    assert "without 'masked language alone': the run's store is not given" in said.out
    assert f"{out / 'text_task'}.html" in said.out
    assert "Next: the same command with --mode tuned" in said.out
    told = call(
        "text-task", "--run", small_run.folder, "--data", tagged, "--task", "tokens", "--json", "--out", out
    )
    assert json.loads(told.out)["kind"] == "tokens"
    wrong = call(*words, "--task", "tokens", "--format", "csv")
    assert (wrong.code, wrong.out) == (1, "")
    assert "tokens cannot be done on csv data" in wrong.err
    absent = call("text-task", "--run", small_run.folder, "--data", tmp_path / "nowhere")
    assert absent.code == 1
    assert "no file or folder" in absent.err.lower()
