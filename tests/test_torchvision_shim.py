"""torchvision beside a torch of another build, in processes of its own."""

import subprocess
import sys
import textwrap
from importlib.util import find_spec

import pytest

from prismat import torchvision_shim
from prismat.errors import BadInputError, MissingExtraError
from prismat.torchvision_shim import ready_torchvision

# Registers its operators as torchvision does where its compiled part does not load.
LAME = """
import torch

@torch.library.register_fake("torchvision::nms")
def nms(dets, scores, iou_threshold):
    return scores

@torch.library.register_fake("torchvision::qnms")
def qnms(dets, scores, iou_threshold):
    return scores
"""


@pytest.fixture(autouse=True)
def forget():
    ready_torchvision.cache_clear()
    yield
    ready_torchvision.cache_clear()


def run(code):
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def importing(monkeypatch, *outcomes):
    """Stands in for the import of torchvision: one outcome after the other."""
    left = list(outcomes)

    def import_module(name):
        assert name == "torchvision"
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(torchvision_shim, "find_spec", lambda name: object())
    monkeypatch.setattr(torchvision_shim, "import_module", import_module)
    return left


def test_declares_operators_that_did_not_load(tmp_path):
    (tmp_path / "torchvision.py").write_text(LAME)
    found = run(
        f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        try:
            import torchvision
        except RuntimeError as error:
            print(error)
        from prismat.torchvision_shim import ready_torchvision
        library = ready_torchvision()
        assert library is not None and ready_torchvision() is library
        import torch, torchvision
        try:
            torch.ops.torchvision.nms(torch.ones(1, 4), torch.ones(1), 0.5)
        except NotImplementedError:
            print("declared only")
        """
    )
    assert found.stdout == "operator torchvision::nms does not exist\ndeclared only\n", found.stderr


def test_the_installed_torchvision_and_timm_import():
    if find_spec("torchvision") is None or find_spec("timm") is None:
        pytest.skip("the extra image is not installed")
    found = run(
        """
        from prismat.encoders.timm_backbone import import_timm
        print(import_timm().is_model("resnet50"))
        """
    )
    assert found.stdout == "True\n", found.stderr


def test_leaves_a_working_torchvision_alone(monkeypatch):
    left = importing(monkeypatch, object())
    assert ready_torchvision() is None
    assert not left


@pytest.mark.parametrize(
    "fault", [ImportError("no module PIL"), RuntimeError("compiled for another"), AttributeError("library")]
)
def test_another_fault_is_told_with_its_remedy(monkeypatch, fault):
    importing(monkeypatch, fault)
    message = rf"torchvision does not load beside torch .* \({fault}\).*prismat\[image\]' torch=="
    with pytest.raises(BadInputError, match=message):
        ready_torchvision()


def test_missing(monkeypatch):
    monkeypatch.setattr(torchvision_shim, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"torchvision is not installed.*prismat\[image\]"):
        ready_torchvision()
