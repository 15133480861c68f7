from dataclasses import replace

import pytest
import torch
from torch import nn

from helpers_text import write_model
from prismat.encoders.clasp_mlp import ClaspMlpConfig
from prismat.encoders.huggingface import HuggingFaceConfig, HuggingFaceEncoder
from prismat.encoders.tuning import TuningConfig
from prismat.errors import BadInputError
from prismat.training.optimizer import OptimizerConfig, build_optimizer

pytest.importorskip("transformers")
TEXTS = ["crystal structure of garnet", "halite", None, "a refinement study of the oxide under high pressure"]
OPTIMIZER = OptimizerConfig(learning_rate=2e-3, weight_decay=0.5)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """Three layers."""
    return write_model(tmp_path_factory.mktemp("models") / "bert")


def encoder(folder, pooling="mean", clasp=None, **tuning):
    torch.manual_seed(3)
    config = HuggingFaceConfig(str(folder), pooling, tuning=TuningConfig(**tuning), clasp=clasp)
    return HuggingFaceEncoder(config)


def level(name):
    """Where a parameter of the tiny BERT stands, 0 for the embeddings, 3 for the last layer."""
    if "encoder.layer." in name:
        return int(name.split("encoder.layer.")[1].split(".")[0]) + 1
    return 0 if "embeddings" in name else 4


def learned(model):
    """Names of the parameters that one step moves, weight decay included."""
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    optimizer = build_optimizer([model], OPTIMIZER)
    # Not a plain sum, which is constant behind a layer norm.
    (model(model.tokenize(TEXTS)) ** 2 @ torch.arange(1.0, model.width + 1)).sum().backward()
    assert all(p.grad is None for p in model.parameters() if not p.requires_grad)
    optimizer.step()
    return {k for k, v in model.named_parameters() if not torch.equal(v, before[k])}


@pytest.mark.parametrize(("layers", "levels"), [(None, {0, 1, 2, 3}), (3, {1, 2, 3}), (2, {2, 3}), (1, {3})])
def test_only_the_layers_asked_for_are_trained(bert, layers, levels):
    model = encoder(bert, tuned_layers=layers)
    names = {n for n, _ in model.named_parameters()}
    assert learned(model) == {n for n in names if level(n) in levels}


def test_with_no_layer_only_the_head_is_trained(bert):
    model = encoder(bert, tuned_layers=0, clasp=ClaspMlpConfig(hidden=8, out=4))
    moved = learned(model)
    assert moved
    assert all(name.startswith("head.") for name in moved)
    assert model.learning_rates() == {}


def test_a_pooler_in_use_is_trained_with_the_top(bert):
    assert {level(n) for n in learned(encoder(bert, pooling="pooler", tuned_layers=1))} == {3, 4}
    assert learned(
        encoder(bert, pooling="pooler", tuned_layers=0, clasp=ClaspMlpConfig(hidden=8, out=4))
    ) == {
        f"head.{n}" for n, _ in encoder(bert, clasp=ClaspMlpConfig(hidden=8, out=4)).head.named_parameters()
    }


def test_rates_fall_with_depth_in_the_optimiser(bert):
    model = encoder(bert, pooling="pooler", layer_decay=0.5, rate=0.1, clasp=ClaspMlpConfig(hidden=8, out=4))
    optimizer = build_optimizer([model], OPTIMIZER)
    names = {id(p): n for n, p in model.named_parameters()}
    share = {0: 0.1 / 8, 1: 0.1 / 4, 2: 0.1 / 2, 3: 0.1, 4: 0.1}
    seen = set()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            expected = 1.0 if name.startswith("head.") else share[level(name)]
            assert group["scale"] == pytest.approx(expected, rel=1e-12)
            assert group["lr"] == pytest.approx(2e-3 * expected, rel=1e-12)
            assert group["weight_decay"] == (0.5 if parameter.ndim > 1 else 0.0)
            seen.add(name)
    assert seen == set(names.values())


def test_what_is_frozen_has_no_dropout(bert):
    model = encoder(bert, tuned_layers=1).train()
    dropouts = {n: m.training for n, m in model.named_modules() if isinstance(m, nn.Dropout)}
    assert {level(n) for n, training in dropouts.items() if training} == {3}
    assert {level(n) for n, training in dropouts.items() if not training} == {0, 1, 2}
    frozen = encoder(bert, tuned_layers=0).train()
    batch = frozen.tokenize(TEXTS)
    assert torch.equal(frozen(batch), frozen(batch))


def test_evaluation_is_deterministic_and_training_is_not(bert):
    model = encoder(bert)
    batch = model.tokenize(TEXTS)
    assert not torch.equal(model(batch), model(batch))
    model.eval()
    assert torch.equal(model(batch), model(batch))
    assert not any(m.training for m in model.modules())
    assert any(m.training for m in model.train().modules())


@pytest.mark.parametrize("kind", ["DistilBert", "Roberta", "ModernBert", "T5", "GPT2"])
def test_layers_are_found_in_any_architecture(tmp_path, kind):
    own = {
        "DistilBert": {"dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32},
        "T5": {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 3, "num_heads": 2},
        "GPT2": {"n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 24},
        "Roberta": {"max_position_embeddings": 32},
        "ModernBert": {"reference_compile": False},
    }.get(kind, {})
    if kind == "ModernBert":
        own |= {f"{n}_token_id": i for i, n in enumerate(("pad", "unk", "cls", "sep"))}
        own |= {"bos_token_id": 2, "eos_token_id": 3}
    folder = write_model(tmp_path / kind, kind, **own)
    whole = encoder(folder, layer_decay=0.5, rate=1.0).learning_rates()
    assert sorted(set(whole.values())) == [0.125, 0.25, 0.5, 1.0]
    model = encoder(folder)
    table = next(n for n, p in model.named_parameters() if p is model.token.weight)
    assert whole[table] == 0.125
    model = encoder(folder, tuned_layers=1)
    moved = learned(model)
    assert moved == set(model.learning_rates())
    indices = {part for name in moved for part in name.split(".") if part in ("0", "1", "2")}
    assert "2" in indices
    assert 0 < len(moved) < len(whole) / 2


def test_shared_layers_are_tuned_together_or_not_at_all(tmp_path):
    folder = write_model(tmp_path / "albert", "Albert", embedding_size=8)
    assert learned(encoder(folder))
    assert not encoder(folder, tuned_layers=0).learning_rates()
    with pytest.raises(
        BadInputError, match=r"layers of a AlbertModel cannot be told apart.*tuned_layers none"
    ):
        encoder(folder, tuned_layers=1)
    with pytest.raises(BadInputError, match="cannot be told apart"):
        encoder(folder, layer_decay=0.9)


@pytest.mark.parametrize(
    ("tuning", "words"),
    [
        (
            {"tuned_layers": 4},
            r"tuning.tuned_layers: 4 layers cannot be tuned, for the model has 3\. Give 0 to 3",
        ),
        ({"tuned_layers": -1}, r"tuning.tuned_layers: -1 is no sound value\. Give one 0 or more"),
        ({"layer_decay": 0.0}, r"tuning.layer_decay: 0.0 is no sound value\. Give one above 0, at most 1"),
        ({"layer_decay": 1.5}, "tuning.layer_decay: 1.5"),
        ({"rate": 0.0}, r"tuning.rate: 0.0 is no sound value\. Give one above 0"),
        ({"rate": float("nan")}, "tuning.rate: nan"),
    ],
)
def test_settings_that_make_no_sense(bert, tuning, words):
    with pytest.raises(BadInputError, match=words):
        encoder(bert, **tuning)


def test_tuned_weights_come_back_from_a_file(bert, tmp_path):
    from safetensors.torch import load_file, save_file

    clasp = ClaspMlpConfig(hidden=8, out=4)
    model = encoder(bert, tuned_layers=2, clasp=clasp, rate=1.0)
    learned(model)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    again = HuggingFaceEncoder(replace(model.config, pretrained=False)).eval()
    batch = model.eval().tokenize(TEXTS)
    assert not torch.equal(again(batch), model(batch))
    again.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(again(batch), model(batch))
