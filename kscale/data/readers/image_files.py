"""Image files: how they are read, and which size and channels a network sees."""

import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kscale.data.load_options import Options, Resize
from kscale.data.parts import PartName
from kscale.data.preprocessing.scaled import ScaledFit
from kscale.data.readers.file_reader import FileReader, FolderKind, Reading, unreadable
from kscale.errors import DataError
from kscale.task.tasks import Input

if TYPE_CHECKING:
    from PIL import Image

# Pillow's modes of 16 bits a pixel, and of images without colour.
_DEEP = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_GREY = _DEEP | {"1", "L", "LA", "La"}
_ORIENTATION = 0x0112  # the EXIF tag
_TURNED = frozenset({5, 6, 7, 8})  # its values that exchange height and width


class ImageHeader(NamedTuple):
    """Upright size of an image file, and whether it has no colour."""

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
        resize: How images of another size are brought to it: `crop` keeps proportions
            and cuts off both sides, `pad` keeps proportions and adds black on both
            sides, `stretch` changes proportions.
    """

    kind: ClassVar[str] = "images"
    dtype: ClassVar[Any] = np.uint8
    suffixes: ClassVar[tuple[str, ...]] = (
        *(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    )

    name: str = "image"
    height: int = 1
    width: int = 1
    channels: int = 3
    resize: Resize = "crop"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.height, self.width, self.channels

    def array(self, path: Path) -> NDArray[Any]:
        """The image, uint8 `(height, width, channels)`."""
        from PIL import Image, ImageOps

        size, method = (self.width, self.height), Image.Resampling.BILINEAR
        with _opened(path) as image:
            # A JPEG may be decoded at half its size or less, if that is enough.
            image.draft(None, (2 * max(size),) * 2)
            whole = _plain(ImageOps.exif_transpose(image), path, self.channels)
            if whole.size != size:
                ways = {"crop": ImageOps.fit, "pad": ImageOps.pad}
                whole = ways.get(self.resize, Image.Image.resize)(whole, size, method)
        return np.asarray(whole).reshape(self.shape)


def image_header(path: Path) -> ImageHeader:
    """The header of an image; only the first bytes of the file are read."""
    with _opened(path) as image:
        is_turned = image.getexif().get(_ORIENTATION) in _TURNED
        width, height = image.size[::-1] if is_turned else image.size
        return ImageHeader(height, width, image.mode in _GREY)


# What the decoders of Pillow raise on damaged files; SyntaxError is for PNG.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError),
    struct.error,
)
_REASONS = {
    "truncated": "it is cut short",
    "decompression bomb": "it has too many pixels",
}


@contextmanager
def _opened(path: Path) -> "Iterator[Image.Image]":
    """The image; errors of Pillow become errors that name the file."""
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
            raise unreadable(path, "an image", error, _REASONS) from error


def _plain(image: "Image.Image", path: Path, channels: int) -> "Image.Image":
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


_MOST_ALIKE = 256  # sides of images that are all of one size, and stay as they are
_MOST = 224  # sides of others: what most published networks are trained on
_MULTIPLE = 8
_HOW: dict[Resize, str] = {
    "crop": "scaled in proportion and cut in the middle",
    "pad": "scaled in proportion and padded with black",
    "stretch": "stretched",
}


def _decide(
    headers: Mapping[PartName, Sequence[ImageHeader]], options: Options
) -> Reading:
    """One size for all images, from those of the training part.

    Images that are all of one size up to 256 pixels a side keep it. Others are brought
    to the median height and width, reduced in proportion to 224 for the longer side
    where they exceed it, and rounded to multiples of 8. They are grey if all are.
    """
    size, channels = options.image_size, options.channels
    if size is not None and min(size) < 1:
        raise DataError(
            "`image_size` is a height and a width of at least 1, but got "
            f"image_size={size}."
        )
    if channels not in (None, 1, 3):
        raise DataError(
            f"`channels` is 1 for grey or 3 for colour, but got channels={channels}."
        )
    every = [header for found in headers.values() for header in found]
    height, width = size or _size(np.array([each[:2] for each in headers["train"]]))
    channels = channels or (1 if all(header.is_grey for header in every) else 3)
    reader = ImageReader("image", height, width, channels, options.resize or "crop")
    item = Input(reader.name, "image", reader.shape)
    return Reading(reader, ScaledFit(item), [*_notes(reader, every)])


def _size(sizes: NDArray[np.int64]) -> tuple[int, int]:
    """Height and width for images of some sizes `(images, 2)`."""
    if (sizes == sizes[0]).all() and sizes.max() <= _MOST_ALIKE:
        return int(sizes[0, 0]), int(sizes[0, 1])
    median = np.median(sizes, axis=0)
    median *= min(1.0, _MOST / median.max())
    height, width = np.maximum(1, np.rint(median / _MULTIPLE)) * _MULTIPLE
    return int(height), int(width)


def _notes(reader: ImageReader, headers: Sequence[ImageHeader]) -> Iterator[str]:
    heights, widths, are_grey = zip(*headers, strict=True)
    colour = "grey" if reader.channels == 1 else "colour"
    read = f"read as {reader.height} x {reader.width} (height x width) in {colour}"
    if {*heights} == {reader.height} and {*widths} == {reader.width}:
        yield f"All images have one size; they are {read}."
    else:
        yield (
            f"Images are from {min(heights)} to {max(heights)} high and {min(widths)} "
            f"to {max(widths)} wide; they are {read}, {_HOW[reader.resize]}."
        )
    if 0 < sum(are_grey) < len(headers):
        yield f"{sum(are_grey):,} of {len(headers):,} images are grey."


IMAGES = FolderKind(
    "images",
    ImageReader.suffixes,
    ("kind", "split_by", "image_size", "resize", "channels"),
    image_header,
    _decide,
)
