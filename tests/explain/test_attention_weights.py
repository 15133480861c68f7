"""Attention weights against transformers' own, a loop over layers, and finite differences."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import helpers_text
from prismat.encoders.bpe_transformer import BpeTransformer, BpeTransformerConfig
from prismat.encoders.huggingface import HuggingFaceConfig, HuggingFaceEncoder
from prismat.encoders.pretrained import find_weights, load_weights
from prismat.errors import BadInputError
from prismat.explain.attention.gradient import relevance
from prismat.explain.attention.source import TextSource, open_source
from prismat.explain.attention.tokens import Tokens, text_of, words_of
from prismat.explain.attention.transformer import BpeText, HuggingFaceText
from prismat.explain.attention.weights import normalised_entropy, read_attention, rollout
from prismat.modalities.text import clean_text, tokenize, train_tokenizer

TEXTS = [
    "Crystal structure of garnet under high pressure",
    "The crystal structure of Ca3Al2(SiO4)3, a garnet",
    "quartz",
]
SPECIAL = ("[PAD]", "[CLS]", "[UNK]", "[MASK]", "[SEP]")


@pytest.fixture(scope="module")
def bpe():
    tokenizer = train_tokenizer(TEXTS * 3, 300)
    torch.manual_seed(0)
    config = BpeTransformerConfig(tokenizer.get_vocab_size(), 16, layers=3, heads=2, hidden=24)
    return BpeText(BpeTransformer(config), tokenizer)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    pytest.importorskip("transformers")
    return helpers_text.write_model(tmp_path_factory.mktemp("bert") / "model")


def of_hugging_face(folder, **options):
    loaded = load_weights(find_weights(str(folder)))
    return HuggingFaceText(loaded.model, loaded.tokenizer, HuggingFaceConfig(str(folder), **options))


def unit(name, transformer):
    return TextSource(name, transformer, lambda feature, _: torch.nn.functional.normalize(feature, dim=1))


@pytest.fixture(params=["bpe", "bert"])
def transformer(request, bpe, bert):
    return bpe if request.param == "bpe" else of_hugging_face(bert)


def test_weights_of_every_layer_and_head_sum_to_one(transformer):
    for attention in read_attention(transformer, TEXTS):
        layers, heads, rows, columns = attention.weights.shape
        assert (layers, heads) == (3, 2)
        assert rows == columns == len(attention.tokens.ids)
        np.testing.assert_allclose(attention.weights.sum(axis=3), 1, atol=1e-6)
        np.testing.assert_allclose(attention.rows().sum(axis=2), 1, atol=1e-6)
        assert attention.rollout().sum() == pytest.approx(1)


def test_padding_gets_no_attention_and_changes_nothing(transformer):
    short = TEXTS[2]
    alone = read_attention(transformer, [short])[0]
    padded = transformer.forward(transformer.tokenize([TEXTS[0], short]))
    count = len(alone.tokens.ids)
    for layer, weights in enumerate(padded.weights):
        assert weights[1, :, :count, count:].abs().max() == 0
        np.testing.assert_allclose(
            weights[1, :, :count, :count].detach().numpy(), alone.weights[layer], atol=1e-6
        )
    assert not padded.mask[1, count:].any()


def test_the_bpe_feature_is_that_of_the_encoder(bpe):
    passed = bpe.forward(bpe.tokenize(TEXTS))
    batch = tokenize(TEXTS, train_tokenizer(TEXTS * 3, 300))
    torch.testing.assert_close(passed.feature, bpe.encoder(batch))


def test_hugging_face_weights_are_those_that_transformers_gives(bert):
    import transformers

    model = transformers.AutoModel.from_pretrained(bert, attn_implementation="eager").eval()
    transformer = of_hugging_face(bert)
    tokens = transformer.tokenize(TEXTS[:1])
    given_ids = torch.tensor([tokens[0].ids.tolist()])
    with torch.no_grad():
        found = model(input_ids=given_ids, output_attentions=True).attentions
    own = read_attention(transformer, TEXTS[:1])[0]
    np.testing.assert_allclose(own.weights, torch.stack(found)[:, 0].numpy(), atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "cls", "pooler"])
def test_the_hugging_face_feature_is_that_of_the_encoder(bert, pooling):
    encoder = HuggingFaceEncoder(HuggingFaceConfig(str(bert), pooling=pooling)).eval()
    transformer = of_hugging_face(bert, pooling=pooling)
    with torch.no_grad():
        expected = encoder(encoder.tokenize(TEXTS))
        torch.testing.assert_close(
            transformer.forward(transformer.tokenize(TEXTS)).feature, expected, atol=1e-6, rtol=1e-5
        )
    assert transformer.readout == ("mean" if pooling == "mean" else "cls")


def test_showing_attention_leaves_the_model_as_it_was(bert):
    loaded = load_weights(find_weights(str(bert)))
    before = loaded.model.config._attn_implementation
    HuggingFaceText(loaded.model, loaded.tokenizer, HuggingFaceConfig(str(bert)))
    assert loaded.model.config._attn_implementation == before


def test_rollout_is_the_product_of_the_layers():
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(5), size=(4, 3, 5))
    expected = np.eye(5)
    for layer in range(4):
        mixed = np.zeros((5, 5))
        for i in range(5):
            for j in range(5):
                mixed[i, j] = sum(weights[layer, h, i, j] for h in range(3)) / 3 / 2 + (0.5 if i == j else 0)
        expected = np.array(
            [[sum(mixed[i, k] * expected[k, j] for k in range(5)) for j in range(5)] for i in range(5)]
        )
    np.testing.assert_allclose(rollout(weights), expected)


def test_entropy_of_one_token_and_of_all_alike():
    rows = np.array([[1.0, 0, 0, 0], [0.25] * 4])
    np.testing.assert_allclose(normalised_entropy(rows), [0, 1])


def test_relevance_follows_the_gradient_of_the_attention(bpe):
    source = unit("bpe", bpe)
    target = source.own_vector(TEXTS[2]).clone()
    tokens, row = relevance(source, "crystal of a", target)
    # The same rule, with the gradient of each weight by finite differences.
    size = len(tokens.ids)
    x = bpe.encoder.token(torch.from_numpy(tokens.ids)[None]) + bpe.encoder.position.weight[:size]
    mask = torch.ones(1, size, dtype=torch.bool)
    expected, double = np.eye(size), x.double()
    encoder = bpe.encoder.double()
    weights, z = [], double
    for layer in encoder.layers:
        weights.append(layer.attention(z, mask).detach())
        z = layer.mix(z, weights[-1])

    def score(at, change):
        z = double
        for number, layer in enumerate(encoder.layers):
            alpha = layer.attention(z, mask)
            z = layer.mix(z, alpha + change if number == at else alpha)
        return float(torch.nn.functional.normalize(z[:, 0], dim=1)[0] @ target.double())

    with torch.no_grad():
        for number, alpha in enumerate(weights):
            slope = torch.zeros_like(alpha)
            for place in np.ndindex(*alpha.shape):
                step = torch.zeros_like(alpha)
                step[place] = 1e-5
                slope[place] = (score(number, step) - score(number, -step)) / 2e-5
            change = (alpha * slope).clamp_min(0)[0].mean(dim=0).numpy()
            expected = expected + change @ expected
    bpe.encoder.float()
    np.testing.assert_allclose(row, (expected - np.eye(size))[0], atol=1e-5)


def test_any_layer_and_head_and_no_others(bpe):
    attention = read_attention(bpe, TEXTS[:1])[0]
    np.testing.assert_array_equal(attention.of(2, 1), attention.weights[1, 0, 0])
    np.testing.assert_allclose(attention.of(), attention.weights[2, :, 0].mean(axis=0))
    np.testing.assert_array_equal(attention.matrix(1, 2), attention.weights[0, 1])
    with pytest.raises(BadInputError, match=r"no layer 4.*layers 1 to 3"):
        attention.of(4)
    with pytest.raises(BadInputError, match=r"no head 0.*heads 1 to 2"):
        attention.of(1, 0)


def test_json_has_rows_and_matrices_on_request(bpe):
    attention = read_attention(bpe, TEXTS[:1])[0]
    told = attention.to_dict(matrices=True)
    count = len(attention.tokens.ids)
    assert told["tokens"][0]["token"] == "[CLS]"
    assert np.array(told["rows"]).shape == (3, 2, count)
    assert np.array(told["weights"]).shape == (3, 2, count, count)
    assert "weights" not in attention.to_dict()


@given(text=st.text(max_size=60), width=st.integers(1, 5))
def test_words_have_the_tokens_whose_characters_they_hold(bpe_tokenizer, text, width):
    cleaned = clean_text(text)
    tokens = bpe_tokenizer.tokenize([text])[0]
    assert tokens.text == cleaned
    assert text_of(tokens.words, np.ones(len(tokens.words), dtype=bool)) == cleaned
    for number, word in enumerate(tokens.word):
        if tokens.special[number]:
            assert word == -1
            continue
        own = tokens.words[word]
        piece = cleaned[tokens.start[number] : tokens.end[number]]
        assert piece.strip() == "" or own.start < tokens.end[number]
        assert tokens.start[number] < own.end
        assert piece.strip() in own.text
    assert tokens.counts.sum() == (~tokens.special).sum()
    weights = np.random.default_rng(0).random((width, len(tokens.ids)))
    np.testing.assert_allclose(tokens.by_word(weights).sum(axis=-1), weights[:, ~tokens.special].sum(axis=-1))


@pytest.fixture(scope="module")
def bpe_tokenizer(bpe):
    return bpe


def test_a_cut_text_has_words_without_tokens(bert):
    transformer = of_hugging_face(bert, max_tokens=4)
    tokens = transformer.tokenize(["garnet of quartz and halite"])[0]
    assert tokens.counts.tolist() == [1, 1, 0, 0, 0]
    assert [w.text for w in tokens.words] == ["garnet", "of", "quartz", "and", "halite"]


def test_words_of_a_text():
    assert [(w.text, w.start, w.end) for w in words_of(" a  b2,")] == [("a", 1, 2), ("b2,", 4, 7)]
    tokens = Tokens("a", ("a",), np.array([5]), np.array([0]), np.array([1]), np.array([False]))
    assert tokens.word.tolist() == [0]


def test_a_text_without_tokens_is_refused(bert, bpe):
    with pytest.raises(BadInputError, match="has no token"):
        read_attention(of_hugging_face(bert), ["", "garnet"])
    with pytest.raises(BadInputError, match="has no token"):
        read_attention(bpe, [""])


def test_a_tokeniser_without_characters_is_refused(bert):
    class Slow:
        is_fast = False

    loaded = load_weights(find_weights(str(bert)))
    with pytest.raises(BadInputError, match=r"does not tell which characters.*tokenizer\.json"):
        HuggingFaceText(loaded.model, Slow(), HuggingFaceConfig(str(bert)))


def test_a_hugging_face_folder_is_a_source(bert):
    source = open_source(bert)
    assert "has seen no crystal" in source.note
    vectors = source.vectors(["garnet", "quartz"])
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    assert not torch.equal(open_source(bert, seed=1).vectors(["garnet"]), vectors[:1])


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="no model in"):
        open_source(tmp_path)
