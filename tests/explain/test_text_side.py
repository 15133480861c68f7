import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import helpers_small as small
from prismat.api import Prismat, Shapes
from prismat.encoders.huggingface import FrozenSentenceEncoder, HuggingFaceConfig
from prismat.encoders.text_head import TextHead, TextHeadConfig
from prismat.errors import BadInputError
from prismat.explain.attribution import integrated_gradients, leave_one_out
from prismat.explain.side import Comparison, Target, score_kept
from prismat.explain.text_side import TextSide, word_of_tokens, word_spans
from prismat.explain.token_path import FrozenTextPath, TokenTextPath, differentiable_text
from prismat.modalities.lexicon import Lexicon
from prismat.model import JointModel, ProjectionConfig
from prismat.text_reader import FrozenReader

TEXT = "High-pressure study of magnesium oxide, MgO"


@pytest.fixture(scope="module")
def prismat(small_run):
    return small_run.trained.prismat


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """A frozen transformer of random weights under a text head of random weights."""
    folder = small.write_bert(tmp_path_factory.mktemp("bert"))
    encoder = FrozenSentenceEncoder(HuggingFaceConfig(model=str(folder), max_tokens=24))
    torch.manual_seed(1)
    config = TextHeadConfig(embedding=16, hidden=16, out=16)
    heads = {name: TextHead(config) for name in ("text", "structure")}
    model = JointModel(heads, ProjectionConfig(dim=8, hidden=16))
    return Prismat(model, small.tiny_recipe(), FrozenReader(encoder, Lexicon({})), Shapes(16, 0))


def towards(prismat, key, dim):
    other = np.random.default_rng(0).normal(size=dim).astype(np.float32)
    return Target([Comparison(key, "other", other / np.linalg.norm(other), 1.0)])


def test_words_and_where_they_stand(prismat):
    side = TextSide(prismat, "  Halite,   NaCl\n(rock salt) ")
    items = side.items(np.arange(4.0))
    assert side.text == "Halite, NaCl (rock salt)"
    assert [i.label for i in items] == ["Halite,", "NaCl", "(rock", "salt)"]
    assert [side.text[i.start : i.end] for i in items] == [i.label for i in items]


@given(st.text(max_size=300), st.integers(1, 12))
@settings(max_examples=60)
def test_runs_of_words_cover_the_text_in_order(text, most):
    spans = word_spans(text, most)
    assert len(spans) <= most
    joined = " ".join(text[a:b] for a, b in spans).split()
    assert joined == text.split()
    assert all(a < b for a, b in spans)
    assert [a for a, _ in spans] == sorted(a for a, _ in spans)


def test_a_long_text_is_cut_into_runs(prismat):
    side = TextSide(prismat, "magnesium oxide " * 100)
    assert 16 <= len(side) <= 32


def test_leaving_a_word_out_is_embedding_the_text_without_it(prismat):
    side, target = TextSide(prismat, TEXT), towards(prismat, "text@structure", 16)
    values, words = leave_one_out(side, target), TEXT.split()
    (one,) = target.comparisons
    texts = [TEXT, *(" ".join(words[:i] + words[i + 1 :]) for i in range(len(words)))]
    scores = [prismat.embed(texts=[t])[one.key][0] @ one.other for t in texts]
    np.testing.assert_allclose(values, scores[0] - np.array(scores[1:]), atol=3e-6)


def test_no_word_is_no_text(prismat):
    side = TextSide(prismat, TEXT)
    found = side.embed(np.zeros((1, len(side)), dtype=bool))["text@structure"]
    batch = prismat.reader.read([None])
    torch.testing.assert_close(found, prismat.model.embed("text", batch)["text@structure"])


def test_a_token_belongs_to_the_word_that_it_lies_in():
    spans = word_spans("Halite, NaCl rock")
    offsets = [(0, 0), (0, 4), (4, 6), (6, 7), (7, 10), (8, 12), (12, 17), (0, 0)]
    np.testing.assert_array_equal(word_of_tokens(offsets, spans), [-1, 0, 0, 0, 1, 1, 2, -1])


@pytest.mark.parametrize("kind", ["tokens", "frozen"])
def test_integrated_gradients_are_complete(prismat, frozen, kind):
    model = prismat if kind == "tokens" else frozen
    side = differentiable_text(model, TEXT)
    assert isinstance(side, TokenTextPath if kind == "tokens" else FrozenTextPath)
    target = towards(model, "text@structure", 16 if kind == "tokens" else 8)
    values, complete = integrated_gradients(side, target, steps=64)
    assert len(values) == len(TEXT.split())
    assert complete.gap == pytest.approx(0, abs=2e-3)
    assert complete.sum == pytest.approx(values.sum() + complete.rest)
    assert np.abs(values).max() > 1e-4


@pytest.mark.parametrize("kind", ["tokens", "frozen"])
def test_the_path_ends_at_what_the_model_embeds(prismat, frozen, kind):
    model = prismat if kind == "tokens" else frozen
    side = differentiable_text(model, TEXT)
    inputs, blank = side.path()
    found = side.embed_inputs(tuple(torch.stack([b, x]) for x, b in zip(inputs, blank, strict=True)))
    expected = model.embed(texts=[TEXT])
    for key, vectors in expected.items():
        np.testing.assert_allclose(found[key][1].detach().numpy(), vectors[0], atol=3e-6)
    assert not torch.allclose(found["text@structure"][0], found["text@structure"][1])


def test_the_element_channel_goes_to_the_words_that_name_elements(frozen):
    side = FrozenTextPath(frozen, "study of MgO and quartz")
    shares = side._shares()
    assert shares[2].max() == 1
    assert shares[[0, 1, 3]].sum() == 0
    kept = shares.sum(0)
    np.testing.assert_allclose(kept[kept > 0], 1)


def test_the_frozen_side_scores_like_the_model(frozen):
    side, target = FrozenTextPath(frozen, TEXT), towards(frozen, "text@structure", 8)
    (one,) = target.comparisons
    whole = score_kept(side, target, np.ones((1, len(side)), dtype=bool))[0]
    assert whole == pytest.approx(float(frozen.embed(texts=[TEXT])[one.key][0] @ one.other), abs=3e-6)


def test_a_model_without_text_is_refused(prismat):
    silent = Prismat(prismat.model, prismat.recipe, None, Shapes())
    with pytest.raises(BadInputError, match="no text window"):
        TextSide(silent, TEXT)
    with pytest.raises(BadInputError, match="cannot be reached by gradients"):
        differentiable_text(silent, TEXT)


def test_a_text_that_says_nothing_is_refused(prismat):
    with pytest.raises(BadInputError, match="no letter"):
        TextSide(prismat, "?!")
