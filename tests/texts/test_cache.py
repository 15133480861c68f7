import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from prismat.errors import BadInputError
from prismat.texts.cache import TextCache


def test_put_and_get(tmp_path):
    with TextCache(tmp_path / "deep" / "c.sqlite") as cache:
        assert cache.get("a") is None
        cache.put("a", "x")
        cache.put("a", "Å ü")
        assert cache.get("a") == "Å ü"
        assert len(cache) == 1
    with TextCache(tmp_path / "deep" / "c.sqlite") as cache:
        assert cache.get("a") == "Å ü"


def test_threads(tmp_path):
    with TextCache(tmp_path / "c.sqlite") as cache, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: cache.put(str(n), "x" * n), range(100)))
        assert len(cache) == 100
        assert cache.get("42") == "x" * 42


def test_what_was_put_survives_a_kill(tmp_path):
    path = tmp_path / "c.sqlite"
    code = (
        "import os, signal, sys; from pathlib import Path; from prismat.texts.cache import TextCache\n"
        "cache = TextCache(Path(sys.argv[1]))\n"
        "for n in range(20): cache.put(str(n), 'kept')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    with TextCache(path) as cache:
        assert len(cache) == 20
        assert cache.get("19") == "kept"


def test_a_file_that_is_no_cache(tmp_path):
    path = tmp_path / "c.sqlite"
    path.write_text("no database " * 100)
    with pytest.raises(BadInputError, match=r"c\.sqlite.*cannot be used.*Delete the file"):
        TextCache(path)
    assert path.read_text().startswith("no database")
