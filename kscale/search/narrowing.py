"""Narrowing: what another training at a size would tell of a law at a larger size."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_POWERS = np.linspace(0.05, 1.5, 30)
_POWER, _DOUBT = 0.5, 0.5  # powers of laws of networks, and how much they vary
_VAGUE = 1e-6  # information on the other two before any training, in those of one
_OWN_LUCK = 2.0  # variance of a size over that of a seed: no seeds tell of a shape
_BELIEVED = 2  # trainings that the noise of all sizes counts as, at each


def narrowing(
    sizes: Values,
    scores: Sequence[Sequence[float]],
    counts: Values,
    target: float,
    noise: float,
) -> Values:
    """The part of a law's variance that another training at each size would take away.

    The law is `E + A N^-a`, linearised at the best fit; its variance is that of the
    prediction at the target. Each size has the noise of its seeds, which further seeds
    lower, and a luck of the size, which stays.

    Args:
        sizes: Sizes, `(sizes,)`.
        scores: Of each size the scores that are known.
        counts: Of each size the trainings that are done or out, `(sizes,)`.
        target: Size at which the law is asked.
        noise: Deviation of seeds, as long as no size has two.

    Returns:
        Between 0 and 1, `(sizes,)`.
    """
    variances = _variances(scores, noise)
    known = np.array([len(each) > 0 for each in scores])
    means = np.array([np.mean(each) for each in scores if len(each)])
    weights = _weights(np.array([len(each) for each in scores]), variances)
    largest = float(sizes.max())
    amount, power = _fitted(sizes[known] / largest, means, weights[known])
    floor = float(np.sqrt(variances.mean()))  # a flat law has a power, too

    def gradients(at: Values) -> Values:
        falling = (at / largest) ** -power
        slope = -max(abs(amount), floor) * falling * np.log(at / largest)
        return np.stack([np.ones_like(at), falling, slope], axis=1)

    rows, (asked,) = gradients(sizes), gradients(np.array([target]))
    prior = np.array([_VAGUE / floor**2, _VAGUE / floor**2, _DOUBT**-2])

    def variance(numbers: Values) -> float:
        information = (rows.T * _weights(numbers, variances)) @ rows + np.diag(prior)
        return float(asked @ np.linalg.solve(information, asked))

    before = variance(counts)
    more = np.eye(len(sizes))
    return np.array([1 - variance(counts + one) / before for one in more])


def _weights(counts: Values, variances: Values) -> Values:
    """Information of so many seeds at each size."""
    found: Values = counts / (variances * (1 + _OWN_LUCK * counts))
    return found


def _variances(scores: Sequence[Sequence[float]], noise: float) -> Values:
    """Variance of a seed at each size, drawn towards the mean of all sizes."""
    freedom = np.array([max(len(each) - 1, 0) for each in scores], np.float64)
    squares = np.array(
        [np.var(each) * len(each) if len(each) else 0 for each in scores]
    )
    pooled = noise**2
    if freedom.sum():
        pooled = (squares.sum() + pooled) / (freedom.sum() + 1)
    pooled = max(pooled, 1e-18)
    found: Values = (squares + _BELIEVED * pooled) / (freedom + _BELIEVED)
    return found


def _fitted(sizes: Values, means: Values, weights: Values) -> tuple[float, float]:
    """`A` and `a` that fit best, where powers near those of other laws cost nothing."""
    if len(sizes) < 3:
        return 0.0, _POWER
    found: list[tuple[float, float, float]] = []
    for power in _POWERS.tolist():
        falling = sizes**-power
        slope, left = _line(falling, means, weights)
        found.append((left + ((power - _POWER) / _DOUBT) ** 2, slope, power))
    _, amount, power = min(found)
    return amount, power


def _line(x: Values, y: Values, weights: Values) -> tuple[float, float]:
    """Slope of the weighted line through points, and the squares that it leaves."""
    x, y = x - np.average(x, weights=weights), y - np.average(y, weights=weights)
    spread = max(float((weights * x) @ x), 1e-30)
    slope = float((weights * x) @ y) / spread
    return slope, float(weights @ (y - slope * x) ** 2)
