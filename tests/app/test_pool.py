import asyncio
import threading
import time

import pytest

from prismat.app.pool import ClientGoneError, WorkPool
from prismat.app.problems import Problem


class Asked:
    """A request whose client leaves after some seconds."""

    def __init__(self, leaves=60.0):
        self.leaves = leaves

    async def receive(self):
        await asyncio.sleep(self.leaves)
        return {"type": "http.disconnect"}


def test_work_is_done_and_errors_come_back():
    async def go():
        pool = WorkPool(2, 4)
        assert await pool.run_for(Asked(), lambda x: 2 * x, 21) == 42
        with pytest.raises(ZeroDivisionError):
            await pool.run_for(Asked(), lambda: 1 / 0)
        assert pool.taken == 0
        pool.close()

    asyncio.run(go())


def test_a_full_queue_is_told_with_a_time_to_wait():
    async def go():
        pool, hold = WorkPool(1, 1), threading.Event()
        running = [asyncio.ensure_future(pool.run(hold.wait, 5)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(Problem, match="busy") as caught:
            await pool.run(time.sleep, 0)
        assert caught.value.status == 503
        assert caught.value.headers == {"Retry-After": "1"}
        hold.set()
        assert await asyncio.gather(*running) == [True, True]
        assert await pool.run(lambda: 1) == 1
        pool.close()

    asyncio.run(go())


def test_waiting_work_of_a_client_that_left_is_dropped():
    async def go():
        pool, hold, done = WorkPool(1, 4), threading.Event(), []
        first = asyncio.ensure_future(pool.run(hold.wait, 5))
        await asyncio.sleep(0.05)
        with pytest.raises(ClientGoneError):
            await pool.run_for(Asked(0.05), done.append, 1)
        await asyncio.sleep(0.01)
        assert pool.taken == 1
        hold.set()
        await first
        pool.close()
        assert done == []

    asyncio.run(go())


def test_a_running_thread_counts_until_it_is_done():
    async def go():
        pool, hold = WorkPool(1, 0), threading.Event()
        with pytest.raises(ClientGoneError):
            await pool.run_for(Asked(0.05), hold.wait, 5)
        assert pool.taken == 1
        hold.set()
        for _ in range(100):
            await asyncio.sleep(0.01)
            if not pool.taken:
                break
        assert pool.taken == 0
        pool.close()

    asyncio.run(go())
