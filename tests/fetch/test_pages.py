import pytest

from prismat.errors import BadInputError
from prismat.fetch.pages import PageMirror

ROWS = [{"n": n} for n in range(23)]


def service(asked, broken_at=None):
    """Pages of ten rows; ``asked`` collects the cursors."""

    def fetch(cursor):
        start = cursor or 0
        asked.append(start)
        if start == broken_at:
            raise KeyboardInterrupt
        following = start + 10 if start + 10 < len(ROWS) else None
        return ROWS[start : start + 10], following

    return fetch


def test_all_rows_once_and_in_order(tmp_path):
    mirror, asked, told = PageMirror(tmp_path / "m", {"q": 1}), [], []
    mirror.obtain(service(asked), told.append)
    mirror.obtain(service(asked))
    assert asked == [0, 10, 20]
    assert told == [10, 20, 23]
    assert len(mirror) == 23
    assert list(mirror.rows(0, 99)) == ROWS
    assert list(mirror.rows(8, 21)) == ROWS[8:21]
    assert list(mirror.rows(23, 30)) == []


def test_a_killed_job_goes_on_with_the_next_page(tmp_path):
    mirror, asked = PageMirror(tmp_path / "m", {"q": 1}), []
    with pytest.raises(KeyboardInterrupt):
        mirror.obtain(service(asked, broken_at=20))
    with pytest.raises(BadInputError, match="is not complete"):
        len(mirror)
    PageMirror(tmp_path / "m", {"q": 1}).obtain(service(asked))
    assert asked == [0, 10, 20, 20]
    assert list(mirror.rows(0, 23)) == ROWS


def test_a_page_without_its_description_is_fetched_again(tmp_path):
    mirror, asked = PageMirror(tmp_path / "m", {"q": 1}), []
    mirror.obtain(service(asked))
    whole = mirror.fingerprint()
    (tmp_path / "m" / "page-00002.json").unlink()
    again = PageMirror(tmp_path / "m", {"q": 1})
    assert not again.complete
    again.obtain(service(asked))
    assert asked == [0, 10, 20, 20]
    assert again.fingerprint() == whole


def test_another_query_is_refused(tmp_path):
    PageMirror(tmp_path / "m", {"q": 1}).obtain(service([]))
    with pytest.raises(BadInputError, match="holds another query"):
        PageMirror(tmp_path / "m", {"q": 2})


def test_a_changed_page_is_refused(tmp_path):
    import gzip

    mirror = PageMirror(tmp_path / "m", {"q": 1})
    mirror.obtain(service([]))
    (tmp_path / "m" / "page-00001.json.gz").write_bytes(gzip.compress(b"[]"))
    with pytest.raises(BadInputError, match="not the page that was fetched"):
        list(mirror.rows(0, 23))


def test_a_query_without_rows(tmp_path):
    mirror = PageMirror(tmp_path / "m", {})
    mirror.obtain(lambda _: ([], None))
    assert len(mirror) == 0
    assert list(mirror.rows(0, 5)) == []
