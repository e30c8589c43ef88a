"""Evidence: whether the answers beat a constant answer and a linear network.

A search chooses the best of many scores on the validation part, so luck is part of
them. The test part chose nothing: there every comparison is made, once it was used.
"""

import math
from collections.abc import Iterator
from itertools import groupby
from statistics import NormalDist
from typing import Any, NamedTuple

from kscale.reports.cells import difference_text
from kscale.reports.quality import SHORT_NAMES, number_text
from kscale.reports.report import Report, Row
from kscale.runs.records import MAJORITY, REFERENCES
from kscale.task.evaluation import paired_error
from kscale.task.heads import HEADS
from kscale.task.objectives import metric_name, shown_metrics
from kscale.task.tasks import Target
from kscale.text import counted, printable

_CLEAR = 2  # standard errors
_CHANCE = {"auc": 0.5, "r2_score": 0.0}
"""Values of metrics for any answers that do not depend on the example."""

_FAIR = {
    *("accuracy", "top_5_accuracy", "label_accuracy", "auc", "r2_score", "loss"),
    *("categorical_crossentropy", "root_mean_squared_error", "mean_squared_error"),
}
"""Metrics in which answers without knowledge never beat the constant answer.

In others they do: random answers have a higher macro F1 than the most frequent class,
the median has a lower absolute error than the mean.
"""

_LUCK = 0.0125
"""Probability that luck passes for knowledge, in each of two tests."""


class Contrast(NamedTuple):
    """A row beside another.

    Args:
        row, other: The rows.
        gain: How much better the first row is; below 0 if worse.
        stderr: Standard error of the gain.
        part: The part that both were scored on.
        examples: Number of its examples; None if not known.
        is_paired: Whether the error is that of the difference, example by example; else
            as if they were scored on different examples, which is larger.
    """

    row: Row
    other: Row
    gain: float
    stderr: float
    part: str
    examples: int | None
    is_paired: bool

    @property
    def is_clear(self) -> bool:
        """Whether the scores differ by more than two standard errors."""
        return abs(self.gain) > _CLEAR * self.stderr

    @property
    def is_better(self) -> bool:
        """Whether the row is clearly better."""
        return self.is_clear and self.gain > 0


class Skill(NamedTuple):
    """What an answer knows of a target, on the test part.

    Args:
        target: The target.
        metric: A metric that is the same for all answers without knowledge.
        value, stderr: The metric, and its standard error.
        is_known: Whether the metric is above chance by more than luck gives.
    """

    target: Target
    metric: str
    value: float
    stderr: float
    is_known: bool


def contrast(report: Report, row: Row, other: Row) -> Contrast:
    """A row beside another, on the test part where both were tested."""
    part, scores = "test", [(r.test_score, r.test_stderr) for r in (row, other)]
    if any(None in score for score in scores):
        part, scores = "validation", [(r.score, r.stderr) for r in (row, other)]
    (mine, error), (its, error_of_it) = ((s or 0.0, e or 0.0) for s, e in scores)
    examples = _examples(report, part)
    groups = len(row.left_out)
    is_paired = part == "test" and 0 < groups == len(other.left_out)
    stderr = math.hypot(error, error_of_it)
    if is_paired:
        least = 1 / (examples or groups) if report.objective.is_share else 0.0
        stderr = paired_error(row.left_out, other.left_out, least)
    gain = report.objective.gain(mine, its)
    return Contrast(row, other, gain, stderr, part, examples, is_paired)


def _examples(report: Report, part: str) -> int | None:
    number = report.data.get(part)
    return number if isinstance(number, int) and number > 0 else None


def contrasts_of(report: Report) -> list[tuple[str, Contrast]]:
    """Each answer, by name, beside the constant answer and every trained baseline."""
    return [
        (name, contrast(report, row, baseline))
        for name, row in report.answers
        for baseline in report.baselines
        if baseline.family not in (row.family, *REFERENCES[1:])
    ]


def skills_of(report: Report, row: Row) -> list[Skill]:
    """The skill of a row, against chance, on each target with a recorded metric."""
    sure = _sure(len(report.targets) * len(_judged(report)))
    found = []
    for key, (target, metric) in shown_metrics(report.task, report.objective).items():
        value, error = row.test_metrics.get(key), row.test_errors.get(key)
        if metric.name in _CHANCE and value is not None and error is not None:
            error = max(error, _luck_of_ranks(row, target))
            is_known = value - _CHANCE[metric.name] > sure * error
            found.append(Skill(target, metric.name, value, error, is_known))
    return found


def _luck_of_ranks(row: Row, target: Target) -> float:
    """Standard error of the mean area under the curve where nothing is known (Mann &
    Whitney 1947): a jackknife finds none in a few examples that are all in order."""
    confusion = row.confusions.get(target.name)
    if confusion is None:
        return 0.0
    number = row.tests[-1].examples
    supports = [score.support for score in confusion.scores]
    if confusion.is_exclusive and len(supports) == 2:
        del supports[0]
    counted = [n for n in supports if 0 < n < number]
    squares = ((number + 1) / (12 * n * (number - n)) for n in counted)
    return math.sqrt(sum(squares)) / max(len(counted), 1)


def is_learned(report: Report) -> bool | None:
    """Whether an answer or the linear baseline is surely more than a constant answer.

    Either the order of the outputs is better than luck, or the answers are right more
    often than the constant answer. On the validation part, luck is that of the best of
    as many networks as were trained; of the linear baseline, that of one network. None
    if not known.
    """
    constant = report.constant
    if report.best is None:
        return None
    rows = _judged(report)
    skills = [skill for row in rows for skill in skills_of(report, row)]
    parts = [part.name for _, part in report.objective.parts]
    is_fair = {*(parts or [report.objective.name])} <= _FAIR
    if any(skill.is_known for skill in skills):
        return True
    if constant is None or not is_fair:
        return False if skills else None
    return any(_is_more(report, row, constant) for row in rows)


def _judged(report: Report) -> list[Row]:
    """The answers, and baselines that were trained: each once."""
    answers = [row for row in (report.best, report.recommended) if row is not None]
    trained = [row for row in report.baselines if row.family not in REFERENCES]
    return list({id(row): row for row in (*answers, *trained)}.values())


def _is_more(report: Report, row: Row, constant: Row) -> bool:
    """Whether a row is better than the constant answer, by more than luck."""
    found = contrast(report, row, constant)
    if found.part == "test" and row in (report.best, report.recommended):
        return found.is_better
    chosen_of = 1 if row.is_baseline else len(report.networks)
    return found.gain > _sure(chosen_of) * found.stderr


def _sure(number: int) -> float:
    """Standard errors that luck seldom exceeds in any of a number of comparisons."""
    return NormalDist().inv_cdf(1 - _LUCK / number)


def verdict_lines(report: Report) -> Iterator[tuple[str, str]]:
    """A sentence where nothing was learned, with its name."""
    if (best := report.best) is None or is_learned(report) is not False:
        return
    heads = {target.kind: target.head for target in report.targets}
    what = " and ".join(heads[kind].constant_words for kind in HEADS if kind in heads)
    constant, texts, part, of, after = report.constant, [], "test", "", ""
    if constant is not None:
        found = contrast(report, best, constant)
        part = found.part
        if part == "validation":
            of = f" of {counted(len(report.networks), 'network')}"
        if of or not found.is_better:
            texts.append(f"are no better than always answering {what}")
        else:
            name = metric_name(report.objective)
            after = f"; a better {name} than a constant answer's needs no knowledge"
    for skill in skills_of(report, best):
        subject = printable(skill.target.name) if report.targets[1:] else "the labels"
        texts.append(f"follow {subject} no more than {_luck(skill)}")
    name = "nothing was learned" if part == "test" else "nothing is learned so far"
    answers = f"the answers of the best{of or ' network'}"
    number = _examples(report, part)
    shown = f"{number:,} {part} examples show" if number else f"the {part} part shows"
    yield name, f"as far as {shown}, {answers} {' and '.join(texts)}{after}"


def _luck(skill: Skill) -> str:
    """What chance would give, beside what there is."""
    is_share = skill.target.head.objectives[skill.metric].is_share
    value, error = (number_text(x, is_share) for x in (skill.value, skill.stderr))
    unit = " %" * is_share
    chance = f"{(100 if is_share else 1) * _CHANCE[skill.metric]:g}{unit}"
    name = SHORT_NAMES[skill.metric]
    return f"chance would ({name} {value} ± {error}{unit}, by chance {chance})"


def comparison_lines(report: Report) -> Iterator[tuple[str, str]]:
    """A sentence on each answer beside the baselines, with its name."""
    for answer, group in groupby(contrasts_of(report), lambda pair: pair[0]):
        items = (item for _, item in group)
        texts = [
            f"{', '.join(beside_text(report, item, _than(item)) for item in same)}, "
            f"{where}"
            for where, same in groupby(items, where_text)
        ]
        yield f"{answer} against baselines", "; ".join(texts)


def _than(item: Contrast) -> str:
    if item.other.family == MAJORITY:
        return " than a constant answer"
    return f" than the {printable(item.other.family)} baseline"


def beside_text(report: Report, item: Contrast, than: str = "") -> str:
    """How much better or worse a row is, and whether that is clear."""
    text = difference_text(report, item.gain, item.stderr)
    word, _, points = text.partition(" ")
    if item.is_clear:
        return f"{word}{than} {points}"
    return f"not clearly {word}{than} ({points})"


def where_text(item: Contrast) -> str:
    """The examples that both were scored on."""
    number = "" if item.examples is None else f"{item.examples:,} "
    same = "the same " if item.is_paired else "the "
    chose = item.part == "validation" and not item.row.is_reference
    return f"on {same}{number}{item.part} examples{', which chose it' * chose}"


def evidence_json(report: Report) -> dict[str, Any]:
    """What is learned, and the comparisons, as plain data."""
    return {
        "learned": is_learned(report),
        "comparisons": [
            {
                "answer": answer,
                "baseline": item.other.family,
                "part": item.part,
                "gain": item.gain,
                "stderr": item.stderr,
                "is_paired": item.is_paired,
                "is_clear": item.is_clear,
            }
            for answer, item in contrasts_of(report)
        ],
    }
