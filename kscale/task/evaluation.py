"""Evaluation: score, further metrics and confusions of a network on a part."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kscale.task.heads.base import Objective
from kscale.task.objectives import shown_metrics
from kscale.task.tasks import Target, Task

_JACKKNIFE_GROUPS = 20
_DRAWS = 1000
_MOST_GROUPS = 100  # of left-out scores
_MANY = 10**6  # numbers given, above which fewer groups must do

Pairs = Mapping[str, tuple[NDArray[Any], NDArray[Any]]]
"""By target name, what was wanted and what was given: `labels` and `given` of
`kscale.task.heads.base`."""


@dataclass(frozen=True)
class Scores:
    """What a network reaches on a part, as `kscale.runs.records` has it."""

    score: float
    stderr: float
    examples: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    metric_errors: Mapping[str, float] = field(default_factory=dict)
    confusion: Mapping[str, list[list[int]]] = field(default_factory=dict)
    left_out: list[float] = field(default_factory=list)


def mean_score(
    objective: Objective,
    task: Task,
    pairs: Mapping[str, tuple[NDArray[Any], Any]],
    score: Callable[[Objective, NDArray[Any], Any], float] = Objective.compute,
) -> float:
    """The objective: of the target, or the mean over several.

    With `Objective.of` as the score, what was gathered stands in the place of `given`.
    """
    scores = [
        score(part, *pairs[target.name]) for target, part in parts_of(objective, task)
    ]
    return math.fsum(scores) / len(scores)


def mean_error(objective: Objective, task: Task, pairs: Pairs) -> float:
    """Standard error of the objective over the examples.

    All targets are of the same examples, so their errors are not independent: both ways
    (`share_error` where all scores are means of shares, else a jackknife) leave out or
    count an example with all its targets.
    """
    parts = parts_of(objective, task)
    shares = [
        part.shares(np, *pairs[target.name]) for target, part in parts if part.shares
    ]
    error = share_error(np.mean(shares, axis=0)) if shares else 0.0
    if len(shares) == len(parts):
        return error
    jackknifed = _jackknife(_mean_without(objective, task, pairs))
    # Left-out groups say nothing of a target that is right everywhere.
    return max(float(jackknifed), error * len(shares) / len(parts))


def evaluate(objective: Objective, task: Task, pairs: Pairs) -> Scores:
    """Score and further metrics."""
    names = shown_metrics(task, objective)
    return Scores(
        mean_score(objective, task, pairs),
        mean_error(objective, task, pairs),
        _count(pairs),
        _defined(dict(zip(names, _metrics(objective, task, pairs), strict=True))),
    )


def evaluate_test(objective: Objective, task: Task, pairs: Pairs) -> Scores:
    """As `evaluate`, with errors of all metrics, confusions and left-out scores."""
    errors = {
        name: _error(metric, *pairs[target.name])
        for name, (target, metric) in shown_metrics(task, objective).items()
    }
    numbers = sum(given.size for _, given in pairs.values())
    most = _MOST_GROUPS if numbers <= _MANY else _MOST_GROUPS // 5
    left = _mean_without(objective, task, pairs, most)
    return replace(
        evaluate(objective, task, pairs),
        metric_errors=_defined(errors),
        confusion={
            target.name: target.head.confusion(*pairs[target.name])
            for target in task.targets
            if target.head.confusion
        },
        left_out=[float(f"{s:.9g}") for s in left if np.isfinite(left).all()],
    )


def _error(metric: Objective, labels: NDArray[Any], given: NDArray[Any]) -> float:
    """Standard error of a metric of one target."""
    if metric.is_decoded:
        return bootstrap_error(metric, labels, given)
    if metric.shares is not None:
        return share_error(metric.shares(np, labels, given))
    return float(_jackknife(_without(metric, labels, given, _JACKKNIFE_GROUPS)))


def parts_of(objective: Objective, task: Task) -> list[tuple[Target, Objective]]:
    """Each target with its metric."""
    if not objective.parts:
        return [(task.targets[0], objective)]
    parts = dict(objective.parts)
    return [(target, parts[target.name]) for target in task.targets]


def _metrics(objective: Objective, task: Task, pairs: Pairs) -> list[float]:
    shown = shown_metrics(task, objective).values()
    return [metric.compute(*pairs[target.name]) for target, metric in shown]


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


def bootstrap_error(
    metric: Objective, labels: NDArray[Any], given: NDArray[Any]
) -> float:
    """Standard error of a metric of sums over the texts, by a thousand draws of as many
    texts as there are (Koehn 2004, statistical significance tests of BLEU).

    Args:
        metric: Its figure follows from sums of `given` over the examples.
        labels: The labels.
        given: Figures of each example, `(examples, figures)`.
    """
    assert metric.figure is not None
    number = len(given)
    drawn = np.random.default_rng(0).multinomial(
        number, np.full(number, 1 / number), _DRAWS
    )
    found = [metric.figure(labels, sums) for sums in drawn @ given.astype(np.float64)]
    return float(np.std(found, ddof=1))


def paired_error(
    left_out: Sequence[float], other: Sequence[float], least: float = 0.0
) -> float:
    """Standard error of the difference of two scores on the same examples.

    The grouped jackknife (Efron 1982, chapter 2) of the difference: examples that are
    hard for both cancel out. For accuracy, with one example a group, the square is
    `(b + c - (b - c)^2 / n) / n / (n - 1)`, where `b` and `c` of `n` examples are right
    with one network only. The test of McNemar (1947), advised by Dietterich (1998) for
    two classifiers that were trained once, leaves out the second term. For errors, the
    result is the standard error of the mean of paired differences. The jackknife also
    holds for scores that are no means over examples.

    Args:
        left_out: A score without each group of the examples.
        other: Another one without the same groups.
        least: For shares, `1 / n` of `n` examples: half an example more for each of the
            four outcomes of a pair (Agresti & Min 2005), for few examples may decide.

    Example:

    >>> one = [(7 - right) / 9 for right in (1, 1, 1, 1, 1, 1, 1, 0, 0, 0)]
    >>> two = [(6 - right) / 9 for right in (1, 1, 1, 1, 0, 0, 1, 1, 0, 0)]
    >>> round(paired_error(one, two) ** 2 * 10 * 9, 6)  # 2 + 1 - (2 - 1)^2 / 10
    2.9
    """
    differences = [mine - its for mine, its in zip(left_out, other, strict=True)]
    mean, number = fmean(differences), len(differences)
    spread = math.fsum((item - mean) ** 2 for item in differences)
    return math.hypot(math.sqrt((number - 1) / number * spread), least)


def _jackknife(left_out: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard error of a figure, of its values without each group of examples.

    The grouped jackknife (Efron 1982, chapter 2). Where a figure is not defined without
    a group, the others must do; NaN if there are none.
    """
    values = np.ma.masked_invalid(left_out)
    others = values.count(axis=0) - 1
    variance = np.ma.filled(values.var(axis=0), np.nan)
    return np.asarray(np.sqrt(np.where(others > 0, others, np.nan) * variance))


def _mean_without(
    objective: Objective, task: Task, pairs: Pairs, most: int = _JACKKNIFE_GROUPS
) -> NDArray[np.float64]:
    """The objective without each of `most` groups of examples."""
    found = [
        _without(part, *pairs[target.name], most)
        for target, part in parts_of(objective, task)
    ]
    return np.asarray(np.mean(found, axis=0))


def _without(
    metric: Objective, labels: NDArray[Any], given: NDArray[Any], most: int
) -> NDArray[np.float64]:
    """A metric without each of `most` groups of examples, of what is gathered of each
    group once; NaN where there is one group only."""
    number = min(most, len(labels))
    if number < 2:
        return np.full(number, np.nan)
    wanted = [labels[group::number] for group in range(number)]
    pieces = [
        metric.gathered(np, each, given[group::number])
        for group, each in enumerate(wanted)
    ]
    return np.array(
        [
            metric.of(
                np.concatenate(wanted[:group] + wanted[group + 1 :]),
                pieces[:group] + pieces[group + 1 :],
            )
            for group in range(number)
        ]
    )


def _count(pairs: Pairs) -> int:
    return len(next(iter(pairs.values()))[0])


def _defined(metrics: Mapping[str, float]) -> dict[str, float]:
    """The finite metrics, in the six digits of records."""
    return {n: short(value) for n, value in metrics.items() if math.isfinite(value)}


def short(value: float) -> float:
    """A number in six digits, as it is written to a file."""
    return float(np.format_float_positional(value, 6, fractional=False))
