"""Tables of a report: for a terminal, Markdown, spreadsheets and programs."""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from kscale.reports.cells import (
    ESSENTIAL,
    Column,
    answer_lines,
    closing,
    columns_of,
    grid_of,
    headline,
    legend,
    shown_rows,
)
from kscale.reports.classes import quality_block, score_grid
from kscale.reports.present import present_json, present_lines
from kscale.reports.quality import (
    Quality,
    classes_heading,
    mistakes_text,
    qualities_of,
    quality_json,
    quality_name,
    quality_text,
)
from kscale.reports.report import Report, Row
from kscale.text import Grid, grid_table, plain_text, printable

_FLAGS = (
    "undertrained",
    "is_front",
    "is_best",
    "is_recommended",
    "is_tied",
    "is_baseline",
    "over_budget",
)
_PLAIN = (
    "learning_rate",
    "params",
    "trainable",
    "flops",
    "unknown_flops",
    "bytes",
    "memory",
    "latency_ms",
    "latency_low",
    "latency_high",
    "score",
    "stderr",
    "seeds",
    "stage",
    "epochs",
    "density",
    "net_score",
    "gain",
    "test_score",
    "test_low",
    "test_high",
)


@dataclass(frozen=True)
class ReportTable:
    """A report as `rich` shows it, in as many columns as the terminal has room for.

    Args:
        report: What to show.
        all_rows: Whether to show every row, or the front, answers and baselines.
    """

    report: Report
    all_rows: bool = False

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        report = self.report
        rows = shown_rows(report, self.all_rows)
        yield Text(headline(report), style="bold")
        for name, text in (*answer_lines(report), *present_lines(report)):
            yield Text.assemble((f"{name}: ", "bold green"), text)
        if rows:
            columns = _fitting_columns(
                columns_of(report, rows, self.all_rows), rows, console, options
            )
            yield Text()
            yield _row_table(columns, rows)
            yield Text()
            for line in legend(report, rows, columns):
                yield Text(line, style="dim")
        qualities = qualities_of(report)
        if qualities:
            yield Text()
        for quality in qualities:
            yield from quality_block(quality, console, options)
        for note in report.notes:
            yield Text.assemble(("Note: ", "bold yellow"), printable(note))
        yield Text(closing(report), style="dim")


def report_text(
    report: Report, width: int = 88, all_rows: bool = False, colour: bool = False
) -> str:
    """A report as text.

    Args:
        report: What to show.
        width: Characters of a line.
        all_rows: As for `ReportTable`.
        colour: Whether to add a terminal's codes for bold and colour.
    """
    return plain_text(ReportTable(report, all_rows), width, colour)


def _fitting_columns(
    columns: list[Column], rows: list[Row], console: Console, options: ConsoleOptions
) -> list[Column]:
    """The columns for which there is room, without the least important ones."""
    left = list(columns)
    wide = options.update(width=10_000)
    while True:
        needed = Measurement.get(console, wide, _row_table(left, rows)).maximum
        least = min(left, key=lambda column: column.importance)
        if needed <= options.max_width or least.importance == ESSENTIAL:
            return left
        left.remove(least)


def _row_table(columns: list[Column], rows: list[Row]) -> Table:
    styles = [
        "bold" if row.is_best or row.is_recommended else "" if row.is_front else "dim"
        for row in rows
    ]
    return grid_table(grid_of(columns, rows), styles)


def report_markdown(report: Report, all_rows: bool = False) -> str:
    """A report in Markdown, its table in GitHub's form."""
    rows = shown_rows(report, all_rows)
    columns = columns_of(report, rows, all_rows)
    parts = [_escaped(headline(report))]
    answers = [*answer_lines(report), *present_lines(report)]
    parts.append("\n".join(f"- **{name}**: {_escaped(text)}" for name, text in answers))
    parts.append(_markdown_table(grid_of(columns, rows)) if rows else "")
    parts.append(
        "\n".join(f"- {_escaped(line)}" for line in legend(report, rows, columns))
    )
    parts += map(_markdown_quality, qualities_of(report))
    parts.append(
        "\n".join(f"- Note: {_escaped(printable(note))}" for note in report.notes)
    )
    parts.append(closing(report))
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown_quality(quality: Quality) -> str:
    text = f"**{_escaped(quality_name(quality))}**: {_escaped(quality_text(quality))}"
    if quality.confusion is None:
        return text
    table = _markdown_table(score_grid(quality.confusion))
    below = [classes_heading(quality.confusion), mistakes_text(quality.confusion)]
    lines = "\n".join(f"- {_escaped(line)}" for line in below if line)
    return f"{text}\n\n{table}\n\n{lines}"


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
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    metrics = _names(row.metrics for row in report.rows)
    tested = _names(row.test_metrics for row in report.rows)
    writer.writerow(
        [
            *("family", *map(spreadsheet_cell, knobs), *_PLAIN, *_FLAGS),
            *(spreadsheet_cell(name) for name in metrics),
            *(f"test_{name}" for name in tested),
        ]
    )
    for row in report.rows:
        writer.writerow(
            [
                spreadsheet_cell(row.family),
                *(spreadsheet_cell(row.knobs.get(name)) for name in knobs),
                *(_figure(row, name) for name in _PLAIN),
                *(int(getattr(row, name)) for name in _FLAGS),
                *(row.metrics.get(name) for name in metrics),
                *(row.test_metrics.get(name) for name in tested),
            ]
        )
    return file.getvalue()


def _figure(row: Row, name: str) -> Any:
    """A figure of a row; FLOPs of which nothing is known are None."""
    is_known = name != "flops" or row.flops or not row.unknown_flops
    return getattr(row, name) if is_known else None


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
        "budget": asdict(report.budget),
        "rank_by": report.rank_by,
        "chance": _finite(report.chance),
        "best": _row_json(report.best),
        "recommended": _row_json(report.recommended),
        "present": present_json(report),
        "front": [_row_json(row) for row in report.front],
        "baselines": [_row_json(row) for row in report.baselines],
        "rows": [_row_json(row) for row in report.rows],
        "quality": [quality_json(quality) for quality in qualities_of(report)],
        "failures": [{"reason": r, "trainings": n} for r, n in report.failures],
        "notes": list(report.notes),
        "trainings": report.trainings,
        "training_seconds": report.training_seconds,
    }


def _row_json(row: Row | None) -> dict[str, Any] | None:
    if row is None:
        return None
    named = ("family", "depth", "width")
    return {
        **{name: getattr(row, name) for name in named},
        "knobs": row.knobs,
        **{name: _finite(_figure(row, name)) for name in (*_PLAIN, *_FLAGS)},
        "metrics": dict(row.metrics),
        "test_metrics": dict(row.test_metrics),
    }


def _finite(data: Any) -> Any:
    """Plain data for JSON: numbers that are not finite become None."""
    if isinstance(data, float) and not math.isfinite(data):
        return None
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_finite(value) for value in data]
    return data
