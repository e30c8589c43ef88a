"""The page of a report: one file that loads nothing and runs no code."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from itertools import chain, repeat
from string import Template

from kscale.reports.cells import (
    Column,
    closing,
    columns_of,
    grid_of,
    headline,
    kind_of,
    legend,
    shown_rows,
)
from kscale.reports.drawings import plot_svg
from kscale.reports.heat import MOST_HEAT, confusion_svg
from kscale.reports.plots import COLOURS, PlotData, plot_data
from kscale.reports.present import sentences_of
from kscale.reports.quality import (
    Quality,
    class_lines,
    qualities_of,
    quality_name,
    quality_text,
    score_grid,
)
from kscale.reports.report import Report, Row
from kscale.reports.sections import Section, sections_of
from kscale.text import Grid, printable


def report_html(report: Report, fragment: bool = False, code: str = "") -> str:
    """A report as one self-contained page: answers, plot, table and notes.

    A fragment is a `<div>` to put into another page, such as a notebook; the code of
    the recommended network can be unfolded.
    """
    page = files("kscale.reports")
    style = page.joinpath("page.css").read_text("utf-8").strip()
    content = f"<style>\n{style}\n</style>\n{_content(report, code)}"
    if fragment:
        return content
    whole = Template(page.joinpath("page.html").read_text("utf-8"))
    return whole.substitute(title=escape(headline(report)), content=content)


def _content(report: Report, code: str) -> str:
    rows, every = shown_rows(report), shown_rows(report, all_rows=True)
    parts = ['<div class="kscale">', f"<h1>{escape(headline(report))}</h1>"]
    for name, text in sentences_of(report):
        named = _coloured("strong", name.split()[0], escape(name))
        parts.append(f"<p>{named}: {escape(text)}</p>")
    if report.notes:
        notes = (f"<li>{escape(printable(note))}</li>" for note in report.notes)
        parts.append('<ul class="notes">\n' + "\n".join(notes) + "\n</ul>")
    if any(row.params > 0 for row in report.rows):
        parts.append(_figure(plot_data(report)))
    if rows:
        columns = columns_of(report, rows, all_rows=False)
        parts.append("<h2>Front, answers and baselines</h2>")
        parts.append(_row_table(columns, rows))
        parts.append(_quiet(legend(report, rows, columns)))
    parts += chain.from_iterable(map(_quality, qualities_of(report)))
    parts += chain.from_iterable(map(_section, sections_of(report)))
    if len(every) > len(rows):
        table = _row_table(columns_of(report, every, all_rows=True), every)
        parts.append(_unfolded(f"All {len(every)} rows", table))
    if code:
        summary = "Keras code of the recommended network; a click selects all of it"
        parts.append(_unfolded(summary, f"<pre>{escape(code)}</pre>"))
    return "\n".join([*parts, _quiet([closing(report)]), "</div>"])


def _section(section: Section) -> Iterable[str]:
    if section.grids:
        yield f"<h2>{escape(section.title)}</h2>"
    if section.plot is not None:
        yield _figure(section.plot())
    yield from map(_page_table, section.grids)
    yield _quiet(section.lines)


def _figure(data: PlotData) -> str:
    return f"<figure>\n{plot_svg(data)}\n{_caption(data)}</figure>"


def _quiet(lines: Iterable[str]) -> str:
    text = "<br>\n".join(map(escape, lines))
    return f'<p class="quiet">{text}</p>'


def _unfolded(summary: str, content: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n{content}\n</details>"


def _caption(data: PlotData) -> str:
    items = [_coloured("span", "front", "&#9679;") + f" {escape(data.dots)}"]
    items += [
        f"{_coloured('span', answer.kind, '&#9711;')} {escape(answer.label)}"
        for answer in data.answers
    ]
    return f"<figcaption>{' &nbsp; '.join(items)}</figcaption>\n"


def _coloured(tag: str, kind: str, text: str) -> str:
    return f'<{tag} style="color:{COLOURS.get(kind, "inherit")}">{text}</{tag}>'


def _quality(quality: Quality) -> Iterable[str]:
    yield f"<h2>{escape(quality_name(quality).capitalize())}</h2>"
    yield f"<p>{escape(quality_text(quality))}</p>"
    confusion = quality.confusion
    if confusion is None:
        return
    if confusion.is_exclusive and len(confusion.class_names) <= MOST_HEAT:
        heat = confusion_svg(confusion, f"Confusion of {quality_name(quality)}")
        yield f"<figure>\n{heat}\n</figure>"
    yield _page_table(score_grid(confusion))
    yield _quiet(class_lines(confusion))


def _row_table(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    return _page_table(grid_of(columns, rows), map(kind_of, rows))


def _page_table(grid: Grid, kinds: Iterable[str] = repeat("")) -> str:
    """A table; every row may be of a kind that the style knows."""
    body = "\n".join(
        f'<tr class="{kind}">{_cells("td", grid, row)}</tr>'
        for kind, row in zip(kinds, grid.rows, strict=False)
    )
    return (
        '<div class="scroll"><table>\n'
        f"<thead><tr>{_cells('th', grid, grid.header)}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _cells(tag: str, grid: Grid, texts: Sequence[str]) -> str:
    kinds = (' class="number"' if is_number else "" for is_number in grid.are_numbers)
    cells = zip(kinds, map(escape, texts), strict=True)
    return "".join(f"<{tag}{kind}>{text}</{tag}>" for kind, text in cells)
