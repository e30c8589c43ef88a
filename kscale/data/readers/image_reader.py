"""Examples of image files, in the size, the channels and the position of training."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kscale.data.readers.file_reader import FileReader, unreadable
from kscale.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

Resize = Literal["crop", "pad", "stretch"]
RESIZES: tuple[Resize, ...] = get_args(Resize)

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"})
"""Pillow's modes of images without colour."""

_DEEP = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})  # 16 bits a pixel
_ORIENTATION = 0x0112  # the EXIF tag
_TURNED = frozenset({5, 6, 7, 8})  # its values that exchange height and width


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says before it is decoded.

    Args:
        height, width: Size as it is seen, its EXIF orientation applied.
        is_grey: Whether its mode has no colour.
    """

    height: int
    width: int
    is_grey: bool


@dataclass(frozen=True)
class ImageReader(FileReader):
    """Images as bytes from 0 to 255, all of one size.

    The EXIF orientation is applied, transparency is laid on white, 16 bits become 8,
    of an animation the first frame is read.

    Args:
        height, width: Size that images are brought to.
        channels: 1 for grey, 3 for colour.
        resize: How, where the size differs: `crop` keeps proportions and cuts off
            what is too much on both sides, `pad` keeps proportions and adds black on
            both sides, `stretch` changes proportions.
    """

    kind: ClassVar[str] = "images"
    suffixes: ClassVar[tuple[str, ...]] = (
        *(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    )

    name: str = "image"
    height: int = 1
    width: int = 1
    channels: int = 3
    resize: Resize = "crop"

    def array(self, path: Path) -> NDArray[Any]:
        """The image, uint8 `(height, width, channels)`."""
        from PIL import ImageOps

        with _opened(path) as image:
            # A JPEG may be decoded at half its size or less, if that is enough.
            image.draft(None, (2 * max(self.height, self.width),) * 2)
            turned = ImageOps.exif_transpose(image)
            whole = self._resized(_plain(turned, path, self.channels))
        return np.asarray(whole).reshape(self.height, self.width, self.channels)

    def _resized(self, image: "Image.Image") -> "Image.Image":
        from PIL import Image, ImageOps

        size, method = (self.width, self.height), Image.Resampling.BILINEAR
        if image.size == size:
            return image
        if self.resize == "crop":
            return ImageOps.fit(image, size, method)
        if self.resize == "pad":
            return ImageOps.pad(image, size, method)
        return image.resize(size, method)


def image_header(path: Path) -> ImageHeader:
    """Size and mode of an image, of which the first bytes are read.

    Raises:
        DataError: It is no image that can be read.
    """
    with _opened(path) as image:
        is_turned = image.getexif().get(_ORIENTATION) in _TURNED
        width, height = image.size[::-1] if is_turned else image.size
        return ImageHeader(height, width, image.mode in GREY_MODES)


# What Pillow's decoders raise on damaged files; SyntaxError is theirs for PNG.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError),
    struct.error,
)


@contextmanager
def _opened(path: Path) -> "Iterator[Image.Image]":
    """The image; what Pillow raises inside is told of the file."""
    from PIL import Image

    with warnings.catch_warnings():
        # Of damaged EXIF data, which is not needed, and of very large images.
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as image:
                yield image
        except DataError:
            raise
        except (*_BROKEN, Image.DecompressionBombError) as error:
            raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    if type(error).__name__ == "UnidentifiedImageError":
        return unreadable(path, "an image", "its format is unknown or it is damaged")
    return unreadable(path, "an image", error)


def _plain(image: "Image.Image", path: Path, channels: int) -> "Image.Image":
    """The image in 8-bit grey or colour."""
    from PIL import Image

    if image.mode == "F":
        raise DataError(
            f"{path} holds real numbers, whose black and white are unknown. Save it "
            "with 8 or 16 bits a pixel."
        )
    if image.mode in _DEEP:
        bits = np.clip(np.asarray(image, dtype=np.int64) >> 8, 0, 255)
        image = Image.fromarray(bits.astype(np.uint8))
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        white = Image.new("RGBA", seen.size, "white")
        image = Image.alpha_composite(white, seen)
    return image.convert("L" if channels == 1 else "RGB")
