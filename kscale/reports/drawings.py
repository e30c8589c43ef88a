"""Pictures as elements of SVG, written as they are or painted as PNG.

A page holds the SVG, so that it loads nothing and answers without Matplotlib; only a
PNG file needs Matplotlib, which paints the same elements.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from kscale.reports.plots import COLOURS, Mark, PlotData
from kscale.runs.folder import write_atomically
from kscale.units import format_count

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 150, 30, 62
_FLOOR, _END = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
_LINE = 13  # height of a line of text
_LEGEND_LINE = 18
_GRID, _QUIET, _TEXT = "#e5e7eb", "#6b7280", "#374151"
_POINTS = 0.72  # of type, a pixel of the picture
_STYLE = (
    f"text {{ font: 12px sans-serif; fill: {_TEXT}; }} .quiet {{ fill: {_QUIET}; }}"
)
_ALIGNED = {"start": "left", "middle": "center", "end": "right"}

Place = Callable[[float], float]


def shape(tag: str, text: str = "", title: str = "", **attributes: Any) -> Element:
    """An element of SVG; pointing at it shows the title.

    In names of attributes a hyphen is written as an underscore, `class` as `class_`.
    """
    named = {name.strip("_").replace("_", "-"): v for name, v in attributes.items()}
    element = Element(tag, {name: str(value) for name, value in named.items()})
    element.text = text
    if title:
        SubElement(element, "title").text = title
    return element


def label(x: float, y: float, text: str, anchor: str = "start", **more: str) -> Element:
    """A text that starts, has its middle or ends at a place."""
    return shape("text", text, x=x, y=y, text_anchor=anchor, **more)


def svg_text(shapes: Iterable[Element], width: int, height: int, **more: str) -> str:
    """An `<svg>` element of shapes, in pixels from the upper left."""
    frame = shape("svg", viewBox=f"0 0 {width} {height}", **more)
    frame.extend(shapes)
    return tostring(frame, encoding="unicode")


def plot_svg(data: PlotData) -> str:
    """An `<svg>` element; pointing at a dot names its row."""
    about = {"role": "img", "aria_label": data.title}
    return svg_text(_shapes(data), _WIDTH, _HEIGHT, **about)


def draw(data: PlotData, path: Path) -> None:
    """Write a plot as a PNG or SVG file, with its legend."""
    shapes = [label(_LEFT, 14, data.title), *_shapes(data), *_legend(data)]
    height = _HEIGHT + _LEGEND_LINE * (len(data.answers) + 1)
    if path.suffix.lower() == ".png":
        _paint(shapes, height, path)
        return
    paper = shape("rect", width="100%", height="100%", fill="#fff")
    shapes = [shape("style", _STYLE), paper, *shapes]
    text = svg_text(shapes, _WIDTH, height, xmlns="http://www.w3.org/2000/svg")
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    write_atomically(path, f"{head}{text}\n".encode())


def _line(
    corners: Iterable[tuple[float, float]],
    colour: str = COLOURS["line"],
    width: float = 1.0,
    dashes: str = "none",
) -> Element:
    """A line through corners."""
    return shape(
        "polyline",
        points=" ".join(f"{x},{y}" for x, y in corners),
        fill="none",
        stroke=colour,
        stroke_width=width,
        stroke_dasharray=dashes,
    )


def _area(corners: Iterable[tuple[float, float]], colour: str) -> Element:
    """A filled area."""
    points = " ".join(f"{x},{y}" for x, y in corners)
    return shape("polygon", points=points, fill=colour, stroke_width=0)


def _disc(x: float, y: float, radius: float, colour: str, title: str = "") -> Element:
    about: Any = {"fill": colour, "stroke": colour, "stroke_width": 1}
    return shape("circle", title=title, cx=x, cy=y, r=radius, **about)


def _ring(x: float, y: float, radius: float, mark: Mark) -> Element:
    ring = _disc(x, y, radius, COLOURS[mark.kind], mark.label)
    ring.attrib |= {"fill": "none", "stroke-width": "3"}
    return ring


def _shapes(data: PlotData) -> Iterator[Element]:
    left, right = (math.log(end) for end in data.x_range)
    low, high = data.y_range

    def x(params: float) -> float:
        part = (math.log(params) - left) / (right - left)
        return round(_LEFT + part * (_END - _LEFT), 1)

    def y(score: float) -> float:
        part = (min(max(score, low), high) - low) / (high - low)
        return round(_FLOOR - part * (_FLOOR - _TOP), 1)

    if data.band:
        lower = [(x(params), y(least)) for params, least, _ in data.band]
        upper = [(x(params), y(most)) for params, _, most in data.band]
        yield _area([*lower, *reversed(upper)], COLOURS["band"])
    yield from _axes(data, x, y)
    yield from _level_lines(data, y)
    for params, name in data.ends:
        place = x(params)
        yield _line([(place, _TOP), (place, _FLOOR)], dashes="6 4")
        yield label(place, _TOP - 6, name, "middle")
    if data.line:
        corners = [(x(params), y(score)) for params, score in data.line]
        yield _line(corners, COLOURS["front"], 1.8)
    for point in sorted(data.points, key=lambda point: point.kind == "front"):
        if low <= point.score <= high:
            place = x(point.params)
            colour = COLOURS["front" if point.kind == "front" else "row"]
            ends = (point.score + point.stderr, point.score - point.stderr)
            yield _line([(place, y(end)) for end in ends], colour)
            yield _disc(place, y(point.score), 3.5, colour, point.label)
    for answer in data.answers:  # named in the legend
        radius = 9 if answer.kind == "best" else 7
        yield _ring(x(answer.params), y(answer.score), radius, answer)


def round_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round numbers in a range, evenly spaced and at most so many: 60, 70, ..., 100."""
    least = (high - low) / most
    power = 10.0 ** math.floor(math.log10(least))
    step = power * next(s for s in (1, 2, 5, 10) if power * s >= least)
    first, last = math.ceil(low / step), math.floor(high / step)
    decimals = max(0, -math.floor(math.log10(step)))
    return [round(index * step, decimals) for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[int]:
    """Numbers 1, 2 and 5 times a power of ten in a range, fewer in a wide one."""
    steps = (1, 2, 5) if high / low < 10**3.5 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10**power for power in powers if power >= 0 for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def spread(values: Sequence[float], least: float) -> list[float]:
    """Places near values, in their order, at least some distance apart."""
    places = list(values)
    order = sorted(range(len(values)), key=lambda index: values[index])
    for before, index in zip(order, order[1:], strict=False):
        places[index] = max(places[index], places[before] + least)
    return places


def _axes(data: PlotData, x: Place, y: Place) -> Iterator[Element]:
    for tick in round_ticks(*data.y_range):
        yield _line([(_LEFT, y(tick)), (_END, y(tick))], _GRID)
        yield label(_LEFT - 8, y(tick) + 4, f"{tick:g}", "end")
    yield _line([(_LEFT, _FLOOR), (_END, _FLOOR)])
    for params in log_ticks(*data.x_range):
        yield _line([(x(params), _FLOOR), (x(params), _FLOOR + 5)])
        yield label(x(params), _FLOOR + 18, format_count(params), "middle")
    middle, height = (_LEFT + _END) / 2, (_TOP + _FLOOR) / 2
    yield label(middle, _FLOOR + 36, data.x_label, "middle")
    turn = f"rotate(-90 14 {height})"
    yield label(14, height, data.y_label, "middle", transform=turn)
    if data.outside:
        yield label(middle, _HEIGHT - 8, data.outside, "middle", class_="quiet")


def _level_lines(data: PlotData, y: Place) -> Iterator[Element]:
    """What baselines reach, named at the right without overlap."""
    heights = [-y(level.score) for level in data.levels]
    for level, place in zip(data.levels, spread(heights, _LINE), strict=True):
        height = y(level.score)
        yield _line([(_LEFT, height), (_END, height)], dashes="2 3")
        yield label(_END + 6, 4 - place, level.label)


def _legend(data: PlotData) -> Iterator[Element]:
    """Names of the rings, below the picture; a page has the names in its caption."""
    yield _disc(_LEFT, _HEIGHT + 8, 4, COLOURS["front"])
    yield label(_LEFT + 14, _HEIGHT + 12, data.dots)
    for line, answer in enumerate(data.answers, start=1):
        height = _HEIGHT + 8 + line * _LEGEND_LINE
        yield _ring(_LEFT, height, 5, answer)
        yield label(_LEFT + 14, height + 4, answer.label)


def _paint(shapes: Iterable[Element], height: int, path: Path) -> None:
    """Draw texts, circles and lines with Matplotlib, without a window."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH / 100, height / 100))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, _WIDTH), ylim=(height, 0))
    axes.axis("off")
    for each in shapes:
        about = each.attrib
        if each.tag == "text":
            is_turned = "transform" in about
            axes.text(
                float(about["x"]),
                float(about["y"]),
                each.text or "",
                ha=_ALIGNED[about["text-anchor"]],
                va="center" if is_turned else "baseline",
                rotation=90 * is_turned,
                color=_QUIET if "class" in about else _TEXT,
                fontsize=12 * _POINTS,
                parse_math=False,
            )
            continue
        width = float(about["stroke-width"]) * _POINTS
        if each.tag == "circle":
            axes.plot(
                float(about["cx"]),
                float(about["cy"]),
                "o",
                markersize=2 * float(about["r"]) * _POINTS,
                markerfacecolor=about["fill"],
                markeredgecolor=about["stroke"],
                markeredgewidth=width,
            )
            continue
        corners = (corner.split(",") for corner in about["points"].split())
        x, y = zip(*(map(float, corner) for corner in corners), strict=True)
        if each.tag == "polygon":
            axes.fill(x, y, color=about["fill"], linewidth=width)
        else:
            gaps = about["stroke-dasharray"]
            dashes = "-" if gaps == "none" else (0, [*map(int, gaps.split())])
            colour = about["stroke"]
            axes.plot(x, y, color=colour, linewidth=width, linestyle=dashes)
    figure.savefig(path, dpi=200)
