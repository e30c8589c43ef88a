"""Columns of a table to predict, and the kind of target that they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kscale.data.parts import PartName
from kscale.data.raw import RawArray
from kscale.data.readers.table_files import not_a_number
from kscale.data.sources.tables.csv_file import BLANKS, is_number
from kscale.data.sources.tables.label_sets import (
    are_label_sets,
    indicator_arrays,
    label_set,
    true_columns,
)
from kscale.errors import DataError, unknown_name
from kscale.text import listed

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
        columns: The column of the target, or several of 0 and 1, one for each label.
        kind: `classes`, `labels` (several may be true) or `numbers` if the user named
            the kind.
    """

    name: str
    columns: tuple[str, ...]
    kind: str = ""


@dataclass(frozen=True)
class LabelCells:
    """Cells of the columns to predict, of one file, and the line of each row."""

    path: str
    columns: dict[str, list[str]]
    lines: list[int]


LabelParts = Mapping[PartName, LabelCells]


class LabelArrays(NamedTuple):
    """Labels of a target as arrays.

    Args:
        arrays: By part.
        note: A sentence on the kind of target that was chosen.
        names: Names of the outputs 0, 1, ..., unless the arrays hold names.
    """

    arrays: dict[PartName, RawArray]
    note: str
    names: tuple[str, ...] = ()


def chosen_labels(
    columns: Sequence[str], asked: Sequence[str], where: str
) -> tuple[Label, ...]:
    """The targets that a user asked for, or the one column with a usual name.

    Args:
        columns: All columns.
        asked: Names of columns, with `:classes`, `:labels` or `:numbers` for their
            kind. Several columns of 0 and 1 are one target as `a,b,c:labels`.
        where: Name of the file, for the message.

    Example:

    >>> chosen_labels(["size", "Class"], [], "a.csv")
    (Label(name='Class', columns=('Class',), kind=''),)
    >>> chosen_labels(["size", "price"], ["price:numbers"], "a.csv")
    (Label(name='price', columns=('price',), kind='numbers'),)
    >>> chosen_labels(["size", "red", "old"], ["red,old:labels"], "a.csv")
    (Label(name='labels', columns=('red', 'old'), kind='labels'),)
    """
    if asked:
        labels = tuple(_asked(columns, name) for name in asked)
        names = [label.name for label in labels]
        for name in names:
            if names.count(name) > 1:
                raise DataError(
                    f"Two targets would be called {name!r}: name each column once, and "
                    "one group of columns only."
                )
        return labels
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


def label_arrays(label: Label, parts: LabelParts) -> LabelArrays:
    """Labels of each part, and the kind of target that was chosen."""
    if len(label.columns) > 1:
        return _of_columns(label, parts)
    cells = parts["train"].columns[label.name]
    if label.kind == "labels" or (not label.kind and are_label_sets(cells)):
        return _of_sets(label, parts)
    return _of_column(label, parts)


def _of_columns(label: Label, parts: LabelParts) -> LabelArrays:
    sets = {
        part: true_columns(
            {name: each.columns[name] for name in label.columns}, each.path, each.lines
        )
        for part, each in parts.items()
    }
    paths = {part: each.path for part, each in parts.items()}
    arrays = indicator_arrays(label.name, label.columns, sets, paths)
    note = f"{label.name} are the columns {listed(label.columns)}: several may be 1."
    return LabelArrays(arrays, note, label.columns)


def _of_sets(label: Label, parts: LabelParts) -> LabelArrays:
    """One column of cells such as `a|b`; a blank cell has no label."""
    sets = {
        part: [*map(label_set, each.columns[label.name])]
        for part, each in parts.items()
    }
    names = tuple(sorted(frozenset().union(*sets["train"])))
    paths = {part: each.path for part, each in parts.items()}
    arrays = indicator_arrays(label.name, names, sets, paths)
    blank = sum(not each for each in sets["train"])
    note = (
        f"{label.name} holds {len(names):,} labels, of which several may be true"
        + (f"; {blank:,} rows have none." if blank else ".")
        + ("" if label.kind else f" With {label.name}:classes each cell is a class.")
    )
    return LabelArrays(arrays, note, names)


def _of_column(label: Label, parts: LabelParts) -> LabelArrays:
    is_numeric = True
    for each in parts.values():
        _check_filled(label, each)
        rows = zip(each.columns[label.name], each.lines, strict=True)
        cell, line = next((row for row in rows if not is_number(row[0])), ("", 0))
        is_numeric = is_numeric and not line
        if line and label.kind == "numbers":
            raise DataError(not_a_number(f"{each.path}:{line}", label.name, cell))
    train = parts["train"].columns[label.name]
    values = [float(each) for each in train] if is_numeric else []
    is_real = is_numeric and (
        label.kind == "numbers" or (label.kind != "classes" and not _are_ids(values))
    )
    arrays = {
        part: _array(
            f"{each.path}: {label.name}", each.columns[label.name], is_numeric, is_real
        )
        for part, each in parts.items()
    }
    return LabelArrays(arrays, _note(label, train, is_numeric, is_real))


def _check_filled(label: Label, cells: LabelCells) -> None:
    column = cells.columns[label.name]
    rows = zip(column, cells.lines, strict=True)
    blank = [str(line) for cell, line in rows if cell in BLANKS]
    if blank:
        raise DataError(
            f"{cells.path} has no {label.name} in {len(blank):,} of {len(column):,} "
            f"rows (line {listed(blank, _SHOWN)}). Fill in or remove these rows."
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
    if is_numeric:
        numbers = np.array([float(cell) for cell in column])
        if is_real:
            return RawArray(name, numbers, target_kind="real")
        if (numbers == np.floor(numbers)).all():
            return RawArray(name, numbers.astype(np.int64))
    return RawArray.of(name, list(column))


def _note(label: Label, column: Sequence[str], is_numeric: bool, is_real: bool) -> str:
    """A sentence on the kind that was chosen, and how to choose another."""
    name, other = label.name, ""
    if is_real:
        if not label.kind and all(float(cell).is_integer() for cell in column):
            other = f" With the label {name}:classes each is a class."
        return f"{name} holds numbers, which are predicted as such.{other}"
    if is_numeric and not label.kind:
        other = f" With the label {name}:numbers it is predicted as a number."
    return f"{name} holds {len(set(column)):,} classes.{other}"
