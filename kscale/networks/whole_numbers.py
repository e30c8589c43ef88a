"""Whole numbers, or int64 arrays of them with an element for each width.

Arithmetic on both is the same, so that a network whose width is an array is counted for
all widths at once.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Count = int | NDArray[np.int64]


def larger(left: Any, right: Any) -> Any:
    """The larger of two counts, element by element.

    Example:

    >>> larger(3, 8), larger(5, np.array([3, 8])).tolist()
    (8, [5, 8])
    """
    if isinstance(left, int) and isinstance(right, int):
        return max(left, right)
    return np.maximum(left, right)


def are_equal(left: Any, right: Any) -> bool:
    """Whether two counts are equal in every element."""
    if isinstance(left, int) and isinstance(right, int):
        return left == right
    return left is right or bool(np.all(left == right))


def has_any(condition: Any) -> bool:
    """Whether a condition on a count holds in any element."""
    return bool(np.any(condition))


def greatest(count: Any) -> int:
    """The greatest element of a count."""
    return int(np.max(count))
