"""One material: its facts, structure, pattern, density of states, and what is like it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from prismat.app.answering import respond
from prismat.app.answers import Answer, DosAnswer, MatchAnswer, MaterialAnswer, PatternAnswer
from prismat.app.context import Context
from prismat.app.densities import DosWindow, density_of_states
from prismat.app.matching import match_peaks
from prismat.app.patterns import simulate
from prismat.app.records import find_crystal, find_hit, material
from prismat.app.replies import Json
from prismat.app.schemas import MatchBody, read_pattern
from prismat.app.state import Served
from prismat.errors import BadInputError
from prismat.formats import to_cif
from prismat.search.query import Query as TypedQuery
from prismat.search.steer import Steer

CIF = "chemical/x-cif"
Wavelength = Annotated[float, Query(ge=0.1, le=10, description="Å", allow_inf_nan=False)]


def router(context: Context) -> APIRouter:
    """``/v1/materials/…``; an id may hold slashes, so what follows it comes first."""
    routes = APIRouter(prefix="/v1/materials", tags=["materials"])
    served, limits = context.served, context.limits

    @routes.get("/{id:path}/structure.cif", response_class=Response, responses={200: {"content": {CIF: {}}}})
    async def structure(request: Request, id: str, download: bool = False) -> Response:
        """The primitive cell as CIF."""
        text = await context.work(request, lambda: to_cif(find_crystal(served, id), id))
        name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in id)[:100]
        headers = {"Content-Disposition": f'attachment; filename="{name}.cif"'} if download else {}
        return Response(text, media_type=CIF, headers=headers)

    @routes.get("/{id:path}/pattern", response_model=PatternAnswer)
    async def pattern(request: Request, id: str, wavelength: Wavelength = 1.54184) -> Response:
        """The simulated powder pattern, and its lines with their Miller indices."""
        work = lambda: simulate(find_crystal(served, id), wavelength).to_dict()  # noqa: E731
        return Json(await context.work(request, work))

    @routes.post("/{id:path}/match", response_model=MatchAnswer)
    async def match(request: Request, id: str, body: MatchBody) -> Response:
        """Which peaks of a measured pattern are lines of this material."""
        return Json(await context.work(request, _match, served, id, body))

    @routes.get("/{id:path}/dos", response_model=DosAnswer)
    async def dos(request: Request, id: str, kind: DosWindow | None = None) -> Response:
        """The density of states, of electrons or of phonons, as the store has it."""
        return Json(await context.work(request, density_of_states, served, id, kind))

    @routes.get("/{id:path}/similar", response_model=Answer)
    async def similar(
        request: Request, id: str, k: Annotated[int, Query(ge=1, le=limits.k)] = 10
    ) -> Response:
        """What is most like this material, itself left out."""
        return Json(await context.work(request, _similar, served, id, k))

    @routes.get("/{id:path}", response_model=MaterialAnswer)
    async def one(request: Request, id: str) -> Response:
        """Everything known of one material."""
        return Json(await context.work(request, material, served, id))

    return routes


def _similar(served: Served, id: str, k: int) -> dict[str, Any]:
    find_hit(served, id)
    return respond(served, TypedQuery(steer=Steer(like=(id,)), k=k))


def _match(served: Served, id: str, body: MatchBody) -> dict[str, Any]:
    pattern = read_pattern(body.xrd)
    crystal = find_crystal(served, id)
    low, high = max(float(pattern.two_theta[0]), 0.5), min(float(pattern.two_theta[-1]), 175.0)
    if high - low < 1:
        raise BadInputError(
            f"2θ from {low:g}° to {high:g}°", field="xrd", remedy="Give a pattern of more than one degree."
        )
    return match_peaks(pattern, simulate(crystal, pattern.wavelength, (low, high))).to_dict()
