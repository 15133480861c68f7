"""Sources by the name they have on the command line, each with options of its own."""

from typing import Annotated

from tyro.conf import subcommand

from prismat.sources.amcsd import AmcsdOptions
from prismat.sources.cod import CodOptions
from prismat.sources.elpv import ElpvOptions
from prismat.sources.folder import FolderOptions
from prismat.sources.images import ImagesOptions
from prismat.sources.jarvis import JarvisOptions
from prismat.sources.matbench import MatbenchOptions
from prismat.sources.materials_project import MaterialsProjectOptions
from prismat.sources.optimade import OptimadeOptions
from prismat.sources.oqmd import OqmdOptions
from prismat.sources.packaged_sets import PackagedOptions
from prismat.sources.synthesis import SynthesisOptions
from prismat.sources.table_options import TableOptions

AnySource = (
    Annotated[AmcsdOptions, subcommand("amcsd")]
    | Annotated[FolderOptions, subcommand("folder")]
    | Annotated[CodOptions, subcommand("cod")]
    | Annotated[MaterialsProjectOptions, subcommand("materials_project")]
    | Annotated[JarvisOptions, subcommand("jarvis")]
    | Annotated[OqmdOptions, subcommand("oqmd")]
    | Annotated[OptimadeOptions, subcommand("optimade")]
    | Annotated[MatbenchOptions, subcommand("matbench")]
    | Annotated[TableOptions, subcommand("mp2018")]
    | Annotated[SynthesisOptions, subcommand("synthesis")]
    | Annotated[ElpvOptions, subcommand("elpv")]
    | Annotated[ImagesOptions, subcommand("images")]
    | Annotated[PackagedOptions, subcommand("packaged")]
)
"""Options of any source."""
