import numpy as np
import pytest
import torch

from prismat.errors import BadInputError
from prismat.heads.config import FitConfig, HeadConfig, TuneConfig
from prismat.heads.network import Head

FUSIONS = ("concat", "gated", "attention")
WIDTHS = {"structure": 5, "xrd": 3}


@pytest.fixture
def batch():
    torch.manual_seed(0)
    features = {w: torch.randn(6, n) for w, n in WIDTHS.items()}
    present = {
        "structure": torch.tensor([1, 1, 1, 0, 0, 1]).bool(),
        "xrd": torch.tensor([1, 0, 1, 1, 0, 1]).bool(),
    }
    return features, present


def head(fusion, widths=None):
    torch.manual_seed(1)
    return Head(HeadConfig(hidden=8, width=4, fusion=fusion), widths or WIDTHS, 2).eval()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_what_stands_in_an_absent_window_is_not_read(batch, fusion):
    features, present = batch
    network = head(fusion)
    network.standardise(features, present)
    other = {w: torch.where(present[w][:, None], v, torch.nan) for w, v in features.items()}
    assert torch.equal(network(features, present), network(other, present))
    assert torch.isfinite(network(other, present)).all()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_an_absent_window_is_not_one_of_zeros(batch, fusion):
    features, present = batch
    network = head(fusion)
    zero = {w: torch.where(present[w][:, None], v, 0.0) for w, v in features.items()}
    there = {w: torch.ones_like(p) for w, p in present.items()}
    one_absent = present["structure"] ^ present["xrd"]
    difference = (network(zero, present) - network(zero, there)).abs().amax(1)
    assert (difference[one_absent] > 1e-6).all()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_gradients_flow_to_present_windows_only(batch, fusion):
    features, present = batch
    features = {w: v.clone().requires_grad_() for w, v in features.items()}
    head(fusion)(features, present).sum().backward()
    for window, vectors in features.items():
        moved = vectors.grad.abs().amax(1) > 0
        assert moved.tolist() == present[window].tolist()


def test_attention_weighs_one_window_with_one(batch):
    features, present = batch
    network = head("attention")
    alone = {"structure": present["structure"] | True, "xrd": torch.zeros(6).bool()}
    assert torch.allclose(
        network.fuse(features, alone), network.to_common["structure"](features["structure"])
    )


def test_standardisation_comes_from_present_rows_and_survives_saving(batch):
    features, present = batch
    network = head("concat")
    network.standardise(features, present)
    own = features["xrd"][present["xrd"]]
    np.testing.assert_allclose(network.mean_xrd, own.mean(0), rtol=1e-6)
    np.testing.assert_allclose(network.scale_xrd, own.std(0, correction=0), rtol=1e-6)
    other = head("concat")
    other.load_state_dict(network.state_dict())
    assert torch.equal(network(features, present), other(features, present))


def test_a_constant_feature_does_not_explode():
    features, present = {"structure": torch.full((4, 5), 3.0)}, {"structure": torch.ones(4).bool()}
    network = head("concat", {"structure": 5})
    network.standardise(features, present)
    assert torch.equal(network.scale_structure, torch.ones(5))


def test_two_layers():
    network = head("concat", {"structure": 5})
    assert [type(layer).__name__ for layer in network.net] == ["Linear", "ReLU", "Dropout", "Linear"]
    assert isinstance(Head(HeadConfig("linear"), {"structure": 5}, 1).net, torch.nn.Linear)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: HeadConfig(hidden=0),
        lambda: HeadConfig(dropout=1.0),
        lambda: HeadConfig("linear", fusion="gated"),
        lambda: FitConfig(members=0),
        lambda: FitConfig(ridges=()),
        lambda: TuneConfig(steps=0),
    ],
    ids=["width", "dropout", "linear gate", "members", "ridges", "steps"],
)
def test_settings_that_cannot_be(wrong):
    with pytest.raises(BadInputError, match=r"Give|Use"):
        wrong()
