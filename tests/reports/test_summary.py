"""A search ends with at most 30 lines, and says what is left out of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_runs import (
    cnn,
    digits_results,
    made_result,
    made_run,
    majority,
    reference,
    summary_of,
)

from kscale.reports.report import Note, Report
from kscale.reports.rows import make_report
from kscale.reports.summary import summary_text
from kscale.runs.records import Evaluation

LONG = "the training part has what nobody looked for in it, which is long to say: " * 4


def crowded(notes: int, front: int, **present: Any) -> Report:
    """A report with many notes, a long front, and all rows to compare with."""
    params = 9000
    results = [
        *digits_results(),
        *(made_result(cnn(2, 8 * n), 0.3 + n / 100) for n in range(2, front)),
        reference("present", 0.92, params),
        reference("present", 0.91, params, part="test", examples=360),
        reference("retrained", 0.94, params, learning_rate=0.001, epochs=20),
    ]
    run = {**made_run(budget={"max_params": 10**6}, set={"dropout": 0.1})}
    report = make_report(
        {**run, "baseline": {"name": "mine.keras", **present}}, results
    )
    front_rows = [replace(row, is_front=not row.is_baseline) for row in report.rows]
    said = [Note(f"{n}: {LONG}") for n in range(notes)]
    return replace(report, rows=tuple(front_rows), notes=(*said, *report.notes))


def test_the_summary_has_answers_front_decisive_notes_and_commands() -> None:
    report = make_report(made_run(), digits_results())
    text = summary_text(report, Path("runs/my run"), 100)
    assert "recommended: cnn depth=3 width=8: " in text
    assert "trainings failed with: out of memory" in text
    assert "statistically tied for the best:" not in text and "2 more notes" in text
    assert "NetScore" not in text and "precision" not in text
    assert "kscale report 'runs/my run'" in text and "kscale export" in text


@pytest.mark.parametrize("doubt", ["", LONG])
@pytest.mark.parametrize(("notes", "front"), [(0, 3), (1, 30), (4, 3), (9, 30)])
def test_a_summary_is_never_longer_than_30_lines(
    notes: int, front: int, doubt: str
) -> None:
    report = crowded(notes, front, doubt=doubt)
    text = summary_text(report, Path("run"), 100)
    assert text.count("\n") <= 30 and max(map(len, text.splitlines())) <= 100
    assert all(f"{name}:" in text for name in ("best", "recommended", "present model"))
    assert "*" in text and "majority" in text and "linear" in text
    assert "smaller rows" in text or front < 30
    assert f", {len(report.notes) - text.count('Note: ')} more note" in text


def test_a_summary_before_any_answer_names_the_report_only() -> None:
    text = summary_text(make_report(made_run(), [majority()]), Path("run"), 100)
    assert "No training of the search has finished yet." in text
    assert "kscale report run" in text and "kscale export" not in text


def test_a_search_that_was_stopped_has_no_model_to_export() -> None:
    trained = [each for each in digits_results() if not isinstance(each, Evaluation)]
    text = summary_text(make_report(made_run(), trained), Path("run"), 100)
    assert "recommended: cnn" in text and "kscale export" not in text


def test_a_real_search_ends_on_one_screen(tiny_run: Any) -> None:
    assert f"kscale predict {tiny_run.folder} FILE" in summary_of(tiny_run)
