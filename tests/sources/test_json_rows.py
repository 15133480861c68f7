import bz2
import gzip
import json
import lzma
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prismat.errors import BadInputError
from prismat.fetch.pages import PageMirror
from prismat.sources import json_rows
from prismat.sources.json_rows import JsonLimits, json_members, keep_rows, seen_fields

ROWS = [{"id": str(i), "text": 'é\\"]}' * i, "nested": {"data": [1, 2, [i]]}, "n": i / 7} for i in range(50)]


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def elements(path, streamed="data", limits=None):
    return [value for name, value in json_members(path, streamed, limits) if name == streamed]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_packed_files_are_told_by_their_first_bytes(tmp_path, pack):
    path = tmp_path / "rows"
    path.write_bytes(pack(json.dumps(ROWS).encode()))
    assert elements(path) == ROWS


def test_a_zip_archive_with_one_json_file(tmp_path):
    members = {"readme.txt": "words", "__MACOSX/._a.json": "x", "a.json": json.dumps(ROWS)}
    assert elements(zipped(tmp_path / "a.zip", members)) == ROWS
    with pytest.raises(BadInputError, match=r"2 \.json files in the archive"):
        elements(zipped(tmp_path / "b.zip", {"a.json": "[]", "b.json": "[]"}))


def test_members_of_an_object_come_in_order_and_one_by_one(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"index": [0, 1], "data": ROWS[:2], "after": None}))
    assert list(json_members(path, "data")) == [
        ("index", [0, 1]),
        ("data", ROWS[0]),
        ("data", ROWS[1]),
        ("after", None),
    ]
    path.write_text('\ufeff {"data": 5, "e": []}')
    assert list(json_members(path, "e")) == [("data", 5)]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(JSON, max_size=6), ascii_=st.booleans(), indent=st.sampled_from([None, 1]))
def test_any_json_is_read_the_same_however_small_the_blocks(rows, ascii_, indent, tmp_path, monkeypatch):
    path = tmp_path / "any.json"
    path.write_text(json.dumps(rows, ensure_ascii=ascii_, indent=indent), encoding="utf-8", errors="replace")
    expected = json.loads(path.read_text(encoding="utf-8"))
    for block in (1, 3, 1 << 20):
        monkeypatch.setattr(json_rows, "_BLOCK", block)
        assert elements(path) == expected


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text('[]{},:"\\0e-.ntu ', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(content, tmp_path):
    path = tmp_path / "any"
    path.write_bytes(content)
    try:
        found = elements(path)
    except BadInputError:
        return
    whole = json.loads(content.decode("utf-8-sig"))
    assert found == (whole if isinstance(whole, list) else whole.get("data", []))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"<html>down</html>", "HTML, not JSON"),
        (b"", "not a JSON object or array"),
        (b'"words"', "not a JSON object or array"),
        (b'[{"a": 1}, {"a"', "ends too early"),
        (b'[{"a": 1}', "ends too early"),
        (b'[{"a": 1} {"b": 2}]', "where one of"),
        (b'[{"a": oops, "long": "' + b"x" * 100 + b'"}]', "not JSON"),
        (b"[1] [2]", "more behind the end"),
        (b"{1: 2}", "no name of a member"),
        (b"[" + b"[" * 100_000, "nested too deeply"),
        (b'["\xff\xfe"]', "not UTF-8"),
        (b"\x1f\x8b" + b"x" * 50, "cannot be read"),
        (gzip.compress(b"[1, 2]", mtime=0)[:-4], "cannot be read"),
        (lzma.compress(b"[1, 2]" * 100)[:60], "cannot be read"),
        (b"PK\x03\x04nothing", "cannot be read"),
    ],
)
def test_what_is_broken_is_refused_by_name(tmp_path, content, problem):
    path = tmp_path / "broken.bin"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=problem) as caught:
        elements(path)
    assert "broken.bin" in str(caught.value)


def test_no_such_file(tmp_path):
    with pytest.raises(BadInputError, match="no such file"):
        elements(tmp_path / "absent.json")


def test_bombs_are_refused_before_they_fill_the_memory(tmp_path):
    bomb = zipped(tmp_path / "bomb.zip", {"a.json": "[" + " " * 30_000_000 + "1]"})
    assert bomb.stat().st_size < 40_000
    with pytest.raises(BadInputError, match="more than 5,000,000 bytes"):
        elements(bomb, limits=JsonLimits(file_bytes=5_000_000))
    long = zipped(tmp_path / "long.zip", {"a.json": json.dumps(["x" * 30_000_000])})
    with pytest.raises(BadInputError, match="a row of more than 1,000,000 characters"):
        elements(long, limits=JsonLimits(row_chars=1_000_000))


def test_fields_that_no_row_has_are_a_changed_service():
    rows = [{"id": 1, "x": 2}, {"id": 2}]
    assert list(seen_fields(iter(rows), ("id", "x"), "a service")) == rows
    with pytest.raises(BadInputError, match=r"a service: no row has the field 'y'.*may have changed"):
        list(seen_fields(iter(rows), ("id", "y"), "a service"))
    with pytest.raises(BadInputError, match="a service: no rows"):
        list(seen_fields(iter([]), ("id",), "a service"))
    endless = ({"id": number} for number in iter(int, 1))
    with pytest.raises(BadInputError, match="no row has the field 'y'"):
        list(seen_fields(endless, ("y",), "a service", within=20))


class Killed(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("total", [0, 1, 20, 23])
def test_rows_are_kept_once_and_after_a_kill(tmp_path, total):
    rows, read = [{"n": n} for n in range(total)], []

    def begin(stop=None):
        for row in rows:
            if row["n"] == stop:
                raise Killed
            read.append(row["n"])
            yield row

    mirror = PageMirror(tmp_path / "mirror", {"a": 1})
    if total > 13:
        with pytest.raises(Killed):
            keep_rows(mirror, lambda: begin(13), 5)
        assert not mirror.complete
    said = []
    keep_rows(mirror, begin, 5, said.append)
    assert list(mirror.rows(0, 100)) == rows
    assert said[-1:] == [total]
    del read[:]
    keep_rows(mirror, begin, 5)
    assert read == []
