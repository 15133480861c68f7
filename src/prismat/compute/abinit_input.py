"""Abinit's input: a self-consistent run, then the density of states on a finer mesh.

Variables: https://docs.abinit.org/variables. Names of files are ours, so that nothing of a record's name or
of a folder's reaches Abinit.
"""

from collections.abc import Iterable

from prismat.compute.plan import Plan
from prismat.compute.settings import AbinitSettings
from prismat.formats_density import BOHR

INPUT = "run.abi"
OUTPUT = "run.abo"
DENSITY = "runo_DS1_DEN"
DOS = "runo_DS2_DOS"
EIGENVALUES = "runo_DS2_EIG"

_TOLERANCE_BANDS = 1e-8
"""Squared residual of every band outside the buffer: levels hold to 1e-4 Ha at worst."""
_DOS_STEP = 0.001
"""Ha."""
_GENTLE = ("diemix 0.2", "npulayit 12", "nline 6")
"""Smaller steps and a longer memory of them, for charge that sloshes."""


def input_text(plan: Plan, settings: AbinitSettings, gentle: bool = False) -> str:
    """The input file.

    Args:
        plan: crystal, cutoff, meshes, bands.
        settings: tolerances.
        gentle: mix slowly and allow three times as many steps.
    """
    steps = settings.steps * (3 if gentle else 1)
    lines = [
        f"ndtset {1 if settings.quantity == 'density' else 2}",
        f'pseudos "{", ".join(pseudopotential_names(plan))}"',
        f"ecut {plan.cutoff:g}",
        *_cell(plan),
        "occopt 7",
        f"tsmear {settings.smearing:g}",
        f"nstep {steps}",
        *(_GENTLE if gentle else ()),
        # Meshes that are a little less symmetric than the crystal are no error.
        "chksymbreak 0",
        "nshiftk 1",
        "shiftk 0 0 0",
        "optforces 0",
        "optstress 0",
        "prtwf 0",
        "prtgsr 0",
        "prtebands 0",
        f"ngkpt1 {_row(plan.k_points)}",
        f"nband1 {plan.bands}",
        f"toldfe1 {settings.tolerance:g}",
        "prteig1 0",
        "prtden1 1",
    ]
    return "\n".join([*lines, *([] if settings.quantity == "density" else _dos(plan))]) + "\n"


def _dos(plan: Plan) -> list[str]:
    return [
        "iscf2 -3",
        "getden2 1",
        f"ngkpt2 {_row(plan.k_points_dos)}",
        f"nband2 {plan.bands_dos}",
        f"nbdbuf2 {plan.buffer}",
        f"tolwfr2 {_TOLERANCE_BANDS:g}",
        "prtdos2 2",
        f"dosdeltae2 {_DOS_STEP:g}",
        "prteig2 1",
        "prtden2 0",
    ]


def pseudopotential_names(plan: Plan) -> list[str]:
    """Names under which the pseudopotentials lie beside the input, in the order of ``typat``."""
    return [f"{number}.hgh" for number in range(1, len(plan.pseudopotentials) + 1)]


def _cell(plan: Plan) -> list[str]:
    """Lattice in bohr and atoms."""
    crystal = plan.crystal
    kinds = {p.z: number for number, p in enumerate(plan.pseudopotentials, start=1)}
    return [
        "acell 1 1 1",
        "rprim",
        *(f"  {_row(f'{x / BOHR:.12f}' for x in row)}" for row in crystal.lattice.tolist()),
        f"ntypat {len(kinds)}",
        f"znucl {_row(kinds)}",
        f"natom {len(crystal)}",
        f"typat {_row(kinds[site[0][0]] for site in crystal.sites)}",
        "xred",
        *(f"  {_row(f'{x:.12f}' for x in row)}" for row in crystal.frac.tolist()),
    ]


def _row(values: Iterable[object]) -> str:
    return " ".join(map(str, values))
