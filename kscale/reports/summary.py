"""What a search ends with: the answer on one screen, and what to ask next."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from kscale.reports.cells import (
    closing,
    columns_of,
    fitting_columns,
    headline,
    kind_of,
    mark_lines,
    shown_rows,
)
from kscale.reports.present import sentences_of
from kscale.reports.report import Note, Report, Row
from kscale.reports.run_tables import named_line, note_line, row_table
from kscale.text import counted, plain_text

MOST_LINES = 30
"""Lines that a summary has at most, where a line has 100 columns or more."""

_MEASURES = {"FLOPs", "gain", "density", "NetScore"}
_FURTHER = {
    "present model, trained anew",
    "best against baselines",
    "best against it",
    "what your size could reach",
}


def summary_text(report: Report, folder: Path, width: int, colour: bool = False) -> str:
    """The answers, the front, decisive notes, and commands to go on with.

    Where there is no room for all, the smallest networks of the front are left out
    first, then the last notes, and the text says how many.
    """
    notes = [note for note in report.notes if note.is_decisive]
    rows = sorted(shown_rows(report), key=lambda row: (not row.is_front, row.params))
    spare = [row for row in rows if kind_of(row) == "front" and not row.is_baseline]
    while True:
        text = plain_text(_summary(report, folder, rows, notes, width), width, colour)
        if text.count("\n") <= MOST_LINES or not (spare or notes):
            return text
        if spare:
            rows.remove(spare.pop(0))
        else:
            notes.pop()


def _summary(
    report: Report, folder: Path, rows: Sequence[Row], notes: Sequence[Note], width: int
) -> Group:
    sentences = [each for each in sentences_of(report) if each[0] not in _FURTHER]
    items = [Text(headline(report), style="bold"), *map(named_line, sentences)]
    table: list[Text | Table] = []
    if rows:
        columns = [c for c in columns_of(report, rows) if c.header not in _MEASURES]
        marks = Text("; ".join(mark_lines(report, rows)), style="dim")
        table = [Text(), row_table(fitting_columns(columns, rows, width), rows), marks]
    left_out = [
        counted(len(shown_rows(report)) - len(rows), "smaller row"),
        counted(len(report.notes) - len(notes), "more note"),
    ]
    more = "".join(f", {text}" for text in left_out if text[0] != "0")
    return Group(
        *items,
        *table,
        Text(),
        *map(note_line, notes),
        Text(closing(report), style="dim"),
        *_next_commands(report, folder, more),
    )


def _next_commands(report: Report, folder: Path, more: str) -> list[Text]:
    run = shlex.quote(str(folder))
    commands = {f"kscale report {run}": f"classes, measures, legends{more}"}
    recommended = report.recommended
    if recommended is not None and recommended.test_score is not None:  # has a model
        commands |= {
            f"kscale predict {run} FILE...": "answers of the recommended network",
            f"kscale export {run} -o my.keras": "that network, to use without kscale",
        }
    longest = max(map(len, commands))
    return [Text(f"  {name:{longest}}  {text}") for name, text in commands.items()]
