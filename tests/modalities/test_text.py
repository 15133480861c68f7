import logging

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prismat.errors import BadInputError
from prismat.modalities.text import (
    MAX_TOKENS,
    SPECIAL_TOKENS,
    check_query,
    clean_text,
    frozen_batch,
    load_tokenizer,
    main_script,
    pad_tokens,
    save_tokenizer,
    tokenize,
    train_tokenizer,
)

CORPUS = [
    "Crystal structure of garnet",
    "Crystal structure of NaMgF3",
    "Die Kristallstruktur des Zirkons",
] * 5


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(CORPUS, vocab_size=400)


def test_clean_text():
    assert clean_text("  H₂O\tin\n\nﬁbres\u200b\x00 of\u00a0ice ") == "H2O in fibres of ice"


def test_long_text_is_cut_at_a_word():
    assert clean_text("garnet " * 10, limit=19) == "garnet garnet"
    assert clean_text("garnet garnet spinel", limit=13) == "garnet garnet"
    assert clean_text("x" * 30, limit=20) == "x" * 20


@given(st.text(max_size=200))
def test_cleaning_is_idempotent_and_bounded(text):
    cleaned = clean_text(text, limit=50)
    assert clean_text(cleaned, limit=50) == cleaned
    assert len(cleaned) <= 50
    assert cleaned == " ".join(cleaned.split())


@pytest.mark.parametrize("text", ["", "  \n\t", "\u200b\x00"])
def test_empty_query(text):
    with pytest.raises(BadInputError, match=r"query is empty.*Describe the material"):
        check_query(text)


@pytest.mark.parametrize("text", ["?!…", "--- ()", "«»"])
def test_query_of_punctuation(text):
    with pytest.raises(BadInputError, match="no letter and no digit"):
        check_query(text)


def test_query_in_another_script_warns(caplog):
    with caplog.at_level(logging.WARNING):
        assert check_query(" структура граната ") == "структура граната"
    assert "Cyrillic" in caplog.text
    caplog.clear()
    check_query("structure of граната")
    check_query("β-quartz")
    check_query("42")
    assert not caplog.records


def test_main_script():
    assert main_script("石榴石") == ("CJK", 1.0)
    assert main_script("ab Ж")[0] == "LATIN"
    assert main_script("12") == ("LATIN", 0.0)


def test_training_is_deterministic(tokenizer):
    assert train_tokenizer(CORPUS, vocab_size=400).to_str() == tokenizer.to_str()


def test_special_tokens_come_first(tokenizer):
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2, 3]
    assert tokenizer.get_vocab_size() <= 400


@given(st.text(max_size=80))
def test_no_text_is_unknown(text):
    encoding = train_once().encode(clean_text(text))
    assert 2 not in encoding.ids
    assert encoding.ids[0] == 1


def train_once(made=[]):  # noqa: B006
    if not made:
        made.append(train_tokenizer(CORPUS, vocab_size=300))
    return made[0]


def test_corpus_words_become_single_tokens(tokenizer):
    assert tokenizer.encode("Crystal structure").tokens == ["[CLS]", "ĠCrystal", "Ġstructure"]
    assert tokenizer.encode("CO").ids != tokenizer.encode("Co").ids


def test_tokenize_pads_and_marks_missing(tokenizer):
    batch = tokenize(["Crystal structure of garnet", None, "garnet", ""], tokenizer)
    assert batch.present.tolist() == [True, False, True, False]
    assert batch.mask.sum(dim=1).tolist() == [5, 1, 2, 1]
    assert batch.ids[:, 0].tolist() == [1, 1, 1, 1]
    assert not batch.ids[~batch.mask].any()


def test_tokens_are_cut(tokenizer):
    batch = tokenize(["a b " * 2000], tokenizer)
    assert batch.ids.shape == (1, MAX_TOKENS)


def test_tokenizer_survives_the_disk(tokenizer, tmp_path):
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    again = load_tokenizer(tmp_path / "tokenizer.json")
    assert torch.equal(tokenize(CORPUS, again).ids, tokenize(CORPUS, tokenizer).ids)
    assert [p.name for p in tmp_path.iterdir()] == ["tokenizer.json"]


def test_tokenizer_errors(tmp_path, tokenizer):
    with pytest.raises(BadInputError, match="no tokeniser could be read"):
        load_tokenizer(tmp_path / "absent.json")
    (tmp_path / "foreign.json").write_text(tokenizer.to_str().replace("[CLS]", "[BOS]"))
    with pytest.raises(BadInputError, match=r"lacks \[PAD\] and \[CLS\]"):
        load_tokenizer(tmp_path / "foreign.json")
    with pytest.raises(BadInputError, match=r"too small.*at least 260"):
        train_tokenizer(CORPUS, vocab_size=100)
    with pytest.raises(BadInputError, match="no text to train"):
        train_tokenizer(["", "  "])


def test_pad_tokens_with_an_empty_row():
    batch = pad_tokens([[5, 6], []], [True, False], pad=9)
    assert batch.ids.tolist() == [[5, 6], [9, 9]]
    assert batch.mask.tolist() == [[True, True], [True, False]]
    assert pad_tokens([], []).ids.shape == (0, 1)


def test_batches_move(tokenizer):
    tokens = tokenize(["garnet"], tokenizer).to("meta")
    assert {t.device.type for t in (tokens.ids, tokens.mask, tokens.present)} == {"meta"}
    frozen = frozen_batch(np.ones((2, 3)), np.ones((2, 4)), np.array([True, False])).to("meta")
    assert {t.device.type for t in (frozen.embedding, frozen.chemistry, frozen.present)} == {"meta"}


def test_frozen_batch_zeroes_what_is_missing():
    batch = frozen_batch(np.full((2, 3), np.nan), np.ones((2, 4)), np.array([False, True]))
    assert not batch.embedding[0].any()
    assert not batch.chemistry[0].any()
    assert batch.chemistry[1].tolist() == [1] * 4
    assert batch.embedding.dtype == torch.float32
