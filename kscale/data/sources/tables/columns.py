"""What a column of a table holds, from counts of one pass over its cells."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from kscale.data.sources.tables.csv_file import (
    BLANKS,
    CsvFile,
    all_numbers,
    is_huge,
    is_number,
)

Role = Literal["number", "category", "text", "left out"]

_MOST_VALUES = 10_000  # different values that are remembered
_TEXT_WORDS = 5  # a name of a person has up to four
_LEAST_WORDS = 1.5  # of a text in a language with spaces
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ].*)?|\d\d?[./-]\d\d?[./-]\d{2,4}( .*)?")
_COMMA = re.compile(r"-?\d+,\d+")
_INDEX = re.compile(r"column\d+|unnamed.*|index|idx|row|nr|no|.*id", re.IGNORECASE)


@dataclass
class ColumnCounts:
    """Counts over the cells of a column.

    Args:
        name: Name in the file.
        filled: Cells that are not blank.
        blanks: Blank cells.
        numbers: Cells that hold a number.
        dates: Cells that hold a date.
        commas: Cells that hold a number with a decimal comma.
        huge: Cells that hold a number which is too large for float32.
        words: Words of all cells, split at spaces.
        odd: First cell that holds no number, and its line.
        values: Different cells, up to some number.
        compared: Filled cells above the last that was looked up in `values`.
        is_counter: Whether each cell is one more than the cell above.
        title: Name in messages.
    """

    name: str
    filled: int = 0
    blanks: int = 0
    numbers: int = 0
    dates: int = 0
    commas: int = 0
    huge: int = 0
    words: int = 0
    odd: tuple[str, int] | None = None
    values: set[str] = field(default_factory=set)
    compared: int = 0
    is_counter: bool = True
    title: str = ""
    _next: str = ""

    def add(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        self._follow(cells)
        if all_numbers(cells) is not None:
            self.filled += len(cells)
            self.words += len(cells)
            self.numbers += len(cells)
        else:
            self._count(cells, lines)
        if len(self.values) < _MOST_VALUES:
            self.values.update(cell for cell in cells if cell not in BLANKS)
            self.compared = self.filled

    def _count(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        for cell, count in Counter(cells).items():
            if cell in BLANKS:
                self.blanks += count
                continue
            self.filled += count
            self.words += count * (cell.count(" ") + 1)
            if is_number(cell):
                self.numbers += count
                continue
            self.dates += count * bool(_DATE.fullmatch(cell))
            self.commas += count * bool(_COMMA.fullmatch(cell))
            self.huge += count * is_huge(cell)
            if self.odd is None:
                self.odd = cell, lines[cells.index(cell)]

    def _follow(self, cells: Sequence[str]) -> None:
        """Find out whether further cells go on counting."""
        if self.is_counter and cells[0].isdecimal() and self._next in ("", cells[0]):
            first, end = int(cells[0]), int(cells[0]) + len(cells)
            self.is_counter = [*cells] == [*map(str, range(first, end))]
            self._next = str(end)
        else:
            self.is_counter = False

    @property
    def is_numeric(self) -> bool:
        """Whether all cells hold numbers, but for blank ones."""
        return self.filled == self.numbers > 0

    @property
    def share(self) -> float:
        """Share of the cells that differ from all cells above them."""
        return len(self.values) / max(1, self.compared)

    @property
    def is_text(self) -> bool:
        """Whether most cells are different sentences."""
        words = self.words / max(1, self.filled)
        return not self.is_numeric and words >= _TEXT_WORDS and self.share > 0.5


@dataclass(frozen=True)
class ColumnRole:
    """The role of a column, with a note or a warning."""

    role: Role
    sentence: str = ""
    is_warning: bool = False


def role_of(column: ColumnCounts, is_text: bool = False) -> ColumnRole:
    """The role of a column."""
    name = column.title or f"Column {column.name!r}"
    if is_text:
        return _of_text(column, name)
    if len(column.values) < 2 and not (column.values and column.blanks):
        what = f"only {min(column.values)!r}" if column.values else "nothing"
        return ColumnRole("left out", f"{name} is left out: it holds {what}.")
    if column.is_numeric:
        if column.is_counter and _INDEX.fullmatch(column.name):
            sentence = f"{name} is left out: it counts the rows."
            return ColumnRole("left out", sentence, is_warning=True)
        return ColumnRole("number")
    if column.is_text:
        return ColumnRole("text")
    return _of_words(column, name)


def _of_text(column: ColumnCounts, name: str) -> ColumnRole:
    words = column.words / max(1, column.filled)
    if words >= _LEAST_WORDS:
        return ColumnRole("text")
    return ColumnRole(
        "text",
        f"{name} has {words:.1f} words a text: they end at spaces, and a language "
        "without spaces is not read well.",
        is_warning=True,
    )


def _of_words(column: ColumnCounts, name: str) -> ColumnRole:
    hint = _hint(column)
    role: Role = "category"
    sentence = f"{name} is read as categories{hint}." if hint else ""
    if column.odd and column.huge and column.numbers + column.huge == column.filled:
        cell, line = column.odd
        role = "left out"
        sentence = (
            f"{name} is left out: networks read numbers up to 3.4e38 (float32), and it "
            f"holds {cell} in line {line}. Give it in another unit, or its logarithm."
        )
    elif column.share > 0.5:
        role = "left out"
        sentence = f"{name} is left out: most of its values occur once{hint}."
    return ColumnRole(role, sentence, is_warning=bool(sentence))


def _hint(column: ColumnCounts) -> str:
    """What a user may change in a column that is hardly a category."""
    if column.dates > column.filled / 2:
        return "; it holds dates, of which years or months would be of more use"
    if column.commas + column.numbers > column.filled / 2 and column.commas:
        return "; it holds numbers with a decimal comma, which must be a point"
    if column.numbers > column.filled / 2 and column.odd:
        cell, line = column.odd
        return f"; it holds numbers, but {cell!r} in line {line}"
    if column.share > 0.5 and column.words >= 2 * column.filled:
        return f"; if it is text, say text={column.name} (--text {column.name})"
    return ""


def survey(file: CsvFile) -> dict[str, ColumnCounts]:
    """Counts over all columns of a file."""
    columns = {name: ColumnCounts(name) for name in file.columns}
    for name in file.unnamed:
        columns[name].title = f"The unnamed column {file.columns.index(name) + 1}"
    for lines, cells in file.chunks():
        for name, below in cells.items():
            columns[name].add(below, lines)
    return columns
