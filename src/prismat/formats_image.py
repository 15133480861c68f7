"""Reader of image files: PNG, TIFF and JPEG, 8 or 16 bits, grey or colour."""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Shaped

from prismat.errors import BadInputError, MissingExtraError
from prismat.files import read_limited
from prismat.measurements import Image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_BYTES = 200_000_000
MAX_PIXELS = 40_000_000
FORMATS = ("PNG", "TIFF", "JPEG")
SUFFIXES = {".png", ".tif", ".tiff", ".jpg", ".jpeg"}

_BITS = (8, 10, 12, 14, 16)
_SAVE = "Save it as an 8- or 16-bit PNG or TIFF."


def read_image(path: str | Path, record: str = "", kind: str = "") -> Image:
    """A picture from a file.

    Args:
        path: the file; its content decides the format, not its name.
        record: name for error messages; the file's name where empty.
        kind: how it was taken, kept in ``Image.kind``.

    Raises:
        BadInputError: no such file, or content that ``parse_image`` refuses.
        MissingExtraError: Pillow is not installed.
    """
    path = Path(path)
    record = record or path.name
    return parse_image(read_limited(path, MAX_BYTES, record), record, kind)


def parse_image(content: bytes, record: str = "", kind: str = "") -> Image:
    """A picture from the bytes of a PNG, TIFF or JPEG file.

    Grey stays grey, everything else becomes red, green and blue; what is transparent is seen on white; a
    photograph is turned the way its camera was held. Sixteen-bit grey becomes 0 … 1 by the greatest value of
    the sensor: of 8, 10, 12, 14 and 16 bits the fewest that hold the brightest pixel.

    Args:
        content: the whole file.
        record: name for error messages.
        kind: how it was taken.

    Raises:
        BadInputError: more than ``MAX_BYTES`` or ``MAX_PIXELS``, no image of these formats, a damaged one, a
            TIFF of several pages, or pixels that are neither integers of 16 bits nor floats of 0 to 1.
        MissingExtraError: Pillow is not installed.
    """
    if len(content) > MAX_BYTES:
        raise BadInputError(
            f"larger than {MAX_BYTES // 1_000_000} MB",
            record=record,
            field="image",
            remedy="Crop the picture.",
        )
    try:
        import PIL.Image
        import PIL.ImageOps
    except ImportError as error:
        raise MissingExtraError("pillow", "image") from error
    with warnings.catch_warnings():
        # Remarks on metadata; sizes are checked here, before anything is decoded.
        warnings.simplefilter("ignore")
        try:
            with PIL.Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                _check(picture, record)
                picture.load()
                return Image(_pixels(PIL.ImageOps.exif_transpose(picture), record), kind)
        except BadInputError:
            raise
        except PIL.Image.DecompressionBombError as error:
            raise _too_many_pixels("a decompression bomb", record) from error
        except PIL.UnidentifiedImageError as error:
            raise BadInputError(
                "not a PNG, TIFF or JPEG image", record=record, field="image", remedy=_SAVE
            ) from error
        except Exception as error:  # A damaged file makes the decoders raise almost anything.
            raise BadInputError(
                f"the image is damaged or cut short ({error})",
                record=record,
                field="image",
                remedy="Copy or export the file again.",
            ) from error


def _check(picture: "Picture", record: str) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(f"{width} × {height} pixels", record)
    pages = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
    if pages > 1:
        raise BadInputError(
            f"a TIFF of {pages} pages", record=record, field="image", remedy="Save the page you mean alone."
        )


def _too_many_pixels(what: str, record: str) -> BadInputError:
    return BadInputError(
        f"{what}, more than {MAX_PIXELS // 1_000_000} million pixels",
        record=record,
        field="image",
        remedy="Crop or shrink the picture.",
    )


def _pixels(picture: "Picture", record: str) -> Shaped[np.ndarray, "height width *colours"]:
    """Pixels as ``Image`` has them."""
    import PIL.Image

    if picture.mode.startswith("I"):
        return _from_integers(np.asarray(picture), record)
    if picture.mode == "F":
        return _from_floats(np.asarray(picture), record)
    plain = "L" if picture.mode in ("1", "L", "LA", "La") else "RGB"
    if picture.has_transparency_data:
        white = PIL.Image.new("RGBA", picture.size, "white")
        picture = PIL.Image.alpha_composite(white, picture.convert("RGBA"))
    return np.array(picture.convert(plain))


def _from_integers(
    values: Shaped[np.ndarray, "height width"], record: str
) -> Float[np.ndarray, "height width"]:
    brightest = int(values.max(initial=0))
    if values.min(initial=0) < 0 or brightest >= 1 << _BITS[-1]:
        raise BadInputError(
            f"pixels from {values.min(initial=0)} to {brightest}", record=record, field="image", remedy=_SAVE
        )
    bits = next(b for b in _BITS if brightest < 1 << b)
    return values.astype(np.float32) / np.float32((1 << bits) - 1)


def _from_floats(values: Float[np.ndarray, "height width"], record: str) -> Float[np.ndarray, "height width"]:
    if not ((values >= 0) & (values <= 1)).all():
        raise BadInputError(
            "pixels are floats outside 0 … 1, or not finite", record=record, field="image", remedy=_SAVE
        )
    return values.astype(np.float32)
