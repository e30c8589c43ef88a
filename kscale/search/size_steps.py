"""Sizes of a ladder: even steps of the logarithm, with some networks near each."""

import numpy as np

from kscale.search.process import Values

SIZES = 7
"""Sizes of a ladder, without those between."""

_RANGE = 128.0  # of the largest over the smallest, where there are so many sizes
_MOST_OF_SIZE = 24  # networks
_NEAR = 0.15  # of a natural logarithm, by which networks of one size differ


def size_steps(logs: Values) -> list[list[int]]:
    """Some networks of each size, by the logarithms of all sizes.

    The sizes are even steps from the smallest up to the largest, of which every second
    one is of the ladder.
    """
    low, high = logs.min(initial=np.inf), logs.max(initial=-np.inf)
    if not high > low:
        return [[*range(len(logs))][:1]]
    step = min(np.log(_RANGE), high - low) / (2 * (SIZES - 1))
    nearest = np.rint((high - logs) / step)
    rungs = []
    for at in range(int((high - low) / step + 1e-9), -1, -1):
        distance = np.where(nearest == at, abs(logs - (high - at * step)), np.inf)
        near = (distance <= max(_NEAR, distance.min())) & (distance < np.inf)
        rungs.append(np.flatnonzero(near)[:_MOST_OF_SIZE].tolist())
    return rungs
