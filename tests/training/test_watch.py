import pytest
import torch

from prismat.training.watch import Limits, effective_rank, mean_cosine, warnings_for


def orthogonal(n, rank):
    """Centred rows whose singular values are ``rank`` equal ones."""
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.cat([torch.ones(n, 1), torch.randn(n, rank)], dim=1).double())[0][:, 1:]
    return torch.cat([basis, torch.zeros(n, 3, dtype=torch.float64)], dim=1)


@pytest.mark.parametrize("rank", [1, 2, 7])
def test_effective_rank_of_equal_singular_values_is_their_number(rank):
    assert effective_rank(orthogonal(20, rank)) == pytest.approx(rank)
    shifted = orthogonal(20, rank) + 5.0
    assert effective_rank(shifted) == pytest.approx(rank)


def test_effective_rank_of_unequal_singular_values():
    rows = orthogonal(20, 2) * torch.tensor([3.0, 1, 1, 1, 1], dtype=torch.float64)
    # shares 3/4 and 1/4
    assert effective_rank(rows) == pytest.approx((4 / 3) ** 0.75 * 4**0.25)


def test_effective_rank_of_a_collapsed_space_is_one_at_most():
    assert effective_rank(torch.ones(8, 4)) <= 1 + 1e-6


def test_mean_cosine_equals_a_loop():
    torch.manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    naive = [float(rows[i] @ rows[j]) for i in range(6) for j in range(6) if i != j]
    assert mean_cosine(rows) == pytest.approx(sum(naive) / len(naive), abs=1e-6)
    assert mean_cosine(rows[:1]) == 0
    assert mean_cosine(torch.ones(3, 4) / 2) == pytest.approx(1)


def test_a_healthy_training_gives_no_warning():
    rows = torch.nn.functional.normalize(
        torch.randn(64, 16, generator=torch.Generator().manual_seed(0)), dim=1
    )
    measured, messages = warnings_for({"text": rows}, 0.6, 0.4)
    assert messages == []
    assert set(measured) == {"effective_rank/text", "mean_cosine/text", "recall_gap"}
    assert measured["recall_gap"] == pytest.approx(0.2)
    assert 10 < measured["effective_rank/text"] <= 16


def test_each_limit_gives_its_sentence():
    flat = torch.ones(64, 64) / 8
    _, messages = warnings_for({"xrd": flat}, 0.9, 0.1, Limits())
    assert len(messages) == 3
    assert messages[0] == "xrd: effective rank 1.0 of 64, embeddings collapse"
    assert messages[1] == "xrd: mean cosine 1.00, embeddings crowd together"
    assert messages[2] == "training recall exceeds validation by 0.80, the model overfits"
