"""What physics demands of every structure encoder, as a class of tests to inherit."""

import copy
from dataclasses import fields, replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

import helpers_crystals as real
from prismat.crystal import Crystal
from prismat.material import Material, Reject
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureModality, StructureSettings

REDUCED, FULL = StructureSettings(), StructureSettings(reduced=False)
SAMPLE_ROWS = 60
EXTRAS = {"potentials": "structure.potential", "chgnet": "structure.chgnet"}


def featurize(crystals, settings=REDUCED):
    modality = StructureModality(settings)
    return [None if c is None else modality.featurize(Material("test", c)) for c in crystals]


def with_extras(settings, extras):
    return replace(settings, extras=extras)


def to_batch(features):
    there = [row for row in features if row is not None]
    extras = tuple(e for e, c in EXTRAS.items() if there and c in there[0])
    modality = StructureModality(with_extras(REDUCED, extras))
    return modality.collate(pack_features(modality.columns, features))


def batch_of(crystals, settings=REDUCED):
    """The batch that a model would see."""
    return to_batch(featurize(crystals, settings))


def double_batch(features):
    """The same batch in float64; distances are recomputed, since single precision would hide small errors."""
    made = {}
    batch = to_batch(features)
    for field in fields(batch):
        value = getattr(batch, field.name)
        is_float = value is not None and value.is_floating_point()
        made[field.name] = value.double() if is_float else value
    there = [row for row in features if row is not None]
    vector = torch.from_numpy(np.concatenate([_vectors(row) for row in there]))
    made |= {"vector": vector, "distance": vector.norm(dim=1)}
    made["rotation"] = torch.from_numpy(np.concatenate([_rotations(row) for row in there]))
    if batch.potential is not None:
        made["potential"] = torch.from_numpy(np.concatenate([row["structure.potential"] for row in there]))
    return replace(batch, **made)


def _rotations(row):
    lattice = row["structure.lattice"]
    return np.linalg.inv(lattice) @ row["structure.rotation"].transpose(0, 2, 1) @ lattice


def _vectors(row):
    frac, receiver = row["structure.frac"], row["structure.atom_of_node"][row["structure.receiver"]]
    return (frac[row["structure.sender_atom"]] + row["structure.offset"] - frac[receiver]) @ row[
        "structure.lattice"
    ]


@cache
def rewritten(change, extras=()):
    """Features of every crystal after one change of description; shared by all encoders."""
    rng = np.random.default_rng(7)
    changed = [change(crystal, rng) for crystal in real.crystals().values()]
    return featurize(changed, with_extras(REDUCED, extras))


@cache
def original(settings=REDUCED):
    return featurize(list(real.crystals().values()), settings)


def doubled(crystal, rng):
    del rng
    return real.supercell(crystal, (2, 1, 1))


def octupled(crystal, rng):
    del rng
    return real.supercell(crystal, (2, 2, 2))


def unchanged(crystal, rng):
    del rng
    return crystal


@cache
def sample(path, extras=()):
    """Features of a random sample of AMCSD: reduced, full, and with everything rewritten."""
    from prismat.sources.amcsd import AmcsdSource

    source = AmcsdSource(path)
    rng = np.random.default_rng(11)
    rows = rng.choice(len(source), SAMPLE_ROWS, replace=False)
    found = [item for row in rows for item in source.read(int(row), int(row) + 1)]
    crystals = [m.structure for m in found if not isinstance(m, Reject)]
    other = [real.other_axes(real.translated(real.rotated(c, rng), rng), rng) for c in crystals]
    reduced, full = with_extras(REDUCED, extras), with_extras(FULL, extras)
    made = featurize(crystals, reduced), featurize(crystals, full), featurize(other, reduced)
    return [c.formula for c in crystals], *made


class StructureEncoderSuite:
    """Inherit, and define ``build``.

    Attributes:
        mirror_invariant: whether a crystal and its mirror image must be one, even where their space groups
            differ in hand (P3_121 and P3_221).
        sees_positions: whether two polymorphs differ.
        sees_shape: whether a bent and a straight molecule differ.
        extras: features that the encoder reads beside the graph.
    """

    extras = ()
    sees_shape = True
    mirror_invariant = True
    sees_positions = True

    def build(self) -> nn.Module:
        """A small encoder, freshly initialised."""
        raise NotImplementedError

    def original(self, settings=REDUCED):
        return original(with_extras(settings, self.extras))

    def batch_of(self, crystals):
        return batch_of(crystals, with_extras(REDUCED, self.extras))

    @pytest.fixture(scope="class")
    def encoder(self):
        """In evaluation mode, after one pass that gave its running statistics real values."""
        torch.manual_seed(0)
        model = self.build()
        model.train()(to_batch(self.original()))
        return model.eval()

    def check(self, encoder, features, names=None, reference=None, tolerance=1e-4):
        with torch.no_grad():
            wanted = encoder(to_batch(self.original() if reference is None else reference))
            found = encoder(to_batch(features))
        names = list(real.crystals()) if names is None else names
        error = (found - wanted).abs().amax(1) / wanted.abs().amax(1)
        worst = int(error.argmax())
        assert torch.isfinite(found).all()
        assert error[worst] < tolerance, f"{names[worst]}: relative change {float(error[worst]):.2e}"

    def test_shape_and_width(self, encoder):
        found = encoder(to_batch(self.original()))
        assert found.shape == (len(real.crystals()), encoder.width)

    def test_crystals_are_told_apart(self, encoder):
        """An encoder that returns a constant would pass every test of invariance."""
        with torch.no_grad():
            found = encoder(to_batch(self.original()))
        distance = torch.cdist(found, found) / found.norm(dim=1).mean() + torch.eye(len(found))
        assert distance.min() > 1e-3

    def test_polymorphs_are_told_apart_by_structure_only(self, encoder):
        cubic = real.crystals()["diamond"]
        lattice = np.array([[2.464, 0, 0], [-1.232, 2.1339, 0], [0, 0, 6.711]])
        frac = np.array([[0, 0, 0.25], [0, 0, 0.75], [1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]])
        graphite = Crystal(lattice, frac, (((6, 1.0),),) * 4)
        with torch.no_grad():
            a, b = encoder(self.batch_of([cubic, graphite]))
        differs = bool((a - b).abs().max() > 1e-3 * a.abs().max())
        assert differs == self.sees_positions

    @pytest.mark.parametrize("change", [real.rotated, real.translated, real.reordered, real.other_axes])
    def test_description_does_not_matter(self, encoder, change):
        self.check(encoder, rewritten(change, self.extras))

    @pytest.mark.parametrize("change", [doubled, octupled])
    def test_supercell_is_the_same_crystal(self, encoder, change):
        self.check(encoder, rewritten(change, self.extras))

    @pytest.mark.parametrize("change", [real.mirrored, real.inverted])
    def test_mirror_image(self, encoder, change):
        if self.mirror_invariant:
            self.check(encoder, rewritten(change, self.extras))
            return
        kept = [i for i, name in enumerate(real.crystals()) if name not in real.HANDED]
        found, wanted = rewritten(change, self.extras), self.original()
        names = [list(real.crystals())[i] for i in kept]
        self.check(encoder, [found[i] for i in kept], names, [wanted[i] for i in kept])

    def test_order_of_elements_on_a_mixed_site_does_not_matter(self, encoder):
        mixed = [real.build(*real.PUBLISHED[name], reverse=True) for name in real.DISORDERED]
        other = featurize(mixed, with_extras(REDUCED, self.extras))
        wanted = [self.original()[list(real.crystals()).index(name)] for name in real.DISORDERED]
        self.check(encoder, other, real.DISORDERED, wanted)

    def test_batch_equals_one_by_one(self, encoder):
        with torch.no_grad():
            together = encoder(to_batch(self.original()))
            alone = torch.cat([encoder(to_batch([row])) for row in self.original()])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)

    def test_order_in_the_batch_does_not_matter(self, encoder):
        with torch.no_grad():
            forward = encoder(to_batch(self.original()))
            backward = encoder(to_batch(self.original()[::-1])).flip(0)
        torch.testing.assert_close(forward, backward, rtol=1e-4, atol=1e-5)

    def test_absent_structures_leave_the_others_alone(self, encoder):
        rows = self.original()
        with torch.no_grad():
            plain = encoder(to_batch(rows))
            mixed = encoder(to_batch([None, *rows, None]))
        assert torch.isfinite(mixed).all()
        torch.testing.assert_close(mixed[1:-1], plain, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("edge", [20.0, 60.0, 150.0])
    def test_isolated_atom_is_finite(self, encoder, edge):
        helium = Crystal(np.eye(3) * edge, np.array([[0.3, 0.2, 0.1]]), (((2, 1.0),),))
        assert torch.isfinite(encoder(self.batch_of([helium, real.crystals()["NaCl"]]))).all()

    def test_gradients_are_finite_with_an_isolated_atom(self):
        helium = Crystal(np.eye(3) * 150.0, np.array([[0.3, 0.2, 0.1]]), (((2, 1.0),),))
        model = self.build().train()
        model(self.batch_of([helium, real.crystals()["NaCl"]])).square().sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)

    def test_molecule_is_the_same_wherever_it_floats(self, encoder):
        """Water without a lattice: rotated, shifted, reordered; and not a crystal of the same atoms."""
        bent = np.array([[0, 0, 0.117], [0, 0.757, -0.471], [0, -0.757, -0.471]])
        sites = (((8, 1.0),), ((1, 1.0),), ((1, 1.0),))
        rng = np.random.default_rng(3)
        turned = (bent @ real.random_rotation(rng) + rng.normal(size=3))[[1, 0, 2]]
        straight = np.array([[0, 0, 0], [0, 0.957, 0], [0, -0.957, 0]])
        molecules = [Crystal.molecule(bent, sites), Crystal.molecule(turned, (sites[1], sites[0], sites[2]))]
        with torch.no_grad():
            a, b, c = encoder(self.batch_of([*molecules, Crystal.molecule(straight, sites)]))
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * float(a.abs().max()))
        assert torch.isfinite(c).all()
        if self.sees_shape:
            assert (a - c).abs().max() > 1e-4 * a.abs().max()

    @pytest.mark.parametrize("training", [True, False])
    def test_reduced_graph_equals_full_graph(self, training):
        self.check_reduced(self.original(), self.original(FULL), training)

    def check_reduced(self, reduced, full, training):
        """Outputs, parameter gradients and running statistics agree in float64."""
        torch.manual_seed(1)
        model = self.build().double().train(training)
        twin = copy.deepcopy(model)
        pull = torch.randn(len(reduced), model.width, dtype=torch.float64)
        outputs = [_differentiate(m, double_batch(f), pull) for m, f in ((model, reduced), (twin, full))]
        assert relative(outputs[1], outputs[0]) < 1e-8
        # A bias in front of a normalisation has gradient zero: it is judged on the scale of the others.
        largest = max(float(p.grad.abs().max()) for p in model.parameters() if p.grad is not None)
        for (name, a), b in zip(model.named_parameters(), twin.parameters(), strict=True):
            assert (a.grad is None) == (b.grad is None), name
            if a.grad is not None:
                assert relative(b.grad, a.grad, 1e-6 * largest) < 1e-8, f"gradient of {name}"
        for (name, a), b in zip(model.named_buffers(), twin.buffers(), strict=True):
            assert relative(b, a) < 1e-8, name

    def test_reduced_graphs_are_smaller(self):
        """Otherwise the comparison of reduced with full would compare a thing with itself."""
        assert to_batch(self.original()).n_nodes < to_batch(self.original(FULL)).n_nodes / 2

    @pytest.mark.parametrize("training", [True, False])
    def test_reduced_equals_full_on_a_sample_of_amcsd(self, amcsd, training):
        _, reduced, full, _ = sample(amcsd.path, self.extras)
        self.check_reduced(reduced, full, training)

    def test_description_does_not_matter_on_a_sample_of_amcsd(self, amcsd, encoder):
        names, wanted, _, found = sample(amcsd.path, self.extras)
        self.check(encoder, found, names, wanted)


def _differentiate(model, batch, pull):
    torch.manual_seed(2)  # the same dropout on both sides
    out = model(batch)
    (out * pull).sum().backward()
    return out.detach()


def relative(found, wanted, smallest=1e-12):
    """Largest difference over largest value, or over ``smallest`` where that is larger."""
    return float((found - wanted).abs().max() / wanted.abs().max().clamp_min(smallest))
