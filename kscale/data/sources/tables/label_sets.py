"""Labels of which several may be true: cells such as `a|b`, or columns of 0 and 1."""

from collections.abc import Mapping, Sequence

import numpy as np

from kscale.data.parts import PartName
from kscale.data.raw import RawArray
from kscale.data.sources.tables.csv_file import BLANKS
from kscale.errors import DataError
from kscale.task.heads.base import SEPARATOR

_TRUE = frozenset({"1", "1.0", "true", "yes"})
_FALSE = frozenset({"0", "0.0", "false", "no"})

LabelSet = frozenset[str]
"""The labels of one example."""


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
    """The labels of a cell, without spaces around them; none in a blank cell."""
    if cell in BLANKS:
        return frozenset()
    return frozenset(filter(None, (label.strip() for label in cell.split(SEPARATOR))))


def true_columns(
    columns: Mapping[str, Sequence[str]], file: str, lines: Sequence[int]
) -> list[LabelSet]:
    """Of each row, the names of the columns that are 1."""
    sets: list[set[str]] = [set() for _ in next(iter(columns.values()))]
    for name, cells in columns.items():
        for row, cell in enumerate(cells):
            if cell.lower() in _TRUE:
                sets[row].add(name)
            elif cell.lower() not in _FALSE:
                raise DataError(
                    f"{file}:{lines[row]} must hold 0 or 1 in {name}, but it holds "
                    f"{cell!r}."
                )
    return [frozenset(each) for each in sets]


def indicator_arrays(
    what: str,
    names: Sequence[str],
    sets: Mapping[PartName, Sequence[LabelSet]],
    files: Mapping[PartName, str],
) -> dict[PartName, RawArray]:
    """By part, a row of 0 and 1 for each example: one number for each name."""
    if len(names) < 2:
        raise DataError(
            f"{files['train']}: {what} must hold at least two labels, but it holds "
            f"{len(names)}."
        )
    places = {name: place for place, name in enumerate(names)}
    arrays = {}
    for part, each in sets.items():
        array = np.zeros((len(each), len(names)), np.int8)
        for row, labels in enumerate(each):
            if unknown := labels - places.keys():
                raise DataError(
                    f"{files[part]}: {what} has the label {min(unknown)!r}, which "
                    f"{files['train']} lacks."
                )
            array[row, [places[label] for label in labels]] = 1
        label = f"{files[part]}: {what}"
        arrays[part] = RawArray(label, array, target_kind="labels")
    return arrays
