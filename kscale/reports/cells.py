"""Columns and sentences of a report, shared by text, Markdown and HTML."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from kscale.reports.ranking import RANKINGS
from kscale.reports.report import Report, Row
from kscale.runs.records import PRESENT, RETRAINED
from kscale.task.objectives import Objective, metric_name
from kscale.text import Grid, counted, grid_width, printable
from kscale.units import format_bytes, format_count, format_seconds, format_value

_MARKS: tuple[tuple[str, Callable[[Row], bool], str], ...] = (
    ("*", lambda row: row.is_best, "best: {best}"),
    (
        ">",
        lambda row: row.is_recommended,
        "recommended: smallest{finalist} that is statistically tied with the best",
    ),
    ("!", lambda row: row.undertrained, "still improving when training ended"),
    ("x", lambda row: row.over_budget, "over the budget"),
    (
        "~",
        lambda row: not row.is_full,
        "a shorter training than others had, so no answer",
    ),
)
"""Marks before a row: the sign, the condition, the meaning."""

_REFERENCES = {
    PRESENT: "your present model as it is",
    RETRAINED: "your present model, trained anew once with the same recipe",
}

ESSENTIAL = 9
"""Importance of columns that are never left out."""

_LONGEST_HEADER = 10


@dataclass(frozen=True)
class Column:
    """One column of the table for people; numbers are aligned to the right."""

    header: str
    text: Callable[[Row], str]
    is_number: bool = True
    importance: int = ESSENTIAL  # where space is short, the lowest are left out first


def objective_text(objective: Objective) -> str:
    """The objective in words; with several targets, the scores of which it is the mean:
    `mean of the accuracy of kind and the r2 score of price`.
    """
    if not objective.parts:
        return metric_name(objective)
    if len({part.name for _, part in objective.parts}) == 1:
        targets = " and ".join(printable(name) for name, _ in objective.parts)
        return f"{metric_name(objective)} (mean over {targets})"
    parts = [
        f"the {metric_name(part)} of {printable(name)}"
        for name, part in objective.parts
    ]
    return f"mean of {' and '.join(parts)}"


def score_decimals(report: Report) -> int:
    """Decimals that show two digits of the smallest standard error, at most four."""
    errors = [report.factor * row.stderr for row in report.front if row.stderr > 0]
    if not errors:
        return 1 if report.objective.is_share else 4
    digits = 1 - math.floor(math.log10(min(errors)))
    return max(1, min(digits, 2 if report.objective.is_share else 4))


def score_text(report: Report, score: float) -> str:
    """A score for people: per cent for shares, without the sign."""
    return f"{report.factor * score:.{score_decimals(report)}f}"


def columns_of(
    report: Report, rows: Sequence[Row], all_rows: bool = False
) -> list[Column]:
    """Columns of the table; knobs and measures only where the rows shown need them."""
    metric, budget = metric_name(report.objective), report.budget
    score = metric if len(metric) <= _LONGEST_HEADER else "score"
    is_success = report.objective.is_success
    decimals = 2 if report.objective.is_share else score_decimals(report)
    return [
        Column("", mark_of, is_number=False),
        Column("family", lambda row: printable(row.family), is_number=False),
        Column("depth", lambda row: str(row.depth or "")),
        Column("width", lambda row: str(row.width or "")),
        *map(_knob_column, _varying(rows)),
        *[Column("rate", _rate, importance=5)] * all_rows,
        Column("params", lambda row: format_count(row.params)),
        *[
            Column("bits", lambda row: str(row.bits)),
            Column("bytes", lambda row: format_bytes(row.bytes)),
        ]
        * budget.are_bits_open,
        Column("FLOPs", _flops, importance=6),
        *[Column("memory", lambda row: format_bytes(row.memory))]
        * (budget.max_memory is not None),
        *[
            Column("flash", lambda row: _on_device(row, "flash")),
            Column("RAM", lambda row: _on_device(row, "ram")),
        ]
        * budget.is_of_device,
        *[Column("latency ms", _latency)] * (budget.max_latency_ms is not None),
        Column(f"{score}{report.unit}", lambda row: _score_cell(report, row)),
        Column("seeds", lambda row: str(row.seeds), importance=7),
        Column("gain", _figure("gain", f"+.{decimals}f"), importance=8),
        *[Column("density", _density, importance=4)] * is_success,
        *[Column("NetScore", _figure("net_score", ".1f"), importance=3)] * is_success,
    ]


def grid_of(columns: Sequence[Column], rows: Sequence[Row]) -> Grid:
    """The cells of rows, for a table in any form."""
    return Grid(
        [column.header for column in columns],
        [column.is_number for column in columns],
        [[column.text(row) for column in columns] for row in rows],
    )


def _flops(row: Row) -> str:
    """What is known of the FLOPs."""
    if not row.unknown_flops:
        return format_count(row.flops)
    return f"≥{format_count(row.flops)}" if row.flops else "unknown"


def _on_device(row: Row, name: str) -> str:
    """What was measured, and what was predicted in brackets."""
    if row.fit is None:
        return ""
    measured = getattr(row.fit, name)
    predicted = f"({format_bytes(getattr(row.fit, f'predicted_{name}'))})"
    return predicted if measured is None else f"{format_bytes(measured)} {predicted}"


def _latency(row: Row) -> str:
    """Median and deciles of the times of a forward pass."""
    if row.latency_ms is None:
        return ""
    low, high = row.latency_low or 0.0, row.latency_high or 0.0
    return f"{row.latency_ms:.3g} ({low:.3g}-{high:.3g})"


def fitting_columns(
    columns: Iterable[Column], rows: Sequence[Row], width: int
) -> list[Column]:
    """The columns that fit into a width; the least important are left out first."""
    left = list(columns)
    while grid_width(grid_of(left, rows)) > width:
        least = min(left, key=lambda column: column.importance)
        if least.importance == ESSENTIAL:
            break
        left.remove(least)
    return left


def _varying(rows: Sequence[Row]) -> list[str]:
    """Knobs besides depth and width in which the rows differ."""
    values: dict[str, set[object]] = {}
    for name, value in chain.from_iterable(row.shown_knobs for row in rows):
        values.setdefault(name, set()).add(value)
    return [name for name, seen in values.items() if len(seen) > 1]


def _knob_column(name: str) -> Column:
    def text(row: Row) -> str:
        return printable(format_value(dict(row.shown_knobs).get(name, "")))

    return Column(printable(name), text, importance=5)


def _rate(row: Row) -> str:
    """The learning rate; empty where a user's code decides (recorded as 0)."""
    return f"{row.learning_rate:.2g}" if row.learning_rate else ""


def _score_cell(report: Report, row: Row) -> str:
    score = score_text(report, row.score)
    return f"{score} ± {score_text(report, row.stderr)}" if row.stderr else score


def _figure(name: str, form: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        value = getattr(row, name)
        return "" if value is None else f"{value:{form}}"

    return text


def _density(row: Row) -> str:
    return "" if row.density is None else format_count(float(f"{row.density:.3g}"))


def mark_of(row: Row) -> str:
    """The marks of a row, side by side."""
    return "".join(mark for mark, holds, _ in _MARKS if holds(row))


def kind_of(row: Row) -> str:
    """How a row stands out: as an answer, as part of the front, or not."""
    if row.is_best or row.is_recommended:
        return "answer"
    return "front" if row.is_front else "other"


def shown_rows(report: Report, all_rows: bool = False) -> list[Row]:
    """Rows that are shown: the front, the answers and the baselines, or all rows."""
    if all_rows:
        return list(report.rows)
    return [row for row in report.rows if kind_of(row) != "other" or row.is_baseline]


def headline(report: Report) -> str:
    """What was searched, in one sentence."""
    objective = report.objective
    direction = "higher" if objective.higher_is_better else "lower"
    examples = report.data.get("validation")
    on = ""
    if isinstance(examples, int):
        on = f" on {counted(examples, 'validation example')}"
    within = f", within {report.budget}" if report.budget.is_limited else ""
    fixed = knobs_text(report.fixed.items(), ", ")
    name = printable(report.data.get("name", "data"))
    return (
        f"{name}: {objective_text(objective)}{on} "
        f"({direction} is better){within}{f', with {fixed}' if fixed else ''}"
    )


def name_of(row: Row) -> str:
    """What a row is, in a few words: `cnn 4 x 32`."""
    return printable(row.label)


def answer_lines(report: Report) -> Iterator[tuple[str, str]]:
    """A sentence for each answer, after the name: `best` and `recommended`."""
    for name, row in report.answers:
        shape = [(k, v) for k, v in (("depth", row.depth), ("width", row.width)) if v]
        knobs = knobs_text([*shape, *row.shown_knobs], " ")
        words = f"{printable(row.family)} {knobs}".rstrip()
        yield name, f"{words}: {row_text(report, row)}"


def knobs_text(knobs: Iterable[tuple[str, object]], between: str) -> str:
    """Knobs with their values: `depth=3 width=64`."""
    texts = (f"{printable(k)}={printable(format_value(v))}" for k, v in knobs)
    return between.join(texts)


def row_text(report: Report, row: Row, tested: bool = True) -> str:
    """Params and scores of a row; the score on the test part comes last."""
    stored = ""
    if report.budget.are_bits_open and not row.is_reference:
        stored = f" in {row.bits} bits ({format_bytes(row.bytes)} of weights)"
    return (
        f"{row.params:,} params{stored}, {_score_cell(report, row)}{report.unit} "
        f"{metric_name(report.objective)}"
        f"{_test_text(report, row) + _int8_text(report, row) if tested else ''}"
    )


def difference_text(report: Report, gain: float, stderr: float) -> str:
    """How much better or worse a score is, with the error: `better by 1.0 ± 0.5`."""
    unit = " points" if report.objective.is_share else ""
    decimals = score_decimals(report)
    error = f"{report.factor * stderr:.{decimals}f}{unit}"
    word = "better" if gain >= 0 else "worse"
    return f"{word} by {report.factor * abs(gain):.{decimals}f} ± {error}"


def _test_text(report: Report, row: Row) -> str:
    if row.test_score is None:
        return ""
    text = f"; {score_text(report, row.test_score)}{report.unit} on the test part"
    if row.test_low is None or row.test_high is None:
        return text
    low, high = (score_text(report, end) for end in (row.test_low, row.test_high))
    return f"{text} (95 % interval {low} to {high})"


def _int8_text(report: Report, row: Row) -> str:
    if row.int8 is None:
        return ""
    scores = [row.int8[1].score, row.int8[1].test_score]
    given = [f"{score_text(report, s)}{report.unit}" for s in scores if s is not None]
    return f"; as an int8 file {', and on the test part '.join(given)}"


def mark_lines(report: Report, rows: Sequence[Row]) -> list[str]:
    """Meanings of the marks of rows."""
    best, better = report.best, report.objective.better
    highest = "highest" if report.objective.higher_is_better else "lowest"
    words = {"best": f"{highest} score in the budget", "finalist": ""}
    if best and best.stage == "finalist":
        words = {"best": f"{highest} score of the finalists", "finalist": " finalist"}
    elif best and any(better(row.score, best.score) for row in report.networks):
        words["best"] = "the network that was asked for"
    used = set("".join(map(mark_of, rows)))
    return [
        f"{mark} {text.format(**words)}" for mark, _, text in _MARKS if mark in used
    ]


def legend(report: Report, rows: Sequence[Row], columns: Sequence[Column]) -> list[str]:
    """Meanings of the marks and columns that are shown."""
    points = "points" if report.objective.is_share else "improvement"
    scored = ", and a note has those of the files" * any(r.int8 for r in report.rows)
    figures = {
        "bits": "of a stored weight; bytes are of the weights alone; scores of "
        "finalists and baselines are of such weights, and others of float32",
        "memory": "bytes that training holds, predicted from the size",
        "flash": "bytes of the int8 LiteRT file, measured (predicted); scores are of "
        f"float32{scored}",
        "RAM": "bytes that TensorFlow Lite Micro needs for it, measured (predicted)",
        "latency ms": "median of a forward pass with a batch of "
        f"{report.budget.latency_batch}, first to last decile in brackets",
        "gain": f"{points} per doubling of params over the next front row that is "
        "smaller by a tenth",
        "density": "points above a constant answer per million params",
        "NetScore": "score, params and FLOPs in one (Wong 2018), in decibels",
    }
    shown = {column.header for column in columns}
    families = {row.family for row in rows}
    return [
        *mark_lines(report, rows),
        f"order by {report.rank_by}: {RANKINGS[report.rank_by]}",
        *(f"{name}: {text}" for name, text in figures.items() if name in shown),
        *(f"{name}: {text}" for name, text in _REFERENCES.items() if name in families),
    ]


def closing(report: Report) -> str:
    """Number and time of the trainings, in one sentence."""
    trainings = counted(report.trainings, "training")
    if not report.training_seconds:  # no record of a search made elsewhere
        return f"{trainings}."
    seconds = format_seconds(report.training_seconds)
    return f"{trainings}, {seconds} of training time in all."
