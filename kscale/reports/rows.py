"""From results to a report: which rows there are, what they say and in what order."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from kscale.errors import ResultsError
from kscale.networks.budget import Budget, used_by
from kscale.networks.families.base import Spec, is_own
from kscale.reports.confusion import confusion_from
from kscale.reports.measures import (
    density,
    gain_per_doubling,
    net_score,
    score_interval,
)
from kscale.reports.notes import notes_of
from kscale.reports.ranking import check_ranking, ranked_front
from kscale.reports.report import Report, Row
from kscale.runs.entries import (
    Entry,
    answers_of,
    best_of,
    entries_of,
    front_of,
    is_scored,
    is_tied,
    names_one,
    recommended_of,
)
from kscale.runs.results import MAJORITY, PRESENT, RETRAINED, TRAINED, Result
from kscale.search.pool import always_searched
from kscale.task.objectives import Objective, asked_objective
from kscale.task.tasks import Target, Task

__all__ = ["MAJORITY", "Report", "Row", "make_report"]

_Key = tuple[Spec, float | None]


@dataclass(frozen=True)
class _Asked:
    """What a report needs of `run.json`."""

    objective: Objective
    budget: Budget
    searched: tuple[str, ...]
    fixed: Mapping[str, Any]
    data: Mapping[str, Any]
    targets: tuple[Target, ...]
    class_counts: Mapping[str, Sequence[int]]
    class_weights: str
    present: Mapping[str, Any]
    is_one: bool


def make_report(
    run: Mapping[str, Any], results: Sequence[Result], rank_by: str = "knee"
) -> Report:
    """The report of a run.

    Args:
        run: What `read_run` gives.
        results: What `read_results` gives.
        rank_by: Order of the front, one of `kscale.reports.ranking.RANKINGS`.

    Raises:
        ResultsError: The ranking is unknown, or `run` does not describe a run.
    """
    check_ranking(rank_by)
    asked = _asked(run)
    results = list(_compared(results, str(asked.present.get("digest", ""))))
    rows = _rows(results, asked)
    smallest_first = _with_gains([row for row in rows if row.is_front], asked)
    front = ranked_front(smallest_first, asked.objective, rank_by)
    others = sorted((row for row in rows if not row.is_front), key=_order(asked))
    ordered = (*front, *others)
    trained = [
        result
        for result in results
        if result.stage in TRAINED and result.spec.family not in (MAJORITY, PRESENT)
    ]
    report = Report(
        rows=ordered,
        front=front,
        best=next((row for row in ordered if row.is_best), None),
        recommended=next((row for row in ordered if row.is_recommended), None),
        baselines=tuple(
            sorted((r for r in ordered if r.is_baseline), key=lambda row: row.params)
        ),
        failures=_failures(results),
        notes=(),
        objective=asked.objective,
        budget=asked.budget,
        data=asked.data,
        rank_by=rank_by,
        chance=next((row.score for row in rows if row.family == MAJORITY), None),
        training_seconds=math.fsum(result.seconds for result in trained),
        trainings=len(trained),
        searched=asked.searched,
        fixed=asked.fixed,
        targets=asked.targets,
        class_counts=asked.class_counts,
        class_weights=asked.class_weights,
        present=asked.present,
    )
    return replace(report, notes=notes_of(report))


def _asked(run: Mapping[str, Any]) -> _Asked:
    try:
        identity = run["identity"]
        task = Task.from_json(run["task"])
        fixed = dict(identity.get("set") or {})
        searched = (*always_searched(task), *(identity.get("search") or ()))
        return _Asked(
            asked_objective(identity, task),
            Budget(**(identity.get("budget") or {})),
            tuple(n for n in dict.fromkeys(searched) if n not in fixed),
            fixed,
            dict(run["data"]),
            task.targets,
            _counts(run["data"].get("class_counts") or {}),
            str(identity.get("class_weights") or "none"),
            dict(run.get("baseline") or {}),
            names_one(identity),
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise ResultsError(f"run.json does not describe a run: {error!s}.") from error


def _compared(results: Sequence[Result], digest: str) -> Iterator[Result]:
    """Results without those of present models that came before the one of a digest."""
    for result in results:
        if result.spec.family not in (PRESENT, RETRAINED):
            yield result
        elif dict(result.spec.knobs).get("model", "") == digest:
            yield replace(result, spec=Spec(result.spec.family, ()))


def _counts(data: Mapping[str, Any]) -> dict[str, list[int]]:
    return {name: [int(count) for count in counts] for name, counts in data.items()}


def _rows(results: Sequence[Result], asked: _Asked) -> list[Row]:
    """A row for each entry, the smallest first; gains are not known yet."""
    entries = sorted(entries_of(results), key=lambda entry: entry.params)
    answers = answers_of(entries, asked.budget, asked.is_one)
    objective = asked.objective
    best = best_of(answers, objective)
    recommended = recommended_of(answers, objective)
    front = {_key(entry) for entry in front_of(answers, objective)}
    fitting = {_key(entry) for entry in answers}
    chance = next((e.score for e in entries if e.spec.family == MAJORITY), None)
    tests = _tests(results)
    return [
        _row(
            entry,
            asked,
            chance,
            tests.get(_key(entry), []),
            is_front=_key(entry) in front,
            is_best=entry is best,
            is_recommended=entry is recommended,
            is_tied=best is not None
            and _key(entry) in fitting
            and entry.stage == best.stage
            and is_tied(entry, best, objective),
        )
        for entry in entries
    ]


def _key(item: Entry | Result) -> _Key:
    return item.spec, item.learning_rate


def _row(
    entry: Entry,
    asked: _Asked,
    chance: float | None,
    tests: Sequence[Result],
    **answers: Any,
) -> Row:
    score, objective = entry.score, asked.objective
    # Depth, width and learning rate have columns of their own.
    shown = {*asked.searched, *asked.fixed}
    if is_own(entry.spec.family):
        shown = set(dict(entry.spec.knobs))
    shown -= {"depth", "width", "learning_rate"}
    row = Row(
        spec=entry.spec,
        knobs=tuple(item for item in entry.spec.knobs if item[0] in shown),
        learning_rate=entry.learning_rate,
        params=entry.params,
        trainable=entry.trainable,
        flops=entry.flops,
        unknown_flops=entry.unknown_flops,
        bytes=entry.bytes,
        memory=entry.memory,
        latency_ms=entry.latency_ms,
        latency_low=entry.results[0].latency_low,
        latency_high=entry.results[0].latency_high,
        score=score,
        stderr=entry.stderr,
        seeds=len(entry.results),
        stage=entry.stage,
        epochs=entry.epochs,
        undertrained=entry.undertrained,
        is_baseline=entry.is_baseline,
        over_budget=not asked.budget.allows_used(used_by(entry)),
        density=density(objective, score, chance, entry.params),
        net_score=net_score(
            objective, score, entry.params, 0 if entry.unknown_flops else entry.flops
        ),
        metrics=_mean_of([result.metrics for result in entry.results]),
        **answers,
    )
    return _with_test(row, tests, asked)


def _mean_of(items: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each metric that all have."""
    return {
        name: fmean(item[name] for item in items)
        for name in items[0]
        if all(name in item for item in items)
    }


def _mean_left_out(tests: Sequence[Result]) -> tuple[float, ...]:
    """Scores without each group; empty unless all that were tested have as many."""
    if len({len(result.left_out) for result in tests}) > 1:
        return ()
    columns = zip(*(result.left_out for result in tests), strict=True)
    return tuple(map(fmean, columns))


def _tests(results: Sequence[Result]) -> dict[_Key, list[Result]]:
    """Results on the test part by what they are of; of one seed, the last counts."""
    by_seed = {
        (*_key(result), result.seed): result
        for result in results
        if result.stage == "test" and is_scored(result)
    }
    tests: dict[_Key, list[Result]] = {}
    for result in by_seed.values():
        tests.setdefault(_key(result), []).append(result)
    return tests


def _with_test(row: Row, tests: Sequence[Result], asked: _Asked) -> Row:
    """A row with its score on the test part, the mean over the seeds tested.

    The interval is that of one test part: more seeds do not add examples. Confusions
    are those of the last seed.
    """
    if not tests:
        return row
    score = fmean(result.score for result in tests if result.score is not None)
    errors = [result.stderr for result in tests if result.stderr is not None]
    stderr = fmean(errors) if errors else None
    interval = score_interval(asked.objective, score, stderr, tests[0].examples)
    low, high = interval or (None, None)
    return replace(
        row,
        test_score=score,
        test_low=low,
        test_high=high,
        test_metrics=_mean_of([result.metrics for result in tests]),
        test_errors=_mean_of([result.metric_errors for result in tests]),
        left_out=_mean_left_out(tests),
        confusions={
            target.name: confusion_from(target, tests[-1].confusion[target.name])
            for target in asked.targets
            if target.name in tests[-1].confusion
        },
    )


def _with_gains(front: Sequence[Row], asked: _Asked) -> list[Row]:
    """The front, smallest first, each row with its gain over the next smaller one, of
    those that are smaller by enough to tell (`LEAST_RATIO`)."""

    def gain(row: Row, smaller: Sequence[Row]) -> float | None:
        found = (
            gain_per_doubling(asked.objective, row.score, row.params, before)
            for before in ((each.score, each.params) for each in reversed(smaller))
        )
        return next((value for value in found if value is not None), None)

    return [
        replace(row, gain=gain(row, front[:place])) for place, row in enumerate(front)
    ]


def _order(asked: _Asked) -> Callable[[Row], tuple[float, int]]:
    return lambda row: (-asked.objective.gain(row.score, 0.0), row.params)


def _failures(results: Sequence[Result]) -> tuple[tuple[str, int], ...]:
    reasons = Counter(
        " ".join(result.reason.split()) or "no reason recorded"
        for result in results
        if result.status == "failed" and result.stage in TRAINED
    )
    return tuple(reasons.most_common())
