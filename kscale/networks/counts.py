"""Counts: whole numbers, or int64 arrays of them with an element for each width.

Arithmetic on both is the same, so that a network with an array for its width is counted
for all widths at once. NumPy is imported only where a count is an array: one network is
counted without, which saves the command line a third of its start.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Count: TypeAlias = "int | NDArray[np.int64]"


def larger(left: Any, right: Any) -> Any:
    """The larger of two counts, element by element.

    Example:

    >>> larger(3, 8)
    8
    """
    if isinstance(left, int) and isinstance(right, int):
        return max(left, right)
    import numpy as np

    return np.maximum(left, right)


def are_equal(left: Any, right: Any) -> bool:
    """Whether two counts are equal in every element."""
    if isinstance(left, int) and isinstance(right, int):
        return left == right
    return left is right or bool((left == right).all())


def has_any(condition: Any) -> bool:
    """Whether a condition on a count holds in any element."""
    return condition if isinstance(condition, bool) else bool(condition.any())


def greatest(count: Any) -> int:
    """The greatest element of a count."""
    return count if isinstance(count, int) else int(count.max())
