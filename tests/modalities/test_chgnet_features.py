import contextlib
import io
import warnings

import numpy as np
import pytest
import torch

pytest.importorskip("chgnet")

import helpers_crystals as real
from prismat.crystal import Crystal
from prismat.errors import MismatchError, MissingExtraError
from prismat.modalities import chgnet_features as module
from prismat.modalities.chgnet_features import chgnet_features
from prismat.modalities.standard_cell import standardize


@pytest.fixture(scope="module")
def published():
    """CHGNet as its package loads and runs it."""
    from chgnet.model.model import CHGNet

    with contextlib.redirect_stdout(io.StringIO()):
        return CHGNet.load(use_device="cpu", verbose=False)


@pytest.mark.parametrize("name", ["NaCl", "diamond", "CaTiO3", "quartz", "calcite", "kyanite"])
def test_equals_the_package_with_its_own_graph(published, name):
    crystal = standardize(real.crystals()[name]).primitive
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's own
        result = published.predict_structure(crystal.to_pymatgen(), task="e", return_crystal_feas=True)
    found = chgnet_features(crystal)
    np.testing.assert_allclose(found, result["crystal_fea"] / len(crystal), atol=1e-5)
    assert np.abs(found).max() > 1


@pytest.mark.parametrize("name", ["rutile", "baddeleyite"])
def test_does_not_depend_on_the_cell(name):
    crystal = real.crystals()[name]
    found = chgnet_features(real.supercell(crystal, (2, 1, 2)))
    np.testing.assert_allclose(found, chgnet_features(crystal), atol=1e-10)


def test_does_not_depend_on_the_description():
    crystal, rng = real.crystals()["calcite"], np.random.default_rng(0)
    other = real.other_axes(real.translated(real.rotated(crystal, rng), rng), rng)
    np.testing.assert_allclose(chgnet_features(other), chgnet_features(crystal), atol=1e-10)


def lone(symbol_number, edge):
    return Crystal(np.eye(3) * edge, np.zeros((1, 3)), (((symbol_number, 1.0),),))


@pytest.mark.parametrize(
    "crystal",
    [
        real.crystals()["spinel"],
        Crystal.molecule(np.array([[0, 0, 0], [0, 0, 1.1]]), (((6, 1.0),), ((8, 1.0),))),
        lone(95, 4.0),
        lone(2, 20.0),
    ],
    ids=["disordered", "molecule", "americium", "no neighbours"],
)
def test_none_where_chgnet_does_not_apply(crystal):
    assert chgnet_features(crystal) is None


def test_elements_up_to_plutonium():
    assert np.isfinite(chgnet_features(lone(94, 4.0))).all()


def test_an_isolated_atom_beside_bonded_ones_is_finite():
    frac = np.array([[0, 0, 0], [0.05, 0, 0], [0.5, 0.5, 0.5]])
    crystal = Crystal(np.eye(3) * 24, frac, (((8, 1.0),), ((8, 1.0),), ((2, 1.0),)))
    assert np.isfinite(chgnet_features(crystal)).all()


def test_loading_prints_nothing_and_draws_no_random_numbers(capsys):
    module._model.cache_clear()
    before = torch.get_rng_state()
    chgnet_features(real.crystals()["NaCl"])
    assert torch.equal(torch.get_rng_state(), before)
    assert capsys.readouterr().out == ""


def test_other_weights_are_refused(tmp_path):
    path = tmp_path / "weights.pth.tar"
    path.write_bytes(b"something else")
    with pytest.raises(MismatchError, match=r"weights.pth.tar is not the checkpoint of CHGNet 0.3.0"):
        module._read_weights(path)
    with pytest.raises(MismatchError, match="pip install"):
        module._read_weights(tmp_path / "absent")


def test_missing_package_names_the_extra(monkeypatch):
    module._model.cache_clear()
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MissingExtraError, match=r"chgnet is not installed. Run: pip install 'prismat\[chgnet\]'"
    ):
        chgnet_features(real.crystals()["NaCl"])
