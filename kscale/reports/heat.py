"""The confusion of classes as an SVG heat map, for pages that load nothing."""

from collections.abc import Iterable
from html import escape

from kscale.reports.classes import class_name
from kscale.reports.confusion import Confusion
from kscale.reports.plots import COLOURS

MOST_HEAT = 30
"""Classes up to which a heat map can be read."""

_CELL = 34
_LEFT, _TOP = 170, 60
_DARK = 0.55  # share of a row above which its number is white


def confusion_svg(confusion: Confusion, title: str) -> str:
    """An `<svg>` element: a row for each class, a column for each answer.

    The darker a cell, the larger its share of the row; pointing at it says it in words.
    """
    side = _CELL * len(confusion.class_names)
    body = "\n".join([*_heat_cells(confusion), *_labels(confusion)])
    width, height = _LEFT + side + 10, _TOP + side + 10
    return (
        f'<svg viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img" '
        f'aria-label="{escape(title)}">\n{body}\n</svg>'
    )


def _heat_cells(confusion: Confusion) -> Iterable[str]:
    for wanted, given, examples in confusion.counts:
        support = confusion.scores[wanted].support
        share = examples / max(support, 1)
        x, y = _LEFT + given * _CELL, _TOP + wanted * _CELL
        names = confusion.class_names
        title = f"{names[wanted]} taken for {names[given]}: {examples} of {support}"
        colour = COLOURS["front"] if wanted == given else COLOURS["best"]
        shade = round(0.08 + 0.92 * share, 3)
        number = "#fff" if shade > _DARK else "#374151"
        yield (
            f'<g><rect x="{x}" y="{y}" width="{_CELL - 1}" height="{_CELL - 1}" '
            f'fill="{colour}" fill-opacity="{shade}"/>'
            f'<text x="{x + _CELL / 2}" y="{y + _CELL / 2 + 4}" text-anchor="middle" '
            f'style="fill:{number}">{examples}</text><title>{escape(title)}</title></g>'
        )


def _labels(confusion: Confusion) -> Iterable[str]:
    yield f'<text x="{_LEFT - 8}" y="14" text-anchor="end" class="quiet">answer</text>'
    yield f'<text x="4" y="{_TOP - 8}" class="quiet">class</text>'
    for index, name in enumerate(confusion.class_names):
        middle = index * _CELL + _CELL / 2
        text = escape(class_name(name))
        yield (
            f'<text x="{_LEFT - 8}" y="{_TOP + middle + 4}" text-anchor="end">'
            f"{text}</text>"
        )
        x, y = _LEFT + middle, _TOP - 8
        yield (
            f'<text x="{x}" y="{y}" transform="rotate(-45 {x} {y})">'
            f"{escape(class_name(name)[:8])}</text>"
        )
