"""Quality: further metrics of the answers, for each target and class."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from kscale.reports.confusion import Confusion
from kscale.reports.measures import score_interval
from kscale.reports.report import Report, Row
from kscale.task.tasks import Target
from kscale.text import Grid, grid_table, grid_width, printable

SHORT_NAMES = {
    "f1_score": "F1",
    "auc": "AUC",
    "root_mean_squared_error": "RMSE",
    "mean_absolute_error": "MAE",
    "r2_score": "R2",
}
_OF_OUTPUTS = ("recall", "precision", "f1_score", "auc")
MOST_CLASSES = 10
"""Most classes that a text shows: all of them, or else the worst."""
_MOST = 5  # mistakes
_LONGEST_NAME = 24
_LONGEST_COLUMN = 4
_SCORES = (
    *("name", "support", "answers", "precision", "precision_interval"),
    *("recall", "recall_interval", "f1_score"),
)


@dataclass(frozen=True)
class Measure:
    """One metric, whether it is printed in per cent, and the ends of its 95 % interval
    as `measures.score_interval` gives them; None if they were not worked out."""

    name: str
    value: float
    is_share: bool
    ends: tuple[float, float] | None = None


@dataclass(frozen=True)
class Quality:
    """Metrics of one answer on one target.

    Args:
        answer: `best`, `recommended` or `best and recommended`.
        part: `test`, or `validation` while it was not tested.
        target: The target.
        measures: Its metrics.
        confusion: Of classes, on the test part.
        objective: Metric of the sentence on the answer, not repeated; empty where
            there are several targets.
    """

    answer: str
    part: str
    target: Target
    measures: tuple[Measure, ...]
    confusion: Confusion | None
    objective: str


def qualities_of(report: Report) -> list[Quality]:
    """Metrics of each answer on each target, as far as records hold them."""
    found = [
        _quality(name, row, target, report)
        for name, row in report.answers
        for target in report.targets
    ]
    return [quality for quality in found if quality.measures]


def _quality(name: str, row: Row, target: Target, report: Report) -> Quality:
    metrics = row.test_metrics or row.metrics
    is_only = len(report.targets) == 1
    prefix = "" if is_only else f"{target.name}/"
    measures = tuple(
        _measure(row, key, value, target, prefix)
        for key, value in metrics.items()
        if key.startswith(prefix)
    )
    part = "test" if row.test_metrics else "validation"
    objective = report.objective.name if is_only else ""
    confusion = row.confusions.get(target.name)
    return Quality(name, part, target, measures, confusion, objective)


def _measure(row: Row, key: str, value: float, target: Target, prefix: str) -> Measure:
    """A metric with its interval: Wilson's for what is counted, and none of others
    where no example made an error."""
    name = key.removeprefix(prefix)
    objective = target.head.objectives.get(name)
    if objective is None:
        return Measure(name, value, False)
    confusion, error = row.confusions.get(target.name), row.test_errors.get(key)
    scores = confusion.scores if confusion and confusion.is_exclusive else ()
    if len(scores) == 2 and name in ("recall", "precision"):
        ends = getattr(scores[1], f"{name}_interval")
    else:
        examples = sum(score.support for score in scores) if error else 0
        ends = score_interval(objective, value, error or None, examples)
    return Measure(name, value, objective.is_share, ends)


def quality_name(quality: Quality) -> str:
    """Names of the answer and the part, and of the target among several."""
    of = "" if quality.objective else f", {printable(quality.target.name)}"
    return f"{quality.answer} on the {quality.part} part{of}"


def quality_text(quality: Quality) -> str:
    """The metrics in one line, with the meaning of brackets and means."""
    shown = [item for item in quality.measures if item.name != quality.objective]
    others = [m.name.replace("_", " ") for m in shown if m.name not in _OF_OUTPUTS]
    notes = []
    if len(others) < len(shown):
        all_but = f"all but {' and '.join(others)} are " if others else ""
        outputs = [*map(printable, quality.target.shown_names)]
        notes.append(f"{all_but}{quality.target.head.averaged(outputs)}")
    known = quality.target.head.objectives
    for name in (measure.name for measure in shown):
        if name in known and (signature := known[name].signature):
            notes.append(f"{name} of sacrebleu, {signature}")
    if any(measure.ends for measure in shown):
        notes.append("95 % intervals in brackets")
    text = ", ".join(map(_measure_text, shown))
    return f"{text}; {', '.join(notes)}" if notes else text


def _measure_text(measure: Measure) -> str:
    name = SHORT_NAMES.get(measure.name, measure.name.replace("_", " "))
    unit = " %" if measure.is_share else ""
    return f"{name} {_with_ends(measure.value, measure.ends, measure.is_share, unit)}"


def _with_ends(
    value: float | None,
    ends: tuple[float, float] | None,
    is_share: bool = True,
    unit: str = "",
) -> str:
    text = f"{number_text(value, is_share)}{unit}"
    if ends is None:
        return text
    low, high = (number_text(end, is_share) for end in ends)
    return f"{text} ({low} to {high})"


def number_text(value: float | None, is_share: bool = True) -> str:
    """A share in per cent, without the sign, or a value in four digits."""
    if value is None:
        return ""
    return f"{100 * value:.1f}" if is_share else f"{value:.4g}"


def class_lines(confusion: Confusion) -> list[str]:
    """Lines below the table of classes: what the table shows, and mistakes if any."""
    number, nouns = len(confusion.class_names), confusion.nouns[1]
    which, shown = nouns.capitalize(), len(shown_classes(confusion))
    if shown < number:
        which = f"The worst {shown} of {number} {nouns}, by F1"
    heading = f"{which}; 95 % intervals (Wilson) in brackets"
    return [*filter(None, (heading, mistakes_text(confusion)))]


def mistakes_text(confusion: Confusion) -> str:
    """The most frequent mistakes in one line; empty if there are none."""
    if not confusion.is_exclusive:
        return "; ".join(_label_mistakes(confusion))
    wrong = [cell for cell in confusion.counts if cell[0] != cell[1]]
    wrong.sort(key=lambda cell: (-cell[2], cell[:2]))
    names = [*map(printable, confusion.class_names)]
    most = ", ".join(f"{names[w]} for {names[g]} ({n})" for w, g, n in wrong[:_MOST])
    return f"taken for another most often: {most}" if most else ""


def _label_mistakes(confusion: Confusion) -> Iterator[str]:
    """Labels that were missed most often, and labels that were given wrongly."""
    wrong = {
        "missed": {s.name: s.support - s.right for s in confusion.scores},
        "given wrongly": {s.name: s.answers - s.right for s in confusion.scores},
    }
    for what, counts in wrong.items():
        most = sorted(counts.items(), key=lambda item: -item[1])[:_MOST]
        if items := [f"{printable(name)} ({n})" for name, n in most if n]:
            yield f"{what} most often: {', '.join(items)}"


def shown_classes(confusion: Confusion) -> list[int]:
    """Indices of all classes if they are few, else of those of the lowest F1 scores."""
    scores = confusion.scores
    if len(scores) <= MOST_CLASSES:
        return list(range(len(scores)))
    there = [i for i, score in enumerate(scores) if score.support]
    return sorted(there, key=lambda i: scores[i].f1_score)[:MOST_CLASSES]


def score_grid(confusion: Confusion, full: bool = True) -> Grid:
    """The cells of the table of classes, with intervals if full."""
    header = [confusion.nouns[0], "support", "precision %", "recall %", "F1 %"]
    rows = [
        [
            class_name(score.name),
            f"{score.support:,}",
            _with_ends(score.precision, score.precision_interval if full else None),
            _with_ends(score.recall, score.recall_interval if full else None),
            number_text(score.f1_score),
        ]
        for score in map(confusion.scores.__getitem__, shown_classes(confusion))
    ]
    return Grid(header, [False, True, True, True, True], rows)


def class_name(name: str) -> str:
    """The name of a class in at most 24 letters."""
    text = printable(name)
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 3]}..."


def _with_matrix(grid: Grid, confusion: Confusion) -> Grid:
    """A further column for each class: how many examples were taken for the class."""
    number = len(confusion.class_names)
    counts = {(wanted, given): str(n) for wanted, given, n in confusion.counts}
    return Grid(
        [*grid.header, *map(printable, confusion.class_names)],
        [*grid.are_numbers, *[True] * number],
        [
            [*row, *(counts.get((wanted, given), ".") for given in range(number))]
            for wanted, row in enumerate(grid.rows)
        ],
    )


def quality_block(quality: Quality, width: int) -> Iterable[Text | Table]:
    """Metrics of an answer and their table of classes, for lines of some width."""
    yield Text.assemble((f"{quality_name(quality)}: ", "bold"), quality_text(quality))
    if quality.confusion is not None:
        grid, has_matrix = _fitting_classes(quality.confusion, width)
        heading, *mistakes = class_lines(quality.confusion)
        right = "; at the right, how many were taken for which" if has_matrix else ""
        yield Text()
        yield grid_table(grid)
        yield Text(f"{heading}{right}", style="dim")
        yield from map(Text, mistakes)
    yield Text()


def _fitting_classes(confusion: Confusion, width: int) -> tuple[Grid, bool]:
    """The fullest table that fits the width, and whether the matrix is part of it."""
    full, plain = (score_grid(confusion, intervals) for intervals in (True, False))
    choices = [(full, False), (plain, False)]
    names = confusion.class_names
    is_small = len(names) <= MOST_CLASSES and max(map(len, names)) <= _LONGEST_COLUMN
    if is_small and confusion.is_exclusive:
        matrices = [(_with_matrix(grid, confusion), True) for grid in (full, plain)]
        choices = [*matrices, *choices]
    fitting = (choice for choice in choices if grid_width(choice[0]) <= width)
    return next(fitting, (plain, False))


def quality_json(quality: Quality) -> dict[str, Any]:
    """A quality as plain data."""
    document: dict[str, Any] = {
        "answer": quality.answer,
        "part": quality.part,
        "target": quality.target.name,
        "metrics": {
            m.name: {"value": m.value, "low": low, "high": high}
            for m in quality.measures
            for low, high in [m.ends or (None, None)]
        },
    }
    if (confusion := quality.confusion) is not None:
        cells = [list(cell) for cell in confusion.counts]
        document["confusion"] = {
            "class_names": list(confusion.class_names),
            **({"counts": cells} if confusion.is_exclusive else {}),
            confusion.nouns[1]: [
                {name: getattr(score, name) for name in _SCORES}
                for score in confusion.scores
            ],
        }
    return document
