"""Sections of a report below its main table: tables with a title and what they mean."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from kscale.reports import bits_section, compression_tables, course_tables, law_section
from kscale.reports.forecast import Forecast
from kscale.reports.plots import PlotData
from kscale.reports.report import Report
from kscale.text import Grid


class Section(NamedTuple):
    """Tables with a title, and lines below; the title is shown where a table is.

    Args:
        title: The title.
        grids: The tables.
        lines: What stands below.
        plot: Makes a picture for pages.
    """

    title: str
    grids: Sequence[Grid]
    lines: Sequence[str]
    plot: Callable[[], PlotData] | None = None


def sections_of(report: Report) -> Iterator[Section]:
    """A law of size, which bits win, compressed networks, what the search did."""
    law = report.law
    draw = (lambda: law_section.law_plot(law)) if isinstance(law, Forecast) else None
    grids = law_section.law_grids(report)
    yield Section(law_section.TITLE, grids, [*law_section.law_texts(report)], draw)
    if report.by_bits:
        grids = [bits_section.bits_grid(report)]
        yield Section(bits_section.TITLE, grids, [*bits_section.bits_lines(report)])
    for found in report.compressions:
        yield Section(
            f"{compression_tables.TITLE}: {found.plain.best.spec.label}",
            [compression_tables.compression_grid(found)],
            [*compression_tables.compression_lines(found)],
        )
    if grids := course_tables.course_grids(report):
        lines = [*course_tables.course_lines(report)]
        yield Section(course_tables.TITLE, grids, lines)
