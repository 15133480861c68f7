"""Heavy work on a few threads, with a bounded queue: a server under load says so instead of growing."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from fastapi import Request

from prismat.app.problems import Problem

P = ParamSpec("P")
T = TypeVar("T")

GONE = 499
"""Status that is logged for a client that left before its answer; nobody reads it."""


class ClientGoneError(Exception):
    """The client closed the connection."""


class WorkPool:
    """Threads that do the work of requests.

    Work that waits is dropped when its request ends: by its client leaving, by the time limit, by the server
    stopping. Work that runs is finished, since no thread can be stopped; until then its thread is taken.

    Args:
        workers: threads.
        queue: requests that may wait; one more is refused.
    """

    def __init__(self, workers: int, queue: int) -> None:
        self.workers, self.queue = workers, queue
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="prismat-work")
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def taken(self) -> int:
        """Requests that run or wait."""
        return self._taken

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Does the work on a thread.

        Raises:
            Problem: status 503, the queue is full.
        """
        return await asyncio.wrap_future(self._submit(lambda: work(*args, **kwargs)))

    async def run_for(self, request: Request, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As ``run``, unless the request's client leaves first.

        Args:
            request: whose body has been read.
            work: what to do.
            *args: of the work.
            **kwargs: of the work.

        Raises:
            Problem: status 503, the queue is full.
            ClientGoneError: the client left.
        """
        working = asyncio.ensure_future(self.run(work, *args, **kwargs))
        leaving = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise ClientGoneError
            return working.result()
        finally:
            leaving.cancel()
            working.cancel()

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        with self._lock:
            if self._taken >= self.workers + self.queue:
                raise Problem(
                    503,
                    "The server is busy.",
                    "busy",
                    remedy="Ask again in a moment.",
                    headers={"Retry-After": "1"},
                )
            self._taken += 1
        future = self._threads.submit(work)
        future.add_done_callback(self._release)
        return future

    def _release(self, _: Future) -> None:
        with self._lock:
            self._taken -= 1

    def close(self) -> None:
        """Takes no more work, and drops what waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)


async def _disconnected(request: Request) -> None:
    """Returns when the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
