"""The picture of a report: score against params, first as data and then drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

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
"""Colours of the plot by what they stand for, in every format."""

_MARGIN = 0.1  # of the drawn range of scores, above and below
_PARTS = {".png": 200, ".svg": 100}


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
    """A row that is an answer or asked for one, with what the legend says of it."""

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
    factor = 100 if report.objective.is_share else 1
    points = tuple(_point(row, factor) for row in rows)
    limit = _most_params(report)
    y_range = _y_range(report, points)
    x_range = _x_range([point.params for point in points], limit)
    levels = _levels(report, factor)
    inside = tuple(level for level in levels if y_range[0] <= level.score <= y_range[1])
    metric = metric_name(report.objective)
    direction = "" if report.objective.higher_is_better else ", lower is better"
    return PlotData(
        title=f"{printable(report.data.get('name', 'data'))}: {metric} against params",
        x_label="params",
        y_label=f"{metric}{' (%)' if report.objective.is_share else ''}{direction}",
        points=points,
        step=_step(report, factor, limit or x_range[1]),
        levels=inside,
        answers=_answers(report, factor),
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
    limits = [report.budget.max_params]
    if report.budget.max_bytes is not None:
        limits.append(report.budget.max_bytes // 4)  # float32 weights
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


def _step(report: Report, factor: int, last: float) -> tuple[tuple[float, float], ...]:
    corners: list[tuple[float, float]] = []
    for row in sorted(report.front, key=lambda row: row.params):
        if corners:
            corners.append((float(row.params), corners[-1][1]))
        corners.append((float(row.params), factor * row.score))
    return (*corners, (last, corners[-1][1])) if corners else ()


def _levels(report: Report, factor: int) -> list[Level]:
    return [
        Level(
            factor * row.score,
            f"{printable(row.family)} {score_text(report, row.score)}",
        )
        for row in report.baselines
    ]


def _answers(report: Report, factor: int) -> tuple[Answer, ...]:
    return (*_found(report, factor), *_present(report, factor))


def _present(report: Report, factor: int) -> tuple[Answer, ...]:
    """The user's present model stands beside the answers."""
    rows = [row for row in report.baselines if row.family == PRESENT and row.params]
    return tuple(_answer(report, row, "present", "yours", factor) for row in rows)


def _found(report: Report, factor: int) -> tuple[Answer, ...]:
    if report.best is None or report.recommended is None:
        return ()
    if report.best is report.recommended:
        return (_answer(report, report.best, "best", "best and recommended", factor),)
    return (
        _answer(report, report.best, "best", "best", factor),
        _answer(report, report.recommended, "recommended", "recommended", factor),
    )


def _answer(report: Report, row: Row, kind: str, name: str, factor: int) -> Answer:
    unit = " %" if report.objective.is_share else ""
    score = f"{score_text(report, row.score)}{unit}"
    label = f"{name}: {name_of(row)}, {format_count(row.params)} params, {score}"
    return Answer(row.params, factor * row.score, kind, label)


def _outside(
    points: Sequence[Point], levels: Sequence[Level], y_range: tuple[float, float]
) -> str:
    """Nothing is left out silently."""
    low, high = y_range
    hidden = sum(not low <= point.score <= high for point in points)
    said = [level.label for level in levels]
    if hidden:
        said.append(f"{hidden} {'row' if hidden == 1 else 'rows'}")
    return f"not in the picture: {', '.join(said)}" if said else ""


def plot_report(report: Report, path: Path | str) -> None:
    """Draw a report's score against params as a PNG or SVG file.

    Args:
        report: What to draw.
        path: Where to; its suffix decides the format.

    Raises:
        ResultsError: The suffix is another, or there is nothing to plot.
    """
    path = Path(path)
    if path.suffix.lower() not in _PARTS:
        raise ResultsError(
            f"A plot is a .png or .svg file, but got {path.name!r}; rename it."
        )
    figure = _drawn(plot_data(report))
    figure.savefig(path, dpi=_PARTS[path.suffix.lower()])


def _drawn(data: PlotData) -> Any:
    """A Matplotlib figure; no window and no global state is used."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_xlim(*data.x_range)
    axes.set_ylim(*data.y_range)
    _draw_points(axes, data)
    _draw_answers(axes, data)
    _draw_levels(axes, data)
    _draw_budget(axes, data)
    _dress(figure, axes, data)
    return figure


def _draw_points(axes: Any, data: PlotData) -> None:
    if data.step:
        x, y = zip(*data.step, strict=True)
        axes.plot(x, y, color=COLOURS["front"], linewidth=1.6, label="front", zorder=2)
    groups = {"row": "other rows", "baseline": "", "front": ""}
    for kind, label in groups.items():
        points = [point for point in data.points if point.kind == kind]
        if not points:
            continue
        colour = COLOURS["front" if kind == "front" else "row"]
        axes.errorbar(
            [point.params for point in points],
            [point.score for point in points],
            [point.stderr for point in points],
            fmt="o",
            color=colour,
            markersize=5,
            elinewidth=1,
            label=label or None,
            zorder=3 if kind == "front" else 1,
        )


def _draw_answers(axes: Any, data: PlotData) -> None:
    shapes = {"best": "*", "recommended": "D", "present": "s"}
    for answer in data.answers:
        axes.plot(
            [answer.params],
            [answer.score],
            linestyle="none",
            marker=shapes[answer.kind],
            markersize=14 if answer.kind == "best" else 8,
            color=COLOURS[answer.kind],
            markeredgecolor="white",
            label=answer.label,
            zorder=4,
        )


def _draw_levels(axes: Any, data: PlotData) -> None:
    """Baselines as dotted lines, named in the margin on the right without overlap."""
    low, high = data.y_range
    places = spread([level.score for level in data.levels], 0.05 * (high - low))
    for level, place in zip(data.levels, places, strict=True):
        axes.axhline(level.score, color=COLOURS["line"], linestyle=":", linewidth=1)
        axes.annotate(
            level.label,
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            color=COLOURS["line"],
            fontsize=9,
            annotation_clip=False,
        )


def spread(values: Sequence[float], least: float) -> list[float]:
    """Places near values, in their order, at least some distance apart.

    Example:

    >>> spread([1.0, 5.0, 1.1], 0.5)
    [1.0, 5.0, 1.5]
    """
    places = list(values)
    order = sorted(range(len(values)), key=lambda index: values[index])
    for before, index in zip(order, order[1:], strict=False):
        places[index] = max(places[index], places[before] + least)
    return places


def _draw_budget(axes: Any, data: PlotData) -> None:
    if data.max_params is None:
        return
    axes.axvline(data.max_params, color=COLOURS["line"], linestyle="--", linewidth=1)
    axes.annotate(
        f"budget {format_count(data.max_params)}",
        (data.max_params, 1.01),
        xycoords=("data", "axes fraction"),
        ha="center",
        va="bottom",
        color=COLOURS["line"],
        fontsize=9,
    )


def _dress(figure: Any, axes: Any, data: PlotData) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: format_count(round(x))))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_title(_literal(data.title), loc="left", pad=20, fontweight="bold")
    foot = f"\n{data.outside}" if data.outside else ""
    axes.set_xlabel(f"{data.x_label}{_literal(foot)}")
    axes.set_ylabel(data.y_label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        [_literal(label) for label in labels],
        loc="outside lower left",
        ncols=2,
        frameon=False,
        fontsize=9,
    )


def _literal(text: str) -> str:
    """Text that Matplotlib does not read as mathematics."""
    return text.replace("$", r"\$")
