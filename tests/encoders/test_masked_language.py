import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers_text import SPECIAL, WORDS, write_model
from prismat.encoders.bpe_transformer import BpeTransformer, BpeTransformerConfig
from prismat.encoders.huggingface import HuggingFaceConfig, HuggingFaceEncoder
from prismat.encoders.masked_language import (
    MaskingConfig,
    MaskVocabulary,
    byte_pair_vocabulary,
    mask_tokens,
    masked_language_head,
)
from prismat.encoders.tuning import TuningConfig
from prismat.errors import BadInputError
from prismat.modalities.text import CLS, MASK, PAD, SPECIAL_TOKENS, pad_tokens, tokenize, train_tokenizer
from prismat.objectives.masked_language import masked_language_sum

VOCABULARY = MaskVocabulary(size=40, mask=4, special=(0, 1, 2, 3, 4))
BPE = BpeTransformerConfig(vocab_size=300, width=32, layers=1, hidden=64, max_tokens=32, dropout=0.0)
CORPUS = [
    f"{a} {b} of {c}"
    for a in ("crystal structure", "refinement")
    for b in ("study", "model")
    for c in ("garnet", "halite", "quartz", "spinel")
]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def many(rows=200, length=50):
    ids = torch.randint(5, 40, (rows, length), generator=generator(1))
    return pad_tokens([[2, *row, 3] for row in ids.tolist()], [True] * rows)


def test_shares_are_those_of_bert():
    batch = many(rows=600)
    hidden, told = mask_tokens(batch, VOCABULARY, generator())
    may = batch.ids >= 5
    n = int(may.sum())
    assert int(told.sum()) / n == pytest.approx(0.15, abs=4 * math.sqrt(0.15 * 0.85 / n))
    is_mask, is_same = (hidden.ids == 4) & told, (hidden.ids == batch.ids) & told
    is_other = told & ~is_mask & ~is_same
    # One in 35 of the random ones is the token itself.
    shares = [float(x.sum() / told.sum()) for x in (is_mask, is_other, is_same)]
    assert shares == pytest.approx([0.8, 0.1 * 34 / 35, 0.1 + 0.1 / 35], abs=0.02)
    assert torch.equal(hidden.ids[~told], batch.ids[~told])
    replaced = hidden.ids[is_other]
    assert set(replaced.tolist()) == set(range(5, 40))


def test_masks_come_from_the_generator_alone():
    batch = many(rows=4)
    first = mask_tokens(batch, VOCABULARY, generator(7))
    torch.manual_seed(99)
    again = mask_tokens(batch, VOCABULARY, generator(7))
    other = mask_tokens(batch, VOCABULARY, generator(8))
    assert torch.equal(first[0].ids, again[0].ids)
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


@given(
    rows=st.lists(st.lists(st.integers(0, 39), max_size=12), min_size=1, max_size=6),
    seed=st.integers(0, 2**31),
    share=st.floats(0, 1),
    data=st.data(),
)
def test_special_tokens_padding_and_missing_texts_are_never_hidden(rows, seed, share, data):
    present = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    batch = pad_tokens(rows, present)
    hidden, told = mask_tokens(batch, VOCABULARY, generator(seed), MaskingConfig(share=share))
    may = (batch.ids >= 5) & batch.mask & batch.present[:, None]
    assert not (told & ~may).any()
    assert torch.equal(hidden.ids[~told], batch.ids[~told])
    assert not ((hidden.ids < 4) & told).any()
    assert torch.equal(hidden.mask, batch.mask)
    if share == 1:
        assert torch.equal(told, may)


def test_byte_pair_vocabulary_is_that_of_the_tokeniser():
    tokenizer = train_tokenizer(CORPUS, 300)
    vocabulary = byte_pair_vocabulary(tokenizer.get_vocab_size())
    assert tokenizer.id_to_token(vocabulary.mask) == MASK
    assert [tokenizer.id_to_token(i) for i in vocabulary.special] == list(SPECIAL_TOKENS)
    assert {PAD, CLS} < set(SPECIAL_TOKENS)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    pytest.importorskip("transformers")
    return write_model(tmp_path_factory.mktemp("models") / "bert", hidden_dropout_prob=0.0)


def byte_pairs():
    torch.manual_seed(0)
    tokenizer = train_tokenizer(CORPUS, 300)
    encoder = BpeTransformer(replace(BPE, vocab_size=tokenizer.get_vocab_size()))
    return encoder, tokenize([*CORPUS, None], tokenizer)


def hugging_face(folder, **tuning):
    torch.manual_seed(0)
    encoder = HuggingFaceEncoder(HuggingFaceConfig(str(folder), tuning=TuningConfig(**tuning)))
    return encoder, encoder.tokenize([*CORPUS, None])


def test_loss_is_the_cross_entropy_of_the_hidden_tokens():
    """Against the equations written out token by token, in double precision."""
    encoder, batch = byte_pairs()
    encoder = encoder.double().eval()
    head = masked_language_head(encoder).double()
    torch.nn.init.uniform_(head.bias)
    hidden, told = mask_tokens(batch, head.config.vocabulary, generator(3))
    losses = []
    with torch.no_grad():
        vectors = encoder.tokens(hidden)
        for row, column in told.nonzero().tolist():
            x = head.dense.weight @ vectors[row, column] + head.dense.bias
            x = x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))
            x = (x - x.mean()) / torch.sqrt(x.var(unbiased=False) + head.norm.eps)
            x = x * head.norm.weight + head.norm.bias
            scores = encoder.token.weight @ x + head.bias
            losses.append(float(scores.exp().sum().log() - scores[batch.ids[row, column]]))
    assert len(losses) > 10
    found = head(encoder, batch, generator(3)).item()
    assert found == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_first_loss_is_about_that_of_a_guess():
    encoder, batch = byte_pairs()
    head = masked_language_head(encoder)
    loss = head(encoder, batch, generator()).item()
    assert loss == pytest.approx(math.log(encoder.config.vocab_size), abs=1.5)


def test_nothing_hidden_costs_nothing_and_has_gradients():
    encoder, batch = byte_pairs()
    head = masked_language_head(encoder, MaskingConfig(share=0.0))
    loss = head(encoder, batch, generator())
    assert loss.item() == 0
    loss.backward()
    gradients = [p.grad for p in (*head.parameters(), *encoder.parameters())]
    assert all(g is not None and not g.any() for g in gradients)


def test_the_embeddings_are_shared_and_not_part_of_the_head(bert):
    for encoder, batch in (byte_pairs(), hugging_face(bert)):
        head = masked_language_head(encoder)
        assert {n for n, _ in head.named_parameters()} == {
            "dense.weight",
            "dense.bias",
            "norm.weight",
            "norm.bias",
            "bias",
        }
        head(encoder, batch, generator()).backward()
        assert encoder.token.weight.grad.abs().sum() > 0
        # A word that no text holds gets a gradient only as an answer that was not given.
        absent = sorted(set(range(5, encoder.token.weight.shape[0])) - set(batch.ids.flatten().tolist()))
        assert encoder.token.weight.grad[absent].abs().sum() > 0


@pytest.mark.parametrize("kind", ["byte pairs", "hugging face", "upper layer alone"])
def test_twenty_steps_learn_a_corpus(bert, kind):
    made = {
        "byte pairs": byte_pairs,
        "hugging face": lambda: hugging_face(bert),
        "upper layer alone": lambda: hugging_face(bert, tuned_layers=1),
    }
    encoder, batch = made[kind]()
    head = masked_language_head(encoder)
    parameters = [p for m in (encoder, head) for p in m.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-2)

    def score():
        with torch.no_grad():
            return sum(head(encoder, batch, generator(100 + i)).item() for i in range(5)) / 5

    before, draws = score(), generator()
    for _ in range(20):
        optimizer.zero_grad()
        head(encoder, batch, draws).backward()
        optimizer.step()
    assert score() < 0.6 * before


def test_a_padded_table_is_no_harm(bert):
    """Many checkpoints have more rows of embeddings than their tokeniser has tokens."""
    encoder, batch = hugging_face(bert)
    encoder.transformer.resize_token_embeddings(64)
    head = masked_language_head(encoder)
    assert head.config.vocabulary.size == len(SPECIAL) + len(WORDS)
    assert torch.isfinite(head(encoder, batch, generator()))


def test_narrow_embeddings(tmp_path):
    pytest.importorskip("transformers")
    folder = write_model(tmp_path / "albert", "Albert", embedding_size=8)
    encoder, batch = hugging_face(folder)
    head = masked_language_head(encoder)
    assert (head.dense.in_features, head.dense.out_features) == (16, 8)
    head(encoder, batch, generator()).backward()
    assert encoder.token.weight.grad.abs().sum() > 0


def test_mixed_precision(bert):
    encoder, batch = hugging_face(bert)
    head = masked_language_head(encoder)
    with torch.autocast("cpu", torch.bfloat16):
        loss = head(encoder, batch, generator())
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(head(encoder, batch, generator()).item(), rel=0.05)


def test_a_tokeniser_without_a_mask(tmp_path):
    pytest.importorskip("transformers")
    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS)
    encoder, _ = hugging_face(write_model(tmp_path / "plain", words=words))
    with pytest.raises(BadInputError, match=r"the tokeniser has no mask token\. Use a model"):
        masked_language_head(encoder)


@pytest.mark.parametrize("shares", [{"share": 1.1}, {"masked": 0.95}, {"random": -0.1}])
def test_shares_that_are_none(shares):
    with pytest.raises(BadInputError, match=r"masking: masking shares .*Give shares of 0 to 1"):
        MaskingConfig(**shares)


def test_predictions_are_the_loss_before_it_is_summed():
    """Logits and tokens of a part of a batch, whose sums and counts add up."""
    encoder, batch = byte_pairs()
    head = masked_language_head(encoder, MaskingConfig(share=0.4))
    logits, targets = head.predictions(encoder, batch, generator(3))
    hidden, told = mask_tokens(batch, head.config.vocabulary, generator(3), head.config.masking)
    assert torch.equal(targets, batch.ids[told])
    assert logits.shape == (len(targets), encoder.config.vocab_size)
    expected = head.logits(encoder.tokens(hidden)[told], encoder.token.weight)
    assert torch.equal(logits, expected)
    total, count = masked_language_sum(logits, targets)
    assert count == len(targets) > 5
    assert total.item() / count == pytest.approx(head(encoder, batch, generator(3)).item(), rel=1e-6)


def test_nothing_hidden_has_no_predictions():
    encoder, batch = byte_pairs()
    head = masked_language_head(encoder, MaskingConfig(share=0.0))
    logits, targets = head.predictions(encoder, batch, generator())
    total, count = masked_language_sum(logits, targets)
    assert (len(logits), len(targets), count, total.item()) == (0, 0, 0, 0.0)
    total.backward()
    assert not head.dense.weight.grad.any()
