"""The app: routes, and what stands around them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from prismat.app.context import Context
from prismat.app.describe import describe
from prismat.app.guard import Doorkeeper, Rate, Sized, Timed
from prismat.app.limits import Access, Limits
from prismat.app.metrics import Metrics
from prismat.app.middleware import Around
from prismat.app.optimade import router as optimade
from prismat.app.pool import WorkPool
from prismat.app.problems import handle_problems
from prismat.app.routes import compute, explaining, mapping, materials, pages, search, service, uploads
from prismat.app.state import Served


def make_app(served: Served, limits: Limits = Limits(), access: Access = Access()) -> FastAPI:
    """The service as an ASGI app.

    Args:
        served: model, index and what belongs to them.
        limits: sizes, times, rates.
        access: who may ask.
    """
    pool = WorkPool(limits.workers, limits.queue)
    context = Context(served, limits, access, pool, Metrics(lambda: pool.taken, len(served.index)))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        await pool.run(served.warm)
        yield
        pool.close()

    app = FastAPI(
        title="Prismat",
        version=version("prismat"),
        summary="Search materials by words, structure, powder pattern and more.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.context = context
    handle_problems(app)
    for made in (service, search, uploads, materials, compute, explaining, mapping):
        app.include_router(made.router(context))
    app.include_router(optimade(served), prefix="/optimade")
    app.include_router(pages.router())
    app.mount("/static", pages.static_files(), name="static")
    # The last one added is the outermost.
    describe(app, access.token is not None)
    app.add_middleware(Timed, limits=limits)
    app.add_middleware(Sized, limits=limits)
    app.add_middleware(Doorkeeper, access=access)
    app.add_middleware(Rate, limits=limits)
    app.add_middleware(Around, metrics=context.metrics)
    return app
