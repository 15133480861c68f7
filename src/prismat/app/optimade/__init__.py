"""OPTIMADE over the index: other databases' clients can read it."""

from prismat.app.optimade.routes import router

__all__ = ["router"]
