"""Texts: files of one example each, and CSV files of one example a row."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from kscale.data.examples import Example, Reader, existing
from kscale.data.load_options import Options
from kscale.data.preprocessing.text_tokens import TextFit
from kscale.data.readers.file_reader import FolderKind, Reading
from kscale.data.readers.table_reader import TEXT, TableColumn, TableReader
from kscale.data.sources.tables.csv_file import (
    SUFFIXES,
    decoded,
    is_table,
    opened,
)


def text_of_file(path: Path) -> str:
    """The whole text of a file, which may be compressed with gzip."""
    with opened(path) as file:
        data = file.read()
    return decoded(data, path).strip()


@dataclass(frozen=True)
class TextReader(Reader):
    """Whole text files, and columns of text in CSV files.

    Args:
        columns: Columns that are read of a CSV file. A text file becomes the first of
            them, and the others are empty.
    """

    kind: ClassVar[str] = "texts"
    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".txt.gz", *SUFFIXES)

    columns: tuple[TableColumn, ...] = (TableColumn("text", "text", "text"),)

    def readable(self, path: Path) -> Iterator[Example]:
        if is_table(path):
            yield from TableReader(self.columns).readable(path)
            return
        raw = {column.name: np.array("", TEXT) for column in self.columns}
        raw[self.columns[0].name] = np.array(text_of_file(existing(path)), TEXT)
        yield Example(str(path), raw)


def _decide(headers: Any, options: Options) -> Reading:
    reader = TextReader()
    name = reader.columns[0].name
    fit = TextFit((name,), options.vocabulary, options.length)
    return Reading(name, (), TEXT, text_of_file, fit, reader)


TEXTS = FolderKind(
    "texts",
    (".txt",),
    ("kind", "split_by", "vocabulary", "length"),
    lambda path: None,  # nothing is decided by the texts themselves
    _decide,
)
