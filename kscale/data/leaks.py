"""Columns of a table that hold the label itself, or say which rows belong together."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.readers.tables import TableColumn
from kscale.data.rows import Rows
from kscale.task import Target

_LEAST_ROWS = 20  # two unrelated columns of two values agree with odds of 2^-19
_HEAD = 1000  # rows that tell most columns from a label
_EXACT = 1 - 1e-6  # correlation of float32 numbers that are one another's multiples
_LEAST_GROUPS = 20
_MOST_IN_GROUP = 100  # rows, on average
_ALIKE = 0.8
_EXPECTED = 20  # pairs of unlike labels in groups of chance, to call their lack a sign
_GROUP = re.compile(
    r".*id|(.*[\W_])?(patient|subject|person|user|customer|client|speaker|household"
    r"|group|session|device)([\W_].*)?",
    re.IGNORECASE,
)


def leak_warnings(
    columns: Mapping[TableColumn, Rows],
    targets: Mapping[Target, NDArray[Any]],
    is_cut: bool,
) -> Iterator[str]:
    """A sentence for each column that makes scores look better than they are.

    Args:
        columns: Cells of the training part.
        targets: Labels of it, as networks learn them.
        is_cut: Whether a part was cut from the rows without regard to groups.
    """
    for column, rows in columns.items():
        values, name = rows[:], column.column
        labels = [t.name for t, known in targets.items() if _is_label(values, known)]
        if labels:
            yield (
                f"Column {name!r} says the same as the label {labels[0]}, so nothing "
                f"else need be learned. Is it known before the label is? If not, leave "
                f"it out with ignore={name} (--ignore {name})."
            )
        elif is_cut and _may_name_groups(column, values):
            codes = _codes(values)
            if any(_are_alike(codes, known) for known in targets.values()):
                yield _group_warning(name, codes)


def _group_warning(name: str, codes: NDArray[np.int64]) -> str:
    groups = int(codes.max()) + 1
    return (
        f"Column {name!r} may name groups, such as persons: it has {groups:,} values "
        f"of {len(codes) / groups:.2g} rows each, and the labels of one value are "
        "alike. Scores are too good where a group is in two parts; keep each in one "
        f"with split_by={name} (--split-by {name})."
    )


def _is_label(values: NDArray[Any], labels: NDArray[Any]) -> bool:
    """Whether each value goes with one class and each class with one value; of numbers,
    whether one is a multiple of the other but for an offset."""
    if len(values) < _LEAST_ROWS:
        return False
    is_same = _is_one_to_one if labels.ndim == 1 else _is_multiple
    return is_same(values[:_HEAD], labels[:_HEAD]) and is_same(values, labels)


def _is_one_to_one(values: NDArray[Any], labels: NDArray[Any]) -> bool:
    codes = _codes(values)
    pairs = len(np.unique(codes * (int(labels.max()) + 1) + labels))
    return pairs == int(codes.max()) + 1 == len(np.unique(labels))


def _is_multiple(values: NDArray[Any], labels: NDArray[Any]) -> bool:
    if values.dtype.kind != "f" or not np.isfinite(values).all() or np.ptp(values) == 0:
        return False
    varying = labels[:, np.ptp(labels, axis=0) > 0].T.astype(float)
    found = [np.corrcoef(values.astype(float), each)[0, 1] for each in varying]
    return any(abs(each) > _EXACT for each in found)


def _may_name_groups(column: TableColumn, values: NDArray[Any]) -> bool:
    """Whether its name says so, or its words are codes; whole numbers if numbers."""
    is_named = _GROUP.fullmatch(column.column) is not None
    if column.holds == "number":
        return is_named and bool((values == np.floor(values)).all())
    coded = sum(any(map(str.isdecimal, cell)) for cell in values[:_HEAD].tolist())
    return is_named or 2 * coded > min(len(values), _HEAD)


def _are_alike(codes: NDArray[np.int64], labels: NDArray[Any]) -> bool:
    """Whether labels of one group are nearly the same, against those of any two rows.

    It is Cohen's kappa over all pairs of rows in a group, and for numbers the
    correlation within groups: 1 where groups have one label each, 0 by chance.
    """
    counts = np.bincount(codes)
    if len(counts) < _LEAST_GROUPS or len(codes) > _MOST_IN_GROUP * len(counts):
        return False
    if labels.ndim > 1:
        spread = labels.std(axis=0, dtype=float)
        labels = (labels - labels.mean(axis=0, dtype=float)) / np.maximum(spread, 1e-30)
    pairs = float((counts * (counts - 1.0)).sum()) / 2
    unlike = _unlike(np.zeros_like(codes), labels)
    if pairs * unlike < _EXPECTED:
        return False
    return _unlike(codes, labels) <= (1 - _ALIKE) * unlike


def _unlike(codes: NDArray[np.int64], labels: NDArray[Any]) -> float:
    """Share of the pairs of rows in a group whose classes differ; of numbers, half
    their mean squared difference."""
    counts = np.bincount(codes).astype(float)
    if labels.ndim == 1:
        both = codes * (int(labels.max()) + 1) + labels
        same = np.unique(both, return_counts=True)[1].astype(float)
        total = (counts**2).sum() - (same**2).sum()
    else:
        sums = np.array([np.bincount(codes, each) for each in labels.T])
        squares = np.bincount(codes, (labels**2).sum(axis=1))
        total = (counts * squares - (sums**2).sum(axis=0)).sum() / labels.shape[1]
    return float(total / (counts * (counts - 1)).sum())


def _codes(values: NDArray[Any]) -> NDArray[np.int64]:
    """Whole numbers from 0, the same for the same value."""
    if values.dtype.kind != "T":
        return np.unique(values, return_inverse=True)[1].astype(np.int64)
    known: dict[str, int] = {}
    cells = (known.setdefault(cell, len(known)) for cell in values.tolist())
    return np.fromiter(cells, np.int64, len(values))
