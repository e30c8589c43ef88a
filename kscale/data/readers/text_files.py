"""Texts: files of one example each, and CSV files of one example a row."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kscale.data.examples import Example, existing
from kscale.data.load_options import Options
from kscale.data.preprocessing.text_tokens import TextFit
from kscale.data.readers.file_reader import FileReader, FolderKind, Reading
from kscale.data.readers.table_reader import TEXT, TableColumn, TableReader
from kscale.data.sources.tables.csv_file import (
    SUFFIXES,
    decoded,
    is_table,
    opened,
)


@dataclass(frozen=True)
class TextReader(FileReader):
    """Whole text files, and columns of text in CSV files.

    Args:
        columns: Columns that are read of a CSV file. A text file becomes the first of
            them, and the others are empty.
    """

    kind: ClassVar[str] = "texts"
    dtype: ClassVar[Any] = TEXT
    shape = ()
    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".txt.gz", *SUFFIXES)

    columns: tuple[TableColumn, ...] = (TableColumn("text", "text", "text"),)

    def readable(self, path: Path) -> Iterator[Example]:
        if is_table(path):
            yield from TableReader(self.columns).readable(path)
            return
        raw = {column.name: np.array("", TEXT) for column in self.columns}
        yield Example(str(path), {**raw, self.name: self.array(existing(path))})

    @property
    def name(self) -> str:
        return self.columns[0].name

    def array(self, path: Path) -> NDArray[Any]:
        """The whole text of a file, which may be compressed with gzip."""
        with opened(path) as file:
            data = file.read()
        return np.array(decoded(data, path).strip(), TEXT)


def _decide(headers: Any, options: Options) -> Reading:
    reader = TextReader()
    fit = TextFit((reader.name,), options.vocabulary, options.length)
    return Reading(reader, fit)


TEXTS = FolderKind(
    "texts",
    (".txt",),
    ("kind", "split_by", "vocabulary", "length"),
    lambda path: None,  # nothing is decided by the texts themselves
    _decide,
)
