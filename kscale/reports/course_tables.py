"""Tables of the course of a search, for every form of a report."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from kscale.reports.cells import score_text
from kscale.reports.course import Compute, Octave, Step
from kscale.reports.report import Report
from kscale.text import Grid
from kscale.units import format_count, format_seconds

TITLE = "What the search did"


def course_grids(report: Report) -> list[Grid]:
    """Steps, then sizes; no grid where nothing was searched."""
    course = report.course
    return [_steps(course.steps), _octaves(report)] if course.steps else []


def course_lines(report: Report) -> Iterator[str]:
    """Meanings of the columns."""
    yield (
        "went on: trained further, or anew as a finalist; best: of single trainings of "
        "full length; epochs and time: of all trainings"
    )
    if any(octave.expected for octave in report.course.octaves):
        yield (
            "expected: what the searcher expects of the most promising network of the "
            "size that was not trained, with the standard deviation of that "
            "expectation; a guess, and no score"
        )


def course_json(report: Report) -> dict[str, Any]:
    """The course as plain data."""
    return {name: [*items] for name, items in asdict(report.course).items()}


def _steps(steps: tuple[Step, ...]) -> Grid:
    header = ["stage", "to epoch", "tried", "went on", "dropped", "failed"]
    total = sum(step.seconds for step in steps)
    rows = [
        [
            step.stage,
            f"{step.to_epoch:,}",
            f"{step.tried:,}",
            _count(step.went_on),
            _count(step.dropped),
            _count(step.failed or None),
            *_compute(step, total),
        ]
        for step in steps
    ]
    return _with_compute(header, rows)


def _octaves(report: Report) -> Grid:
    octaves = report.course.octaves
    total = sum(octave.seconds for octave in octaves)
    header = ["params", "tried", f"best{report.unit}", f"expected{report.unit}"]
    rows = [
        [
            f"{format_count(octave.low)} to {format_count(octave.high)}",
            f"{octave.tried:,}",
            "" if octave.best is None else score_text(report, octave.best),
            _expected(report, octave),
            *_compute(octave, total),
        ]
        for octave in octaves
    ]
    if all(octave.expected is None for octave in octaves):
        header, rows = header[:3], [[*row[:3], *row[4:]] for row in rows]
    return _with_compute(header, rows)


def _expected(report: Report, octave: Octave) -> str:
    if octave.expected is None:
        return ""
    score, deviation = octave.expected.score, octave.expected.deviation
    return f"({score_text(report, score)} ± {score_text(report, deviation)})"


def _with_compute(header: list[str], rows: list[list[str]]) -> Grid:
    header = [*header, "epochs", "time", "% of time"]
    return Grid(header, [False, *[True] * (len(header) - 1)], rows)


def _compute(found: Compute, total: float) -> list[str]:
    if not found.seconds:  # not trained, or no record of a search made elsewhere
        return [_count(found.epochs or None), "", ""]
    share = f"{100 * found.seconds / total:.0f}"
    return [f"{found.epochs:,}", format_seconds(found.seconds), share]


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
