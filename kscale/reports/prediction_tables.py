"""Predictions for people, spreadsheets and programs, written while they are made."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from kscale.reports.run_tables import spreadsheet_cell
from kscale.ship.prediction import Prediction
from kscale.task.tasks import Task
from kscale.text import printable

_LINES = 256  # that are laid out together

Writer = Callable[[Iterable[Prediction], Task, int], Iterator[str]]


def predictions_text(
    predictions: Iterable[Prediction], task: Task, top: int = 1
) -> Iterator[str]:
    """Aligned columns; examples that could not be read are left out.

    Predictions are read no further than needed; `top` classes of a target are named.
    """
    read = (prediction for prediction in predictions if not prediction.error)
    rows = (_cells(prediction, task, top) for prediction in read)
    above = [[name.replace("_", " ") for name in _header(task, top)]]
    widths = [len(name) for name in above[0]]
    while lines := [list(map(_shown, row)) for row in islice(rows, _LINES)]:
        columns = zip(*lines, strict=True)
        longest = (max(map(len, column)) for column in columns)
        widths = list(map(max, widths, longest))
        yield "".join(_line(line, widths) for line in (*above, *lines))
        above = []


def predictions_csv(
    predictions: Iterable[Prediction], task: Task, top: int = 1
) -> Iterator[str]:
    """Comma-separated raw numbers, with the reason where there is no prediction."""
    header = [*_header(task, top), "error"]
    yield _csv_line(header)
    for prediction in predictions:
        cells = [prediction.source, *[""] * (len(header) - 2)]
        if not prediction.error:
            cells = _cells(prediction, task, top)
        yield _csv_line([*cells, prediction.error])


def predictions_json(
    predictions: Iterable[Prediction], task: Task, top: int = 1
) -> Iterator[str]:
    """One JSON document: a list with one line a prediction."""
    before = "[\n"
    for prediction in predictions:
        yield before + json.dumps(prediction.to_json(), allow_nan=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


FORMS: dict[str, Writer] = {
    "table": predictions_text,
    "csv": predictions_csv,
    "json": predictions_json,
}


def _header(task: Task, top: int) -> list[str]:
    names = ["source"]
    for target in task.targets:
        names += target.head.columns(target.name, target.outputs, top)
    return names


def _cells(prediction: Prediction, task: Task, top: int) -> list[Any]:
    """What `_header` names, for an example that could be read."""
    cells: list[Any] = [prediction.source]
    for target in task.targets:
        answers = getattr(prediction, target.head.answers)
        cells += target.head.cells(answers[target.name], top)
    return cells


def _shown(cell: Any) -> str:
    """Four digits of a share, seven, as many as float32 has, of what is larger."""
    if not isinstance(cell, float):
        return printable(cell)
    return f"{cell:.4g}" if abs(cell) <= 1 else f"{cell:.7g}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(map(str.ljust, cells, widths)).rstrip() + "\n"


def _csv_line(cells: Iterable[Any]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow(map(spreadsheet_cell, cells))
    return file.getvalue()
