"""The kind of a table's column, from counts of one pass over the cells."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from kscale.data.preprocessing.text_tokens import letters_without_spaces
from kscale.data.sources.tables.cells import (
    BLANKS,
    NumberForm,
    all_numbers,
    is_huge,
    is_missing_word,
    is_number,
    readings,
)
from kscale.data.sources.tables.csv_file import CsvFile, not_names
from kscale.data.target_labels import alike_warnings
from kscale.errors import DataError

Role = Literal["number", "category", "text", "left out"]
Cell = tuple[str, int]
"""A cell and its line."""

_MOST_VALUES = 10_000  # different values that are remembered
_TEXT_WORDS = 5  # a name of a person has up to four
_LEAST_WORDS = 1.5  # of a text in a language with spaces
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ].*)?|\d\d?[./-]\d\d?[./-]\d{2,4}( .*)?")
_EXPONENT = re.compile(r"\d[eE]")
_INDEX = re.compile(r"column\d+|unnamed.*|index|idx|row|nr|no|.*id", re.IGNORECASE)

GROUP = re.compile(
    r"(?i:(.*[\W_])?(id|patient|subject|person|user|customer|client|speaker|household"
    r"|group|session|device)([\W_].*)?)|.*[a-z]I[dD]"
)
"""Names of columns that may name groups of rows."""


@dataclass
class ColumnCounts:
    """Counts over the cells of a column, as far as they have been seen.

    Numbers are cells that hold one, all in one of the `forms`, or a word for no number.
    """

    name: str
    title: str  # in messages
    filled: int = 0
    blanks: int = 0
    numbers: int = 0
    missing: Cell | None = None  # the first word for no number
    forms: frozenset[NumberForm] = frozenset()
    example: Cell | None = None  # the first number that is not written plainly
    comma: Cell | None = None  # the first number with a comma
    point: Cell | None = None  # the first number with a point, and no exponent
    odd: Cell | None = None  # the first other cell
    dates: int = 0
    huge: int = 0  # numbers that float32 cannot hold
    words: int = 0
    values: set[str] = field(default_factory=set)  # different cells, up to some number
    compared: int = 0  # filled cells that `values` were told from
    is_counter: bool = True  # whether each cell is one more than the cell above
    decimal: str = ""  # mark before fractions, where `forms` leave it open
    is_point_unclear: bool = False  # whether points may stand between thousands
    _next: str = ""

    def add(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """Count further cells, which stand in some lines."""
        if self.is_counter:
            first = self._next or cells[0]
            is_whole = first.isdecimal() and len(first) < 20
            start = int(first) if is_whole else 0
            wanted = map(str, range(start, start + len(cells)))
            self.is_counter = is_whole and [*cells] == [*wanted]
            self._next = str(start + len(cells))
        # Plain numbers without a point change no counts but these.
        is_settled = len(self.forms) == 1 or "." not in "".join(cells)
        is_plain = NumberForm() in self.forms and is_settled
        if is_plain and all_numbers(cells) is not None:
            self.filled += len(cells)
            self.words += len(cells)
            self.numbers += len(cells)
        else:
            self._count(cells, lines)
        if len(self.values) < _MOST_VALUES:
            self.values |= {*cells} - BLANKS
            self.compared = self.filled

    def _count(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        first = dict(zip(reversed(cells), reversed(lines), strict=True))
        for cell, count in Counter(cells).items():
            if cell in BLANKS:
                self.blanks += count
                continue
            self.filled += count
            self.words += count * (cell.count(" ") + 1 + letters_without_spaces(cell))
            where = cell, first[cell]
            forms = frozenset(form for form, _ in readings(cell))
            if is_missing_word(cell):
                self.numbers += count
                self.missing = self.missing or where
            elif common := (self.forms or forms) & forms:
                self.numbers += count
                self.forms = common
                if not self.example and not is_number(cell):
                    self.example = where
                if not self.comma and "," in cell:
                    self.comma = where
                if not self.point and "." in cell and not _EXPONENT.search(cell):
                    self.point = where
            else:
                self.dates += count * bool(_DATE.fullmatch(cell))
                self.huge += count * is_huge(cell)
                self.odd = self.odd or where

    @property
    def is_numeric(self) -> bool:
        """Whether all cells hold numbers, but for blank ones."""
        return self.filled == self.numbers > 0 and bool(self.forms)

    @property
    def share(self) -> float:
        """Share of the cells that differ from all cells above them."""
        return len(self.values) / max(1, self.compared)

    @property
    def form(self) -> NumberForm:
        """The form of the numbers."""
        by_mark = {form.decimal: form for form in self.forms}
        if len(by_mark) > 1 and self.comma and not self.decimal:
            cell, line = self.comma
            whole, part = (f"{number:.12g}" for _, number in readings(cell))
            raise DataError(
                f"{self.title}: is {cell!r} in line {line} {whole} or {part}? Say "
                f"decimal=. (--decimal .) for {whole}, decimal=, (--decimal ,) for "
                f"{part}."
            )
        is_open = self.comma or self.is_point_unclear
        mark = (self.decimal if is_open else "") or "."
        return by_mark.get(mark) or next(iter(by_mark.values()))

    @property
    def reading(self) -> str:
        """A sentence on numbers that are not written plainly; else empty."""
        found = []
        unclear = self.point if self.is_point_unclear else self.comma
        unclear = unclear if len(self.forms) > 1 else None
        if example := unclear or self.example:
            cell, line = example
            numbers = dict(readings(cell))
            found.append(f"{cell!r} in line {line} is {numbers.pop(self.form):.12g}")
            for form, number in numbers.items() if unclear else ():
                mark = f"decimal={form.decimal} (--decimal {form.decimal})"
                found[0] += f" (with {mark} it is {number:.12g})"
        if self.missing:
            found.append("{!r} in line {} is missing".format(*self.missing))
        says = f"{self.title} is read as numbers: {', and '.join(found)}."
        return says if found else ""


class ColumnRole(NamedTuple):
    """The role of a column, with notes and warnings, and the form of its numbers."""

    role: Role
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    form: NumberForm | None = None


def role_of(column: ColumnCounts, is_text: bool = False) -> ColumnRole:
    """The role of a column, of text if the user says so."""
    name, words = column.title, column.words / max(1, column.filled)
    if is_text and words < _LEAST_WORDS:
        says = (
            f"{name} has {words:.1f} words a text; without text={column.name} (--text "
            f"{column.name}) it is read as categories."
        )
        return ColumnRole("text", warnings=[says])
    is_like_text = words >= _TEXT_WORDS and column.share > 0.5
    if is_text or (is_like_text and not column.is_numeric):
        return ColumnRole("text")
    if len(column.values) < 2 and not (column.values and column.blanks):
        what = f"only {min(column.values)!r}" if column.values else "nothing"
        return ColumnRole("left out", [f"{name} is left out: it holds {what}."])
    if not column.is_numeric:
        return _of_words(column)
    if column.is_counter and _INDEX.fullmatch(column.name):
        says = f"{name} is left out: it counts the rows."
        return ColumnRole("left out", warnings=[says])
    return ColumnRole(
        "number", [column.reading] * bool(column.reading), [], column.form
    )


def _of_words(column: ColumnCounts) -> ColumnRole:
    hint, name = _hint(column), column.title
    if column.odd and column.huge and column.numbers + column.huge == column.filled:
        cell, line = column.odd
        says = (
            f"{name} is left out: networks read numbers up to 3.4e38 (float32), and it "
            f"holds {cell} in line {line}. Give it in another unit, or its logarithm."
        )
        return ColumnRole("left out", warnings=[says])
    if column.share > 0.5:
        says = f"{name} is left out: most of its values occur once{hint}."
        return ColumnRole("left out", warnings=[says])
    says = f"{name} is read as categories{hint}."
    alike = alike_warnings("categories", column.name, sorted(column.values))
    return ColumnRole("category", warnings=[*([says] if hint else []), *alike])


def _hint(column: ColumnCounts) -> str:
    """What a user may change in a column that is hardly a category."""
    if 0.5 < column.share < 1 and GROUP.fullmatch(column.name):
        return (
            "; if rows of one value belong together, keep them in one part with "
            f"split_by={column.name} (--split-by {column.name})"
        )
    if column.dates > column.filled / 2:
        return "; it holds dates, of which years or months would be of more use"
    if column.numbers > column.filled / 2 and column.odd and column.forms:
        such = f" such as {column.example[0]!r}" if column.example else ""
        cell, line = column.odd
        return f"; it holds numbers{such}, but {cell!r} in line {line}"
    if column.share > 0.5 and column.words >= 2 * column.filled:
        return f"; if it is text, say text={column.name} (--text {column.name})"
    return ""


def survey(file: CsvFile, decimal: str | None) -> dict[str, ColumnCounts]:
    """Counts over all columns of a file.

    The mark before fractions is that of columns which leave no choice. Where commas
    stand between cells, hardly anybody writes them before fractions; where semicolons
    do, points may stand between thousands if all have three digits behind them.
    """
    columns = {name: ColumnCounts(name, f"Column {name!r}") for name in file.columns}
    for name in file.unnamed:
        columns[name].title = f"The unnamed column {file.columns.index(name) + 1}"
    for lines, cells in file.chunks():
        for name, below in cells.items():
            columns[name].add(below, lines)
    # Names that are numbers, as of wavelengths, are no values of their columns.
    values = [name for name, column in columns.items() if name in column.values]
    words = [name for name in values if not is_number(name)]
    are_numbers = [
        is_number(name) and (words or not name.isdecimal()) for name in columns
    ]
    if values and any(are_numbers):
        raise not_names(file.path, file.columns)
    numeric = [column for column in columns.values() if column.is_numeric]
    shown = {f.decimal for each in numeric for f in each.forms if len(each.forms) == 1}
    usual = "." if file.delimiter == "," else ""
    mark = decimal or ("".join(shown) if len(shown) == 1 else "" if shown else usual)
    for column in numeric:
        column.decimal = mark
        is_open = len(column.forms) > 1 and column.point and not column.comma
        may_group = decimal == "," or (file.delimiter == ";" and mark != ".")
        column.is_point_unclear = bool(is_open and may_group)
    return columns
