"""Pairs: how far two test scores on the same examples are apart, and how surely."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from kscale.reports.report import Report, Row

_CLEAR = 2  # standard errors


@dataclass(frozen=True)
class Pair:
    """The test scores of two rows on the same examples.

    Args:
        gain: How much better the first row is; below 0 if worse.
        stderr: Standard error of the difference, example by example.
        examples: Number of test examples; None if not known.
    """

    gain: float
    stderr: float
    examples: int | None

    @property
    def is_clear(self) -> bool:
        """Whether the scores differ by more than two standard errors."""
        return abs(self.gain) > _CLEAR * self.stderr


def paired(report: Report, row: Row, other: Row) -> Pair | None:
    """Two rows on the test part; None where either has no score to be paired."""
    if row.test_score is None or other.test_score is None or not row.left_out:
        return None
    if len(row.left_out) != len(other.left_out):
        return None
    examples = report.data.get("test")
    number = examples if isinstance(examples, int) and examples > 0 else None
    stderr = paired_error(row.left_out, other.left_out)
    if report.objective.is_share:
        # To that of the jackknife comes the `1 / n` of half an example more for each of
        # the four outcomes of a pair (Agresti & Min 2005), for few examples may decide.
        stderr = math.hypot(stderr, 1 / (number or len(row.left_out)))
    gain = report.objective.gain(row.test_score, other.test_score)
    return Pair(gain, stderr, number)


def paired_error(left_out: Sequence[float], other: Sequence[float]) -> float:
    """Standard error of the difference of two scores on the same examples.

    The grouped jackknife (Efron 1982, chapter 2) of the difference: what is hard for
    both falls out of it. For accuracy, with one example a group, its square is
    `(b + c - (b - c)^2 / n) / n / (n - 1)`, where `b` and `c` of `n` examples are right
    with one network only. That is the test of McNemar (1947), which leaves out the
    second term and which Dietterich (1998) advises for two classifiers that were
    trained once. For errors it is that of the mean of paired differences, and it holds
    for scores that are no means over examples too.

    Args:
        left_out: A score without each group of the examples.
        other: Another one without the same groups.

    Example:

    >>> one = [(7 - right) / 9 for right in (1, 1, 1, 1, 1, 1, 1, 0, 0, 0)]
    >>> two = [(6 - right) / 9 for right in (1, 1, 1, 1, 0, 0, 1, 1, 0, 0)]
    >>> round(paired_error(one, two) ** 2 * 10 * 9, 6)  # 2 + 1 - (2 - 1)^2 / 10
    2.9
    """
    differences = [mine - its for mine, its in zip(left_out, other, strict=True)]
    mean, number = fmean(differences), len(differences)
    spread = math.fsum((item - mean) ** 2 for item in differences)
    return math.sqrt((number - 1) / number * spread)
