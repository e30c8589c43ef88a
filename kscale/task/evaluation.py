"""Evaluation: score, further metrics and confusions of a network on a part."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.task.heads.base import Objective
from kscale.task.standard_errors import Mask, jackknife, share_error, without_groups
from kscale.task.tasks import Target, Task

_MOST_GROUPS = 100
_MANY = 10**6  # numbers given, above which fewer groups must do

Pairs = Mapping[str, tuple[NDArray[Any], NDArray[Any]]]
"""By target name, what was wanted and what was given: `labels` and `given` of
`kscale.task.heads.base`."""


@dataclass(frozen=True)
class Scores:
    """What a network reaches on a part; the fields are those of a record.

    Args:
        score, stderr: Objective with its standard error over the examples.
        examples: Number of examples.
        metrics, metric_errors, confusion, left_out: As in a record.
    """

    score: float
    stderr: float
    examples: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    metric_errors: Mapping[str, float] = field(default_factory=dict)
    confusion: Mapping[str, list[list[int]]] = field(default_factory=dict)
    left_out: list[float] = field(default_factory=list)


def mean_score(objective: Objective, task: Task, pairs: Pairs) -> float:
    """The objective: of the target, or the mean over several."""
    scores = [
        part.compute(*pairs[target.name]) for target, part in _parts(objective, task)
    ]
    return math.fsum(scores) / len(scores)


def mean_error(objective: Objective, task: Task, pairs: Pairs) -> float:
    """Standard error of the objective over the examples.

    All targets are of the same examples, so their errors are not independent: both ways
    (`share_error` where all scores are means of shares, else `jackknife`) leave out or
    count an example with all its targets.
    """
    parts = _parts(objective, task)
    shares = [part.shares(*pairs[target.name]) for target, part in parts if part.shares]
    if len(shares) == len(parts):
        return share_error(np.mean(shares, axis=0))
    error = jackknife(
        lambda kept: mean_score(objective, task, _kept(pairs, kept)), _count(pairs)
    )
    # Left-out groups say nothing of a target that is right everywhere.
    weight = len(shares) / len(parts)
    least = weight * share_error(np.mean(shares, axis=0)) if shares else 0.0
    return max(float(error), least)


def evaluate(objective: Objective, task: Task, pairs: Pairs) -> Scores:
    """Score and further metrics."""
    return Scores(
        mean_score(objective, task, pairs),
        mean_error(objective, task, pairs),
        _count(pairs),
        _defined(_all_metrics(objective, task, pairs)),
    )


def evaluate_test(objective: Objective, task: Task, pairs: Pairs) -> Scores:
    """As `evaluate`, with errors of all metrics, confusions and left-out scores."""
    done = evaluate(objective, task, pairs)

    def without(kept: Mask) -> list[float]:
        return [*_all_metrics(objective, task, _kept(pairs, kept)).values()]

    names = _all_metrics(objective, task, pairs)
    jackknifed = jackknife(without, done.examples).tolist()
    errors = dict(zip(names, jackknifed, strict=True)) | _share_errors(task, pairs)
    return replace(
        done,
        metric_errors=_defined(errors),
        confusion={
            target.name: target.head.confusion(*pairs[target.name])
            for target in task.targets
            if target.head.confusion
        },
        left_out=left_out_scores(objective, task, pairs),
    )


def left_out_scores(objective: Objective, task: Task, pairs: Pairs) -> list[float]:
    """The objective without each group of examples; empty where it is not defined."""
    numbers = sum(given.size for _, given in pairs.values())
    scores = without_groups(
        lambda kept: mean_score(objective, task, _kept(pairs, kept)),
        _count(pairs),
        _MOST_GROUPS if numbers <= _MANY else _MOST_GROUPS // 5,
    )
    return [float(f"{s:.9g}") for s in scores] if np.isfinite(scores).all() else []


def _parts(objective: Objective, task: Task) -> list[tuple[Target, Objective]]:
    """Each target with its metric."""
    if not objective.parts:
        return [(task.targets[0], objective)]
    parts = dict(objective.parts)
    return [(target, parts[target.name]) for target in task.targets]


def _all_metrics(objective: Objective, task: Task, pairs: Pairs) -> dict[str, float]:
    """Metrics of all targets by the names of `kscale.task.objectives.metric_names`."""
    if len(task.targets) == 1:
        target = task.targets[0]
        return target.head.measure(*pairs[target.name])
    found: dict[str, float] = {}
    for target, part in _parts(objective, task):
        improved = {part.name: part.compute(*pairs[target.name])}
        shown = target.head.measure(*pairs[target.name])
        found |= {f"{target.name}/{n}": v for n, v in {**improved, **shown}.items()}
    return found


def _share_errors(task: Task, pairs: Pairs) -> dict[str, float]:
    """Those of means of shares, which need no jackknife."""
    errors = {}
    for target in task.targets:
        for name in target.head.shown:
            if shares := target.head.objectives[name].shares:
                whole = name if len(task.targets) == 1 else f"{target.name}/{name}"
                errors[whole] = share_error(shares(*pairs[target.name]))
    return errors


def _kept(pairs: Pairs, kept: Mask) -> Pairs:
    return {n: (wanted[kept], given[kept]) for n, (wanted, given) in pairs.items()}


def _count(pairs: Pairs) -> int:
    return len(next(iter(pairs.values()))[0])


def _defined(metrics: Mapping[str, float]) -> dict[str, float]:
    """The finite ones, in the six digits that are written."""
    return {n: short(value) for n, value in metrics.items() if math.isfinite(value)}


def short(value: float) -> float:
    """A number in six digits, as it is written to a file."""
    return float(np.format_float_positional(value, 6, fractional=False))
