"""Text files of powder patterns: what is read, what is refused, and that nothing else ever happens."""

import contextlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from prismat import formats_xrd
from prismat.errors import BadInputError
from prismat.formats_xrd import parse_xy, read_xy
from prismat.measurements import Pattern

X = np.linspace(10, 60, 51)
Y = np.arange(51) ** 2.0 + 0.5


def text(separator: str = " ", header: str = "", end: str = "\n", columns: int = 2, x: np.ndarray = X) -> str:
    values = np.stack([x, Y, np.sqrt(Y)][:columns], axis=1)
    return header + end.join(separator.join(f"{v:.6f}" for v in row) for row in values) + end


def check(pattern: Pattern) -> None:
    assert np.allclose(pattern.two_theta, X)
    assert np.allclose(pattern.intensity, Y, atol=1e-5)


@pytest.mark.parametrize("separator", [" ", "   ", "\t", ",", ", ", " ,\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("columns", [2, 3])
def test_separators_line_ends_and_columns(separator, end, columns):
    check(parse_xy(text(separator, end=end, columns=columns)))


@pytest.mark.parametrize(
    "header",
    [
        "# a comment\n",
        "! a\n' b\n; c\n# 1 2\n\n",
        "2theta, intensity\n",
        "Quartz from Arizona, 2021\nAngle\tCounts\n\n",
        "\ufeff",
    ],
)
def test_headers_and_comments(header, tmp_path):
    path = tmp_path / "a.xy"
    path.write_text(text(header=header), encoding="utf-8")
    check(read_xy(path))


def test_inline_comments_and_descending_angles():
    lines = text().splitlines()
    lines[3] += "  # dead time"
    lines[5] += " ! 12 13"
    check(parse_xy("\n".join(lines)))
    check(parse_xy("\n".join(reversed(lines))))


def test_sources_and_wavelength(tmp_path):
    path = tmp_path / "sample.xy"
    path.write_text(text())
    check(read_xy(path))
    check(read_xy(str(path)))
    check(read_xy(text()))
    assert read_xy(path, wavelength=0.71073).wavelength == 0.71073
    assert read_xy(path).wavelength == 1.54184
    path.write_bytes(text().encode("utf-16"))
    check(read_xy(path))
    path.write_bytes(b"# \xe9\xff latin-1 header\n" + text().encode())
    check(read_xy(path))


def changed(line: int, to: str) -> str:
    lines = text().splitlines()
    lines[line] = to
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no line of numbers"),
        ("nothing\nhere", "no line of numbers"),
        ("\n".join(f"{x}" for x in X), "line 1 is not two or three numbers: '10.0'"),
        ("\n".join(f"{x} 1 2 3" for x in X), "line 1 is not two or three numbers"),
        ("5 0.01 90 8501\n" + text(), "line 1 is not two or three numbers"),
        (changed(7, "17.0"), "line 8 is not 2 numbers: '17.0'"),
        (changed(7, "17.0 1.0 2.0"), "line 8 is not 2 numbers"),
        (changed(7, "17.0 many"), "line 8 is not 2 numbers: '17.0 many'"),
        (changed(7, "END OF SCAN"), "line 8 is not 2 numbers"),
        (changed(7, "17.0 nan"), "NaN or infinity in point 8"),
        (changed(0, "nan 1.0"), "NaN or infinity in point 1"),
        (changed(7, "17.0 -inf"), "NaN or infinity in point 8"),
        (changed(7, "17.0 1e999"), "NaN or infinity in point 8"),
        ("\n".join(text().splitlines()[:19]), "19 points, fewer than 20"),
        (changed(7, "55.0 1.0"), r"does not ascend after point 8 \(55°\)"),
        (changed(8, "17.0 1.0"), r"does not ascend after point 8 \(17°\)"),
        (changed(50, "181 1.0"), "2θ from 10 to 181"),
        (changed(0, "-1e308 1.0"), "2θ from -1e\\+308 to 60"),
        (text().replace(".", ","), "line 1 seems to have decimal commas"),
        (text("\t").replace(".", ","), "Write decimals with a point"),
        ("header\n" * 201 + text(), "line 201 is not two or three numbers"),
    ],
)
def test_bad_text(content, message):
    with pytest.raises(BadInputError, match=message) as caught:
        parse_xy(content, record="scan.xy")
    assert "record 'scan.xy'" in str(caught.value)
    assert caught.value.remedy


def test_bad_sources(tmp_path, monkeypatch):
    for source in (tmp_path / "absent.xy", tmp_path, "absent", "a\0b", "x" * 5000, ""):
        with pytest.raises(BadInputError, match="no such file, or it cannot be read"):
            read_xy(source)
    with pytest.raises(BadInputError, match=r"wavelength: a wavelength of 1540.0 Å"):
        parse_xy(text(), wavelength=1540.0)
    monkeypatch.setattr(formats_xrd, "MAX_BYTES", 100)
    path = tmp_path / "large.xy"
    path.write_text(text())
    for source in (path, text()):
        with pytest.raises(BadInputError, match="larger than 0 MB"):
            read_xy(source)


NUMBER = st.one_of(st.floats().map(str), st.integers(-5, 200).map(str), st.text(max_size=6))
ROW = st.lists(NUMBER, min_size=0, max_size=4).flatmap(
    lambda words: st.sampled_from([" ", "\t", ",", ", ", ";"]).map(lambda s: s.join(words))
)
FILE = st.lists(ROW, max_size=40).map("\n".join)
GOOD_HEAD = st.lists(ROW, max_size=3).map(lambda rows: text() + "\n".join(rows))


def read_or_refuse(reader: Callable[..., Pattern], source: object) -> Pattern | None:
    with contextlib.suppress(BadInputError):
        return reader(source)
    return None


@given(st.one_of(st.text(max_size=300), FILE, GOOD_HEAD))
@example(text())
@example("\x0c1 2\x1c3 4")
@settings(deadline=None, max_examples=300)
def test_any_text_is_a_pattern_or_a_clear_refusal(content):
    pattern = read_or_refuse(parse_xy, content)
    if pattern is not None:
        assert (np.diff(pattern.two_theta) > 0).all()
        assert np.isfinite(pattern.intensity).all()
        assert len(pattern.two_theta) == len(pattern.intensity) >= 20


@given(st.one_of(st.binary(max_size=400), st.binary(max_size=20).map(lambda b: text().encode() + b)))
@example(text().encode())
@settings(deadline=None, max_examples=100)
def test_any_file_is_a_pattern_or_a_clear_refusal(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.xy"
    path.write_bytes(content)
    pattern = read_or_refuse(read_xy, path)
    if pattern is not None:
        assert (np.diff(pattern.two_theta) > 0).all()
        assert np.isfinite(pattern.intensity).all()
