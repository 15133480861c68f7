import sys

import numpy as np
import pytest
import torch

from prismat.encoders import pretrained
from prismat.encoders.huggingface import (
    FrozenSentenceEncoder,
    HuggingFaceConfig,
    HuggingFaceEncoder,
    pool,
)
from prismat.encoders.pretrained import DEFAULT_MODEL, find_weights
from prismat.errors import BadInputError, MissingExtraError
from prismat.modalities.embedding_cache import EmbeddingCache
from prismat.packaged import MINILM, cache_dir, locate_present

TEXTS = [
    "crystal structure of garnet",
    "",
    "garnet",
    "the crystal structure of a garnet and the structure of a crystal",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT with random weights and a word tokeniser."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "crystal", "structure", "of", "garnet", "the", "a", "and"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=12,
    )
    path = tmp_path_factory.mktemp("tiny")
    fast.save_pretrained(path)
    transformers.BertModel(config).save_pretrained(path)
    return path


def config(folder, **changes):
    return HuggingFaceConfig(model=str(folder), **changes)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_embedding_is_the_pooled_output_of_the_model(folder, pooling):
    import transformers

    encoder = FrozenSentenceEncoder(config(folder, pooling=pooling, normalize=False))
    model = transformers.BertModel.from_pretrained(folder).eval()
    ids = torch.tensor([[2, 4, 5, 6, 7, 3]])
    with torch.no_grad():
        hidden = model(input_ids=ids).last_hidden_state[0]
    expected = hidden.mean(dim=0) if pooling == "mean" else hidden[0]
    np.testing.assert_allclose(encoder.embed([TEXTS[0]])[0], expected.numpy(), atol=1e-6)


def test_order_and_batches_do_not_matter(folder):
    whole = FrozenSentenceEncoder(config(folder)).embed(TEXTS)
    single = FrozenSentenceEncoder(config(folder), batch_size=1).embed(TEXTS)
    np.testing.assert_allclose(whole, single, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-6)
    assert whole.dtype == np.float32
    assert FrozenSentenceEncoder(config(folder)).embed([]).shape == (0, 16)


def test_long_texts_are_cut_to_the_positions(folder):
    encoder = FrozenSentenceEncoder(config(folder))
    np.testing.assert_allclose(encoder.embed(["garnet " * 50]), encoder.embed(["garnet " * 10]), atol=1e-6)


def test_progress_and_cache(folder, tmp_path):
    encoder = FrozenSentenceEncoder(config(folder), batch_size=3)
    seen = []
    direct = encoder.embed(TEXTS, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 4), (4, 4)]
    cache = EmbeddingCache(tmp_path, encoder.model_hash, encoder.width)
    np.testing.assert_allclose(cache.get(TEXTS, encoder.embed), direct, atol=1e-6)
    assert len(cache) == 4


def test_hash_tells_weights_and_settings(folder, tmp_path):
    hashes = {
        FrozenSentenceEncoder(c).model_hash
        for c in (
            config(folder),
            config(folder, pooling="cls"),
            config(folder, normalize=False),
            config(folder),
        )
    }
    assert len(hashes) == 3
    other = tmp_path / "other"
    other.mkdir()
    for path in folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    assert find_weights(str(other)).sha256 == find_weights(str(folder)).sha256
    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "model.safetensors").write_bytes(bytes(weights))
    assert find_weights(str(other)).sha256 != find_weights(str(folder)).sha256


def test_source_is_recorded(folder):
    encoder = FrozenSentenceEncoder(config(folder))
    assert encoder.source == "path"
    assert encoder.weights.folder == folder


def test_loading_prints_nothing(folder, capfd):
    FrozenSentenceEncoder(config(folder))
    assert capfd.readouterr() == ("", "")


def test_pickled_weights_are_not_read(folder, tmp_path):
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(
        BadInputError, match=r"no config.json or no safetensors.*pickled weights are not read"
    ):
        find_weights(str(tmp_path))


def test_code_that_comes_with_a_model_is_not_run(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    text = (tmp_path / "config.json").read_text().replace('"bert"', '"evil"')
    (tmp_path / "config.json").write_text(text.replace("{", '{"auto_map": {"AutoModel": "evil.Evil"},', 1))
    (tmp_path / "evil.py").write_text("raise SystemExit('run')")
    with pytest.raises(BadInputError, match="could not be loaded"):
        FrozenSentenceEncoder(config(tmp_path))


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """A hub that cannot be reached and an empty cache; counts the calls."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    calls = []

    def snapshot_download(model, **options):
        calls.append(options["local_files_only"])
        raise OSError("no route to the hub")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setenv("PRISMAT_CACHE", str(tmp_path / "cache"))
    return calls


def test_unknown_model(offline):
    pytest.importorskip("transformers")
    with pytest.raises(
        BadInputError, match=r"'nobody/nothing' is neither a folder.*no route to the hub.*pass the folder"
    ):
        find_weights("nobody/nothing")
    assert offline == [True, False]


def test_bad_name():
    pytest.importorskip("transformers")
    with pytest.raises(BadInputError, match="the name is no folder and no hub name"):
        find_weights("../a/b/c")


def test_default_model_comes_from_the_package_before_the_hub(offline, monkeypatch, folder):
    monkeypatch.setattr(pretrained, "locate_all", lambda files: [folder / "config.json" for _ in files])
    weights = find_weights(DEFAULT_MODEL)
    assert (weights.source, weights.folder) == ("package", folder)
    assert offline == [True]


def test_default_model_nowhere(offline, monkeypatch):
    pytest.importorskip("transformers")

    def locate_all(files):
        raise BadInputError("pip could not download it")

    monkeypatch.setattr(pretrained, "locate_all", locate_all)
    with pytest.raises(BadInputError, match=r"no route to the hub.*Pip could not download it"):
        find_weights(DEFAULT_MODEL)


def test_complete_hub_cache_is_used_first(monkeypatch, folder, tmp_path):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda model, **options: str(folder))
    assert find_weights(DEFAULT_MODEL).source == "hub"


def test_incomplete_hub_cache_is_passed_over(monkeypatch, folder, tmp_path):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    (tmp_path / "config.json").write_text("{}")
    found = {True: str(tmp_path), False: str(folder)}
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda model, **options: found[options["local_files_only"]]
    )
    weights = find_weights("some/model")
    assert (weights.source, weights.folder) == ("hub", folder)


def test_missing_transformers(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"prismat\[text\]"):
        FrozenSentenceEncoder()


def test_tuned_encoder_agrees_with_frozen_and_learns(folder):
    encoder = HuggingFaceEncoder(config(folder))
    batch = encoder.tokenize([TEXTS[0], None, TEXTS[3]])
    assert batch.present.tolist() == [True, False, True]
    encoder.eval()
    features = encoder(batch)
    assert features.shape == (3, encoder.width)
    frozen = FrozenSentenceEncoder(config(folder)).embed([TEXTS[0], TEXTS[3]])
    np.testing.assert_allclose(features[[0, 2]].detach().numpy(), frozen, atol=1e-6)
    encoder.train()
    (encoder(batch)[:, 0]).sum().backward()
    # BERT's own pooler is no part of the output.
    learned = [p for n, p in encoder.named_parameters() if "pooler" not in n]
    assert all(p.requires_grad and p.grad is not None and p.grad.abs().sum() > 0 for p in learned)


def test_untrained_architecture_takes_a_checkpoint(folder):
    trained = HuggingFaceEncoder(config(folder)).eval()
    blank = HuggingFaceEncoder(config(folder, pretrained=False)).eval()
    batch = trained.tokenize(TEXTS)
    assert not torch.allclose(blank(batch), trained(batch))
    blank.load_state_dict(trained.state_dict())
    torch.testing.assert_close(blank(batch), trained(batch))


def test_mean_pooling_leaves_padding_out():
    hidden = torch.arange(12.0).reshape(2, 3, 2)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert pool(hidden, mask, "mean").tolist() == [[1, 2], [6, 7]]
    assert pool(hidden, mask, "cls").tolist() == [[0, 1], [6, 7]]


def test_minilm_knows_what_is_alike():
    pytest.importorskip("transformers")
    if not all(locate_present(file, cache_dir()) for file in MINILM):
        pytest.skip("the packaged model is not on this machine")
    encoder = FrozenSentenceEncoder()
    vectors = encoder.embed(["The crystal structure of garnet", "Garnets", "A superconducting cuprate"])
    similar = vectors @ vectors.T
    assert encoder.width == 384
    assert similar[0, 1] > similar[0, 2] + 0.2
