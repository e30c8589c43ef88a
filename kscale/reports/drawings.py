"""The picture of a report: shapes, written as SVG or drawn as PNG.

A page holds the SVG, so that it loads nothing and answers without Matplotlib; only a
PNG file needs Matplotlib, which paints the same shapes.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from kscale.errors import ResultsError
from kscale.reports.plots import COLOURS, PlotData, Point, plot_data
from kscale.reports.report import Report
from kscale.runs.folder import write_atomically
from kscale.units import format_count

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 150, 30, 62
_LINE = 13  # height of a line of text
_LEGEND_LINE = 18
_GRID, _QUIET, _TEXT = "#e5e7eb", "#6b7280", "#374151"
_POINTS = 0.72  # of type, a pixel of the picture
_STYLE = (
    f"text {{ font: 12px sans-serif; fill: {_TEXT}; }} .quiet {{ fill: {_QUIET}; }}"
)

Place = Callable[[float], float]


class Line(NamedTuple):
    """A line through corners, in pixels from the upper left."""

    corners: Sequence[tuple[float, float]]
    colour: str
    width: float = 1.0
    dashes: tuple[int, int] | None = None


class Dot(NamedTuple):
    """A disc, or a ring of some width; pointing at the dot shows the title."""

    x: float
    y: float
    radius: float
    colour: str
    title: str
    ring: float = 0.0


class Label(NamedTuple):
    """A text that starts, has its middle or ends at a place; a turned one reads up."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    is_quiet: bool = False
    is_turned: bool = False


Shape = Line | Dot | Label


def plot_svg(data: PlotData) -> str:
    """An `<svg>` element; pointing at a dot names its row."""
    body = "\n".join(map(_element, _shapes(data)))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(data.title)}">\n{body}\n</svg>'
    )


def plot_report(report: Report, path: Path | str) -> None:
    """Draw a report's score against params as a PNG or SVG file, with its legend.

    Args:
        report: What to draw.
        path: Where to; its suffix decides the format.

    Raises:
        ResultsError: The suffix is another, or there is nothing to plot.
    """
    path = Path(path)
    if path.suffix.lower() not in (".png", ".svg"):
        raise ResultsError(
            f"A plot is a .png or .svg file, but got {path.name!r}; rename it."
        )
    data = plot_data(report)
    shapes = [Label(_LEFT, 14, data.title), *_shapes(data), *_legend(data)]
    height = _HEIGHT + _LEGEND_LINE * (len(data.answers) + 1)
    if path.suffix.lower() == ".png":
        _paint(shapes, height, path)
        return
    body = "\n".join(map(_element, shapes))
    write_atomically(
        path,
        f'<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg"'
        f' viewBox="0 0 {_WIDTH} {height}">\n<style>{_STYLE}</style>\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'.encode(),
    )


def _shapes(data: PlotData) -> Iterator[Shape]:
    x, y = _scales(data)
    yield from _axes(data, x, y)
    yield from _level_lines(data, y)
    if data.max_params is not None:
        place, name = x(data.max_params), f"budget {format_count(data.max_params)}"
        ends = ((place, _TOP), (place, _HEIGHT - _BOTTOM))
        yield Line(ends, COLOURS["line"], dashes=(6, 4))
        yield Label(place, _TOP - 6, name, "middle")
    if data.step:
        corners = [(x(params), y(score)) for params, score in data.step]
        yield Line(corners, COLOURS["front"], 1.8)
    for point in sorted(data.points, key=lambda point: point.kind == "front"):
        if data.y_range[0] <= point.score <= data.y_range[1]:
            yield from _point_shapes(point, x(point.params), y, data)
    for answer in data.answers:  # named in the legend
        radius, colour = 9 if answer.kind == "best" else 7, COLOURS[answer.kind]
        yield Dot(x(answer.params), y(answer.score), radius, colour, answer.label, 3)


def _scales(data: PlotData) -> tuple[Place, Place]:
    """Pixels of params and of scores."""
    left, right = (math.log(end) for end in data.x_range)
    low, high = data.y_range

    def x(params: float) -> float:
        part = (math.log(params) - left) / (right - left)
        return round(_LEFT + part * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(score: float) -> float:
        part = (score - low) / (high - low)
        return round(_HEIGHT - _BOTTOM - part * (_HEIGHT - _TOP - _BOTTOM), 1)

    return x, y


def round_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round numbers in a range, evenly spaced and at most so many.

    Example:

    >>> round_ticks(57.3, 101.2)
    [60.0, 70.0, 80.0, 90.0, 100.0]
    """
    least = (high - low) / most
    power = 10.0 ** math.floor(math.log10(least))
    step = power * next(s for s in (1, 2, 5, 10) if power * s >= least)
    first, last = math.ceil(low / step), math.floor(high / step)
    decimals = max(0, -math.floor(math.log10(step)))
    return [round(index * step, decimals) for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[int]:
    """Numbers 1, 2 and 5 times a power of ten in a range, fewer in a wide one.

    Example:

    >>> log_ticks(90, 1100), log_ticks(90, 2e6)
    ([100, 200, 500, 1000], [100, 1000, 10000, 100000, 1000000])
    """
    steps = (1, 2, 5) if high / low < 10**3.5 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10**power for power in powers if power >= 0 for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


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


def _axes(data: PlotData, x: Place, y: Place) -> Iterator[Shape]:
    floor, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for tick in round_ticks(*data.y_range):
        yield Line(((_LEFT, y(tick)), (right, y(tick))), _GRID)
        yield Label(_LEFT - 8, y(tick) + 4, f"{tick:g}", "end")
    yield Line(((_LEFT, floor), (right, floor)), COLOURS["line"])
    for params in log_ticks(*data.x_range):
        yield Line(((x(params), floor), (x(params), floor + 5)), COLOURS["line"])
        yield Label(x(params), floor + 18, format_count(params), "middle")
    middle = (_LEFT + right) / 2
    yield Label(middle, floor + 36, data.x_label, "middle")
    yield Label(14, (_TOP + floor) / 2, data.y_label, "middle", is_turned=True)
    if data.outside:
        yield Label(middle, _HEIGHT - 8, data.outside, "middle", is_quiet=True)


def _level_lines(data: PlotData, y: Place) -> Iterator[Shape]:
    """What baselines reach, named at the right without overlap."""
    heights = [-y(level.score) for level in data.levels]
    for level, place in zip(data.levels, spread(heights, _LINE), strict=True):
        height = y(level.score)
        ends = ((_LEFT, height), (_WIDTH - _RIGHT, height))
        yield Line(ends, COLOURS["line"], dashes=(2, 3))
        yield Label(_WIDTH - _RIGHT + 6, 4 - place, level.label)


def _point_shapes(point: Point, x: float, y: Place, data: PlotData) -> Iterator[Shape]:
    colour = COLOURS["front" if point.kind == "front" else "row"]
    top = y(min(point.score + point.stderr, data.y_range[1]))
    bottom = y(max(point.score - point.stderr, data.y_range[0]))
    yield Line(((x, top), (x, bottom)), colour)
    title = f"{point.name}: {point.params:,} params, {point.score:.4g}"
    yield Dot(x, y(point.score), 3.5, colour, title)


def _legend(data: PlotData) -> Iterator[Shape]:
    """Names of the rings, below the picture; a page has the names in its caption."""
    yield Dot(_LEFT, _HEIGHT + 8, 4, COLOURS["front"], "")
    yield Label(_LEFT + 14, _HEIGHT + 12, "front")
    for line, answer in enumerate(data.answers, start=1):
        height = _HEIGHT + 8 + line * _LEGEND_LINE
        yield Dot(_LEFT, height, 5, COLOURS[answer.kind], "", 3)
        yield Label(_LEFT + 14, height + 4, answer.label)


def _element(shape: Shape) -> str:
    """A shape as an element of SVG."""
    if isinstance(shape, Label):
        extra = ' class="quiet"' if shape.is_quiet else ""
        if shape.is_turned:
            extra += f' transform="rotate(-90 {shape.x} {shape.y})"'
        return (
            f'<text x="{shape.x}" y="{shape.y}" text-anchor="{shape.anchor}"{extra}>'
            f"{escape(shape.text)}</text>"
        )
    if isinstance(shape, Dot):
        fill = "none" if shape.ring else shape.colour
        return (
            f'<circle cx="{shape.x}" cy="{shape.y}" r="{shape.radius}" fill="{fill}" '
            f'stroke="{shape.colour}" stroke-width="{shape.ring or 1}">'
            f"<title>{escape(shape.title)}</title></circle>"
        )
    corners = " ".join(f"{x},{y}" for x, y in shape.corners)
    dashes = shape.dashes and f' stroke-dasharray="{shape.dashes[0]} {shape.dashes[1]}"'
    return (
        f'<polyline points="{corners}" fill="none" stroke="{shape.colour}" '
        f'stroke-width="{shape.width}"{dashes or ""}/>'
    )


def _paint(shapes: Iterable[Shape], height: int, path: Path) -> None:
    """Draw shapes with Matplotlib; no window and no global state is used."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH / 100, height / 100))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, _WIDTH), ylim=(height, 0))
    axes.axis("off")
    for shape in shapes:
        if isinstance(shape, Label):
            axes.text(
                shape.x,
                shape.y,
                shape.text,
                ha={"start": "left", "middle": "center", "end": "right"}[shape.anchor],
                va="center" if shape.is_turned else "baseline",
                rotation=90 * shape.is_turned,
                color=_QUIET if shape.is_quiet else _TEXT,
                fontsize=12 * _POINTS,
                parse_math=False,
            )
        elif isinstance(shape, Dot):
            axes.plot(
                [shape.x],
                [shape.y],
                "o",
                markersize=2 * shape.radius * _POINTS,
                markerfacecolor="none" if shape.ring else shape.colour,
                markeredgecolor=shape.colour,
                markeredgewidth=(shape.ring or 1) * _POINTS,
            )
        else:
            x, y = zip(*shape.corners, strict=True)
            dashes = (0, shape.dashes) if shape.dashes else "-"
            width = shape.width * _POINTS
            axes.plot(x, y, color=shape.colour, linewidth=width, linestyle=dashes)
    figure.savefig(path, dpi=200)
