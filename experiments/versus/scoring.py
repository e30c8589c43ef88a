"""What a search is worth at a cost, and whether two of them differ."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from tables.reading import TableTask

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """One training of a search on a table.

    Args:
        cost: Epochs that the search has spent when the training ends.
        place: Number of the network in the table.
        epochs: Epochs that the network has been trained.
        score: What the search sees.
    """

    cost: float
    place: int
    epochs: int
    score: float


def regret_at(
    steps: Iterable[Step], task: TableTask, fitting: NDArray[np.int64], cost: float
) -> float:
    """True score that a search misses if it ends at a cost.

    The pick is the best score seen of a training of full length, or of any where none
    has full length. Before the first training ends, the answer is worth what the worst
    network is that fits.
    """
    sign = 1 if task.higher_is_better else -1
    truth = sign * task.truth
    seen = [step for step in steps if step.cost <= cost]
    whole = [step for step in seen if step.epochs == task.epochs] or seen
    best = truth[fitting].max()
    if not whole:
        return float(best - truth[fitting].min())
    pick = max(whole, key=lambda step: sign * step.score)
    return float(best - truth[pick.place])


def first_at(curve: Iterable[tuple[float, float]], worth: float) -> float | None:
    """The cost from which on the answer keeps being worth so much; None if never.

    Args:
        curve: Costs at which the answer changed, and what the new answer is worth.
        worth: Least worth.
    """
    found = None
    for cost, value in curve:
        if value < worth:
            found = None
        elif found is None:
            found = cost
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """P values that hold for all of several comparisons at once (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    raised = np.minimum(np.array(p_values)[order] * factors, 1.0)
    found = np.empty(len(order))
    found[order] = np.maximum.accumulate(raised)
    return [float(value) for value in found]


def p_value(ours: Values, theirs: Values) -> float:
    """Wilcoxon's signed rank test over pairs; 1 where all pairs are equal."""
    difference = np.round(ours - theirs, 9)
    if not difference.any():
        return 1.0
    return float(stats.wilcoxon(difference, zero_method="zsplit").pvalue)


def median_and_interval(values: Values) -> tuple[float, float, float]:
    """The median, and the 95 % interval of it over the seeds by bootstrap."""
    rng = np.random.default_rng(0)
    drawn = rng.choice(values, (2000, len(values)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
    return float(np.median(values)), float(low), float(high)
