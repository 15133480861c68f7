from dataclasses import replace

import numpy as np
import pytest
import torch

import helpers_small as small
from prismat.api import recipe_modalities
from prismat.crystal import Crystal
from prismat.modalities.profile import ProfileNoise, render
from prismat.modalities.standard_cell import standardize
from prismat.modalities.text import TokenBatch
from prismat.modalities.xrd import XrdSettings, powder_lines
from prismat.ragged import pack
from prismat.training.session import read_texts
from prismat.training.windows import StoreData, TextBank, TokenBank, ViewConfig, strained_lines

CONFIG = ViewConfig(text={"title": 0.5, "context": 0.25, "description": 0.25}, lexicon_dropout=0.0)


@pytest.fixture
def bank():
    """Four records, three views; record 2 has no title, record 3 no text at all."""
    index = np.array([[0, 1, -1, -1], [2, -1, 3, -1], [4, 5, 6, -1]])
    chemistry = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5) + 1
    embedding = np.stack([np.full(3, 1.0 + i) for i in range(7)])
    return TextBank(("title", "context", "description"), embedding, chemistry, index, np.array([1, 3]))


def test_evaluation_takes_the_first_view(bank):
    batch = bank.batch(np.array([1, 0, 2, 3]), CONFIG, None)
    assert batch.present.tolist() == [True, True, False, False]
    assert batch.embedding[:, 0].tolist() == [2, 1, 0, 0]
    assert batch.chemistry[0].tolist() == bank.chemistry[0, 1].tolist()
    assert not batch.chemistry[2:].any()


def test_training_draws_views_by_their_chances_among_those_there_are(bank):
    rows = np.repeat(np.arange(4), 4000)
    batch = bank.batch(rows, CONFIG, np.random.default_rng(0))
    drawn = batch.embedding[:, 0].numpy().reshape(4, 4000)
    counts = {(r, int(v)): int((drawn[r] == v).sum()) for r in range(4) for v in np.unique(drawn[r])}
    assert counts[(0, 1)] == pytest.approx(2000, abs=120)
    assert counts[(0, 3)] == pytest.approx(1000, abs=120)
    assert counts[(0, 5)] == pytest.approx(1000, abs=120)
    assert counts[(1, 2)] == pytest.approx(4000 * 2 / 3, abs=120)
    assert counts[(1, 6)] == pytest.approx(4000 / 3, abs=120)
    assert counts[(2, 4)] == pytest.approx(2000, abs=130)
    assert counts[(2, 7)] == pytest.approx(2000, abs=130)
    assert counts[(3, 0)] == 4000
    assert batch.present.numpy().reshape(4, 4000).all(1).tolist() == [True, True, True, False]


def test_chemistry_belongs_to_the_view_that_was_drawn(bank):
    rows = np.zeros(200, dtype=np.int64)
    batch = bank.batch(rows, CONFIG, np.random.default_rng(1))
    view = {1: 0, 3: 1, 5: 2}
    for vector, channels in zip(batch.embedding[:, 0].tolist(), batch.chemistry, strict=True):
        assert channels.tolist() == bank.chemistry[view[int(vector)], 0].tolist()


def test_a_view_of_chance_zero_is_never_drawn(bank):
    config = ViewConfig(text={"title": 1.0}, lexicon_dropout=0.0)
    batch = bank.batch(np.repeat([0, 2], 50), config, np.random.default_rng(0))
    assert set(batch.embedding[:50, 0].tolist()) == {1.0}
    assert not batch.present[50:].any()


def test_lexicon_is_hidden_by_its_chance_and_only_in_training(bank):
    rows = np.zeros(2000, dtype=np.int64)
    config = ViewConfig(text={"title": 1.0}, lexicon_dropout=0.5)
    batch = bank.batch(rows, config, np.random.default_rng(0))
    hidden = batch.chemistry[:, 1] == 0
    assert float(hidden.float().mean()) == pytest.approx(0.5, abs=0.06)
    assert torch.equal(hidden, batch.chemistry[:, 3] == 0)
    assert (batch.chemistry[:, [0, 2, 4]] == torch.from_numpy(bank.chemistry[0, 0, [0, 2, 4]])).all()
    assert bank.batch(rows, config, None).chemistry.all()
    assert bank.chemistry.all()


def tokens(*rows):
    width = max(len(r) for r in rows) + 2
    ids = torch.zeros(len(rows), width, dtype=torch.int64)
    mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : max(1, len(row))] = True
    return TokenBatch(ids, mask, torch.tensor([bool(r) for r in rows]))


def test_token_bank_takes_the_first_view_and_cuts_to_the_longest():
    bank = TokenBank(("title", "context"), (tokens([1, 2], [3], []), tokens([4, 5, 6, 7], [8], [9])))
    batch = bank.batch(np.array([1, 0, 2]), CONFIG, None)
    assert batch.present.tolist() == [True, True, False]
    assert batch.ids.shape == (3, 4)
    assert batch.ids[:, :2].tolist() == [[3, 0], [1, 2], [0, 0]]
    assert batch.mask.sum(1).tolist() == [1, 2, 1]


def test_token_bank_draws_among_the_views_there_are():
    bank = TokenBank(("title", "context"), (tokens([1, 2], [3], []), tokens([4, 5, 6, 7], [8], [9])))
    batch = bank.batch(np.repeat(np.arange(3), 300), CONFIG, np.random.default_rng(0))
    first = batch.ids[:, 0].numpy().reshape(3, 300)
    assert [sorted(set(r.tolist())) for r in first] == [[1, 4], [3, 8], [9]]
    assert int((first[0] == 1).sum()) == pytest.approx(200, abs=35)
    assert batch.present.all()
    longer = batch.ids[:, 0] == 4
    assert batch.ids[longer][:, :4].tolist() == [[4, 5, 6, 7]] * int(longer.sum())


@pytest.mark.parametrize("scale", [0.95, 1.0, 1.06])
def test_strained_lines_are_the_lines_of_the_strained_crystal(scale):
    import helpers_crystals as real

    settings = XrdSettings(two_theta_max=80.0)
    quartz = real.crystals()["quartz"]
    lines = powder_lines(quartz, settings)
    other = powder_lines(
        Crystal(quartz.lattice * scale, quartz.frac, quartz.sites), XrdSettings(two_theta_max=90.0)
    )
    packed = {"xrd.two_theta": pack([lines.two_theta]), "xrd.intensity": pack([lines.intensity])}
    moved = strained_lines(packed, np.array([scale]))
    found = moved["xrd.two_theta"][0]
    # Strong lines only: weak ones fall under the threshold on one side and not on the other.
    strong = lines.intensity > 5
    assert strong.sum() > 5
    for angle in found[strong & (found < 79)]:
        assert np.abs(other.two_theta - angle).min() < 1e-6
    assert moved["xrd.intensity"] is packed["xrd.intensity"]


def test_each_record_has_its_own_strain_and_lines_beyond_backscattering_leave():
    packed = {"xrd.two_theta": pack([np.array([60.0, 170.0]), np.array([60.0])])}
    moved = strained_lines(packed, np.array([0.9, 1.0]))["xrd.two_theta"]
    assert moved[0].tolist() == pytest.approx([2 * np.degrees(np.arcsin(0.5 / 0.9)), 180.0])
    assert moved[1].tolist() == pytest.approx([60.0])


def store_data(prepared, recipe, **views):
    """The small store's windows under a recipe with other views."""
    text = read_texts(prepared, recipe)
    return StoreData(
        prepared.store,
        recipe.windows,
        recipe_modalities(recipe),
        text.bank,
        replace(recipe.views, **views),
        [prepared.records.text_label, prepared.records.structure_label],
    )


@pytest.fixture(scope="module")
def recipe():
    return small.tiny_recipe()


def test_evaluation_batches_are_clean_and_hold_the_title(small_prepared, recipe):
    data = store_data(small_prepared, recipe)
    rows = np.arange(0, 111, 7)
    found, again = data.batches(rows, None), data.batches(rows, None)
    titles = [small_prepared.records.titles[r] for r in rows]
    tokens = read_texts(small_prepared, recipe).reader.read([t or None for t in titles])
    assert found["text"].present.tolist() == [bool(t) for t in titles]
    assert not found["text"].present.all()
    width = int(tokens.mask.sum(1).max())
    assert torch.equal(found["text"].ids[:, :width][tokens.present], tokens.ids[:, :width][tokens.present])
    assert torch.equal(found["xrd"].profile, again["xrd"].profile)
    packed = small_prepared.store.take(rows, list(data.modalities["xrd"].columns))
    assert torch.equal(found["xrd"].profile, render(packed, recipe.profile))
    assert found["structure"].n_graphs == len(rows)


def test_windows_left_out_are_not_made(small_prepared, recipe):
    data = store_data(small_prepared, replace(recipe, windows=("structure", "xrd")))
    assert set(data.batches(np.arange(4), np.random.default_rng(0))) == {"structure", "xrd"}


def test_strain_keeps_structure_and_pattern_one_crystal(small_prepared, recipe):
    """The profile of a strained batch is that of the very crystals in its structure batch."""
    rows = np.arange(0, 111, 5)
    data = store_data(small_prepared, recipe, strain=0.04, noise=None)
    plain, found = data.batches(rows, None), data.batches(rows, np.random.default_rng(3))
    scale = (
        found["structure"].lattice[:, 0].norm(dim=1) / plain["structure"].lattice[:, 0].norm(dim=1)
    ).numpy()
    assert len(np.unique(scale.round(5))) == len(rows)
    assert (np.abs(np.log(scale)) < 0.041).all()
    settings = XrdSettings(two_theta_max=100.0)
    lines = []
    for row, factor in zip(rows, scale.astype(float), strict=True):
        primitive = standardize(small.crystal(small_prepared.records.ids[row])).primitive
        lattice = primitive.lattice * factor
        lines.append(powder_lines(Crystal(lattice, primitive.frac, primitive.sites), settings))
    exact = {
        "xrd.two_theta": pack([line.two_theta for line in lines]),
        "xrd.intensity": pack([line.intensity for line in lines]),
    }
    profile, expected = found["xrd"].profile, render(exact, recipe.profile)
    # Intensities keep the angles of the unstrained crystal, so heights differ a little and places do not.
    cosine = torch.nn.functional.cosine_similarity(profile, expected, dim=1)
    assert cosine.min() > 0.999
    other = torch.nn.functional.cosine_similarity(plain["xrd"].profile, expected, dim=1)
    moved = torch.from_numpy(np.abs(np.log(scale)) > 0.02)
    assert (cosine > other)[moved].all()
    assert other[moved].mean() < 0.8


def test_noise_changes_patterns_in_training_only(small_prepared, recipe):
    rows = np.arange(6)
    data = store_data(small_prepared, recipe, strain=0.0, noise=ProfileNoise())
    clean = data.batches(rows, None)["xrd"].profile
    first, again, other = (data.batches(rows, np.random.default_rng(s))["xrd"].profile for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, clean)


def test_records_of_one_text_or_one_crystal_are_marked_the_same(small_prepared, recipe):
    data, ids = store_data(small_prepared, recipe), small_prepared.records.ids
    rows = np.array(
        [ids.index(i) for i in ("rock_salt_Na-Cl", "halite_again", "shared_text", "rock_salt_Li-F")]
    )
    expected = [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]
    assert data.same(rows).int().tolist() == expected
