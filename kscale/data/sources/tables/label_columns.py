"""Which columns of a table are labels, and which kind of target they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from kscale.data.parts import PartName
from kscale.data.raw import RawArray
from kscale.data.sources.tables.csv_file import BLANKS, is_number
from kscale.data.sources.tables.label_sets import (
    are_label_sets,
    indicator_arrays,
    label_set,
    true_columns,
)
from kscale.errors import DataError, unknown_name

_USUAL = ("label", "class", "target", "y")
_KINDS = ("classes", "labels", "numbers")
_FEW_CLASSES = 20
_LEAST_ROWS = 10  # of each of many classes, on average
_SHOWN = 5


@dataclass(frozen=True)
class Label:
    """What to predict of a table.

    Args:
        name: Name of the target.
        columns: The column that holds it, or several of 0 and 1, one for each label.
        kind: `classes`, `labels` (several may be true) or `numbers` if the user said
            so.
    """

    name: str
    columns: tuple[str, ...]
    kind: str = ""


class LabelArrays(NamedTuple):
    """Labels of a target as arrays.

    Args:
        arrays: By part.
        note: A sentence on what they were taken for.
        names: What the outputs 0, 1, ... are called, where the arrays do not say it.
    """

    arrays: dict[PartName, RawArray]
    note: str
    names: tuple[str, ...] = ()


def chosen_labels(
    columns: Sequence[str], asked: Sequence[str], where: str
) -> tuple[Label, ...]:
    """The columns that a user asked to predict, or the one with a usual name.

    Args:
        columns: All columns.
        asked: Names of columns; `:classes`, `:labels` or `:numbers` after one says what
            it holds. Several columns of 0 and 1 are one target as `a,b,c:labels`.
        where: What has the columns, for the message.

    Raises:
        DataError: There is no such column, or it cannot be told which one is meant.

    Example:

    >>> chosen_labels(["size", "Class"], [], "a.csv")
    (Label(name='Class', columns=('Class',), kind=''),)
    >>> chosen_labels(["size", "price"], ["price:numbers"], "a.csv")
    (Label(name='price', columns=('price',), kind='numbers'),)
    >>> chosen_labels(["size", "red", "old"], ["red,old:labels"], "a.csv")
    (Label(name='labels', columns=('red', 'old'), kind='labels'),)
    """
    if asked:
        return tuple(_asked(columns, name) for name in asked)
    usual = [name for name in columns if name.lower() in _USUAL]
    if len(usual) == 1:
        return (Label(usual[0], (usual[0],)),)
    what = " and ".join(usual) if usual else "none called " + ", ".join(_USUAL)
    raise DataError(
        f"{where} must have one column to predict, but it has {what}. Name one with "
        f"label=... (--label); its columns are: {listed(columns)}."
    )


def _asked(columns: Sequence[str], name: str) -> Label:
    if name in columns:
        return Label(name, (name,))
    column, _, kind = name.rpartition(":")
    if kind not in _KINDS:
        raise DataError(unknown_name("column", name, columns))
    if column in columns:
        return Label(column, (column,), kind)
    several = tuple(each.strip() for each in column.split(","))
    for each in several if kind == "labels" else [column]:
        if each not in columns:
            raise DataError(unknown_name("column", each, columns))
    return Label("labels", several, kind)


def listed(names: Sequence[str], most: int = 30) -> str:
    """Names after each other, not too many."""
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def label_arrays(
    label: Label,
    cells: Mapping[PartName, Sequence[Sequence[str]]],
    lines: Mapping[PartName, Sequence[int]],
    files: Mapping[PartName, str],
) -> LabelArrays:
    """Labels of each part, and what they were taken for.

    Args:
        label: What to predict.
        cells: The cells of its columns, by part.
        lines: The line of each row.
        files: By part, the file they are in.

    Raises:
        DataError: Labels are missing, or are not what they were said to be.
    """
    first = {part: columns[0] for part, columns in cells.items()}
    if len(label.columns) > 1:
        return _of_columns(label, cells, lines, files)
    if label.kind == "labels" or (not label.kind and are_label_sets(first["train"])):
        return _of_sets(label, first, files)
    return _of_column(label, first, lines, files)


def _of_columns(
    label: Label,
    cells: Mapping[PartName, Sequence[Sequence[str]]],
    lines: Mapping[PartName, Sequence[int]],
    files: Mapping[PartName, str],
) -> LabelArrays:
    """Several columns of 0 and 1."""
    sets = {
        part: true_columns(
            dict(zip(label.columns, columns, strict=True)), files[part], lines[part]
        )
        for part, columns in cells.items()
    }
    arrays = indicator_arrays(label.name, label.columns, sets, files)
    note = f"{label.name} are the columns {listed(label.columns)}: several may be 1."
    return LabelArrays(arrays, note, label.columns)


def _of_sets(
    label: Label,
    cells: Mapping[PartName, Sequence[str]],
    files: Mapping[PartName, str],
) -> LabelArrays:
    """A column of labels with a stroke between them; a blank cell has none."""
    sets = {part: [*map(label_set, column)] for part, column in cells.items()}
    names = tuple(sorted(frozenset().union(*sets["train"])))
    arrays = indicator_arrays(label.name, names, sets, files)
    blank = sum(not each for each in sets["train"])
    note = (
        f"{label.name} holds {len(names):,} labels, of which several may be true"
        + (f"; {blank:,} rows have none." if blank else ".")
        + ("" if label.kind else f" With {label.name}:classes each cell is a class.")
    )
    return LabelArrays(arrays, note, names)


def _of_column(
    label: Label,
    cells: Mapping[PartName, Sequence[str]],
    lines: Mapping[PartName, Sequence[int]],
    files: Mapping[PartName, str],
) -> LabelArrays:
    """A column of classes or numbers."""
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
        part: _array(f"{files[part]}: {label.name}", column, is_numeric, is_real)
        for part, column in cells.items()
    }
    return LabelArrays(arrays, _note(label, cells["train"], is_numeric, is_real))


def _check_filled(
    label: Label, column: Sequence[str], lines: Sequence[int], file: str
) -> None:
    blank = [line for cell, line in zip(column, lines, strict=True) if cell in BLANKS]
    if blank:
        shown = listed([str(line) for line in blank], _SHOWN)
        raise DataError(
            f"{file} has no {label.name} in {len(blank):,} of {len(column):,} rows "
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
        f"{files[part]}:{lines[part][place]} must hold a number in {label.name}, but "
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
        return replace(RawArray.of(name, numbers), target_kind="real")
    if (numbers == np.floor(numbers)).all():
        return RawArray.of(name, numbers.astype(np.int64))
    return RawArray.of(name, list(column))


def _note(label: Label, column: Sequence[str], is_numeric: bool, is_real: bool) -> str:
    """What was understood, and how to say otherwise where that is possible."""
    name, other = label.name, ""
    if is_real:
        if not label.kind and all(float(cell).is_integer() for cell in column):
            other = f" With the label {name}:classes each is a class."
        return f"{name} holds numbers, which are predicted as such.{other}"
    if is_numeric and not label.kind:
        other = f" With the label {name}:numbers it is predicted as a number."
    return f"{name} holds {len(set(column)):,} classes.{other}"
