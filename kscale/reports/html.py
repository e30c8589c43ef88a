"""The page of a report: one file that loads nothing and runs no code."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import chain, repeat

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
from kscale.text import Grid, printable

# Every rule is for the report alone, so that a notebook around it keeps its looks.
_STYLE = f"""
.kscale {{ font: 15px/1.5 system-ui, sans-serif; color: #1f2937; background: #fff;
  max-width: 62rem; margin: 0 auto; padding: 1rem; }}
.kscale h1 {{ font-size: 1.25rem; }}
.kscale h2 {{ font-size: 1.05rem; margin-top: 2rem; }}
.kscale figure {{ margin: 1.5rem 0; }}
.kscale svg {{ width: 100%; height: auto; font: 12px system-ui, sans-serif; }}
.kscale svg text {{ fill: #374151; }}
.kscale .quiet {{ color: #6b7280; }}
.kscale svg .quiet {{ fill: #6b7280; }}
.kscale .scroll {{ overflow-x: auto; }}
.kscale table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
.kscale th, .kscale td {{ padding: .25rem .7rem; text-align: left;
  white-space: nowrap; }}
.kscale th {{ border-bottom: 2px solid #d1d5db; }}
.kscale td {{ border-bottom: 1px solid #eef0f3; }}
.kscale .number {{ text-align: right; }}
.kscale tr.other {{ color: #6b7280; }}
.kscale tr.answer {{ font-weight: 600; background: #f3f7fc; }}
.kscale .best {{ color: {COLOURS["best"]}; }}
.kscale .present {{ color: {COLOURS["present"]}; }}
.kscale .recommended {{ color: {COLOURS["recommended"]}; }}
.kscale summary {{ cursor: pointer; margin: 1rem 0; }}
.kscale pre {{ overflow-x: auto; padding: 1rem; background: #f3f4f6;
  user-select: all; }}
""".strip()

# The page shows text of strangers, so the browser is to run and load nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def report_html(report: Report, fragment: bool = False, code: str = "") -> str:
    """A report as one self-contained page: answers, plot, table and notes.

    Args:
        report: What to show.
        fragment: Whether to give a `<div>` to put into another page instead, such as a
            notebook.
        code: Code of the recommended network, to be unfolded; empty for none.
    """
    content = f"<style>\n{_STYLE}\n</style>\n{_content(report, code)}"
    if fragment:
        return content
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>kscale: {escape(headline(report))}</title>
</head>
<body>
{content}
</body>
</html>
"""


def _content(report: Report, code: str) -> str:
    rows, every = shown_rows(report), shown_rows(report, all_rows=True)
    parts = ['<div class="kscale">', f"<h1>{escape(headline(report))}</h1>"]
    for name, text in sentences_of(report):
        named = f'<strong class="{name.split()[0]}">{escape(name)}</strong>'
        parts.append(f"<p>{named}: {escape(text)}</p>")
    if report.notes:
        notes = (f"<li>{escape(printable(note))}</li>" for note in report.notes)
        parts.append('<ul class="notes">\n' + "\n".join(notes) + "\n</ul>")
    if any(row.params > 0 for row in report.rows):
        data = plot_data(report)
        parts.append(f"<figure>\n{plot_svg(data)}\n{_caption(data)}</figure>")
    if rows:
        columns = columns_of(report, rows, all_rows=False)
        parts.append("<h2>Front, answers and baselines</h2>")
        parts.append(_row_table(columns, rows))
        parts.append(_quiet(legend(report, rows, columns)))
    parts += chain.from_iterable(map(_quality, qualities_of(report)))
    if len(every) > len(rows):
        table = _row_table(columns_of(report, every, all_rows=True), every)
        parts.append(_unfolded(f"All {len(every)} rows", table))
    if code:
        summary = "Keras code of the recommended network; a click selects all of it"
        parts.append(_unfolded(summary, f"<pre>{escape(code)}</pre>"))
    return "\n".join([*parts, _quiet([closing(report)]), "</div>"])


def _quiet(lines: Iterable[str]) -> str:
    text = "<br>\n".join(map(escape, lines))
    return f'<p class="quiet">{text}</p>'


def _unfolded(summary: str, content: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n{content}\n</details>"


def _caption(data: PlotData) -> str:
    items = [f'<span style="color:{COLOURS["front"]}">&#9679;</span> front']
    items += [
        f'<span class="{answer.kind}">&#9711;</span> {escape(answer.label)}'
        for answer in data.answers
    ]
    return f"<figcaption>{' &nbsp; '.join(items)}</figcaption>\n"


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
