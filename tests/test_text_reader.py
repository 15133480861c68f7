import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import helpers_small as small
from helpers_hub import closed_port, point_to, serving
from helpers_text import write_model
from prismat.api import load
from prismat.encoders.clasp_mlp import ClaspMlp
from prismat.encoders.huggingface import FrozenSentenceEncoder, HuggingFaceConfig, HuggingFaceEncoder
from prismat.encoders.text_head import ClaspHead, TextHeadConfig
from prismat.encoders.tuning import TuningConfig
from prismat.errors import BadInputError, MismatchError
from prismat.modalities.lexicon import Lexicon
from prismat.recipes.base import TextConfig
from prismat.recipes.build import as_used, build_model
from prismat.tasks.quickstart import train_recipe
from prismat.text_reader import EncoderReader, FrozenReader
from prismat.training.session import read_texts

pytest.importorskip("transformers")
huggingface_hub = pytest.importorskip("huggingface_hub")
SCIBERT = "allenai/scibert_scivocab_uncased"
CLASP = TextHeadConfig(hidden=16, out=16, kind="clasp")
QUERIES = ["Refinement of halite", "an unknown word"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return small.write_bert(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(autouse=True)
def unreachable(monkeypatch, tmp_path):
    """No hub, and caches of this test alone."""
    point_to(closed_port(), tmp_path / "hub", monkeypatch)
    monkeypatch.setenv("PRISMAT_CACHE", str(tmp_path / "cache"))
    yield
    huggingface_hub.close_session()


def recipe(text):
    encoders = replace(small.tiny_recipe().encoders, text=text)
    return small.tiny_recipe(encoders=encoders, windows=("structure", "text"))


def trained(prepared, text, folder, steps=20, **train):
    job = small.tiny_job(recipe(text), **{"steps": steps, "evaluate_every": steps, **train})
    return train_recipe(prepared, job, folder)


def readers(bert, **options):
    config = HuggingFaceConfig(str(bert), **options)
    return FrozenReader(FrozenSentenceEncoder(config), Lexicon({})), EncoderReader(HuggingFaceEncoder(config))


def test_a_reader_tells_what_it_reads_with(bert):
    for reader in readers(bert):
        told = reader.describe()
        assert (told["encoder"], told["weights_from"], "requested" in told) == (str(bert), "path", False)
        assert reader.identity() == {k: v for k, v in told.items() if k != "weights_from"}


def test_a_substitute_is_told_and_counts_as_itself(bert):
    stands_in = readers("scibert", substitute=str(bert))
    for reader, plain in zip(stands_in, readers(bert), strict=True):
        told = reader.describe()
        assert list(told)[:2] == ["requested", "encoder"]
        assert (told["requested"], told["encoder"]) == (SCIBERT, str(bert))
        assert reader.identity() == plain.identity()


def test_embeddings_of_each_pooling_have_a_cache_of_their_own(bert, tmp_path):
    read = {}
    for pooling in ("mean", "cls", "pooler"):
        encoder = FrozenSentenceEncoder(HuggingFaceConfig(str(bert), pooling))
        # Twice: the second answer comes from the disk.
        for _ in range(2):
            reader = FrozenReader(encoder, Lexicon({}), tmp_path / "text")
            read[pooling] = reader.embed(QUERIES)
            np.testing.assert_allclose(read[pooling], encoder.embed(QUERIES), atol=1e-6)
    assert len(list((tmp_path / "text").iterdir())) == 3
    assert not np.allclose(read["mean"], read["cls"])
    assert not np.allclose(read["cls"], read["pooler"])


@pytest.mark.parametrize("kind", ["frozen", "tuned"])
def test_an_encoder_that_cannot_be_had_stops_before_training(small_prepared, tmp_path, kind):
    with pytest.raises(BadInputError, match=rf"'{SCIBERT}' is neither.*name a substitute.*pass the folder"):
        trained(small_prepared, TextConfig(kind=kind, model="scibert"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tuning": TuningConfig(tuned_layers=7)}, "7 layers cannot be tuned, for the model has 1"),
        ({"tuning": TuningConfig(layer_decay=0.0)}, "tuning.layer_decay: 0.0 is no sound value"),
    ],
)
def test_a_tuning_that_cannot_be_stops_before_training(small_prepared, bert, tmp_path, changes, words):
    with pytest.raises(BadInputError, match=words):
        trained(small_prepared, TextConfig(kind="tuned", model=str(bert), **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


TEXTS = {
    "frozen clasp": {"kind": "frozen", "head": CLASP, "pooling": "cls"},
    "frozen pooler": {"kind": "frozen", "head": TextHeadConfig(hidden=16, out=16), "pooling": "pooler"},
    "tuned clasp": {"kind": "tuned", "head": CLASP, "pooling": "cls", "tuning": TuningConfig(rate=0.5)},
    "head alone": {"kind": "tuned", "head": CLASP, "tuning": TuningConfig(tuned_layers=0)},
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_training_learns_and_its_model_comes_back(small_prepared, bert, tmp_path, name):
    found = trained(small_prepared, TextConfig(model=str(bert), **TEXTS[name]), tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert np.mean(losses[-3:]) < 0.95 * np.mean(losses[:3])
    prismat = found.prismat
    again = load(tmp_path)
    assert again.hash == prismat.hash
    assert again.reader.describe() == prismat.reader.describe()
    expected, got = prismat.embed(texts=QUERIES), again.embed(texts=QUERIES)
    assert set(got) == set(expected)
    assert all(np.array_equal(got[key], expected[key]) for key in got)
    if "clasp" in name:
        encoder = prismat.model.encoders["text"]
        assert isinstance(encoder if name == "frozen clasp" else encoder.head, ClaspHead | ClaspMlp)


def test_layer_rates_reach_the_weights(small_prepared, bert, tmp_path):
    """What is frozen stays as the file has it, to the bit; what is tuned does not."""
    tuning = TuningConfig(tuned_layers=1, rate=0.5)
    text = TextConfig("tuned", str(bert), tuning=tuning)
    weights = trained(small_prepared, text, tmp_path, steps=4).prismat.model.encoders["text"].transformer
    original = HuggingFaceEncoder(HuggingFaceConfig(str(bert))).transformer.state_dict()
    moved = {n for n, p in weights.state_dict().items() if not torch.equal(p, original[n])}
    assert moved
    assert all(name.startswith("encoder.layer.0.") for name in moved)


@pytest.mark.parametrize("kind", ["frozen", "tuned"])
def test_a_run_with_a_substitute_is_labelled_for_good(small_prepared, bert, tmp_path, monkeypatch, kind):
    text = TextConfig(kind, "scibert", head=TextHeadConfig(hidden=16, out=16), substitute=str(bert))
    run = tmp_path / "run"
    found = trained(small_prepared, text, run, steps=2)
    saved = json.loads((run / "model/config.json").read_text())
    assert saved["text"]["requested"] == SCIBERT
    assert saved["text"]["encoder"] == str(bert)
    assert saved["recipe"]["encoders"]["text"]["model"] == "scibert"
    # Now the hub has the model asked for, of another size: the trained one must not change.
    other = write_model(tmp_path / "other")
    with serving() as hub:
        hub.repositories[SCIBERT] = other
        point_to(hub.endpoint, tmp_path / "hub", monkeypatch)
        again = load(run)
        assert not [path for path in hub.asked if SCIBERT in path]
        assert again.reader.describe() == found.prismat.reader.describe()
        assert again.hash == found.prismat.hash
        key = "text@structure"
        assert np.array_equal(again.embed(texts=QUERIES)[key], found.prismat.embed(texts=QUERIES)[key])
        # Going on with the run would mix two encoders.
        with pytest.raises(MismatchError, match="other data or settings"):
            trained(small_prepared, text, run, steps=2)


def test_the_model_is_built_from_the_encoder_that_was_read(bert, monkeypatch, tmp_path, small_prepared):
    """The hub may come back between reading the texts and building the model."""
    wanted = recipe(TextConfig("tuned", "scibert", substitute=str(bert)))
    side = read_texts(small_prepared, wanted)
    with serving() as hub:
        hub.repositories[SCIBERT] = bert
        point_to(hub.endpoint, tmp_path / "hub", monkeypatch)
        model = build_model(as_used(wanted, side.reader.describe()), 0, 0)
    assert model.encoders["text"].weights.model == str(bert)
    assert as_used(wanted, None) == wanted
    assert as_used(small.tiny_recipe(), {"encoder": "byte-pair tokens"}) == small.tiny_recipe()
