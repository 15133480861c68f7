"""Prismat: materials search and prediction across modalities.

One crystal seen through many windows: structure, text and diffraction pattern meet in a joint space, so that
any of them finds the others. Names are loaded when first used; importing the package does no work.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prismat.api import Prismat as Prismat
    from prismat.api import load as load
    from prismat.crystal import Crystal as Crystal
    from prismat.formats import read_crystal as read_crystal
    from prismat.formats_xrd import read_xy as read_xy
    from prismat.material import Material as Material
    from prismat.measurements import Pattern as Pattern
    from prismat.predictor import Predictor as Predictor
    from prismat.predictor import load_predictor as load_predictor
    from prismat.recipes.base import Job as Job
    from prismat.recipes.base import Recipe as Recipe
    from prismat.search.engine import SearchEngine as SearchEngine
    from prismat.search.engine import open_index as open_index
    from prismat.search.filters import Filter as Filter
    from prismat.search.query import Query as Query
    from prismat.sources.amcsd import AmcsdSource as AmcsdSource
    from prismat.sources.folder import FolderSource as FolderSource
    from prismat.store import Store as Store

_HOMES = {
    "AmcsdSource": "prismat.sources.amcsd",
    "Crystal": "prismat.crystal",
    "Filter": "prismat.search.filters",
    "FolderSource": "prismat.sources.folder",
    "Job": "prismat.recipes.base",
    "Material": "prismat.material",
    "Pattern": "prismat.measurements",
    "Predictor": "prismat.predictor",
    "Prismat": "prismat.api",
    "Query": "prismat.search.query",
    "Recipe": "prismat.recipes.base",
    "SearchEngine": "prismat.search.engine",
    "Store": "prismat.store",
    "load": "prismat.api",
    "load_predictor": "prismat.predictor",
    "open_index": "prismat.search.engine",
    "read_crystal": "prismat.formats",
    "read_xy": "prismat.formats_xrd",
}

__all__ = [*_HOMES]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    """Imports a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'prismat' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Public names."""
    return sorted(_HOMES)
