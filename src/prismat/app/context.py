"""What the routes of one app share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from fastapi import Request

from prismat.app.limits import Access, Limits
from prismat.app.metrics import Metrics
from prismat.app.pool import WorkPool
from prismat.app.state import Served

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Context:
    """One app's parts.

    Attributes:
        served: model, index and what belongs to them.
        limits: sizes, times, rates.
        access: who may ask.
        pool: where heavy work is done.
        metrics: what is counted.
    """

    served: Served
    limits: Limits
    access: Access
    pool: WorkPool
    metrics: Metrics

    async def work(self, request: Request, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Heavy work for a request, on the pool."""
        return await self.pool.run_for(request, do, *args, **kwargs)
