from dataclasses import replace

import numpy as np
import pytest
import torch

import helpers_small as small
from prismat.api import recipe_modalities
from prismat.augment.structure import StructureViews
from prismat.augment.text import TextViews, text_views
from prismat.augment.xrd import SampleViews
from prismat.crystal import Crystal
from prismat.errors import BadInputError
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


def test_bonds_and_atoms_are_left_out_in_training_only(small_prepared, recipe):
    rows, views = np.arange(0, 111, 9), StructureViews(edge_removal=0.3, node_dropping=0.2)
    data = store_data(small_prepared, recipe, strain=0.0, structure=views)
    whole = store_data(small_prepared, recipe, strain=0.0).batches(rows, None)["structure"]
    first, again, other = (
        data.batches(rows, np.random.default_rng(s), ["structure"])["structure"] for s in (0, 0, 1)
    )
    assert torch.equal(data.batches(rows, None)["structure"].distance, whole.distance)
    assert torch.equal(first.distance, again.distance)
    assert not torch.equal(first.vector, other.vector)
    assert first.n_graphs == whole.n_graphs == len(rows)
    assert first.n_nodes < whole.n_nodes
    assert 0.2 < len(first.distance) / len(whole.distance) < 0.75
    assert first.present.all()


def test_bonds_left_out_are_those_of_a_strained_crystal(small_prepared, recipe):
    rows = np.arange(0, 111, 9)
    views = {"strain": 0.04, "structure": StructureViews(edge_removal=0.3)}
    data = store_data(small_prepared, recipe, **views)
    plain = data.batches(rows, None)["structure"]
    found = data.batches(rows, np.random.default_rng(0))["structure"]
    scale = found.lattice[:, 0].norm(dim=1) / plain.lattice[:, 0].norm(dim=1)
    assert len(np.unique(scale.numpy().round(5))) == len(rows)
    graphs = (found.node_graph[found.receiver], plain.node_graph[plain.receiver])
    for g in range(len(rows)):
        left, there = found.distance[graphs[0] == g] / scale[g], plain.distance[graphs[1] == g]
        assert len(left) <= len(there)
        assert all(float((there - d).abs().min()) < 1e-4 for d in left)
    assert 0 < len(found.distance) < len(plain.distance)


def tokens_data(prepared, recipe, tokens, **views):
    return store_data(prepared, recipe, text={"title": 1.0}, tokens=tokens, **views)


def test_tokens_are_masked_in_training_only(small_prepared, recipe):
    data, rows = tokens_data(small_prepared, recipe, TextViews(masking=0.4)), np.arange(60)
    clean = data.batches(rows, None, ["text"])["text"]
    first, again, other = (data.batches(rows, np.random.default_rng(s), ["text"])["text"] for s in (0, 0, 1))
    assert torch.equal(first.ids, again.ids)
    assert not torch.equal(first.ids, other.ids)
    mask = data.text.reader.vocabulary.mask
    assert not (clean.ids == mask).any()
    changed = first.ids != clean.ids
    assert set(first.ids[changed].tolist()) == {mask}
    special = torch.tensor(data.text.reader.vocabulary.special)
    may = clean.mask & clean.present[:, None] & ~torch.isin(clean.ids, special)
    assert not (changed & ~may).any()
    assert float(changed.sum() / may.sum()) == pytest.approx(0.4, abs=0.06)
    assert torch.equal(first.mask, clean.mask)
    assert torch.equal(first.present, clean.present)


def test_changed_texts_are_read_anew(small_prepared, recipe):
    """A title whose formula is written as names of elements gives the tokens of that text."""
    text = read_texts(small_prepared, recipe)
    titles = ["Refinement of NaCl. High pressure was applied.", ""]
    bank = TokenBank(("title",), (text.reader.read([t or None for t in titles]),), (titles,), text.reader)
    names = ViewConfig(text={"title": 1.0}, tokens=TextViews(replacement=1.0, ways=("names",)))
    found = bank.batch(np.array([0, 1]), names, np.random.default_rng(0))
    (written,) = text_views(titles[:1], names.tokens, np.random.default_rng(0))
    assert "sodium" in written.lower()
    assert torch.equal(found.ids[:1], text.reader.read([written]).ids)
    assert found.present.tolist() == [True, False]
    shuffled = ViewConfig(text={"title": 1.0}, tokens=TextViews(shuffle=1.0, masking=0.2))
    orders = [bank.batch(np.array([0]), shuffled, np.random.default_rng(s)).ids for s in range(6)]
    lengths = {ids.shape[1] for ids in orders}
    assert len(lengths) > 1 or any(not torch.equal(orders[0], ids) for ids in orders[1:])
    clean = bank.batch(np.array([0]), shuffled, None)
    assert torch.equal(clean.ids, text.reader.read(titles[:1]).ids)


def test_texts_that_cannot_be_read_again_are_refused():
    bank = TokenBank(("title",), (tokens([1, 2], [3]),))
    config = ViewConfig(text={"title": 1.0}, tokens=TextViews(masking=0.1))
    assert bank.batch(np.arange(2), config, None).ids.shape == (2, 2)
    with pytest.raises(
        BadInputError, match=r"views\.tokens: this text cannot be read again\. Set it to None"
    ):
        bank.batch(np.arange(2), config, np.random.default_rng(0))


QUIET = ProfileNoise(zero_shift=0.0, strain=0.0, width=(1.0, 1.0), texture=0.0, noise=0.0, background=0.0)


def test_no_record_is_an_impurity_of_its_like(small_prepared, recipe):
    """Impurities are other records of the batch, but not those of the same text or crystal."""
    rows = np.arange(0, 40, 4)
    noise = replace(QUIET, sample=SampleViews(impurity=1.0, impurity_share=(0.2, 0.2)))
    data = store_data(small_prepared, recipe, strain=0.0, noise=noise)
    clean = data.batches(rows, None)["xrd"].profile
    mixed = data.batches(rows, np.random.default_rng(0))["xrd"].profile
    assert (torch.nn.functional.cosine_similarity(mixed, clean) < 0.999).float().mean() > 0.8
    data.labels = [np.zeros(len(small_prepared.records), dtype=np.int64)]
    alike = data.batches(rows, np.random.default_rng(0))["xrd"].profile
    torch.testing.assert_close(alike, clean, rtol=1e-4, atol=1e-5)


def test_a_second_view_is_another_draw(small_prepared, recipe):
    """As the learner asks for it: the same generator, some windows."""
    data, rng = store_data(small_prepared, recipe, noise=ProfileNoise()), np.random.default_rng(0)
    rows = np.arange(8)
    first, second = data.batches(rows, rng), data.batches(rows, rng, ("xrd",))
    assert set(second) == {"xrd"}
    assert not torch.equal(first["xrd"].profile, second["xrd"].profile)
