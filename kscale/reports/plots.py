"""What the picture of a report shows: score against params, as data to be drawn."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kscale.errors import ResultsError
from kscale.reports.cells import name_of, score_text
from kscale.reports.report import Report, Row
from kscale.runs.records import PRESENT
from kscale.task.objectives import metric_name
from kscale.text import counted, printable
from kscale.units import format_count

COLOURS = {
    "row": "#a9b4c2",
    "front": "#1f5fa8",
    "best": "#c8432b",
    "recommended": "#1b8a5a",
    "present": "#7c3aed",
    "line": "#6b7280",
    "band": "#d6e4f5",
}
"""Colours of the plot, by the kind of what is drawn."""

_MARGIN = 0.1  # of the drawn range of scores, above and below


class Mark(NamedTuple):
    """A row in the picture; `score` and `stderr` are per cent for shares."""

    kind: str
    label: str
    params: int
    score: float
    stderr: float


@dataclass(frozen=True)
class PlotData:
    """What a plot shows; scores are in per cent for shares, params on a log scale.

    Args:
        title, y_label: Of the whole, and of the scores.
        points: All rows with weights; of kind `front`, `baseline` or `row`.
        line: Corners of a line: of the front's steps, or of a law.
        levels: Baselines inside the drawn range, as horizontal lines.
        answers: The best and the recommended row, and the user's present model.
        ends: Numbers of params with names: what the budget allows, or where a law is no
            longer trusted.
        x_range, y_range: Least and largest params and scores drawn: those of the front,
            the answers and the trained baselines. Other rows may lie outside.
        outside: What lies outside, as a sentence; empty if nothing does.
        band: Params with the least and largest score that are likely by a law.
        dots: What dots of kind `front` are.
        x_label: Name of the horizontal axis: params, or bytes of the weights.
    """

    title: str
    y_label: str
    points: tuple[Mark, ...]
    line: tuple[tuple[float, float], ...]
    levels: tuple[Mark, ...]
    answers: tuple[Mark, ...]
    ends: tuple[tuple[float, str], ...]
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    outside: str
    band: tuple[tuple[float, float, float], ...] = ()
    dots: str = "front"
    x_label: str = "params"


def plot_data(report: Report) -> PlotData:
    """What the plot of a report shows.

    Raises:
        ResultsError: No row with weights has been trained yet.
    """
    points = tuple(_points(report))
    if not points:
        raise ResultsError("There is nothing to plot: no training has finished yet.")
    low, high = _y_range(report, points)
    limit, x_label = _limit(report), "params"
    if report.budget.are_bits_open:
        x_label = "bytes of the stored weights"
    params = [*(point.params for point in points), *([limit] if limit else [])]
    x_range = (min(params) / 1.6, max(params) * 1.6)
    levels = [
        _mark(report, row, row.family, f"{printable(row.family)} {score}")
        for row in report.baselines
        if (score := score_text(report, row.score))
    ]
    inside = tuple(level for level in levels if low <= level.score <= high)
    hidden = sum(not low <= point.score <= high for point in points)
    outside = [level.label for level in levels if level not in inside]
    outside += [counted(hidden, "row")] * bool(hidden)
    metric = metric_name(report.objective)
    name = printable(report.data.get("name", "data"))
    direction = "" if report.objective.higher_is_better else ", lower is better"
    return PlotData(
        title=f"{name}: {metric} against {x_label}",
        y_label=f"{metric}{' (%)' if report.objective.is_share else ''}{direction}",
        points=points,
        line=_step(report, limit or x_range[1]),
        levels=inside,
        answers=tuple(_answers(report)),
        ends=((limit, f"budget {format_count(limit)}"),) if limit else (),
        x_range=x_range,
        y_range=(low, high),
        outside=f"not in the picture: {', '.join(outside)}" if outside else "",
        x_label=x_label,
    )


def _mark(report: Report, row: Row, kind: str, label: str) -> Mark:
    factor = report.factor
    place = _place(report, row)
    return Mark(kind, label, place, factor * row.score, factor * row.stderr)


def _place(report: Report, row: Row) -> int:
    """Params, or bytes where weights of a network may have several numbers of bits."""
    return row.bytes if report.budget.are_bits_open else row.params


def _points(report: Report) -> Iterator[Mark]:
    for row in report.rows:
        if row.params > 0:
            kind = "front" if row.is_front else "baseline" if row.is_baseline else "row"
            score = f"{report.factor * row.score:.4g}"
            stored = f" in {row.bits} bits" if report.budget.are_bits_open else ""
            label = f"{name_of(row)}: {row.params:,} params{stored}, {score}"
            yield _mark(report, row, kind, label)


def _limit(report: Report) -> int | None:
    """The largest place that the budget allows."""
    params, size = report.budget.max_params, report.budget.max_bytes
    if report.budget.are_bits_open:
        return size
    limits = [params, size if size is None else size // 4]  # float32 weights
    return min((limit for limit in limits if limit is not None), default=None)


def _y_range(report: Report, points: Sequence[Mark]) -> tuple[float, float]:
    """A range that a single bad training cannot stretch, with room at both ends."""
    kept = [point for point in points if point.kind != "row"] or points
    low = min(point.score - point.stderr for point in kept)
    high = max(point.score + point.stderr for point in kept)
    pad = _MARGIN * (high - low) or 0.05 * abs(high) or 1.0
    if report.objective.is_share:
        most = 102.0 if report.objective.is_success else math.inf
        return max(low - pad, 0.0), min(high + 1.5 * pad, most)
    return low - pad, high + pad


def _step(report: Report, last: float) -> tuple[tuple[float, float], ...]:
    corners: list[tuple[float, float]] = []
    for row in sorted(report.front, key=lambda row: (row.bytes, row.params)):
        place = float(_place(report, row))
        if corners:
            corners.append((place, corners[-1][1]))
        corners.append((place, report.factor * row.score))
    return (*corners, (last, corners[-1][1])) if corners else ()


def _answers(report: Report) -> Iterator[Mark]:
    """The answers, and beside them the user's present model."""
    named = [(name, name.split()[0], row) for name, row in report.answers]
    named += [
        ("yours", "present", row)
        for row in report.baselines
        if row.family == PRESENT and row.params
    ]
    for name, kind, row in named:
        score = f"{score_text(report, row.score)}{report.unit}"
        size = f"{format_count(row.params)} params"
        yield _mark(report, row, kind, f"{name}: {name_of(row)}, {size}, {score}")
