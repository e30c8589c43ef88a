"""Tables of a report: for a terminal, Markdown, spreadsheets and programs."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from kscale.reports.bits_section import bits_json
from kscale.reports.cells import (
    Column,
    closing,
    columns_of,
    fitting_columns,
    grid_of,
    headline,
    kind_of,
    legend,
    shown_rows,
)
from kscale.reports.compression_tables import compressions_json
from kscale.reports.course_tables import course_json
from kscale.reports.evidence import evidence_json
from kscale.reports.law_section import law_json
from kscale.reports.present import present_json, sentences_of
from kscale.reports.quality import (
    Quality,
    class_lines,
    qualities_of,
    quality_block,
    quality_json,
    quality_name,
    quality_text,
    score_grid,
)
from kscale.reports.report import Note, Report, Row
from kscale.reports.sections import Section, sections_of
from kscale.runs.records import INT8_SCORES
from kscale.text import Grid, grid_table, plain_text, printable

_FIGURES = (
    *("learning_rate", "params", "trainable", "flops", "unknown_flops", "bytes"),
    *("memory", "latency_ms", "latency_low", "latency_high", "flash", "ram"),
    *("score", "stderr", "seeds", "stage", "epochs", "density", "net_score", "gain"),
    *("test_score", "test_low", "test_high"),
    *("undertrained", "is_front", "is_best", "is_recommended", "is_tied"),
    *("is_baseline", "over_budget"),
)
"""Attributes of a row that CSV and JSON hold, in their order."""


def report_text(
    report: Report, width: int = 88, all_rows: bool = False, colour: bool = False
) -> str:
    """A report as text, its table in as many columns as there is room for.

    The table has the front, answers and baselines, or every row.
    """
    return plain_text(report_table(report, width, all_rows), width, colour)


def report_table(report: Report, width: int, all_rows: bool = False) -> Group:
    """What `report_text` shows, for `rich`."""
    rows = shown_rows(report, all_rows)
    items: list[Text | Table] = [Text(headline(report), style="bold")]
    items += map(named_line, sentences_of(report))
    if rows:
        columns = fitting_columns(columns_of(report, rows, all_rows), rows, width)
        items += [Text(), row_table(columns, rows), Text()]
        items += [Text(line, style="dim") for line in legend(report, rows, columns)]
    qualities = qualities_of(report)
    items += [Text()] * bool(qualities)
    for quality in qualities:
        items += quality_block(quality, width)
    items += map(note_line, report.notes)
    items += chain.from_iterable(map(_section, sections_of(report)))
    items += [Text()] * bool(report.course.steps)
    return Group(*items, Text(closing(report), style="dim"))


def _section(section: Section) -> Iterator[Text | Table]:
    for title, grid in zip((f"\n{section.title}:", ""), section.grids, strict=False):
        yield Text(title, style="bold")
        yield grid_table(grid)
    yield Text("\n".join(section.lines), style="dim")


def named_line(sentence: tuple[str, str]) -> Text:
    """A sentence after its name."""
    return Text.assemble((f"{sentence[0]}: ", "bold green"), sentence[1])


def note_line(note: Note) -> Text:
    """A note, after a word that says what it is."""
    return Text.assemble(("Note: ", "bold yellow"), printable(note))


def row_table(columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    """The table of rows, with answers in bold and what is off the front dimmed."""
    styles = {"answer": "bold", "front": "", "other": "dim"}
    return grid_table(grid_of(columns, rows), [styles[kind_of(row)] for row in rows])


def report_markdown(report: Report, all_rows: bool = False) -> str:
    """A report in Markdown, its table in GitHub's form."""
    rows = shown_rows(report, all_rows)
    columns = columns_of(report, rows, all_rows)
    answers = [f"**{name}**: {_escaped(text)}" for name, text in sentences_of(report)]
    parts = [
        _escaped(headline(report)),
        _markdown_list(answers),
        _markdown_table(grid_of(columns, rows)) if rows else "",
        _markdown_list(map(_escaped, legend(report, rows, columns))),
        *map(_markdown_quality, qualities_of(report)),
        _markdown_list(f"Note: {_escaped(printable(note))}" for note in report.notes),
        *chain.from_iterable(map(_markdown_section, sections_of(report))),
        closing(report),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _markdown_section(section: Section) -> Iterator[str]:
    if section.grids:
        yield f"**{_escaped(section.title)}**"
        yield from map(_markdown_table, section.grids)
    yield _markdown_list(map(_escaped, section.lines))


def _markdown_quality(quality: Quality) -> str:
    text = f"**{_escaped(quality_name(quality))}**: {_escaped(quality_text(quality))}"
    if quality.confusion is None:
        return text
    table = _markdown_table(score_grid(quality.confusion))
    lines = _markdown_list(map(_escaped, class_lines(quality.confusion)))
    return f"{text}\n\n{table}\n\n{lines}"


def _markdown_list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _markdown_table(grid: Grid) -> str:
    ruler = ["---:" if is_number else ":---" for is_number in grid.are_numbers]
    lines = (grid.header, ruler, *grid.rows)
    return "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)


def _escaped(text: str) -> str:
    """Text that Markdown shows unchanged, HTML in the text included."""
    if set(text) <= set(":-"):
        return text
    for letter in "\\`*_[]<>|!#":
        text = text.replace(letter, f"\\{letter}")
    return text


def report_csv(report: Report) -> str:
    """All rows as comma-separated raw numbers; None is an empty cell, flags 0 or 1."""
    knobs = sorted({name for row in report.rows for name in row.knobs})
    metrics = _names(row.metrics for row in report.rows)
    tested = _names(row.test_metrics for row in report.rows)
    stored = ("bits",) * report.budget.are_bits_open
    names = ("family", *knobs, *_FIGURES, *stored, *metrics)
    lines: list[list[Any]] = [[*names, *(f"test_{name}" for name in tested)]]
    for row in report.rows:
        lines.append(
            [
                row.family,
                *map(row.knobs.get, knobs),
                *(int(v) if isinstance(v, bool) else v for v in _figures(row).values()),
                *(getattr(row, name) for name in stored),
                *map(row.metrics.get, metrics),
                *map(row.test_metrics.get, tested),
            ]
        )
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows(map(spreadsheet_cell, line) for line in lines)
    return file.getvalue()


def _figures(row: Row) -> dict[str, Any]:
    """Figures and flags of a row; FLOPs of which nothing is known are None."""
    figures = {name: getattr(row, name) for name in _FIGURES}
    return figures if row.flops or not row.unknown_flops else {**figures, "flops": None}


def _names(items: Iterable[Mapping[str, float]]) -> list[str]:
    """Names of all metrics, each once, in the order of their first appearance."""
    return list(dict.fromkeys(chain.from_iterable(items)))


def spreadsheet_cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula; `-1` is a number."""
    if not isinstance(value, str) or value[:1] not in tuple("=+-@\t\r"):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def report_json(report: Report) -> dict[str, Any]:
    """A report as plain data for `json`: stable keys, raw integers, never NaN."""
    return {
        "objective": {
            "name": report.objective.name,
            "higher_is_better": report.objective.higher_is_better,
            "is_share": report.objective.is_share,
            "targets": {name: part.name for name, part in report.objective.parts},
        },
        "data": dict(report.data),
        "budget": report.budget.to_json(),
        "rank_by": report.rank_by,
        "chance": _finite(report.chance),
        "best": _row_json(report.best),
        "recommended": _row_json(report.recommended),
        **evidence_json(report),
        "present": present_json(report),
        "front": [_row_json(row) for row in report.front],
        "baselines": [_row_json(row) for row in report.baselines],
        "rows": [_row_json(row) for row in report.rows],
        "quality": [quality_json(quality) for quality in qualities_of(report)],
        "course": course_json(report),
        **law_json(report),
        "by_bits": bits_json(report),
        "compressions": [*map(compressions_json, report.compressions)],
        "failures": [{"reason": r, "trainings": n} for r, n in report.failures],
        "notes": list(map(str, report.notes)),
        "trainings": report.trainings,
        "training_seconds": report.training_seconds,
    }


def _row_json(row: Row | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        **{name: getattr(row, name) for name in ("family", "depth", "width")},
        "knobs": row.knobs,
        "bits": row.bits,
        **{name: _finite(figure) for name, figure in _figures(row).items()},
        "int8": None
        if row.int8 is None
        else {n: getattr(row.int8[1], n) for n in chain(*INT8_SCORES.values())},
        "by_seed": row.by_seed,
        "metrics": dict(row.metrics),
        "test_metrics": dict(row.test_metrics),
    }


def _finite(figure: Any) -> Any:
    """A figure for JSON: a number that is not finite becomes None."""
    is_finite = not isinstance(figure, float) or math.isfinite(figure)
    return figure if is_finite else None
