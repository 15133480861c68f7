import gzip
import hashlib
import json

import pytest

from prismat.errors import BadInputError
from prismat.files import digest, read_limited, replacing, replacing_folder, sha256, write_json, write_text


class Interrupted(Exception):
    pass


def half_written(path):
    with replacing(path) as temporary:
        temporary.write_text("half")
        raise Interrupted


def half_filled(path):
    with replacing_folder(path) as temporary:
        (temporary / "half").write_text("half")
        raise Interrupted


def test_sha256_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_digest_ignores_the_order_of_keys_only():
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert len({digest({"a": 1}), digest({"a": 2}), digest([1, 2]), digest([2, 1]), digest(1, 2)}) == 5


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "deep" / "x.txt"
    write_text(path, "old")
    with pytest.raises(Interrupted):
        half_written(path)
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["x.txt"]


def test_json_is_readable_and_refuses_nan(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"b": "Å", "a": [1.5]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"b": "Å", "a": [1.5]}
    assert "Å" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8"))["a"] == [1.5]


def test_folders_are_replaced_as_a_whole(tmp_path):
    path = tmp_path / "shard"
    for content in ("one", "two"):
        with replacing_folder(path) as temporary:
            (temporary / content).write_text(content)
            assert not (path / content).exists()
        assert [p.name for p in path.iterdir()] == [content]
    assert [p.name for p in tmp_path.iterdir()] == ["shard"]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    path = tmp_path / "shard"
    with replacing_folder(path) as temporary:
        (temporary / "old").write_text("old")
    with pytest.raises(Interrupted):
        half_filled(path)
    assert [p.name for p in path.iterdir()] == ["old"]
    assert [p.name for p in tmp_path.iterdir()] == ["shard"]


def test_a_file_is_read_to_its_limit(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(b"0123456789")
    assert read_limited(path, 10) == b"0123456789"
    assert read_limited(path, 4) == b"01234"  # one more than allowed tells that it is too large
    packed = tmp_path / "data.gz"
    packed.write_bytes(gzip.compress(b"x" * 10_000))
    assert len(read_limited(packed, 100, packed=True)) == 101


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(BadInputError, match=r"record 'none\.xy', path: no such file"):
        read_limited(tmp_path / "none.xy", 10)
    (tmp_path / "broken.gz").write_bytes(gzip.compress(bytes(range(256)))[:40])
    with pytest.raises(BadInputError, match="record 'mine', path"):
        read_limited(tmp_path / "broken.gz", 10_000, "mine", packed=True)
