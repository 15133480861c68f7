import multiprocessing
import time

import pytest

import helpers_pool as work
from prismat.errors import PrismatError
from prismat.texts.deadline_pool import run_with_deadline


def test_results_of_all_tasks():
    found = {
        o.index: o.result for o in run_with_deadline(work.square, list(range(12)), 30.0, 2, work.imported)
    }
    assert found == {n: n * n for n in range(12)}


def test_no_tasks():
    assert list(run_with_deadline(work.square, [], 1.0)) == []


def test_a_hanging_and_a_dying_task_do_not_stop_the_others():
    tasks = ["a", "hang", "b", "die", "fail", "c", "refuse", "d"]
    started = time.monotonic()
    found = {o.index: o for o in run_with_deadline(work.awkward, tasks, 2.0, workers=2)}
    assert time.monotonic() - started < 60
    assert [found[n].result for n in (0, 2, 5, 7)] == ["A", "B", "C", "D"]
    assert found[1].reason == "no result within 2 s"
    assert not found[1].lasting
    assert "its process died (exit code 3)" in found[3].reason
    assert (found[4].reason, found[4].lasting) == ("ValueError: no luck", True)
    assert found[6].reason == "not this one"
    assert not multiprocessing.active_children()


def test_stopping_early_kills_the_workers():
    outcomes = run_with_deadline(work.awkward, ["a", "hang", "hang"], 600.0, workers=2)
    assert next(outcomes).result == "A"
    outcomes.close()
    assert not multiprocessing.active_children()


def test_a_worker_that_cannot_get_ready():
    with pytest.raises(PrismatError, match="cannot get ready: ImportError: no such library"):
        list(run_with_deadline(work.square, [1], 1.0, prepare=work.not_ready))
