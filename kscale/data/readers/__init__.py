"""The table of readers: a new one is a file and a row here."""

from collections.abc import Mapping
from typing import Any

from kscale.data.by_kind import record_from_json
from kscale.data.examples import Reader
from kscale.data.readers.image_files import ImageReader
from kscale.data.readers.sound_files import SoundReader
from kscale.data.readers.table_files import TableReader, TextReader
from kscale.data.sources.arrays import ArrayReader

READERS: dict[str, type[Reader]] = {
    item.kind: item
    for item in (ArrayReader, ImageReader, SoundReader, TableReader, TextReader)
}


def reader_from_json(data: Mapping[str, Any]) -> Reader:
    """The reader that `Reader.to_json` described.

    Example:

    >>> reader_from_json(ArrayReader("x", (8, 8)).to_json()).shape
    (8, 8)
    """
    return record_from_json(READERS, data, "reader")
