"""Columns of a table that hold the label itself, or name groups of rows."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import Rows
from kscale.data.examples import Reader
from kscale.data.readers.table_files import TableReader
from kscale.data.sources.tables.columns import GROUP

_LEAST_ROWS = 20  # two unrelated columns of two values agree with odds of 2^-19
_HEAD = 1000  # rows, enough to see that most columns are no label
_EXACT = 1 - 1e-6  # correlation of float32 numbers that are one another's multiples
_LEAST_GROUPS = 20
_MOST_IN_GROUP = 100  # rows, on average
_UNLIKE = 0.2  # of the unlike pairs that groups of chance have
_EXPECTED = 20  # such pairs, for their lack to be no chance


def leak_warnings(
    reader: Reader | None,
    train: Mapping[str, Rows],
    targets: Mapping[str, NDArray[Any]],
    is_cut: bool,
) -> Iterator[str]:
    """A sentence for each column of a table that makes scores look too good.

    Columns that name groups do so where a part was cut without regard to them.
    """
    for column in reader.columns if isinstance(reader, TableReader) else ():
        values, name = train[column.name][:], column.column
        same = [
            target for target, labels in targets.items() if _is_label(values, labels)
        ]
        if same:
            yield (
                f"Column {name!r} says the same as the label {same[0]}: if it is not "
                "known before that is, leave it out with "
                f"ignore={name} (--ignore {name})."
            )
        elif is_cut and GROUP.fullmatch(name):
            codes = _codes(values)
            if any(_are_groups(codes, labels) for labels in targets.values()):
                yield (
                    f"Column {name!r} may name groups: rows of one of its "
                    f"{codes.max() + 1:,} values mostly have one label, so scores are "
                    "too good if they are in two parts. Keep them in one with "
                    f"split_by={name} (--split-by {name})."
                )


def _is_label(values: NDArray[Any], labels: NDArray[Any]) -> bool:
    """Whether values and a label determine each other: one class for each value and one
    value for each class; for real labels, a multiple and an offset."""
    is_real = labels.dtype.kind == "f"
    is_same = _is_multiple if is_real else _is_one_to_one
    return len(values) >= _LEAST_ROWS and any(
        all(is_same(values[rows], each[rows]) for rows in (slice(_HEAD), slice(None)))
        for each in (labels[:, None] if labels.ndim == 1 else labels).T
    )


def _is_one_to_one(values: NDArray[Any], labels: NDArray[Any]) -> bool:
    codes = _codes(values)
    return _pairs(codes) == _pairs(_both(codes, labels)) == _pairs(labels)


def _is_multiple(values: NDArray[Any], labels: NDArray[Any]) -> bool:
    if values.dtype.kind != "f" or not np.isfinite(values).all():
        return False
    if np.ptp(values) == 0 or np.ptp(labels) == 0:
        return False
    return bool(abs(np.corrcoef(values, labels.astype(float))[0, 1]) > _EXACT)


def _are_groups(codes: NDArray[np.int64], labels: NDArray[Any]) -> bool:
    """Whether two rows of one value have different classes far less often than any two
    rows (over pairs, 1 less the quotient is Cohen's kappa), or values less apart."""
    groups = int(codes.max()) + 1
    if groups < _LEAST_GROUPS or len(codes) > _MOST_IN_GROUP * groups:
        return False
    if labels.ndim > 1:
        sums = np.stack([np.bincount(codes, each) for each in labels.T], axis=1)
        errors = labels - (sums / np.bincount(codes)[:, None])[codes]
        free = len(codes) - groups
        within = np.square(errors).sum(axis=0) / max(1, free)
        return free >= _EXPECTED and bool((within <= _UNLIKE * labels.var(0)).all())
    pairs = _pairs(codes)
    expected = pairs * (1 - _pairs(labels) / _pairs(np.zeros_like(labels)))
    unlike = pairs - _pairs(_both(codes, labels))
    return expected >= _EXPECTED and unlike <= _UNLIKE * expected


def _pairs(codes: NDArray[Any]) -> int:
    """Number of pairs of rows that have the same code."""
    counts = np.unique(codes, return_counts=True)[1]
    return int((counts * (counts - 1)).sum()) // 2


def _both(codes: NDArray[np.int64], labels: NDArray[Any]) -> NDArray[np.int64]:
    return codes * (int(labels.max()) + 1) + labels.astype(np.int64)


def _codes(values: NDArray[Any]) -> NDArray[np.int64]:
    """Whole numbers from 0, the same for the same value."""
    if values.dtype.kind == "T":
        known = {cell: code for code, cell in enumerate(dict.fromkeys(values.tolist()))}
        return np.array([known[cell] for cell in values.tolist()], np.int64)
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
