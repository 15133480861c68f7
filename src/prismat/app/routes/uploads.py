"""Files that somebody has, as parts of a query."""

from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Request, UploadFile
from starlette.responses import Response

from prismat.app.answers import Uploaded
from prismat.app.context import Context
from prismat.app.reading import Sent, read_sent
from prismat.app.replies import Json

Kind = Literal["structure", "xrd", "dos", "phonon_dos", "charge_density", "image"]


def router(context: Context) -> APIRouter:
    """``/v1/upload``."""
    routes = APIRouter(prefix="/v1", tags=["search"])

    @routes.post("/upload", response_model=Uploaded)
    async def upload(
        request: Request,
        file: Annotated[UploadFile, File(description="CIF, POSCAR, .xy, DOSCAR, vasprun.xml, CHGCAR, PNG …")],
        wavelength: Annotated[float, Form(ge=0.1, le=10, description="Å, of a pattern")] = 1.54184,
        kind: Annotated[Kind | None, Form(description="found out where left out")] = None,
    ) -> Response:
        """Read a file into the part of a query that it is; nothing is kept."""
        sent = Sent(file.filename or "file", await file.read(), kind, wavelength)
        return Json(await context.work(request, read_sent, sent, context.limits))

    return routes
