"""Report: what a search found, as plain records for every output format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import Any

from kscale.networks.budget import Budget
from kscale.networks.families.base import Value
from kscale.reports.confusion import Confusion
from kscale.reports.course import Course
from kscale.reports.forecast import Forecast, law_of
from kscale.runs.compressions import Compressions
from kscale.runs.entries import ScoredModel
from kscale.runs.law.run_points import RunPoints
from kscale.runs.records import MAJORITY, Compression, Evaluation, Reference
from kscale.runs.stored_bits import OfBits
from kscale.task.objectives import Objective
from kscale.task.tasks import Target, Task


@dataclass(frozen=True)
class Note:
    """A sentence on what weakens an answer.

    Args:
        text: The sentence.
        is_decisive: Whether the note changes what a reader would do.
    """

    text: str
    is_decisive: bool = True

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Row(ScoredModel):
    """A network or a reference in a report: its score and further figures.

    Args:
        results: The records that the score is the mean of.
        tests: Records on the test part, one a seed; empty where nothing was tested.
        shown_knobs: Knobs that were searched or set, without depth and width.
        is_front: Whether no other row within the budget beats it in size and score.
        is_best, is_recommended: Whether the row is the answer of that name.
        is_tied: Whether the row has as much evidence as the best row and is within one
            standard error of the best row, as the best row itself is.
        is_baseline: Whether the row is there to compare the answers with.
        over_budget: Whether the network exceeds a limit.
        density: Points (per cent) above chance for each million params.
        net_score: NetScore, as `kscale.reports.measures` defines it.
        gain: Score gained for each doubling of params since the next smaller front row
            that is smaller by a tenth, in points for shares; above 0 is better, also
            where a low score is. None if there is no such row.
        test_low, test_high: 95 % interval of the test score.
        confusions: By target of classes, its confusion on the test part.
    """

    tests: tuple[Evaluation | Reference | Compression, ...] = ()
    shown_knobs: tuple[tuple[str, Value], ...] = ()
    is_front: bool = False
    is_best: bool = False
    is_recommended: bool = False
    is_tied: bool = False
    is_baseline: bool = False
    over_budget: bool = False
    density: float | None = None
    net_score: float | None = None
    gain: float | None = None
    test_low: float | None = None
    test_high: float | None = None
    confusions: Mapping[str, Confusion] = field(default_factory=dict, hash=False)

    @property
    def is_reference(self) -> bool:
        """Whether the row is no network of the search: majority, or present model."""
        return isinstance(self.results[0], Reference)

    @property
    def depth(self) -> int:
        """Depth, as the family counts depth; 0 for a family without depth."""
        return int(self.knobs.get("depth", 0))

    @property
    def width(self) -> int | None:
        """Width, as the family counts width; None for a family without width."""
        width = self.knobs.get("width")
        return None if width is None else int(width)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Further metrics on the validation part, the mean over the seeds."""
        return _mean_of([result.metrics for result in self.results])

    @cached_property
    def test_score(self) -> float | None:
        """Objective on the test part, the mean over the seeds tested."""
        scores = [test.score for test in self.tests if test.score is not None]
        return fmean(scores) if scores else None

    @cached_property
    def test_stderr(self) -> float | None:
        """Standard error of the test score over the examples of one test part."""
        errors = [test.stderr for test in self.tests if test.stderr is not None]
        return fmean(errors) if errors else None

    @cached_property
    def test_metrics(self) -> dict[str, float]:
        """Metrics on the test part, the mean over the seeds tested."""
        return _mean_of([test.metrics for test in self.tests])

    @cached_property
    def test_errors(self) -> dict[str, float]:
        """Standard errors of some metrics on the test part."""
        return _mean_of([test.metric_errors for test in self.tests])

    @property
    def by_seed(self) -> list[dict[str, Any]]:
        """Score, standard error and test score of each training counted, with its seed;
        the test score is None where it was not tested."""
        tested = {test.seed: test.score for test in self.tests}
        return [
            {
                **{name: getattr(each, name) for name in ("seed", "score", "stderr")},
                "test_score": tested.get(each.seed),
            }
            for each in self.results
        ]

    @cached_property
    def left_out(self) -> tuple[float, ...]:
        """The test score without each group of examples, the mean over the seeds
        tested; empty where not all seeds have it."""
        if len({len(test.left_out) for test in self.tests}) > 1:
            return ()
        columns = zip(*(test.left_out for test in self.tests), strict=True)
        return tuple(map(fmean, columns))


def _mean_of(items: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each metric that all have."""
    return {
        name: fmean(item[name] for item in items)
        for name in (items[0] if items else ())
        if all(name in item for item in items)
    }


@dataclass(frozen=True)
class Asked:
    """What a search was asked for, as far as a report needs it.

    Args:
        objective: What was improved.
        budget: What the networks may cost.
        data: `name` of the data, and examples in `train`, `validation` and `test`.
        searched: Knobs that were searched, depth and width among them.
        fixed: Knobs that were set.
        task: What the networks take in and put out.
        class_counts: By target of classes, how often each occurs in the training part.
        class_weights: Weights of the classes in the loss, `none` or `balanced`.
        present: What `run.json` says of the user's present model: `name`, and how it
            was `fed`; empty without one.
        is_timed: Whether time was limited, which may have made the trainings shorter.
    """

    objective: Objective
    budget: Budget
    data: Mapping[str, Any]
    searched: tuple[str, ...]
    fixed: Mapping[str, Any]
    task: Task
    class_counts: Mapping[str, Sequence[int]]
    class_weights: str
    present: Mapping[str, Any]
    is_timed: bool

    @property
    def targets(self) -> tuple[Target, ...]:
        """What the networks predict."""
        return self.task.targets

    @property
    def factor(self) -> int:
        """Factor of a score that is shown: shares are shown in per cent."""
        return 100 if self.objective.is_share else 1

    @property
    def unit(self) -> str:
        """What follows a score that is shown."""
        return " %" if self.objective.is_share else ""


@dataclass(frozen=True)
class Report(Asked):
    """What a search found.

    Args:
        rows: All rows: the front in the order of `rank_by`, then the others, those of
            the best score first.
        rank_by: One of `kscale.reports.ranking.RANKINGS`.
        failures: Reasons of failed trainings with their numbers, most frequent first.
        trainings: Number of trainings, failed ones included.
        training_seconds: Wall-clock time of all trainings together.
        course: What the search did.
        sizes: Sizes with their errors, for a law; or why there is none.
        compressions: What methods made of trained networks.
        by_bits: The best network in each of the bits that weights may be stored in.
        notes: What a reader should know, most important first.
    """

    rows: tuple[Row, ...]
    rank_by: str
    failures: tuple[tuple[str, int], ...]
    trainings: int
    training_seconds: float
    course: Course = Course()
    sizes: RunPoints | str = ""
    compressions: tuple[Compressions, ...] = ()
    by_bits: tuple[OfBits, ...] = ()
    notes: tuple[Note, ...] = ()

    @cached_property
    def law(self) -> Forecast | str:
        """What larger sizes would reach, or a sentence on why that is not known."""
        return law_of(self.sizes, self.recommended)

    @property
    def front(self) -> tuple[Row, ...]:
        """Rows that no other row within the budget beats."""
        return tuple(row for row in self.rows if row.is_front)

    @property
    def networks(self) -> tuple[Row, ...]:
        """Rows of networks of full training within the budget."""
        return tuple(
            row
            for row in self.rows
            if row.is_full and not row.over_budget and not row.is_reference
        )

    @property
    def best(self) -> Row | None:
        """The row of the best score within the budget; None if there is none."""
        return next((row for row in self.rows if row.is_best), None)

    @property
    def recommended(self) -> Row | None:
        """The smallest row statistically tied with the best."""
        return next((row for row in self.rows if row.is_recommended), None)

    @property
    def answers(self) -> list[tuple[str, Row]]:
        """`best` and `recommended` with their rows, in one where both are one row."""
        best, recommended = self.best, self.recommended
        if best is None or recommended is None:
            return []
        if best is recommended:
            return [("best and recommended", best)]
        return [("best", best), ("recommended", recommended)]

    @property
    def baselines(self) -> tuple[Row, ...]:
        """Rows to compare with, the smallest first."""
        found = (row for row in self.rows if row.is_baseline)
        return tuple(sorted(found, key=lambda row: (row.bytes, row.params)))

    @property
    def constant(self) -> Row | None:
        """The row of the constant answer; None if not measured."""
        return next((row for row in self.rows if row.family == MAJORITY), None)

    @property
    def chance(self) -> float | None:
        """Score of the majority class or of the mean; None if not measured."""
        return None if self.constant is None else self.constant.score
