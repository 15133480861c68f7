"""Losses by name."""

from dataclasses import replace

import pytest
import torch
from helpers_objectives import unit, whole

from prismat.errors import BadInputError
from prismat.objectives.anchored import Anchored
from prismat.objectives.barlow import BarlowTwins
from prismat.objectives.base import Objective
from prismat.objectives.build import build_objective
from prismat.objectives.config import ObjectiveConfig
from prismat.objectives.cosface import CosFace
from prismat.objectives.infonce import InfoNce, InfoNceConfig
from prismat.objectives.jsd import JensenShannon
from prismat.objectives.pairs import AllPairs
from prismat.objectives.siglip import SigLip
from prismat.objectives.tensor_clip import TensorClip
from prismat.objectives.triplet import Triplet

NAMES = ("structure", "text", "xrd")
PAIRWISE = {"infonce": InfoNce, "cosface": CosFace, "siglip": SigLip, "triplet": Triplet}
WHOLE = {"jsd": JensenShannon, "tensor_clip": TensorClip, "barlow": BarlowTwins}


def build(kind="infonce", windows=NAMES, **settings):
    return build_objective(ObjectiveConfig(kind=kind, **settings), windows, dim=5)


@pytest.mark.parametrize("kind", [*PAIRWISE, *WHOLE])
def test_every_kind_is_built_and_trains(kind):
    objective = build(kind, auxiliary={"mlm": 2.0})
    assert type(objective) is WHOLE.get(kind, AllPairs)
    if kind in PAIRWISE:
        assert isinstance(objective.pair_term("text-xrd"), PAIRWISE[kind])
    vectors = {k: unit(6, seed=i).float().requires_grad_() for i, k in enumerate(NAMES)}
    views = {k: unit(6, seed=9).float() for k in NAMES}
    batch = replace(whole(NAMES, 6, views=views), embeddings=vectors)
    plain = objective(batch).parts
    loss = objective(replace(batch, auxiliary={"mlm": torch.tensor(0.5)}))
    assert set(loss.parts) == {*plain, "mlm"}
    loss.total.backward()
    assert all(v.grad.abs().max() > 0 for v in vectors.values())
    assert all(p.grad is not None for p in objective.parameters() if p.requires_grad)
    assert all(isinstance(v, float) for v in objective.scales().values())


def test_default_is_infonce_over_all_pairs():
    objective = build()
    assert objective.scales() == pytest.approx(
        {"structure-text": 1 / 0.07, "structure-xrd": 1 / 0.07, "text-xrd": 1 / 0.07}
    )
    assert objective.windows == NAMES
    assert (objective.views, objective.needs_shared_heads) == ((), False)


@pytest.mark.parametrize("kind", PAIRWISE)
def test_anchor_restricts_pairs(kind):
    objective = build(kind, anchor="text")
    assert isinstance(objective, Anchored)
    assert set(objective(whole(NAMES, 4)).parts) == {"structure-text", "text-xrd"}


def test_shared_temperature_is_one_parameter():
    assert len(list(build(infonce=InfoNceConfig(shared=True)).parameters())) == 1
    assert len(list(build(infonce=InfoNceConfig(shared=True), anchor="xrd").parameters())) == 1


@pytest.mark.parametrize("kind", [*PAIRWISE, "jsd"])
def test_weights_of_unknown_pairs_are_refused_with_the_pairs(kind):
    with pytest.raises(BadInputError) as caught:
        build(kind, weights={"text-structure": 1.0})
    assert str(caught.value) == (
        "objective.weights: weight for an unknown pair 'text-structure'."
        " Pairs: structure-text, structure-xrd, text-xrd."
    )
    assert (
        build(kind, weights={"structure-text": 0.0})(whole(NAMES, 4)).parts.keys() & {"structure-text"}
        == set()
    )


def test_weight_of_a_pair_without_the_anchor_is_refused():
    with pytest.raises(BadInputError, match=r"Pairs: structure-text, text-xrd\.$"):
        build(anchor="text", weights={"structure-xrd": 1.0})


def test_an_unknown_anchor_is_refused():
    with pytest.raises(BadInputError, match="Windows: structure, text, xrd"):
        build(anchor="dos")


@pytest.mark.parametrize("kind", WHOLE)
def test_an_anchor_is_refused_where_it_means_nothing(kind):
    with pytest.raises(BadInputError, match=f"{kind} takes no anchor"):
        build(kind, anchor="text")


@pytest.mark.parametrize("kind", ["tensor_clip", "barlow"])
def test_weights_are_refused_without_pairs(kind):
    with pytest.raises(BadInputError, match="no pairs to weigh"):
        build(kind, weights={"structure-text": 1.0})


@pytest.mark.parametrize("windows", [NAMES[:2], tuple("abcd"), tuple("abcdef")])
def test_numbers_of_windows_are_refused_by_kind(windows):
    for kind in (*PAIRWISE, "jsd"):
        assert isinstance(build(kind, windows), Objective)
    with pytest.raises(BadInputError, match="Name three"):
        build("tensor_clip", windows)
    if len(windows) > 4:
        with pytest.raises(BadInputError, match="two, three or four"):
            build("barlow", windows)


def test_an_unknown_kind_is_refused():
    config = ObjectiveConfig()
    object.__setattr__(config, "kind", "hinge")
    with pytest.raises(BadInputError, match="Choose infonce, cosface"):
        build_objective(config, NAMES, 5)
