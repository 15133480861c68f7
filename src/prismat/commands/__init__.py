"""The verbs of the command line, one frozen dataclass each: fields are options, ``run`` does the work."""

from prismat.commands.attention import AttentionCommand
from prismat.commands.build import Evaluate, Quickstart, Train
from prismat.commands.classify import Defects, TextTask
from prismat.commands.compare import Compare
from prismat.commands.compute import Compute
from prismat.commands.describe import Describe
from prismat.commands.design import Campaign, Design
from prismat.commands.doctor import Doctor
from prismat.commands.explain import Explain
from prismat.commands.fit import Fit, Predict
from prismat.commands.identify import Calibrate, Identify
from prismat.commands.index_edit import IndexCommand, IndexEdit
from prismat.commands.map import MapCommand
from prismat.commands.prepare import Prepare
from prismat.commands.quality import Quality
from prismat.commands.recommend import Recommend
from prismat.commands.screen import Screen, Tag
from prismat.commands.serve import Serve
from prismat.commands.study import Ablate, Report, SweepCommand
from prismat.commands.transfer import TransferCommand
from prismat.commands.use import Embed, Search

__all__ = [
    "Ablate",
    "AttentionCommand",
    "Calibrate",
    "Campaign",
    "Compare",
    "Compute",
    "Defects",
    "Describe",
    "Design",
    "Doctor",
    "Embed",
    "Evaluate",
    "Explain",
    "Fit",
    "Identify",
    "IndexCommand",
    "IndexEdit",
    "MapCommand",
    "Predict",
    "Prepare",
    "Quality",
    "Quickstart",
    "Recommend",
    "Report",
    "Screen",
    "Search",
    "Serve",
    "SweepCommand",
    "Tag",
    "TextTask",
    "Train",
    "TransferCommand",
]
