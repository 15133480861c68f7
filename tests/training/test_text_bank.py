from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from prismat.elements import MAX_Z
from prismat.errors import BadInputError
from prismat.modalities.chemistry_text import FLAGS, LEXICON, MENTION, chemistry_channels
from prismat.modalities.text import train_tokenizer
from prismat.text_reader import FrozenReader, TokenReader
from prismat.training.records import Records
from prismat.training.text_bank import (
    LEXICON_COLUMNS,
    build_text_bank,
    build_token_bank,
    evaluated_view,
    training_lexicon,
    view_texts,
)
from prismat.training.windows import ViewConfig


class CountingReader(FrozenReader):
    """Sentence embeddings from the letters of a text; remembers what it was asked."""

    def __init__(self, lexicon):
        self.encoder, self.lexicon, self.asked = SimpleNamespace(width=3), lexicon, []

    def embed(self, texts, progress=None):
        self.asked += texts
        return np.array([[len(t), t.count("e"), 1.0] for t in texts], dtype=np.float32).reshape(-1, 3)


TITLES = ["Garnets of the Alps", "Zircon at high pressure", "", "Garnets of the Alps", "Zircon and garnet"]
MINERALS = ["Garnet", "Zircon", "Zircon", "Garnet", ""]


@pytest.fixture
def records():
    """Five records of which the first four are for training; Si and O in the first, Zr in the second."""
    fractions = np.zeros((5, MAX_Z + 1))
    fractions[[0, 3], 14], fractions[[0, 3], 8] = 0.4, 0.6
    fractions[[1, 2], 40] = 1.0
    fractions[4, 8] = 1.0
    table = {
        "texts": [[("title", t)] if t else [] for t in TITLES],
        "tags": [[("mineral", m)] if m else [] for m in MINERALS],
        "elements": [["Si", "O"], ["Zr"], ["Zr"], ["Si", "O"], ["O"]],
        "fractions": [[0.4, 0.6], [1.0], [1.0], [0.4, 0.6], [1.0]],
        "formula": ["Si2O3", "Zr", "Zr", "Si2O3", "O2"],
        "spacegroup": ["Ia-3d", "I4_1/amd", "I4_1/amd", "Ia-3d", "P1"],
        "spacegroup_number": [230, 141, 141, 230, 1],
    }
    labels = np.arange(5)
    return Records(list("abcde"), TITLES, MINERALS, [""] * 5, fractions, labels, labels, table)


TRAIN = np.arange(4)


def test_the_view_that_is_judged(records):
    assert evaluated_view(records, {"synthesis": 1.0}) == "title"
    untitled = replace(records, titles=[""] * 5)
    assert evaluated_view(untitled, {"title": 0.2, "synthesis": 0.8}) == "synthesis"
    assert evaluated_view(untitled, {}) == "title"


def test_views_in_use_stand_title_first(records):
    assert list(view_texts(records, {"description": 0.5, "context": 0.0})) == ["title", "description"]
    assert list(view_texts(records, {"context": 1.0})) == ["title", "context"]
    texts = view_texts(records, {"context": 1.0})
    assert texts["title"] == TITLES
    assert texts["context"][2] == "Zircon"
    with pytest.raises(BadInputError, match=r"views.text: unknown text view 'haiku'\. Known: title, context"):
        view_texts(records, {"haiku": 1.0})


def test_each_text_is_embedded_once(records):
    reader = CountingReader(training_lexicon(records, TRAIN))
    bank = build_text_bank(records, reader, TRAIN, {"title": 1.0, "context": 0.5})
    assert len(reader.asked) == len(set(reader.asked)) == len(bank.embedding) - 1
    assert not bank.embedding[-1].any()
    assert bank.names == ("title", "context")
    assert bank.index[0, 2] == -1
    assert bank.index[0, 0] == bank.index[0, 3]
    for view, texts in enumerate(view_texts(records, {"context": 0.5}).values()):
        for row, text in enumerate(texts):
            if text:
                assert reader.asked[bank.index[view, row]] == text
                assert bank.embedding[bank.index[view, row], 0] == len(text)


def test_a_store_without_any_text_gives_absent_records(records):
    silent = replace(records, table={**records.table, "texts": [[]] * 5, "tags": [[]] * 5})
    bank = build_text_bank(silent, CountingReader(training_lexicon(records, TRAIN)), TRAIN[:0], {})
    batch = bank.batch(np.arange(5), ViewConfig(), None)
    assert not batch.present.any()
    assert batch.embedding.shape == (5, 3)
    assert not batch.embedding.any()


def test_a_training_record_does_not_see_its_own_mineral(records):
    reader = CountingReader(training_lexicon(records, TRAIN))
    assert set(reader.lexicon.fractions) == {"garnet", "zircon"}
    bank = build_text_bank(records, reader, TRAIN, {"title": 1.0})
    open_ = chemistry_channels([t or None for t in TITLES], reader.lexicon)
    for row in (0, 1, 3):
        assert open_[row, LEXICON].any()
        assert not bank.chemistry[0, row, LEXICON].any()
        assert bank.chemistry[0, row, FLAGS.start + 2] == 0
        np.testing.assert_array_equal(bank.chemistry[0, row, MENTION], open_[row, MENTION])
    # The held-out record sees what training rows say of both minerals.
    np.testing.assert_array_equal(bank.chemistry[0, 4], open_[4])
    assert bank.chemistry[0, 4, LEXICON][[8, 14, 40]] == pytest.approx([0.3, 0.2, 0.5])
    assert not bank.chemistry[0, 2].any()


def test_lexicon_columns_are_all_that_the_lexicon_writes(records):
    lexicon = training_lexicon(records, TRAIN)
    with_, without = (chemistry_channels(TITLES[:1], lexicon)[0], chemistry_channels(TITLES[:1])[0])
    changed = np.flatnonzero(with_ != without)
    assert set(changed) <= set(LEXICON_COLUMNS)
    assert len(changed) == 4


def test_batches_of_a_bank_take_texts_apart_from_absent_ones(records):
    reader = CountingReader(training_lexicon(records, TRAIN))
    bank = build_text_bank(records, reader, TRAIN, {"title": 1.0})
    batch = bank.batch(np.arange(5), ViewConfig(text={"title": 1.0}), None)
    read = reader.read([t or None for t in TITLES])
    assert batch.present.tolist() == read.present.tolist() == [True, True, False, True, True]
    torch.testing.assert_close(batch.embedding, read.embedding)
    torch.testing.assert_close(batch.chemistry[4], read.chemistry[4])


def test_token_bank_holds_what_the_reader_reads(records):
    reader = TokenReader(train_tokenizer([t for t in TITLES if t], 300))
    bank = build_token_bank(records, reader, {"title": 0.5, "description": 0.5})
    assert bank.names == ("title", "description")
    expected = reader.read([t or None for t in TITLES])
    assert torch.equal(bank.tokens[0].ids, expected.ids)
    assert bank.tokens[0].present.tolist() == [True, True, False, True, True]
    assert bank.tokens[1].present.all()
