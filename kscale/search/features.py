"""Features: what a model of scores reads of a network, as numbers."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.search.draws import Draw

_FEW = 2  # values, for which one column is enough
_PARTS = 5  # of equal weight, into which the range of a column is cut
_CONTENDERS = 20  # random draws, of which one is chosen

Places = NDArray[np.int64]

Column = tuple[str, NDArray[np.float64]]


class Features:
    """Columns of numbers about draws, comparable with one another.

    Parameters, work, learning rates and knobs that are numbers above 0 count by their
    logarithm. Each value of a knob that is a word has a column of 0 and 1, and so has
    each family. A knob that a draw lacks is at the mean. A whole number that is 0 or
    left out stands for something else than a small number, such as all there is: it is
    at the mean, too, and has a column of its kind. Every column has mean 0 and standard
    deviation 1; a column that equals another one is left out.

    Args:
        draws: The draws, at least one.

    Attributes:
        values: Array `(draws, columns)`.
        groups: For each column the number of the group that one length scale is for:
            all columns of a knob are in one group.
    """

    def __init__(self, draws: Sequence[Draw]) -> None:
        self.draws = draws
        kept: list[NDArray[np.float64]] = []
        names: list[str] = []
        for name, column in self._columns():
            deviation = column.std()
            if not deviation > 1e-9:
                continue
            scaled = (column - column.mean()) / deviation
            same = (abs(abs(other @ scaled) / len(scaled)) > 1 - 1e-9 for other in kept)
            if any(same):
                continue
            kept.append(scaled)
            names.append(name)
        order = {name: place for place, name in enumerate(dict.fromkeys(names))}
        self.values = np.array(kept).reshape(len(kept), len(draws)).T
        self.groups = np.array([order[name] for name in names], np.int64)

    @cached_property
    def networks(self) -> NDArray[np.int64]:
        """For each draw a number of its spec; equal specs have equal numbers."""
        numbers: dict[Any, int] = {}
        found = [numbers.setdefault(draw.spec, len(numbers)) for draw in self.draws]
        return np.array(found, np.int64)

    @cached_property
    def parts(self) -> Places:
        """For each value the part of its column's range, all parts of equal weight."""
        ranks = self.values.argsort(axis=0).argsort(axis=0)
        return ranks * _PARTS // len(self.values)

    def _columns(self) -> list[Column]:
        draws = self.draws
        columns = [
            ("params", _logs([draw.params for draw in draws])),
            ("work", _logs([draw.work for draw in draws])),
            ("learning_rate", _logs([draw.learning_rate for draw in draws])),
        ]
        columns += _indicators("family", [draw.spec.family for draw in draws])
        knobs = [dict(draw.spec.knobs) for draw in draws]
        for name in sorted({name for each in knobs for name in each}):
            values = [each.get(name) for each in knobs]
            columns += _of_knob(name, values)
        return columns


def unlike(
    parts: Places, among: Places, before: Sequence[int], rng: np.random.Generator
) -> list[int]:
    """The row, among a few random ones, that shares the fewest parts of columns' ranges
    with earlier rows, as in a Latin hypercube; empty without rows."""
    some = rng.permutation(among)[:_CONTENDERS]
    shared = [(parts[at] == parts[list(before)]).sum() for at in some.tolist()]
    return [int(some[int(np.argmin(shared))])] if len(some) else []


def _of_knob(name: str, values: Sequence[Any]) -> list[Column]:
    given = [value for value in values if value is not None]
    is_number = all(isinstance(v, int | float) for v in given)
    if len(set(values)) <= _FEW or not is_number:
        return _indicators(name, values)
    if all(type(v) is int and v >= 0 for v in given):
        return [(name, _logs(values)), (name, np.array([float(not v) for v in values]))]
    if min(given) > 0:
        return [(name, _logs(values))]
    return [(name, _filled(np.array([math.nan if v is None else v for v in values])))]


def _indicators(name: str, values: Sequence[Any]) -> list[Column]:
    distinct = sorted(set(values), key=repr)
    wanted = distinct[1:] if len(distinct) <= _FEW else distinct
    return [(name, np.array([float(v == each) for v in values])) for each in wanted]


def _logs(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Logarithms; what is no number above 0 is at the mean of the others."""
    found = [math.log(value) if value and value > 0 else math.nan for value in values]
    return _filled(np.array(found))


def _filled(column: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(column)
    mean = column[known].mean() if known.any() else 0.0
    return np.where(known, column, mean)
