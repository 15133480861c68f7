"""The web page and its files, all from the package."""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from prismat.app.problems import Problem

STATIC = Path(str(files("prismat") / "app" / "static"))


def static_files() -> StaticFiles:
    """The files of the page; browsers ask again whether they changed."""
    return StaticFiles(directory=STATIC, check_dir=False)


def router() -> APIRouter:
    """``/``."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/", methods=["GET", "HEAD"])
    async def page() -> FileResponse:
        path = STATIC / "index.html"
        if not path.is_file():
            raise Problem(404, "This installation has no web page.", remedy="Use the API: /openapi.json.")
        return FileResponse(path, media_type="text/html", headers={"Cache-Control": "no-cache"})

    return routes
