"""Image files of every accepted form, and of many that are refused."""

import io
import struct
import zlib

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from prismat import formats_image
from prismat.errors import BadInputError
from prismat.formats_image import parse_image, read_image
from prismat.measurements import Image

RAMP = np.arange(40 * 30, dtype=np.uint8).reshape(30, 40)


def encoded(picture, kind="PNG", **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


PNG = encoded(Pillow.fromarray(RAMP))


def huge_png(width, height):
    """A header that promises many pixels, and data that ends at once."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(b"")]
    framed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_survives_unchanged(kind):
    image = parse_image(encoded(Pillow.fromarray(RAMP), kind), kind="sem")
    assert image.pixels.dtype == np.uint8
    assert np.array_equal(image.pixels, RAMP)
    assert image.kind == "sem"


def test_jpeg_is_close():
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    found = parse_image(encoded(Pillow.fromarray(smooth), "JPEG", quality=95)).pixels
    assert np.abs(found.astype(int) - smooth).max() <= 4


def test_colour_palette_and_bilevel():
    colour = np.random.default_rng(0).integers(0, 4, (20, 20, 3), dtype=np.uint8) * 80
    assert np.array_equal(parse_image(encoded(Pillow.fromarray(colour))).pixels, colour)
    palette = Pillow.fromarray(colour).quantize(64)
    assert np.array_equal(parse_image(encoded(palette)).pixels, np.asarray(palette.convert("RGB")))
    bilevel = Pillow.fromarray(RAMP > 100)
    assert np.array_equal(parse_image(encoded(bilevel)).pixels, np.where(RAMP > 100, 255, 0))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_parts_are_seen_on_white(mode):
    picture = Pillow.new(mode, (20, 20), (10, 0) if mode == "LA" else (10, 10, 10, 0))
    found = parse_image(encoded(picture)).pixels
    assert found.shape == ((20, 20) if mode == "LA" else (20, 20, 3))
    assert (found == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(("brightest", "bits"), [(200, 8), (900, 10), (4095, 12), (9000, 14), (65535, 16)])
def test_sixteen_bit_grey_by_the_depth_of_the_sensor(kind, brightest, bits):
    values = np.linspace(0, brightest, 900).reshape(30, 30).astype(np.uint16)
    image = parse_image(encoded(Pillow.fromarray(values), kind))
    assert image.pixels.dtype == np.float32
    assert np.allclose(image.pixels, values / (2**bits - 1), atol=1e-6)


def test_float_tiff():
    values = np.linspace(0, 1, 900, dtype=np.float32).reshape(30, 30)
    assert np.array_equal(parse_image(encoded(Pillow.fromarray(values), "TIFF")).pixels, values)
    for wrong in (values * 2, -values, values * np.nan):
        with pytest.raises(BadInputError, match=r"floats outside 0 … 1.*8- or 16-bit"):
            parse_image(encoded(Pillow.fromarray(wrong), "TIFF"))


def test_integers_beyond_sixteen_bits_are_refused():
    for values in (np.full((20, 20), 70000, np.int32), np.full((20, 20), -1, np.int32)):
        with pytest.raises(BadInputError, match=r"pixels from .* to .*8- or 16-bit"):
            parse_image(encoded(Pillow.fromarray(values), "TIFF"))


def test_photograph_is_turned_as_its_camera_was_held():
    picture = Pillow.fromarray(RAMP)
    exif = Pillow.Exif()
    exif[0x0112] = 6
    found = parse_image(encoded(picture, exif=exif))
    assert np.array_equal(found.pixels, np.asarray(picture.transpose(Pillow.Transpose.ROTATE_270)))
    assert ImageOps.exif_transpose(picture).size != found.pixels.shape[::-1]


@pytest.mark.parametrize("cut", [40, 60, len(PNG) - 30])
def test_truncated_file(cut):
    with pytest.raises(BadInputError, match=r"record 'cell'.*(damaged or cut short|not a PNG).*"):
        parse_image(PNG[:cut], "cell")


def test_truncated_jpeg_and_tiff():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    for kind in ("JPEG", "TIFF"):
        content = encoded(Pillow.fromarray(noise), kind)
        with pytest.raises(BadInputError, match=r"damaged or cut short|not a PNG, TIFF or JPEG"):
            parse_image(content[: len(content) // 2], "x")


def test_not_an_image(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("not a picture at all")
    with pytest.raises(BadInputError, match=r"record 'notes.png'.*not a PNG, TIFF or JPEG image.*Save it as"):
        read_image(path)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "WEBP"])
def test_other_formats_are_not_decoded(kind):
    with pytest.raises(BadInputError, match="not a PNG, TIFF or JPEG"):
        parse_image(encoded(Pillow.fromarray(RAMP), kind))


def test_missing_file(tmp_path):
    with pytest.raises(BadInputError, match=r"no such file, or it cannot be read.*Check the path"):
        read_image(tmp_path / "none.png")


@pytest.mark.parametrize("edge", [7000, 12000, 60000])
def test_bombs_are_refused_before_decoding(edge):
    with pytest.raises(BadInputError, match=r"more than 40 million pixels.*Crop or shrink"):
        parse_image(huge_png(edge, edge), "bomb")


def test_large_files_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(formats_image, "MAX_BYTES", 100)
    (tmp_path / "large.png").write_bytes(PNG)
    with pytest.raises(BadInputError, match=r"record 'large.png'.*larger than"):
        read_image(tmp_path / "large.png")


def test_stack_of_pages_is_refused():
    pages = [Pillow.fromarray(RAMP)] * 3
    with pytest.raises(BadInputError, match=r"a TIFF of 3 pages.*Save the page"):
        parse_image(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))


def test_reads_a_file_by_content(tmp_path):
    path = tmp_path / "cell.dat"
    path.write_bytes(PNG)
    assert np.array_equal(read_image(path).pixels, RAMP)


SEEDS = [PNG, encoded(Pillow.fromarray(RAMP), "TIFF"), encoded(Pillow.fromarray(RAMP), "JPEG")]


@hypothesis.settings(max_examples=150)
@hypothesis.given(st.sampled_from(SEEDS), st.data())
def test_damage_gives_an_image_or_the_documented_error(seed, data):
    content = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = parse_image(bytes(content), "x")
    except BadInputError as error:
        found = error
    assert isinstance(found, Image) or (found.remedy and found.record == "x")
