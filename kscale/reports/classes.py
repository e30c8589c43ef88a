"""The table of classes of a report: their scores, and what each was taken for."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from kscale.reports.confusion import Confusion
from kscale.reports.quality import (
    MOST_CLASSES,
    Quality,
    class_lines,
    number_text,
    quality_name,
    quality_text,
    shown_classes,
)
from kscale.text import Grid, grid_table, grid_width, printable

_LONGEST_NAME = 24
_LONGEST_COLUMN = 4


def score_grid(confusion: Confusion, with_intervals: bool = True) -> Grid:
    """The cells of the table of classes."""
    header = [confusion.nouns[0], "support", "precision %", "recall %", "F1 %"]
    scores = [confusion.scores[place] for place in shown_classes(confusion)]
    rows = [
        [
            class_name(score.name),
            f"{score.support:,}",
            _share_cell(score.precision, score.precision_interval, with_intervals),
            _share_cell(score.recall, score.recall_interval, with_intervals),
            number_text(score.f1_score),
        ]
        for score in scores
    ]
    return Grid(header, [False, True, True, True, True], rows)


def _share_cell(
    share: float | None, ends: tuple[float, float] | None, with_interval: bool
) -> str:
    if ends is None or not with_interval:
        return number_text(share)
    return f"{number_text(share)} ({number_text(ends[0])} to {number_text(ends[1])})"


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
