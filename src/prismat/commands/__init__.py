"""The verbs of the command line, one frozen dataclass each: fields are options, ``run`` does the work."""

from prismat.commands.build import Evaluate, Prepare, Quickstart, Train
from prismat.commands.doctor import Doctor
from prismat.commands.use import Embed, IndexCommand, Search

__all__ = ["Doctor", "Embed", "Evaluate", "IndexCommand", "Prepare", "Quickstart", "Search", "Train"]
