"""The plot of a report as SVG written by hand, for pages that load nothing."""

import math
from collections.abc import Callable, Iterable
from html import escape

from kscale.reports.plots import COLOURS, PlotData, Point, spread
from kscale.units import format_count

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 150, 30, 62
_TEXT = 13  # height of a line

Place = Callable[[float], float]


def plot_svg(data: PlotData) -> str:
    """An `<svg>` element; pointing at a dot names its row."""
    x, y = _scales(data)
    parts = [
        *_grid(data, y),
        *_ticks(data, x),
        *_levels(data, y),
        *_budget(data, x),
        *_step(data, x, y),
        *_points(data, x, y),
        *_answers(data, x, y),
        *_labels(data),
    ]
    body = "\n".join(parts)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(data.title)}">\n{body}\n</svg>'
    )


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


def _text(x: float, y: float, text: str, anchor: str = "start", extra: str = "") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" {extra}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, extra: str) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" {extra}/>'


def _grid(data: PlotData, y: Place) -> Iterable[str]:
    for tick in round_ticks(*data.y_range):
        yield _line(_LEFT, y(tick), _WIDTH - _RIGHT, y(tick), 'stroke="#e5e7eb"')
        yield _text(_LEFT - 8, y(tick) + 4, f"{tick:g}", "end")


def _ticks(data: PlotData, x: Place) -> Iterable[str]:
    floor = _HEIGHT - _BOTTOM
    yield _line(_LEFT, floor, _WIDTH - _RIGHT, floor, f'stroke="{COLOURS["line"]}"')
    for tick in log_ticks(*data.x_range):
        place = x(tick)
        yield _line(place, floor, place, floor + 5, f'stroke="{COLOURS["line"]}"')
        yield _text(place, floor + 18, format_count(tick), "middle")


def _levels(data: PlotData, y: Place) -> Iterable[str]:
    extra = f'stroke="{COLOURS["line"]}" stroke-dasharray="2 3"'
    heights = [-y(level.score) for level in data.levels]
    for level, place in zip(data.levels, spread(heights, _TEXT), strict=True):
        height = y(level.score)
        yield _line(_LEFT, height, _WIDTH - _RIGHT, height, extra)
        yield _text(_WIDTH - _RIGHT + 6, 4 - place, level.label)


def _budget(data: PlotData, x: Place) -> Iterable[str]:
    if data.max_params is not None:
        place = x(data.max_params)
        extra = f'stroke="{COLOURS["line"]}" stroke-dasharray="6 4"'
        yield _line(place, _TOP, place, _HEIGHT - _BOTTOM, extra)
        yield _text(
            place, _TOP - 6, f"budget {format_count(data.max_params)}", "middle"
        )


def _step(data: PlotData, x: Place, y: Place) -> Iterable[str]:
    if data.step:
        corners = " ".join(f"{x(params)},{y(score)}" for params, score in data.step)
        style = f'fill="none" stroke="{COLOURS["front"]}" stroke-width="1.8"'
        yield f'<polyline points="{corners}" {style}/>'


def _points(data: PlotData, x: Place, y: Place) -> Iterable[str]:
    low, high = data.y_range
    for point in sorted(data.points, key=lambda point: point.kind == "front"):
        if low <= point.score <= high:
            yield _dot(point, x(point.params), y, data)


def _dot(point: Point, place: float, y: Place, data: PlotData) -> str:
    colour = COLOURS["front" if point.kind == "front" else "row"]
    low, high = data.y_range
    top = y(min(point.score + point.stderr, high))
    bottom = y(max(point.score - point.stderr, low))
    said = f"{point.name}: {point.params:,} params, {point.score:.4g}"
    return (
        f'<g stroke="{colour}">{_line(place, top, place, bottom, "")}'
        f'<circle cx="{place}" cy="{y(point.score)}" r="3.5" fill="{colour}"/>'
        f"<title>{escape(said)}</title></g>"
    )


def _answers(data: PlotData, x: Place, y: Place) -> Iterable[str]:
    """A ring around each answer; the page says below which is which."""
    for answer in data.answers:
        radius = 9 if answer.kind == "best" else 7
        yield (
            f'<circle cx="{x(answer.params)}" cy="{y(answer.score)}" r="{radius}" '
            f'fill="none" stroke="{COLOURS[answer.kind]}" stroke-width="3">'
            f"<title>{escape(answer.label)}</title></circle>"
        )


def _labels(data: PlotData) -> Iterable[str]:
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    yield _text(middle, _HEIGHT - _BOTTOM + 36, data.x_label, "middle")
    if data.outside:
        yield _text(middle, _HEIGHT - 8, data.outside, "middle", 'class="quiet"')
    height = (_TOP + _HEIGHT - _BOTTOM) / 2
    turned = f'transform="rotate(-90 14 {height})"'
    yield _text(14, height, data.y_label, "middle", turned)
