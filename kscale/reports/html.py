"""The page of a report: one file that loads nothing and runs no code."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import chain, repeat

from kscale.reports.cells import (
    answer_lines,
    closing,
    columns_of,
    grid_of,
    headline,
    legend,
    shown_rows,
)
from kscale.reports.classes import score_grid
from kscale.reports.drawings import plot_svg
from kscale.reports.heat import MOST_HEAT, confusion_svg
from kscale.reports.plots import COLOURS, PlotData, plot_data
from kscale.reports.present import present_lines
from kscale.reports.quality import (
    Quality,
    classes_heading,
    mistakes_text,
    qualities_of,
    quality_name,
    quality_text,
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
    rows = shown_rows(report)
    parts = [
        '<div class="kscale">',
        f"<h1>{escape(headline(report))}</h1>",
        *_answer_items(report),
        *_notes(report),
        *_plot_figure(report),
        *_front(report, rows),
        *chain.from_iterable(map(_quality, qualities_of(report))),
        *_rest(report, rows),
        *_code(code),
        f'<p class="quiet">{escape(closing(report))}</p>',
        "</div>",
    ]
    return "\n".join(parts)


def _answer_items(report: Report) -> Iterable[str]:
    for name, text in (*answer_lines(report), *present_lines(report)):
        kind = name.split()[0]
        yield f'<p><strong class="{kind}">{escape(name)}</strong>: {escape(text)}</p>'


def _notes(report: Report) -> Iterable[str]:
    if report.notes:
        items = "\n".join(
            f"<li>{escape(printable(note))}</li>" for note in report.notes
        )
        yield f'<ul class="notes">\n{items}\n</ul>'


def _plot_figure(report: Report) -> Iterable[str]:
    if any(row.params > 0 for row in report.rows):
        data = plot_data(report)
        yield f"<figure>\n{plot_svg(data)}\n{_caption(data)}</figure>"


def _caption(data: PlotData) -> str:
    items = [f'<span style="color:{COLOURS["front"]}">&#9679;</span> front']
    items += [
        f'<span class="{answer.kind}">&#9711;</span> {escape(answer.label)}'
        for answer in data.answers
    ]
    return f"<figcaption>{' &nbsp; '.join(items)}</figcaption>\n"


def _front(report: Report, rows: Sequence[Row]) -> Iterable[str]:
    if not rows:
        return
    yield "<h2>Front, answers and baselines</h2>"
    columns = columns_of(report, rows, all_rows=False)
    yield _page_table(grid_of(columns, rows), list(map(_kind, rows)))
    lines = "<br>\n".join(escape(line) for line in legend(report, rows, columns))
    yield f'<p class="quiet">{lines}</p>'


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
    below = [classes_heading(confusion), mistakes_text(confusion)]
    lines = "<br>\n".join(escape(line) for line in below if line)
    yield f'<p class="quiet">{lines}</p>'


def _rest(report: Report, shown: Sequence[Row]) -> Iterable[str]:
    rows = shown_rows(report, all_rows=True)
    if len(rows) > len(shown):
        columns = columns_of(report, rows, all_rows=True)
        table = _page_table(grid_of(columns, rows), list(map(_kind, rows)))
        summary = f"All {len(rows)} rows"
        yield f"<details>\n<summary>{summary}</summary>\n{table}\n</details>"


def _code(code: str) -> Iterable[str]:
    if code:
        summary = "Keras code of the recommended network; a click selects all of it"
        yield (
            f"<details>\n<summary>{summary}</summary>\n"
            f"<pre>{escape(code)}</pre>\n</details>"
        )


def _page_table(grid: Grid, kinds: Sequence[str] = ()) -> str:
    """A table; every row may be of a kind that the style knows."""
    openings = [f'<tr class="{kind}">' for kind in kinds] or ["<tr>"] * len(grid.rows)
    body = "\n".join(
        opening + "".join(map(_cell, repeat("td"), grid.are_numbers, row)) + "</tr>"
        for opening, row in zip(openings, grid.rows, strict=True)
    )
    head = "".join(map(_cell, repeat("th"), grid.are_numbers, grid.header))
    return (
        '<div class="scroll"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _cell(tag: str, is_number: bool, text: str) -> str:
    kind = ' class="number"' if is_number else ""
    return f"<{tag}{kind}>{escape(text)}</{tag}>"


def _kind(row: Row) -> str:
    if row.is_best or row.is_recommended:
        return "answer"
    return "front" if row.is_front else "other"
