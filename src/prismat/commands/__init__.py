"""The verbs of the command line, one frozen dataclass each: fields are options, ``run`` does the work."""

from prismat.commands.build import Evaluate, Quickstart, Train
from prismat.commands.compare import Compare
from prismat.commands.compute import Compute
from prismat.commands.describe import Describe
from prismat.commands.doctor import Doctor
from prismat.commands.prepare import Prepare
from prismat.commands.use import Embed, IndexCommand, Search

__all__ = [
    "Compare",
    "Compute",
    "Describe",
    "Doctor",
    "Embed",
    "Evaluate",
    "IndexCommand",
    "Prepare",
    "Quickstart",
    "Search",
    "Train",
]
