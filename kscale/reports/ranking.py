"""Orders of the front: which of its rows a reader should see first."""

import math
from collections.abc import Callable, Sequence

from kscale.errors import ResultsError, unknown_name
from kscale.reports.report import Row
from kscale.task.objectives import Objective

KNEE_SHARE = 0.05
"""Part of the remaining error that a doubling of params must remove to be worth it.

A network that follows a power law of exponent 0.074 removes exactly as much.
"""

RANKINGS: dict[str, str] = {
    "knee": "the smallest row after which no larger one is better by more than a "
    f"standard error and removes {100 * KNEE_SHARE:.0f} % of the remaining error with "
    "each doubling of params; then by distance from it",
    "score": "best score first",
    "size": "fewest params first",
    "density": "most points above chance per million params first",
    "netscore": "highest NetScore first",
    "gain": "highest gain per doubling of params first",
}
"""What `rank_by` may be, and the order each gives."""


def ranked_front(
    front: Sequence[Row], objective: Objective, rank_by: str
) -> tuple[Row, ...]:
    """The rows of a front, the smallest first, in the order of one of `RANKINGS`; rows
    without its figure come last.

    Raises:
        ResultsError: The ranking is unknown; the text names the nearest.
    """
    if rank_by not in RANKINGS:
        raise ResultsError(unknown_name("ranking", rank_by, RANKINGS))
    knee = knee_of(front, objective)
    orders: dict[str, Callable[[Row], float | None]] = {
        "knee": lambda row: -abs(_doublings(knee or row, row)),
        "score": lambda row: objective.gain(row.score, 0.0),
        "size": lambda row: -row.params,
        "density": lambda row: row.density,
        "netscore": lambda row: row.net_score,
        "gain": lambda row: row.gain,
    }
    figures = ((orders[rank_by](row), row) for row in front)
    ranked = sorted(figures, key=lambda pair: math.inf if pair[0] is None else -pair[0])
    return tuple(row for _, row in ranked)


def knee_of(front: Sequence[Row], objective: Objective) -> Row | None:
    """The row of a front, the smallest first, after which more params stop paying.

    `RANKINGS` says which; the remaining error is 1 - score where a high score is
    better, else the score. A front without a knee has it at its largest row.
    """
    for index, row in enumerate(front):
        if not any(_pays(row, more, objective) for more in front[index + 1 :]):
            return row
    return None


def _pays(row: Row, larger: Row, objective: Objective) -> bool:
    """Whether the step from a row to a larger one is worth its params."""
    left, remaining = (
        1 - item.score if objective.higher_is_better else item.score
        for item in (larger, row)
    )
    if objective.gain(larger.score, row.score) <= larger.stderr or remaining <= 0:
        return False
    return left / remaining <= math.pow(1 - KNEE_SHARE, _doublings(row, larger))


def _doublings(row: Row, larger: Row) -> float:
    """How often the params of a row double up to those of a larger one."""
    return math.log2(max(larger.params, 1) / max(row.params, 1))
