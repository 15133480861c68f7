import logging
import multiprocessing
import os
import signal
import time
from itertools import chain

import numpy as np
import pytest
from safetensors.numpy import save_file

from prismat.errors import BadInputError
from prismat.modalities.embedding_cache import EmbeddingCache

HASH = "ab12"
WIDTH = 4


def vector(text):
    return np.frombuffer(text.encode().ljust(WIDTH, b"\0")[:WIDTH], np.uint8).astype(np.float32)


class Embedder:
    def __init__(self):
        self.calls = []

    def __call__(self, texts):
        self.calls.append(list(texts))
        return np.stack([vector(t) for t in texts])


@pytest.fixture
def embed():
    return Embedder()


def expected(texts):
    return np.stack([vector(t) for t in texts])


def test_each_distinct_text_is_embedded_once(tmp_path, embed):
    cache = EmbeddingCache(tmp_path, HASH, WIDTH)
    texts = ["b", "a", "b", "", "a"]
    assert np.array_equal(cache.get(texts, embed), expected(texts))
    assert sorted(chain(*embed.calls)) == ["", "a", "b"]
    assert np.array_equal(cache.get(["c", "a"], embed), expected(["c", "a"]))
    assert embed.calls[1:] == [["c"]]
    assert len(cache) == 4


def test_a_new_object_reads_the_disk(tmp_path, embed):
    texts = [f"t{i}" for i in range(50)]
    EmbeddingCache(tmp_path, HASH, WIDTH).get(texts, embed, batch=8)
    again = Embedder()
    rows = EmbeddingCache(tmp_path, HASH, WIDTH).get(texts[::-1], again)
    assert np.array_equal(rows, expected(texts[::-1]))
    assert rows.dtype == np.float32
    assert not again.calls


def test_models_are_kept_apart(tmp_path, embed):
    EmbeddingCache(tmp_path, HASH, WIDTH).get(["a"], embed)
    EmbeddingCache(tmp_path, "cd34", WIDTH).get(["a"], embed)
    assert len(embed.calls) == 2


def test_old_segments_are_never_rewritten(tmp_path, embed):
    cache = EmbeddingCache(tmp_path, HASH, WIDTH)
    cache.get(["a", "b"], embed)
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in cache.folder.iterdir()}
    cache.get(["a", "c"], embed)
    after = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in cache.folder.iterdir()}
    assert before.items() <= after.items()
    assert len(after) == 2


def test_progress_counts_what_was_missing(tmp_path, embed):
    cache = EmbeddingCache(tmp_path, HASH, WIDTH)
    cache.get(["a"], embed)
    seen = []
    cache.get(["a", "b", "c", "d"], embed, batch=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 3), (3, 3)]


def test_no_texts(tmp_path, embed):
    assert EmbeddingCache(tmp_path, HASH, WIDTH).get([], embed).shape == (0, WIDTH)
    assert not embed.calls


def test_a_failed_batch_leaves_the_finished_ones(tmp_path):
    def fails_later(texts):
        if "t9" in texts:
            raise KeyboardInterrupt
        return expected(texts)

    cache = EmbeddingCache(tmp_path, HASH, WIDTH)
    with pytest.raises(KeyboardInterrupt):
        cache.get([f"t{i}" for i in range(10)], fails_later, batch=1)
    assert 0 < len(EmbeddingCache(tmp_path, HASH, WIDTH)) < 10
    assert not list(cache.folder.glob(".*"))


def test_half_written_segments_are_ignored(tmp_path, embed, caplog):
    cache = EmbeddingCache(tmp_path, HASH, WIDTH)
    cache.get(["a"], embed)
    whole = next(cache.folder.iterdir()).read_bytes()
    (cache.folder / "ffff.safetensors").write_bytes(whole[: len(whole) // 2])
    (cache.folder / ".gggg.safetensors.1.tmp").write_bytes(whole[:10])
    save_file({"other": np.zeros(3)}, cache.folder / "eeee.safetensors")
    save_file(
        {"keys": np.zeros(3), "rows": np.zeros((1, WIDTH), np.float32)}, cache.folder / "dddd.safetensors"
    )
    with caplog.at_level(logging.WARNING):
        fresh = EmbeddingCache(tmp_path, HASH, WIDTH)
        assert np.array_equal(fresh.get(["a", "b"], embed), expected(["a", "b"]))
    assert embed.calls[-1] == ["b"]
    assert sum("ignored" in r.message for r in caplog.records) == 3


def slow_fill(folder, start):
    def embed(texts):
        time.sleep(0.005)
        return expected(texts)

    EmbeddingCache(folder, HASH, WIDTH).get([f"{i}" for i in range(start, start + 400)], embed, batch=4)


def test_killed_writer_leaves_a_good_cache(tmp_path, embed):
    process = multiprocessing.get_context("spawn").Process(target=slow_fill, args=(tmp_path, 0))
    process.start()
    folder = tmp_path / HASH
    deadline = time.monotonic() + 30
    while len(list(folder.glob("*.safetensors"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    texts = [f"{i}" for i in range(400)]
    rows = EmbeddingCache(tmp_path, HASH, WIDTH).get(texts, embed)
    assert np.array_equal(rows, expected(texts))
    assert 0 < len(list(chain(*embed.calls))) <= 380


def test_two_writers_at_once(tmp_path, embed):
    first, second = EmbeddingCache(tmp_path, HASH, WIDTH), EmbeddingCache(tmp_path, HASH, WIDTH)

    def interleaved(texts):
        second.get(["b", "c"], embed)
        return expected(texts)

    assert np.array_equal(first.get(["a", "b"], interleaved), expected(["a", "b"]))
    assert np.array_equal(second.get(["a", "c"], embed), expected(["a", "c"]))
    assert embed.calls == [["b", "c"]]
    assert len(EmbeddingCache(tmp_path, HASH, WIDTH)) == 3


def test_errors(tmp_path, embed):
    for name in ("", "../up", "XY"):
        with pytest.raises(BadInputError, match="no hexadecimal hash"):
            EmbeddingCache(tmp_path, name, WIDTH)
    cache = EmbeddingCache(tmp_path, HASH, WIDTH)
    with pytest.raises(BadInputError, match=r"shape \(1, 5\), not \(1, 4\)"):
        cache.get(["a"], lambda texts: np.zeros((1, 5), np.float32))
    with pytest.raises(BadInputError, match="'a', embed: embedding is not finite"):
        cache.get(["a"], lambda texts: np.full((1, WIDTH), np.nan, np.float32))
    cache.get(["a"], embed)
    with pytest.raises(BadInputError, match="Give every model its own hash"):
        EmbeddingCache(tmp_path, HASH, WIDTH + 1).get(["a"], embed)


def test_unreadable_disk_is_reported(tmp_path, embed, monkeypatch):
    cache = EmbeddingCache(tmp_path, HASH, WIDTH)
    monkeypatch.setattr(cache, "_read", lambda path: None)
    with pytest.raises(BadInputError, match="cannot be read back"):
        cache.get(["a"], embed)
