"""The confusion of classes as an SVG heat map, for pages that load nothing."""

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

from kscale.reports.confusion import Confusion
from kscale.reports.drawings import label, shape, svg_text
from kscale.reports.plots import COLOURS
from kscale.reports.quality import class_name

MOST_HEAT = 30
"""Classes up to which a heat map can be read."""

_CELL = 34
_LEFT, _TOP = 170, 60
_DARK = 0.55  # share of a row above which its number is white


def confusion_svg(confusion: Confusion, title: str) -> str:
    """An `<svg>` element: a row for each class, a column for each answer.

    The darker a cell, the larger its share of the row; its tooltip gives the numbers.
    """
    side = _CELL * len(confusion.class_names) + 10
    width, height = _LEFT + side, _TOP + side
    about = {"style": f"max-width:{width}px", "role": "img", "aria_label": title}
    return svg_text([*_cells(confusion), *_labels(confusion)], width, height, **about)


def _cells(confusion: Confusion) -> Iterator[Element]:
    names = confusion.class_names
    for wanted, given, examples in confusion.counts:
        support = confusion.scores[wanted].support
        shade = round(0.08 + 0.92 * examples / max(support, 1), 3)
        title = f"{names[wanted]} taken for {names[given]}: {examples} of {support}"
        x, y = _LEFT + given * _CELL, _TOP + wanted * _CELL
        cell = shape("g", title=title)
        sides: Any = {"width": _CELL - 1, "height": _CELL - 1}
        colour = COLOURS["front" if wanted == given else "best"]
        cell.append(shape("rect", x=x, y=y, fill=colour, fill_opacity=shade, **sides))
        number = f"fill:{'#fff' if shade > _DARK else '#374151'}"
        middle = (x + _CELL / 2, y + _CELL / 2 + 4)
        cell.append(label(*middle, str(examples), "middle", style=number))
        yield cell


def _labels(confusion: Confusion) -> Iterator[Element]:
    yield label(_LEFT - 8, 14, "answer", "end", class_="quiet")
    yield label(4, _TOP - 8, "class", class_="quiet")
    for index, name in enumerate(map(class_name, confusion.class_names)):
        middle = index * _CELL + _CELL / 2
        yield label(_LEFT - 8, _TOP + middle + 4, name, "end")
        x, y = _LEFT + middle, _TOP - 8
        yield label(x, y, name[:8], transform=f"rotate(-45 {x} {y})")
