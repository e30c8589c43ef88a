"""What the picture of a report shows: score against params, as data to be drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kscale.errors import ResultsError
from kscale.reports.cells import name_of, score_text
from kscale.reports.report import Report, Row
from kscale.runs.records import PRESENT
from kscale.task.objectives import metric_name
from kscale.text import printable
from kscale.units import format_count

COLOURS = {
    "row": "#a9b4c2",
    "front": "#1f5fa8",
    "best": "#c8432b",
    "recommended": "#1b8a5a",
    "present": "#7c3aed",
    "line": "#6b7280",
}
"""Colours of the plot by what they stand for."""

_MARGIN = 0.1  # of the drawn range of scores, above and below


class Point(NamedTuple):
    """One row as a dot; `score` and `stderr` are per cent where shares are shown."""

    params: int
    score: float
    stderr: float
    name: str
    kind: str


class Level(NamedTuple):
    """A horizontal line: what a baseline reaches."""

    score: float
    label: str


class Answer(NamedTuple):
    """An answer or the user's present model, with a line for the legend."""

    params: int
    score: float
    kind: str
    label: str


@dataclass(frozen=True)
class PlotData:
    """What a plot shows; scores are in per cent for shares.

    Args:
        title: What was searched.
        x_label, y_label: What the axes are; params are on a logarithmic axis.
        points: All rows with weights; of kind `front`, `baseline` or `row`.
        step: Corners of the front's step line, from its smallest row on.
        levels: Scores of the baselines inside the drawn range.
        answers: The best and the recommended row, and the user's present model.
        max_params: Most params in the budget, also if it limits bytes; None if it
            limits neither.
        x_range: Least and largest params drawn.
        y_range: Least and largest score drawn. It holds the front, the answers and the
            trained baselines; other rows may lie outside.
        outside: What lies outside, as a sentence; empty if nothing does.
    """

    title: str
    x_label: str
    y_label: str
    points: tuple[Point, ...]
    step: tuple[tuple[float, float], ...]
    levels: tuple[Level, ...]
    answers: tuple[Answer, ...]
    max_params: int | None
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    outside: str


def plot_data(report: Report) -> PlotData:
    """What the plot of a report shows.

    Raises:
        ResultsError: No row with weights has been trained yet.
    """
    rows = [row for row in report.rows if row.params > 0]
    if not rows:
        raise ResultsError("There is nothing to plot: no training has finished yet.")
    points = tuple(_point(row, report.factor) for row in rows)
    limit = _most_params(report)
    y_range = _y_range(report, points)
    x_range = _x_range([point.params for point in points], limit)
    levels = _levels(report)
    inside = tuple(level for level in levels if y_range[0] <= level.score <= y_range[1])
    metric = metric_name(report.objective)
    direction = "" if report.objective.higher_is_better else ", lower is better"
    return PlotData(
        title=f"{printable(report.data.get('name', 'data'))}: {metric} against params",
        x_label="params",
        y_label=f"{metric}{' (%)' if report.objective.is_share else ''}{direction}",
        points=points,
        step=_step(report, limit or x_range[1]),
        levels=inside,
        answers=_answers(report),
        max_params=limit,
        x_range=x_range,
        y_range=y_range,
        outside=_outside(points, [lv for lv in levels if lv not in inside], y_range),
    )


def _point(row: Row, factor: int) -> Point:
    kind = "front" if row.is_front else "baseline" if row.is_baseline else "row"
    return Point(
        row.params, factor * row.score, factor * row.stderr, name_of(row), kind
    )


def _most_params(report: Report) -> int | None:
    params, size = report.budget.max_params, report.budget.max_bytes
    limits = [params, size if size is None else size // 4]  # float32 weights
    return min((limit for limit in limits if limit is not None), default=None)


def _x_range(params: Sequence[int], limit: int | None) -> tuple[float, float]:
    values = [*params, *([limit] if limit else [])]
    return min(values) / 1.6, max(values) * 1.6


def _y_range(report: Report, points: Sequence[Point]) -> tuple[float, float]:
    """A range that a single bad training cannot stretch, with room at both ends."""
    kept = [point for point in points if point.kind != "row"] or points
    ends = [point.score - point.stderr for point in kept]
    ends += [point.score + point.stderr for point in kept]
    low, high = min(ends), max(ends)
    pad = _MARGIN * (high - low) or 0.05 * abs(high) or 1.0
    if report.objective.is_share:
        return max(low - pad, 0.0), min(high + 1.5 * pad, 102.0)
    return low - pad, high + pad


def _step(report: Report, last: float) -> tuple[tuple[float, float], ...]:
    corners: list[tuple[float, float]] = []
    for row in sorted(report.front, key=lambda row: row.params):
        if corners:
            corners.append((float(row.params), corners[-1][1]))
        corners.append((float(row.params), report.factor * row.score))
    return (*corners, (last, corners[-1][1])) if corners else ()


def _levels(report: Report) -> list[Level]:
    return [
        Level(
            report.factor * row.score,
            f"{printable(row.family)} {score_text(report, row.score)}",
        )
        for row in report.baselines
    ]


def _answers(report: Report) -> tuple[Answer, ...]:
    """The answers, and beside them the user's present model."""
    named = [(name, name.split()[0], row) for name, row in report.answers]
    named += [
        ("yours", "present", row)
        for row in report.baselines
        if row.family == PRESENT and row.params
    ]
    return tuple(
        Answer(
            row.params,
            report.factor * row.score,
            kind,
            f"{name}: {name_of(row)}, {format_count(row.params)} params, "
            f"{score_text(report, row.score)}{report.unit}",
        )
        for name, kind, row in named
    )


def _outside(
    points: Sequence[Point], levels: Sequence[Level], y_range: tuple[float, float]
) -> str:
    """Nothing is left out silently."""
    low, high = y_range
    hidden = sum(not low <= point.score <= high for point in points)
    names = [level.label for level in levels]
    if hidden:
        names.append(f"{hidden} {'row' if hidden == 1 else 'rows'}")
    return f"not in the picture: {', '.join(names)}" if names else ""
