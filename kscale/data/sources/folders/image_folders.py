"""Folders of images: which size and how many channels a network sees."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.load_options import Options
from kscale.data.parts import PartName
from kscale.data.preprocessing.scaled import ScaledFit
from kscale.data.readers.image_reader import (
    RESIZES,
    ImageHeader,
    ImageReader,
    image_header,
)
from kscale.data.sources.folders.folder_kinds import FolderKind, Reading
from kscale.errors import DataError, unknown_name
from kscale.task.tasks import Input

_MOST_ALIKE = 256  # sides of images that are all of one size, and stay as they are
_MOST = 224  # sides of others: what most published networks are trained on
_MULTIPLE = 8


def _decide(
    headers: Mapping[PartName, Sequence[ImageHeader]], options: Options
) -> Reading:
    """One size for all images, from those of the training part.

    Images that are all of one size up to 256 pixels a side keep it. Others are brought
    to the median height and width, reduced in proportion to 224 for the longer side
    where they exceed it, and rounded to multiples of 8. They are grey if all are.
    """
    _check_options(options)
    every = [header for found in headers.values() for header in found]
    height, width = options.image_size or _size(headers["train"])
    reader = ImageReader(
        height=height,
        width=width,
        channels=options.channels or (1 if all(h.is_grey for h in every) else 3),
        resize=_resize(options.resize),
    )
    item = Input(reader.name, "image", (height, width, reader.channels))
    return Reading(
        reader.name,
        item.shape,
        np.uint8,
        reader.array,
        {reader.name: ScaledFit(item)},
        reader,
        tuple(_notes(reader, every)),
    )


def _check_options(options: Options) -> None:
    size = options.image_size
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise DataError(
            "`image_size` is a height and a width of at least 1, but got "
            f"image_size={size}."
        )
    if options.channels not in (None, 1, 3):
        raise DataError(
            "`channels` is 1 for grey or 3 for colour, but got "
            f"channels={options.channels}."
        )
    _resize(options.resize)


def _resize(name: str | None) -> Any:
    if name is not None and name not in RESIZES:
        raise DataError(unknown_name("resize", name, RESIZES))
    return name or RESIZES[0]


def _sizes(headers: Sequence[ImageHeader]) -> NDArray[np.int64]:
    return np.array([(header.height, header.width) for header in headers])


def _size(headers: Sequence[ImageHeader]) -> tuple[int, int]:
    sizes = _sizes(headers)
    median = np.median(sizes, axis=0)
    if (sizes == sizes[0]).all() and sizes.max() <= _MOST_ALIKE:
        return int(sizes[0, 0]), int(sizes[0, 1])
    median *= min(1.0, _MOST / median.max())
    height, width = np.maximum(1, np.rint(median / _MULTIPLE)) * _MULTIPLE
    return int(height), int(width)


_HOW = {
    "crop": "scaled in proportion and cut in the middle",
    "pad": "scaled in proportion and padded with black",
    "stretch": "stretched",
}


def _notes(reader: ImageReader, headers: Sequence[ImageHeader]) -> list[str]:
    sizes, wanted = _sizes(headers), (reader.height, reader.width)
    least, most = sizes.min(axis=0), sizes.max(axis=0)
    colour = "grey" if reader.channels == 1 else "colour"
    read = f"read as {reader.height} x {reader.width} (height x width) in {colour}"
    if (least == most).all() and tuple(least) == wanted:
        notes = [f"All images have one size; they are {read}."]
    else:
        notes = [
            f"Images are from {least[0]} to {most[0]} high and {least[1]} to {most[1]} "
            f"wide; they are {read}, {_HOW[reader.resize]}."
        ]
    greys = sum(header.is_grey for header in headers)
    if greys % len(headers):
        notes.append(f"{greys:,} of {len(headers):,} images are grey.")
    return notes


IMAGES = FolderKind(
    "images",
    ImageReader.suffixes,
    ("kind", "split_by", "image_size", "resize", "channels"),
    image_header,
    _decide,
)
