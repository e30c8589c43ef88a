"""Which columns of a table are labels, and whether they are classes or numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kscale.data.parts import PartName
from kscale.data.raw import RawArray
from kscale.data.sources.tables.csv_file import BLANKS, is_number
from kscale.errors import DataError, unknown_name

_USUAL = ("label", "class", "target", "y")
_KINDS = ("classes", "numbers")
_FEW_CLASSES = 20
_LEAST_ROWS = 10  # of each of many classes, on average
_SHOWN = 5


@dataclass(frozen=True)
class Label:
    """A column to predict.

    Args:
        column: Its name.
        kind: `classes` or `numbers` if the user said so.
    """

    column: str
    kind: str = ""


def chosen_labels(
    columns: Sequence[str], asked: Sequence[str], where: str
) -> tuple[Label, ...]:
    """The columns that a user asked to predict, or the one with a usual name.

    Args:
        columns: All columns.
        asked: Names of columns; `:classes` or `:numbers` after one says what it holds.
        where: What has the columns, for the message.

    Raises:
        DataError: There is no such column, or it cannot be told which one is meant.

    Example:

    >>> chosen_labels(["size", "Class"], [], "a.csv")
    (Label(column='Class', kind=''),)
    >>> chosen_labels(["size", "price"], ["price:numbers"], "a.csv")
    (Label(column='price', kind='numbers'),)
    """
    if asked:
        return tuple(_asked(columns, name) for name in asked)
    usual = [name for name in columns if name.lower() in _USUAL]
    if len(usual) == 1:
        return (Label(usual[0]),)
    what = " and ".join(usual) if usual else "none called " + ", ".join(_USUAL)
    raise DataError(
        f"{where} must have one column to predict, but it has {what}. Name one with "
        f"label=... (--label); its columns are: {listed(columns)}."
    )


def _asked(columns: Sequence[str], name: str) -> Label:
    if name in columns:
        return Label(name)
    column, _, kind = name.rpartition(":")
    if column in columns and kind in _KINDS:
        return Label(column, kind)
    raise DataError(unknown_name("column", column if kind in _KINDS else name, columns))


def listed(names: Sequence[str], most: int = 30) -> str:
    """Names after each other, not too many."""
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def label_arrays(
    label: Label,
    cells: Mapping[PartName, Sequence[str]],
    lines: Mapping[PartName, Sequence[int]],
    files: Mapping[PartName, str],
) -> tuple[dict[PartName, RawArray], str]:
    """Labels of each part, and a sentence on what they were taken for.

    Args:
        label: The column.
        cells: Its cells, by part.
        lines: The line of each cell.
        files: By part, the file they are in.

    Raises:
        DataError: Labels are missing, or are not what they were said to be.
    """
    for part, column in cells.items():
        _check_filled(label, column, lines[part], files[part])
    is_numeric = all(is_number(each) for column in cells.values() for each in column)
    if label.kind == "numbers" and not is_numeric:
        raise _no_number(label, cells, lines, files)
    values = [float(each) for each in cells["train"]] if is_numeric else []
    is_real = is_numeric and (
        label.kind == "numbers" or (label.kind != "classes" and not _are_ids(values))
    )
    arrays = {
        part: _array(f"{files[part]}: {label.column}", column, is_numeric, is_real)
        for part, column in cells.items()
    }
    return arrays, _note(label, cells["train"], is_numeric, is_real)


def _check_filled(
    label: Label, column: Sequence[str], lines: Sequence[int], file: str
) -> None:
    blank = [line for cell, line in zip(column, lines, strict=True) if cell in BLANKS]
    if blank:
        shown = listed([str(line) for line in blank], _SHOWN)
        raise DataError(
            f"{file} has no {label.column} in {len(blank):,} of {len(column):,} rows "
            f"(line {shown}). Fill in or remove these rows."
        )


def _no_number(
    label: Label,
    cells: Mapping[PartName, Sequence[str]],
    lines: Mapping[PartName, Sequence[int]],
    files: Mapping[PartName, str],
) -> DataError:
    part, place = next(
        (part, place)
        for part, column in cells.items()
        for place, cell in enumerate(column)
        if not is_number(cell)
    )
    return DataError(
        f"{files[part]}:{lines[part][place]} must hold a number in {label.column}, but "
        f"it holds {cells[part][place]!r}."
    )


def _are_ids(values: Sequence[float]) -> bool:
    """Whether numbers are classes: whole and few, or 0 or 1 to their count, each often.

    Ages are whole and have gaps or begin late; prices are whole and mostly differ.
    """
    different = sorted(set(values))
    if any(value != int(value) for value in different):
        return False
    if len(different) <= _FEW_CLASSES:
        return True
    is_run = different[0] in (0, 1) and different[-1] - different[0] == (
        len(different) - 1
    )
    return is_run and len(values) >= _LEAST_ROWS * len(different)


def _array(
    name: str, column: Sequence[str], is_numeric: bool, is_real: bool
) -> RawArray:
    if not is_numeric:
        return RawArray.of(name, list(column))
    numbers = np.array([float(cell) for cell in column])
    if is_real:
        return replace(RawArray.of(name, numbers), is_real=True)
    if (numbers == np.floor(numbers)).all():
        return RawArray.of(name, numbers.astype(np.int64))
    return RawArray.of(name, list(column))


def _note(label: Label, column: Sequence[str], is_numeric: bool, is_real: bool) -> str:
    """What was understood, and how to say otherwise where that is possible."""
    name, other = label.column, ""
    if is_real:
        if not label.kind and all(float(cell).is_integer() for cell in column):
            other = f" With the label {name}:classes each is a class."
        return f"{name} holds numbers, which are predicted as such.{other}"
    if is_numeric and not label.kind:
        other = f" With the label {name}:numbers it is predicted as a number."
    return f"{name} holds {len(set(column)):,} classes.{other}"
