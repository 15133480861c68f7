"""Limits on a foreign program: time, memory, files, processes left behind."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from prismat.compute import sandbox
from prismat.compute.sandbox import Limits, run_limited
from prismat.errors import BadInputError


def run(tmp_path, code, stop=None, **limits):
    command = [sys.executable, "-S", "-c", code]
    return run_limited(command, tmp_path, Limits(**{"seconds": 30.0, **limits}), stop)


def is_alive(pid):
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def gone(pid):
    deadline = time.monotonic() + 10
    while is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_ends_by_itself(tmp_path):
    finished = run(tmp_path, "print('done'); raise SystemExit(3)")
    assert (finished.how, finished.code, finished.tail) == ("ended", 3, "done\n")
    assert 0 < finished.seconds < 30


def test_knows_nothing_of_us(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    finished = run(tmp_path, "import os; print(sorted(os.environ), os.getcwd(), os.environ['HOME'])")
    assert "SECRET_TOKEN" not in finished.tail
    assert "OMP_NUM_THREADS" in finished.tail
    assert finished.tail.count(str(tmp_path.resolve())) == 2


def test_no_shell_and_no_input(tmp_path):
    code = "import sys; print(sys.argv[1:], sys.stdin.read() == '')"
    command = [sys.executable, "-S", "-c", code, "; touch harm", "$HOME"]
    assert run_limited(command, tmp_path, Limits(seconds=30.0)).tail == "['; touch harm', '$HOME'] True\n"
    assert not (tmp_path / "harm").exists()


def test_over_time_with_all_it_started(tmp_path):
    code = (
        "import subprocess, sys, time; c = subprocess.Popen([sys.executable, '-S', '-c', 'import time; "
        "time.sleep(60)']); open('child', 'w').write(str(c.pid)); time.sleep(60)"
    )
    started = time.monotonic()
    finished = run(tmp_path, code, seconds=2.0)
    assert finished.how == "time"
    assert time.monotonic() - started < 20
    assert gone(int((tmp_path / "child").read_text()))


def test_what_an_ended_program_left_running_is_killed(tmp_path):
    code = (
        "import subprocess, sys; c = subprocess.Popen([sys.executable, '-S', '-c', 'import time; "
        "time.sleep(60)']); open('child', 'w').write(str(c.pid))"
    )
    assert run(tmp_path, code).how == "ended"
    assert gone(int((tmp_path / "child").read_text()))


def test_over_processor_time(tmp_path, monkeypatch):
    monkeypatch.setattr(Limits, "resources", lambda self: {"RLIMIT_CPU": 1})
    assert run(tmp_path, "while True: pass", seconds=60.0).how == "time"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits address space")
def test_over_memory(tmp_path):
    finished = run(tmp_path, "kept = bytearray(1 << 30)", memory_mb=300)
    assert (finished.how, finished.code) == ("memory", 1)


@pytest.mark.parametrize(
    "said",
    [
        "Test failed to allocate an array of 62.502 Mbytes",
        "abinit: error while loading shared libraries: libx.so: failed to map segment from shared object",
    ],
)
def test_words_of_abinit_for_no_memory(tmp_path, said):
    assert run(tmp_path, f"print({said!r}); raise SystemExit(14)").how == "memory"
    assert run(tmp_path, f"print({said!r})").how == "ended"


def test_over_file_size(tmp_path):
    code = (
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); open('x', 'wb').write(bytes(3 << 20))"
    )
    assert run(tmp_path, code, file_mb=1).how == "size"
    assert (tmp_path / "x").stat().st_size <= 1 << 20


def test_killed_from_outside(tmp_path):
    finished = run(tmp_path, "import os; os.kill(os.getpid(), 9)")
    assert (finished.how, finished.code) == ("killed", -9)


def test_stops_on_demand(tmp_path):
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    started = time.monotonic()
    assert run(tmp_path, "import time; time.sleep(60)", stop).how == "stopped"
    assert time.monotonic() - started < 20


def test_keeps_the_end_of_a_long_log(tmp_path):
    finished = run(tmp_path, "print('x' * 1_000_000); print('the end')")
    assert len(finished.tail) <= 65_536
    assert finished.tail.endswith("the end\n")


def test_no_core_is_dumped(tmp_path):
    finished = run(tmp_path, "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))")
    assert finished.tail == "(0, 0)\n"


@pytest.mark.parametrize("wrong", [{"seconds": 0.0}, {"memory_mb": -1}, {"file_mb": 0}])
def test_refuses_limits_without_sense(wrong):
    with pytest.raises(BadInputError, match="limits above 0"):
        Limits(**wrong)


def test_refuses_systems_without_limits(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox.os, "name", "nt")
    with pytest.raises(BadInputError, match="cannot limit"):
        run_limited(["x"], tmp_path, Limits())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to its parent")
def test_dies_with_its_parent(tmp_path):
    """A process that runs a program is killed; the program goes with it."""
    program = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)"
    code = (
        "import sys, pathlib; from prismat.compute.sandbox import *; run_limited([sys.executable, '-S', "
        "'-c', sys.argv[2]], pathlib.Path(sys.argv[1]), Limits(seconds=50.0))"
    )
    parent = os.posix_spawn(sys.executable, [sys.executable, "-c", code, str(tmp_path), program], os.environ)
    deadline = time.monotonic() + 30
    while not ((tmp_path / "pid").is_file() and (tmp_path / "pid").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(parent, 9)
    os.waitpid(parent, 0)
    assert gone(int((tmp_path / "pid").read_text()))
