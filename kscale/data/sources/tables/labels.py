"""Columns of a table to predict: their choice, and their cells as labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kscale.data.parts import PartName
from kscale.data.raw import RawArray
from kscale.data.sources.tables.cells import BLANKS, NotANumber, NumberForm, is_number
from kscale.data.sources.tables.columns import ColumnCounts
from kscale.data.target_labels import alike_hint
from kscale.errors import DataError, unknown_name
from kscale.task.heads.base import SEPARATOR
from kscale.text import counted, listed

_USUAL = ("label", "class", "target", "y")
_KINDS = ("classes", "labels", "numbers")
_FEW_CLASSES = 20
_LEAST_ROWS = 10  # of each of many classes, on average
_SHOWN = 5
_TRUE = frozenset({"1", "1.0", "true", "yes"})
_FALSE = frozenset({"0", "0.0", "false", "no"})

LabelSet = frozenset[str]
"""The labels of one example, of which several may be true."""


class Label(NamedTuple):
    """What to predict: a column, or columns of 0 and 1 that are one target.

    The kind is `classes`, `labels` (several may be true) or `numbers` if the user named
    it.
    """

    name: str
    columns: tuple[str, ...]
    kind: str = ""


@dataclass(frozen=True)
class LabelCells:
    """Cells of the columns to predict, those of all parts one below the other.

    Args:
        columns: Cells by column.
        lines: Line of each row in its file.
        files: By part, its file and its rows, the training part first.
    """

    columns: dict[str, list[str]]
    lines: list[int] = field(default_factory=list)
    files: dict[PartName, tuple[str, slice]] = field(default_factory=dict)

    def train(self, values: list[Any]) -> list[Any]:
        """Those of the training part."""
        return values[self.files["train"][1]]

    def where(self, row: int) -> str:
        """The file of a row, and its line."""
        path = next(path for path, rows in self.files.values() if row < rows.stop)
        return f"{path}:{self.lines[row]}"

    def refuse_blank(self, name: str, is_blank: Sequence[bool]) -> None:
        """Raise if rows have no label."""
        for path, rows in self.files.values():
            lines = self.lines[rows]
            blank = [*map(str, compress(lines, is_blank[rows]))]
            if blank:
                raise DataError(
                    f"{path} has no {name} in {len(blank):,} of {len(lines):,} rows "
                    f"(line {listed(blank, _SHOWN)}). Fill in or remove these rows."
                )

    def arrays(
        self, name: str, values: Any, kind: str = ""
    ) -> dict[PartName, RawArray]:
        """Labels of all rows by part."""
        return {
            part: RawArray.of(f"{path}: {name}", values[rows], kind)
            for part, (path, rows) in self.files.items()
        }


class LabelArrays(NamedTuple):
    """Labels of a target by part, notes on its kind, and names of its outputs unless
    the arrays hold them."""

    arrays: dict[PartName, RawArray]
    notes: list[str]
    names: tuple[str, ...] = ()


def chosen_labels(
    columns: Sequence[str], asked: Sequence[str], where: str
) -> tuple[Label, ...]:
    """The targets that a user asked for, or the one column with a usual name.

    A column may be asked for with its kind, and several of 0 and 1 as one target.

    Example:

    >>> chosen_labels(["size", "Class"], [], "a.csv")
    (Label(name='Class', columns=('Class',), kind=''),)
    >>> chosen_labels(["size", "red", "old"], ["red,old:labels"], "a.csv")
    (Label(name='labels', columns=('red', 'old'), kind='labels'),)
    """
    if asked:
        labels = tuple(_asked(columns, name) for name in asked)
        names = [label.name for label in labels]
        if twice := {name for name in names if names.count(name) > 1}:
            raise DataError(
                f"Two targets would be called {min(twice)!r}: name each column once, "
                "and one group of columns only."
            )
        return labels
    usual = [name for name in columns if name.lower() in _USUAL]
    if len(usual) == 1:
        return (Label(usual[0], (usual[0],)),)
    what = " and ".join(usual) if usual else "none called " + ", ".join(_USUAL)
    hint = " If these are values, write a line of names above them."
    hint *= any(map(is_number, columns))
    raise DataError(
        f"{where} must have one column to predict, but it has {what}. Name one with "
        f"label=... (--label); its columns are: {listed(columns)}.{hint}"
    )


def _asked(columns: Sequence[str], name: str) -> Label:
    if name in columns:
        return Label(name, (name,))
    column, _, kind = name.rpartition(":")
    if kind not in _KINDS:
        raise DataError(unknown_name("column", name, columns))
    if column in columns:
        return Label(column, (column,), kind)
    several = [each.strip() for each in column.split(",")]
    for each in several if kind == "labels" else [column]:
        if each not in columns:
            raise DataError(unknown_name("column", each, columns))
        if several.count(each) > 1:
            raise DataError(f"The label {name} names the column {each!r} twice.")
    return Label("labels", tuple(several), kind)


def label_arrays(label: Label, cells: LabelCells, column: ColumnCounts) -> LabelArrays:
    """Labels of each part; the counts of the first column in the training part tell
    numbers."""
    name = label.name
    if len(label.columns) > 1:
        note = f"{name} are the columns {listed(label.columns)}: several may be 1."
        return _of_sets(name, cells, _true_columns(label, cells), label.columns, note)
    below = cells.columns[name]
    if label.kind != "labels" and (
        label.kind or not are_label_sets(cells.train(below))
    ):
        return _of_column(label, cells, column)
    sets = [*map(label_set, below)]
    train = cells.train(sets)
    names = tuple(sorted(frozenset().union(*train)))
    blank = sum(not each for each in train)
    note = (
        f"{name} holds {len(names):,} labels, of which several may be true"
        + (f"; {counted(blank, 'row')} without any." if blank else ".")
        + ("" if label.kind else f" With {name}:classes each cell is a class.")
    )
    are_single = all(len(each) < 2 for each in train)
    if are_single and {each.lower() for each in names} <= _TRUE | _FALSE:
        raise DataError(
            f"{cells.files['train'][0]}: {name} is one label that is true or not, as "
            f"two classes are: say label={name}:classes, or name all columns of the "
            f"labels, as {name},OTHER:labels."
        )
    return _of_sets(name, cells, sets, names, note)


def are_label_sets(cells: Sequence[str]) -> bool:
    """Whether cells of a column look like labels with a stroke between them.

    Then a cell has several labels, and one of the labels is in a different cell too.

    Example:

    >>> are_label_sets(["red|round", "red", "old", ""])
    True
    >>> are_label_sets(["a|b", "c|d"])  # two classes with odd names
    False
    """
    sets = [label_set(cell) for cell in {*cells}]
    different = frozenset().union(*sets)
    return any(len(each) > 1 for each in sets) and sum(map(len, sets)) > len(different)


def label_set(cell: str) -> LabelSet:
    """The labels of a cell such as `a|b`; none in a blank cell."""
    if cell in BLANKS:
        return frozenset()
    return frozenset(filter(None, (label.strip() for label in cell.split(SEPARATOR))))


def _true_columns(label: Label, cells: LabelCells) -> list[LabelSet]:
    """Of each row, the names of the columns that are 1."""
    sets: list[set[str]] = [set() for _ in cells.lines]
    for name in label.columns:
        for row, cell in enumerate(cells.columns[name]):
            if cell.lower() in _TRUE:
                sets[row].add(name)
            elif cell.lower() not in _FALSE:
                raise DataError(
                    f"{cells.where(row)} must hold 0 or 1 in {name}, but it holds "
                    f"{cell!r}."
                )
    return [frozenset(each) for each in sets]


def _of_sets(
    label: str,
    cells: LabelCells,
    sets: Sequence[LabelSet],
    names: tuple[str, ...],
    note: str,
) -> LabelArrays:
    """A row of 0 and 1 for each example: one number for each name."""
    path = cells.files["train"][0]
    if len(names) < 2:
        raise DataError(
            f"{path}: {label} must hold at least two labels, but it holds {len(names)}."
        )
    places = {name: place for place, name in enumerate(names)}
    array = np.zeros((len(sets), len(names)), np.int8)
    for row, labels in enumerate(sets):
        if unknown := labels - places.keys():
            found = min(unknown)
            raise DataError(
                f"{cells.where(row)}: {label} has the label {found!r}, which {path} "
                f"lacks.{alike_hint(found, names)}"
            )
        array[row, [places[name] for name in labels]] = 1
    return LabelArrays(cells.arrays(label, array, "labels"), [note], names)


def _of_column(label: Label, cells: LabelCells, column: ColumnCounts) -> LabelArrays:
    """Numbers to predict, or a class in each cell."""
    name, below = label.name, cells.columns[label.name]
    cells.refuse_blank(name, [cell in BLANKS for cell in below])
    numbers = None
    if label.kind == "numbers" or (column.is_numeric and label.kind != "classes"):
        form = column.form if column.is_numeric else NumberForm()
        try:
            numbers = form.numbers(below, name, cells.where)
        except NotANumber:  # in another part
            if label.kind == "numbers":
                raise
    if numbers is None or (not label.kind and _are_ids(numbers)):
        return _classes(label, cells, numbers is not None)
    cells.refuse_blank(name, np.isnan(numbers).tolist())
    other = f" With the label {name}:classes each is a class."
    is_whole = not label.kind and bool((numbers % 1 == 0).all())
    notes = [column.reading] if column.is_numeric else []
    note = f"{name} holds numbers, which are predicted as such."
    return LabelArrays(
        cells.arrays(name, numbers, "real"),
        [note + other * is_whole, *filter(None, notes)],
    )


def _are_ids(values: NDArray[np.float64]) -> bool:
    """Whether numbers are classes: whole and few, or 0 or 1 to their count, each often.

    Ages are whole and have gaps or begin late; prices are whole and mostly differ.
    """
    different = np.unique(values[~np.isnan(values)])
    if (different % 1 != 0).any():
        return False
    count = len(different)
    is_run = different[0] in (0, 1) and different[-1] - different[0] == count - 1
    return count <= _FEW_CLASSES or (is_run and len(values) >= _LEAST_ROWS * count)


def _classes(label: Label, cells: LabelCells, is_numeric: bool) -> LabelArrays:
    name, below = label.name, cells.columns[label.name]
    different = {*cells.train(below)}
    other = f" With the label {name}:numbers it is predicted as a number." * is_numeric
    notes = [f"{name} holds {len(different):,} classes.{other}"]
    for mark in "" if label.kind or is_numeric else ";,":
        if are_label_sets([cell.replace(mark, SEPARATOR) for cell in different]):
            such = min(cell for cell in different if mark in cell)
            notes.append(
                f"{name} has cells such as {such!r}: if an example has several labels, "
                f"write {SEPARATOR} between them."
            )
    are_whole = all(is_number(cell) and float(cell) % 1 == 0 for cell in below)
    classes = [int(float(cell)) for cell in below] if are_whole else below
    return LabelArrays(cells.arrays(name, classes), notes)
