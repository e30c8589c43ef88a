"""Parts cut from examples: seeded, stratified, and the same with every NumPy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.parts import PartName

SHARE = 0.15
"""Share of the examples that a part gets which the source does not have."""

_MOST_VALIDATION = 10_000  # each epoch ends with a pass over this part
_QUANTILES = 10

Indices = NDArray[np.int64]


def cut_parts(
    strata: NDArray[Any], wanted: tuple[PartName, ...], seed: int
) -> dict[PartName, Indices]:
    """Rows of the training part and of the parts cut from it, each in ascending order.

    Every part has about its share of each stratum, and at least one example of it.

    Args:
        strata: Whole numbers from 0, `(examples,)`: class ids, or `quantiles`. Each
            occurs more often than parts are cut.
        wanted: Parts to cut.
        seed: Decides which examples go where.
    """
    order = np.lexsort((_shuffled(len(strata), seed), strata))
    counts = np.bincount(strata)
    rank = np.arange(len(strata)) - np.repeat(np.cumsum(counts) - counts, counts)
    parts: dict[PartName, Indices] = {}
    taken = np.zeros_like(counts)
    for part in wanted:
        until = taken + _allot(counts, _examples(part, len(strata)))
        is_mine = (rank >= np.repeat(taken, counts)) & (rank < np.repeat(until, counts))
        parts[part] = np.sort(order[is_mine])
        taken = until
    parts["train"] = np.sort(order[rank >= np.repeat(taken, counts)])
    return parts


def cut_groups(
    groups: NDArray[Any], wanted: tuple[PartName, ...], seed: int
) -> dict[PartName, Indices]:
    """Like `cut_parts`, but all examples of a group go to one part.

    Each part gets whole groups, in an order drawn from the seed, until it has about its
    share of the examples, and at least one group. Groups half as large again as such a
    part go to training, where others are left.

    Args:
        groups: Whole numbers from 0, `(examples,)`; more different ones than parts are
            cut.
        wanted: Parts to cut.
        seed: Decides which groups go where.
    """
    counts = np.bincount(groups)
    drawn = np.argsort(_shuffled(len(counts), seed), kind="stable")
    # What is far larger than a part comes last, where training takes what is left.
    is_large = counts[drawn] > 1.5 * SHARE * len(groups)
    order = [*drawn[~is_large].tolist(), *drawn[is_large].tolist()]
    parts: dict[PartName, Indices] = {}
    for after, part in enumerate(wanted):
        share = _examples(part, len(groups))
        most = len(order) - (len(wanted) - after)  # the others need one each
        taken = [order.pop(0)]
        while (
            len(taken) < most and 2 * (share - counts[taken].sum()) >= counts[order[0]]
        ):
            taken.append(order.pop(0))
        parts[part] = np.flatnonzero(np.isin(groups, taken))
    parts["train"] = np.flatnonzero(np.isin(groups, order))
    return parts


def _examples(part: PartName, examples: int) -> int:
    count = max(1, round(SHARE * examples))
    return min(count, _MOST_VALIDATION) if part == "validation" else count


def _allot(counts: NDArray[Any], total: int) -> NDArray[Any]:
    """How many of each stratum: at least one, the rest by largest remainder."""
    exact = counts * (total / counts.sum())
    given = np.where(counts > 0, np.maximum(1, np.floor(exact)), 0).astype(np.int64)
    left = max(0, total - int(given.sum()))
    given[np.argsort(given - exact, kind="stable")[:left]] += 1
    return given


def quantiles(values: NDArray[Any]) -> NDArray[Any]:
    """Strata for real values `(examples,)`: up to ten of nearly the same size."""
    bins = max(1, min(_QUANTILES, len(values) // _QUANTILES))
    rank = np.empty(len(values), dtype=np.int64)
    rank[np.argsort(values, kind="stable")] = np.arange(len(values))
    return rank * bins // len(values)


def _shuffled(count: int, seed: int) -> NDArray[np.uint64]:
    """Numbers to sort by: SplitMix64 (Steele et al. 2014, figure 17) of the row."""
    start = _mixed(np.array([seed % 2**64], dtype=np.uint64))
    rows = np.arange(1, count + 1, dtype=np.uint64)
    return _mixed(start + rows * np.uint64(0x9E3779B97F4A7C15))


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
