"""Many crystals: kept, resumed, refused, killed."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import helpers_compute as help_compute
from prismat.compute.campaign import Campaign, run_campaign
from prismat.compute.results import read_facts, read_failures
from prismat.compute.sandbox import Limits
from prismat.compute.selection import Task
from prismat.errors import BadInputError

LIMITS = Limits(seconds=60.0)


def campaign(tmp_path, mode="good", settings=help_compute.SMALL):
    program = help_compute.fake_abinit(tmp_path / "bin", mode)
    files = help_compute.pseudopotentials(tmp_path / "psp")
    return Campaign(tmp_path / "out", settings, program, files, LIMITS)


def tasks(tmp_path, count=4):
    plans = [help_compute.plan_of(c, tmp_path / "psp") for c in help_compute.CRYSTALS.values()]
    return [Task(f"row/{n}", plans[n % len(plans)]) for n in range(count)]


@pytest.mark.parametrize("workers", [1, 3])
def test_everything_is_computed_once(tmp_path, workers):
    told = []
    job = campaign(tmp_path)
    outcome = run_campaign(job, tasks(tmp_path), workers, progress=lambda *seen: told.append(seen))
    assert (outcome.computed, outcome.there, outcome.failed) == (4, 0, {})
    assert told == [(n, 4) for n in range(5)]
    assert {id_: facts["formula"] for id_, facts in read_facts(job.folder).items()} == {
        "row/0": "Si",
        "row/1": "Mg",
        "row/2": "Si",
        "row/3": "Mg",
    }
    again = run_campaign(job, tasks(tmp_path, 5), workers)
    assert (again.computed, again.there) == (1, 4)
    assert len(help_compute.journal(job.program)) == 5
    assert not list((job.folder / "scratch").iterdir())


def test_failures_are_listed_and_tried_again_on_request_only(tmp_path):
    outcome = run_campaign(campaign(tmp_path, "fails for magnesium"), tasks(tmp_path))
    assert outcome.computed == 2
    assert set(outcome.failed) == {"row/1", "row/3"}
    failure = outcome.failed["row/1"]
    assert failure.kind == "crash"
    assert failure.reason.startswith("exit status 3")
    assert failure.time.endswith("+00:00")
    repaired = campaign(tmp_path, "good")
    asked = len(help_compute.journal(repaired.program))
    outcome = run_campaign(repaired, tasks(tmp_path))
    assert (outcome.computed, len(outcome.failed)) == (0, 2)
    assert len(help_compute.journal(repaired.program)) == asked
    outcome = run_campaign(repaired, tasks(tmp_path), retry_failed=True)
    assert (outcome.computed, outcome.failed) == (2, {})
    assert read_failures(repaired.folder) == {}


def test_a_folder_is_of_one_job(tmp_path):
    job = campaign(tmp_path)
    run_campaign(job, tasks(tmp_path, 1))
    with pytest.raises(BadInputError, match="other settings"):
        run_campaign(replace(job, settings=replace(job.settings, smearing=0.01)), tasks(tmp_path, 1))
    with pytest.raises(BadInputError, match="another Abinit"):
        run_campaign(replace(job, program=replace(job.program, version="9.8.0")), tasks(tmp_path, 1))
    # Limits do not change what comes out.
    run_campaign(replace(job, limits=Limits(seconds=30.0)), tasks(tmp_path, 1))
    described = json.loads((job.folder / "job.json").read_text())
    assert described["program"] == "Abinit 9.6.2"


def test_other_folders_are_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("x")
    with pytest.raises(BadInputError, match="not empty and holds no results"):
        run_campaign(campaign(tmp_path), tasks(tmp_path))
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_refuses_no_workers_and_repeated_ids(tmp_path):
    job = campaign(tmp_path)
    with pytest.raises(BadInputError, match="0 workers"):
        run_campaign(job, tasks(tmp_path), workers=0)
    with pytest.raises(BadInputError, match="two crystals of one id"):
        run_campaign(job, [*tasks(tmp_path), *tasks(tmp_path)])


_DRIVER = """import signal
# A shell that runs its jobs in the background has them ignore Ctrl-C, and their children too.
signal.signal(signal.SIGINT, signal.default_int_handler)
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import helpers_compute, test_campaign
here = Path(sys.argv[1])
run = test_campaign.run_campaign(test_campaign.campaign(here, "slow"), test_campaign.tasks(here, 5), 1)
"""


def start(tmp_path):
    """Another process that computes; returns when it has a first result."""
    code = _DRIVER.replace("sys.path.insert(0, sys.argv[2])", "sys.path[:0] = sys.argv[2:]")
    here = Path(__file__).parent
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(here), str(here.parent)],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out" / "results").glob("*.json")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    return process


def test_a_killed_campaign_goes_on(tmp_path):
    process = start(tmp_path)
    with pytest.raises(BadInputError, match="Another process is computing"):
        run_campaign(campaign(tmp_path, "slow"), tasks(tmp_path, 5))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()
    kept = len(read_facts(tmp_path / "out"))
    assert 1 <= kept < 5
    outcome = run_campaign(campaign(tmp_path, "good"), tasks(tmp_path, 5))
    assert (outcome.there, outcome.computed, outcome.failed) == (kept, 5 - kept, {})
    assert not list((tmp_path / "out" / "scratch").iterdir())


def test_an_interrupted_campaign_stops_at_once_and_fails_nothing(tmp_path):
    process = start(tmp_path)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in said
    assert read_failures(tmp_path / "out") == {}
    assert run_campaign(campaign(tmp_path, "good"), tasks(tmp_path, 5)).failed == {}
