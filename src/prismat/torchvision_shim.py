"""Import of torchvision beside a torch of another build.

The package index serves torchvision compiled for one build of torch. Beside a CPU-only torch of the same
version its compiled operators do not load, and the import then fails on the registration of two of them
(``operator torchvision::nms does not exist``), although timm and transformers need neither. Declaring the two
lets the import finish; calling them still fails, as it should.
"""

import warnings
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec

import torch

from prismat.errors import BadInputError, MissingExtraError

_OPERATORS = ("nms", "qnms")
_SCHEMA = "{}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@lru_cache(maxsize=1)
def ready_torchvision() -> torch.library.Library | None:
    """Makes ``import torchvision`` work in this process; does nothing where it already does.

    Returns:
        The declarations, which last as long as this object, or None where none were needed.

    Raises:
        MissingExtraError: torchvision is not installed.
        BadInputError: torchvision belongs to another version of torch.
    """
    if find_spec("torchvision") is None:
        raise MissingExtraError("torchvision", "image")
    with warnings.catch_warnings():
        # "Failed to load image Python extension": images are decoded by Pillow here.
        warnings.filterwarnings("ignore", message="Failed to load", category=UserWarning)
        try:
            return _import_or_declare()
        except (ImportError, RuntimeError, AttributeError) as error:
            raise BadInputError(
                f"torchvision does not load beside torch {torch.__version__} ({error})",
                field="torchvision",
                remedy=f"Run: pip install 'prismat[image]' torch=={torch.__version__}",
            ) from error


def _import_or_declare() -> torch.library.Library | None:
    try:
        import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    else:
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in _OPERATORS:
        library.define(_SCHEMA.format(name))
    import_module("torchvision")
    return library
