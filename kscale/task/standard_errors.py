"""Standard errors of figures over examples: binomial, or by a grouped jackknife."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

_JACKKNIFE_GROUPS = 20

Mask = NDArray[np.bool_]


def share_error(shares: ArrayLike) -> float:
    """Standard error of a mean of shares, one an example; of 0 and 1 it is binomial.

    Two successes and two failures are added (Agresti & Coull 1998), so that a perfect
    score has an error too. The share of an example may be the mean over several
    targets: then what their errors have in common is counted.

    Example:

    >>> round(share_error([True] * 96), 4)  # 0.98 of 100
    0.014
    """
    padded = np.concatenate([np.asarray(shares, np.float64), [1.0, 1.0, 0.0, 0.0]])
    return float(np.sqrt(padded.var() / len(padded)))


def jackknife(compute: Callable[[Mask], ArrayLike], count: int) -> NDArray[np.float64]:
    """Standard errors of figures over examples, by leaving out one group of 20 each.

    The grouped jackknife (Efron 1982, chapter 2). Where a figure is not defined without
    a group, the others must do; NaN if there are none.

    Args:
        compute: One figure or several, of the examples where the mask is true.
        count: Number of examples.
    """
    left_out = without_groups(compute, count)
    defined = np.isfinite(left_out)
    number = defined.sum(axis=0)
    values = np.where(defined, left_out, 0.0)
    mean = values.sum(axis=0) / np.maximum(number, 1)
    spread = np.square(np.where(defined, values - mean, 0.0)).sum(axis=0)
    factor = (number - 1) / np.maximum(number, 1)
    return np.where(number > 1, np.sqrt(np.maximum(factor, 0.0) * spread), np.nan)


def without_groups(
    compute: Callable[[Mask], ArrayLike], count: int, most: int = _JACKKNIFE_GROUPS
) -> NDArray[np.float64]:
    """Figures over all examples but one group each, of as many groups at most.

    Args:
        compute: One figure or several, of the examples where the mask is true.
        count: Number of examples.
        most: Number of groups, where there are as many examples.
    """
    groups = min(most, count)
    member = np.arange(count) % groups
    return np.array([compute(member != group) for group in range(groups)])
