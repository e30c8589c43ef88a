"""Rows of tables as people write them: cells by the name of their columns."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from kscale.naming import letters_of
from kscale.text import listed

UNKNOWN = {"", "nan", "<na>"}
"""Cells in small letters that programs write where nothing is known."""


class TableRow(NamedTuple):
    """Where a row stands, and its cells by the name of their columns."""

    place: str
    cells: Mapping[str, str]


def rows_of(text: str, known: set[str]) -> Iterator[TableRow]:
    """The rows of a CSV text, blank ones and lines before the header left out.

    Args:
        text: All of the table.
        known: Letters of a name by which a comment is the header after all.

    Raises:
        ValueError: A row has more cells than there are columns, or two columns have
            one name.
    """
    lines = text.split("\n")
    above = next((i for i, line in enumerate(lines) if not _is_above(line, known)), 0)
    mark = max(",;\t", key=lines[above].count)
    reader = csv.reader(io.StringIO("\n".join(lines[above:])), delimiter=mark)
    header: list[str] = []
    for row in reader:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if not header:
            header = cells
            twice = [name for name in cells if name and cells.count(name) > 1]
            if twice:
                raise ValueError(f"several columns are named {twice[0]}")
            continue
        line = above + reader.line_num
        if any(cells[len(header) :]):
            raise ValueError(
                f"line {line} has {len(cells)} cells and the header "
                f"{len(header)}; quote numbers that have commas"
            )
        if mark != ",":  # then a comma stands before decimals
            cells = [re.sub(r"^(-?\d+),(\d+)( ?%?)$", r"\1.\2\3", c) for c in cells]
        filled = [*cells, *[""] * len(header)]
        yield TableRow(f"line {line}", dict(zip(header, filled, strict=False)))


def _is_above(line: str, known: set[str]) -> bool:
    """Whether a line is blank, or a comment and no header."""
    names = map(letters_of, re.split("[,;\t]", line))
    is_comment = line.startswith("#") and known.isdisjoint(names)
    return is_comment or not line.strip()


def check_one_kind(
    networks: Sequence[Sequence[Mapping[str, str]]], unread: Iterable[str]
) -> None:
    """Whether rows of one network are trainings on one data set, of one method.

    Raises:
        ValueError: They differ in a column of words that recur.
    """
    for name in unread:
        found = [[cells.get(name, "") for cells in rows] for rows in networks]
        cells = [cell for each in found for cell in each]
        values = sorted({*cells} - {""})
        recur = 1 < len(values) < len(cells) and not all(map(_is_number, values))
        if recur and any(len({*each}) > 1 for each in found):
            raise ValueError(
                f": column {name} has {len(values)} values ({listed(values, 4)}): keep "
                "the rows of one, or leave the column out."
            )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def are_signed(rows: Iterable[TableRow], columns: Iterable[str | None]) -> bool:
    """Whether values and their errors are written with a per cent sign.

    Raises:
        ValueError: Some are, others not.
    """
    first = ""
    for row in rows:
        for cell in (row.cells.get(column or "", "") for column in columns):
            if cell.lower() in UNKNOWN:
                continue
            first = first or cell
            if cell.endswith("%") != first.endswith("%"):
                raise ValueError(
                    f", {row.place}: {cell!r} beside {first!r}: write all with % or "
                    "none."
                )
    return first.endswith("%")
