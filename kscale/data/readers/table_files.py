"""Tables and texts: CSV files hold an example a row, text files one each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import TEXT, Rows
from kscale.data.examples import Example, Reader, existing
from kscale.data.load_options import OF_WORDS, Options
from kscale.data.preprocessing.text_tokens import TextFit
from kscale.data.readers.file_reader import FileReader, FolderKind, Reading
from kscale.data.sources.tables.cells import BLANKS, NotANumber, NumberForm
from kscale.data.sources.tables.csv_file import (
    SUFFIXES,
    CsvFile,
    CsvRow,
    decoded,
    is_table,
    looks_like_table,
    opened,
)
from kscale.errors import DataError

_MOST_WORDS = 1000  # that are remembered of a column


@dataclass(frozen=True)
class TableColumn:
    """A column that is read.

    Args:
        column: Name in the file.
        name: Name of the raw input, which Keras and TensorFlow allow.
        holds: `number`, `category` or `text`.
        form: How numbers are written; plainly if None.
        range: Least and largest number of the training part; empty if unknown.
        words: Categories of the training part; empty if unknown, or too many.
    """

    column: str
    name: str
    holds: str
    form: NumberForm | None = None
    range: tuple[float, ...] = ()
    words: tuple[str, ...] = ()

    def fitted(self, train: NDArray[Any]) -> "TableColumn":
        """The column with what the training part holds."""
        if self.holds == "number" and not np.isnan(train).all():
            least, most = float(np.nanmin(train)), float(np.nanmax(train))
            return replace(self, range=(least, most))
        words = {*train.tolist()} if self.holds == "category" else ()
        return replace(self, words=tuple(sorted(words)) * (len(words) <= _MOST_WORDS))

    def note(self, cell: str, value: Any) -> str:
        """The sentence on a cell unlike all cells of the training part, or no text."""
        if self.range and (value < self.range[0] or value > self.range[1]):
            least, most = (f"{number:.6g}" for number in self.range)
            return (
                f"{self.column} is {cell}, and was {least} to {most} in training: out "
                "of that range predictions are guesses."
            )
        if self.words and str(value) not in self.words:
            shown = repr(cell) if value else "blank"
            return (
                f"{self.column} is {shown}, which did not occur in training: the "
                "model cannot know it."
            )
        return ""


def values_of(
    column: TableColumn, cells: Sequence[str], where: Callable[[int], str]
) -> NDArray[Any]:
    """Cells of a column as raw inputs `(cells,)`, with the places of its cells.

    Numbers are float32, NaN where they are missing; words are empty where they are.
    """
    if column.holds == "number":
        numbers = (column.form or NumberForm()).numbers(cells, column.column, where)
        return numbers.astype(np.float32)
    if column.holds == "category":
        cells = ["" if cell in BLANKS else cell for cell in cells]
    return np.array(cells, TEXT)


def check_columns(columns: Sequence[TableColumn], file: CsvFile) -> None:
    """Raise a DataError unless a file has all columns that are read."""
    missing = [each.column for each in columns if each.column not in file.columns]
    if missing:
        raise DataError(
            f"{file.path} must have the columns of the training data, but it lacks "
            f"{', '.join(map(repr, missing[:8]))}{'...' if missing[8:] else ''}."
        )


@dataclass(frozen=True)
class TableReader(Reader):
    """Rows of CSV files, by the names of columns; a file may have others."""

    kind: ClassVar[str] = "tables"
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    columns: tuple[TableColumn, ...]

    def fitted(self, train: Mapping[str, Rows]) -> "TableReader":
        columns = (each.fitted(train[each.name][:]) for each in self.columns)
        return replace(self, columns=tuple(columns))

    def readable(self, path: Path) -> Iterator[Example]:
        file = CsvFile.of(existing(path))
        check_columns(self.columns, file)
        for row in file.rows():
            yield self._example(file, row)

    def _example(self, file: CsvFile, row: CsvRow) -> Example:
        source = f"{file.path}:{row.line}"
        if row.error:
            return Example(source, None, row.error)
        raw, notes = {}, {}
        cells = dict(zip(file.columns, row.cells, strict=True))
        for column in self.columns:
            cell = cells[column.column]
            try:
                values = values_of(column, [cell], lambda _: source)
            except NotANumber as error:
                return Example(source, None, str(error))
            raw[column.name] = values.reshape(())
            if note := column.note(cell, values.item()):
                notes[column.column] = f"{source}: {note}"
        return Example(source, raw, notes=notes)


@dataclass(frozen=True)
class TextReader(FileReader):
    """Whole text files, and columns of text in CSV files.

    A text file becomes the first of the columns, and the others are empty.

    Args:
        columns: Columns of text.
        by_line: Whether each line of a text file is an example.
    """

    kind: ClassVar[str] = "texts"
    dtype: ClassVar[Any] = TEXT
    shape = ()
    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".txt.gz", *SUFFIXES)

    columns: tuple[TableColumn, ...] = (TableColumn("text", "text", "text"),)
    by_line: bool = False

    def readable(self, path: Path) -> Iterator[Example]:
        is_other = path.suffix not in ("", ".data")  # texts that may hold commas
        if is_table(path) or not is_other and looks_like_table(existing(path)):
            yield from TableReader(self.columns).readable(path)
            return
        raw = {column.name: np.array("", TEXT) for column in self.columns}
        text = self.array(existing(path))
        if not self.by_line:
            yield Example(str(path), {**raw, self.name: text})
            return
        lines = map(str.strip, text.item().splitlines())
        numbered = [(number, line) for number, line in enumerate(lines, 1) if line]
        if not numbered:
            raise DataError(f"{path} holds no text: each line of words is an example.")
        for number, line in numbered:
            given = {**raw, self.name: np.array(line, TEXT)}
            yield Example(f"{path}:{number}", given)

    @property
    def name(self) -> str:
        return self.columns[0].name

    def array(self, path: Path) -> NDArray[Any]:
        """The whole text of a file, which may be compressed with gzip."""
        with opened(path) as file:
            data = file.read()
        text = decoded(data, path)
        return np.array(text if self.by_line else text.strip(), TEXT)


def _decide(headers: Any, options: Options) -> Reading:
    reader = TextReader()
    return Reading(reader, TextFit.of((reader.name,), options))


TEXTS = FolderKind(
    "texts",
    (".txt",),
    ("kind", "split_by", *OF_WORDS),
    lambda path: None,  # nothing is decided by the texts themselves
    _decide,
)
