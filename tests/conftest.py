"""Fixtures that several folders share; this file also puts ``tests`` on the import path of its helpers."""

from importlib.util import find_spec

import hypothesis
import pytest
import torch

from prismat.packaged import AMCSD, locate_present
from prismat.sources.amcsd import AmcsdSource
from prismat.torchvision_shim import ready_torchvision

pytest_plugins = ["fixtures_small", "fixtures_synthesis"]

# A shared machine may be slow at any moment; that is no failure.
hypothesis.settings.register_profile("steady", deadline=None)
hypothesis.settings.load_profile("steady")


@pytest.fixture(scope="session", autouse=True)
def single_thread():
    """Small tensors gain nothing from threads, and tests that run side by side would fight for cores."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def torchvision_of_another_build():
    """Tests that import transformers themselves need what our own imports do first."""
    return ready_torchvision() if find_spec("torchvision") else None


@pytest.fixture(scope="session")
def amcsd():
    """The real database where it is installed or cached; nothing is downloaded for a test."""
    path = locate_present(AMCSD)
    if path is None:
        pytest.skip("the AMCSD file is neither installed nor cached")
    return AmcsdSource(path)
