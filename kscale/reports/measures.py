"""Measures of accuracy per parameter, and the interval of a test score."""

import math

from kscale.task.objectives import Objective

_Z = 1.96  # standard errors around the mean that hold 95 % of a normal distribution
LEAST_RATIO = 1.1
"""Least ratio of the params of two rows for a gain to be worked out.

A gain is a difference of scores times `1 / log2(ratio)`, and so is the error of a gain:
for nearly equal sizes both grow without limit, and luck looks like the best bargain of
all. From this ratio on the factor is 7.3 at most.
"""

_COUNTED = ("accuracy", "top_5_accuracy", "subset_accuracy")


def density(
    objective: Objective, score: float, chance: float | None, params: int
) -> float | None:
    """Points (per cent) above chance for each million params; None without a share
    of what is right, chance or params."""
    if not objective.is_success or chance is None or params == 0:
        return None
    return 100 * (score - chance) / (params / 1e6)


def net_score(
    objective: Objective, score: float, params: int, flops: int
) -> float | None:
    """NetScore (Wong 2018, arXiv 1806.05512), with its alpha 2, beta and gamma 0.5.

    `20 log10(a^2 / (sqrt(p) sqrt(m)))`. Units are our choice, made so that values can
    be compared with those of the paper's figures: `a` is the score in per cent, `p` are
    millions of params, `m` are millions of multiply-adds (half the FLOPs). None where
    the score is no share of what is right, or where any of the three is 0.
    """
    if not objective.is_success or score <= 0 or params == 0 or flops == 0:
        return None
    millions, multiply_adds = params / 1e6, flops / 2 / 1e6
    return 20 * math.log10(
        (100 * score) ** 2 / math.sqrt(millions) / math.sqrt(multiply_adds)
    )


def gain_per_doubling(
    objective: Objective, score: float, params: int, before: tuple[float, int]
) -> float | None:
    """Score gained, in points for shares, for each doubling of params; > 0 is better.

    Args:
        score, params: Of the larger network.
        before: Score and params of the smaller network.

    Returns:
        None unless the network has at least `LEAST_RATIO` times as many params.
    """
    score_before, params_before = before
    if params_before == 0 or params < LEAST_RATIO * params_before:
        return None
    gain = objective.gain(score, score_before) / math.log2(params / params_before)
    return 100 * gain if objective.is_share else gain


def score_interval(
    objective: Objective, score: float, stderr: float | None, examples: int
) -> tuple[float, float] | None:
    """95 % interval of a score over its examples.

    Wilson's (1927) for shares of the examples (accuracy), which holds near 0 and 1 too;
    1.96 standard errors on both sides for other scores and for the mean over several
    targets, None if there is none.
    """
    if objective.name in _COUNTED and not objective.parts and examples > 0:
        return wilson_interval(score, examples)
    if stderr is None:
        return None
    low, high = score - _Z * stderr, score + _Z * stderr
    least = 0.0 if objective.is_share else low
    return max(low, least), min(high, 1.0) if objective.is_success else high


def wilson_interval(share: float, examples: int) -> tuple[float, float]:
    """95 % interval of a share counted on some examples.

    Example:

    >>> low, high = wilson_interval(0.9, 100)
    >>> round(low, 4), round(high, 4)
    (0.8256, 0.9448)
    """
    square = _Z**2 / examples
    center = (share + square / 2) / (1 + square)
    spread = math.sqrt(share * (1 - share) / examples + square / examples / 4)
    half = _Z * spread / (1 + square)
    return max(center - half, 0.0), min(center + half, 1.0)
