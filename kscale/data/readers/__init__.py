"""The table of readers: a new one is a file and a row here."""

from collections.abc import Mapping
from typing import Any

from kscale.data.readers.array_reader import ArrayReader
from kscale.data.readers.base import Example, Reader
from kscale.data.readers.image_reader import ImageReader
from kscale.data.readers.sound_reader import SoundReader
from kscale.data.readers.table_reader import TableReader
from kscale.data.readers.text_reader import TextReader
from kscale.errors import ResultsError

READERS: dict[str, type[Reader]] = {
    item.kind: item
    for item in (ArrayReader, ImageReader, SoundReader, TableReader, TextReader)
}

__all__ = [
    "READERS",
    "ArrayReader",
    "Example",
    "ImageReader",
    "Reader",
    "SoundReader",
    "TableReader",
    "TextReader",
    "reader_from_json",
]


def reader_from_json(data: Mapping[str, Any]) -> Reader:
    """The reader that `Reader.to_json` described.

    Raises:
        ResultsError: It is of no known kind, or something is missing in it.

    Example:

    >>> reader_from_json(ArrayReader("x", (8, 8)).to_json())
    ArrayReader(name='x', shape=(8, 8))
    """
    try:
        given = {key: value for key, value in data.items() if key != "kind"}
        return READERS[data["kind"]].from_json(given)
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(
            f"A reader of kind {data.get('kind')!r} cannot be read: {error!r}."
        ) from error
