import logging
import shutil
import time

import pytest

from helpers_hub import closed_port, point_to, serving
from helpers_text import write_model
from prismat.encoders.huggingface import FrozenSentenceEncoder, HuggingFaceConfig
from prismat.encoders.pretrained import DEFAULT_MODEL, find_weights, full_name, load_weights
from prismat.errors import BadInputError

pytest.importorskip("transformers")
huggingface_hub = pytest.importorskip("huggingface_hub")
SCIBERT = "allenai/scibert_scivocab_uncased"


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with serving() as hub:
        point_to(hub.endpoint, tmp_path / "hub", monkeypatch)
        yield hub
    huggingface_hub.close_session()


@pytest.fixture
def unreachable(monkeypatch, tmp_path):
    point_to(closed_port(), tmp_path / "hub", monkeypatch)
    yield
    huggingface_hub.close_session()


def test_short_names():
    assert full_name("scibert") == SCIBERT
    assert full_name("matscibert") == "m3rg-iitd/matscibert"
    assert full_name("minilm") == DEFAULT_MODEL
    assert full_name("lab/bert") == "lab/bert"


@pytest.mark.parametrize("asked", ["scibert", SCIBERT])
def test_a_model_comes_from_the_hub_once(hub, bert, asked):
    hub.repositories[SCIBERT] = bert
    weights = find_weights(asked)
    assert (weights.source, weights.model, weights.requested) == ("hub", SCIBERT, "")
    assert weights.sha256 == find_weights(str(bert)).sha256
    assert any(path.endswith("model.safetensors") for path in hub.asked)
    before = len(hub.asked)
    hub.repositories.clear()
    assert find_weights(asked) == weights
    assert len(hub.asked) == before


def test_a_model_of_the_hub_embeds_as_its_folder(hub, bert):
    hub.repositories["lab/bert"] = bert
    found = FrozenSentenceEncoder(HuggingFaceConfig("lab/bert")).embed(["garnet"])
    assert (found == FrozenSentenceEncoder(HuggingFaceConfig(str(bert))).embed(["garnet"])).all()


def test_unknown_name(hub):
    with pytest.raises(
        BadInputError, match=r"'lab/nothing' is neither a folder.*the hub knows no such model.*Check the name"
    ):
        find_weights("lab/nothing")


def test_gated(hub):
    hub.repositories["lab/gated"] = None
    with pytest.raises(BadInputError, match=r"owners must grant access.*HF_TOKEN.*pass the folder"):
        find_weights("lab/gated")


def test_pickled_weights_are_never_fetched(hub, bert, tmp_path):
    folder = tmp_path / "old"
    shutil.copytree(bert, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    hub.repositories[SCIBERT] = folder
    with pytest.raises(
        BadInputError, match=r"only weights, pytorch_model.bin, are pickled.*save_pretrained.*pass the folder"
    ):
        find_weights("scibert")
    assert hub.asked
    assert not [path for path in hub.asked if path.endswith(".bin")]


def test_a_repository_without_any_weights(hub, bert, tmp_path):
    (tmp_path / "empty").mkdir()
    shutil.copy(bert / "config.json", tmp_path / "empty")
    hub.repositories["lab/empty"] = tmp_path / "empty"
    with pytest.raises(BadInputError, match=r"no config.json or no safetensors.*Try another model"):
        find_weights("lab/empty")


def test_unreachable_hub(unreachable):
    started = time.monotonic()
    with pytest.raises(BadInputError, match=r"'lab/bert' .*refused.*HF_ENDPOINT.*substitute.*the folder"):
        find_weights("lab/bert")
    assert time.monotonic() - started < 10


def test_a_download_that_broke_off_is_told(hub, bert, monkeypatch, tmp_path):
    hub.repositories["lab/bert"] = bert
    folder = find_weights("lab/bert").folder
    (folder / "model.safetensors").unlink()
    point_to(closed_port(), tmp_path / "hub", monkeypatch)
    with pytest.raises(BadInputError, match=r"'lab/bert' is neither.*Check the network"):
        find_weights("lab/bert")


def test_a_substitute_is_used_and_told(unreachable, bert, caplog):
    with caplog.at_level(logging.WARNING, logger="prismat"):
        weights = find_weights("scibert", substitute=str(bert))
    assert (weights.model, weights.requested, weights.source) == (str(bert), SCIBERT, "path")
    assert f"text model '{SCIBERT}' is neither" in caplog.text
    assert f"{bert} is used in its place" in caplog.text


def test_a_substitute_is_left_alone_where_it_is_not_needed(hub, bert, tmp_path, caplog):
    hub.repositories[SCIBERT] = bert
    weights = find_weights("scibert", substitute=str(tmp_path / "nowhere"))
    assert (weights.model, weights.requested) == (SCIBERT, "")
    assert not caplog.records


def test_neither_the_model_nor_its_substitute(unreachable):
    with pytest.raises(
        BadInputError, match=r"'lab/one' is neither.*nor is its substitute: .*'lab/two' is neither.*network"
    ):
        find_weights("lab/one", substitute="lab/two")


def test_older_tokenisers_are_part_of_the_hash(tmp_path):
    from transformers import BertTokenizer

    folder = write_model(tmp_path / "old")
    (folder / "tokenizer.json").unlink()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "garnet", "halite"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    first = find_weights(str(folder))
    encoder = FrozenSentenceEncoder(HuggingFaceConfig(str(folder)))
    assert encoder._text.ids(["Garnet halite"]) == [[2, 5, 6, 3]]
    assert isinstance(encoder._text.tokenizer, BertTokenizer)
    (folder / "vocab.txt").write_text("\n".join([*words[:5], "halite", "garnet"]) + "\n")
    assert find_weights(str(folder)).sha256 != first.sha256


def test_a_language_model_has_no_pooler_of_its_own(tmp_path, bert):
    """What a checkpoint for masked language modelling lacks is told, and everything else is loaded."""
    language = write_model(tmp_path / "language", part="ForMaskedLM")
    loaded = load_weights(find_weights(str(language)))
    assert not loaded.has_pooler
    assert load_weights(find_weights(str(bert))).has_pooler


def test_a_model_that_lacks_weights_is_refused(bert, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "part"
    shutil.copytree(bert, folder)
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.bias"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadInputError, match=r"lacks 1 of the model's tensors, such as encoder.layer.1"):
        load_weights(find_weights(str(folder)))
