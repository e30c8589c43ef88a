"""From records to a report: which rows there are, their figures and their order."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kscale.errors import LawError, ResultsError, cause_of
from kscale.networks.budget import Budget, used_by
from kscale.networks.families import FAMILIES
from kscale.networks.families.base import Spec
from kscale.reports.confusion import confusion_from
from kscale.reports.course import course_of
from kscale.reports.measures import (
    density,
    gain_per_doubling,
    net_score,
    score_interval,
)
from kscale.reports.notes import notes_of
from kscale.reports.ranking import ranked_front
from kscale.reports.report import Asked, Report, Row
from kscale.runs.compressions import compressions_of
from kscale.runs.entries import (
    Entry,
    answers_of,
    best_of,
    entries_of,
    front_of,
    recommended_of,
    rounded_of,
    stored_entries,
    stored_entry,
    tied_of,
)
from kscale.runs.law.run_points import RunPoints, run_points
from kscale.runs.records import (
    MAJORITY,
    Compression,
    Evaluation,
    Record,
    Reference,
    is_trained,
)
from kscale.runs.stored_bits import best_by_bits
from kscale.search.pool import always_searched
from kscale.task.objectives import asked_objective
from kscale.task.tasks import Task


def make_report(
    run: Mapping[str, Any], records: Sequence[Record], rank_by: str = "knee"
) -> Report:
    """The report of a run.

    Args:
        run: What `read_run` gives.
        records: What `read_records` gives.
        rank_by: Order of the front, one of `kscale.reports.ranking.RANKINGS`.

    Raises:
        ResultsError: The ranking is unknown, or `run` does not describe a run.
    """
    asked = _asked(run)
    digest = str(asked.present.get("digest", ""))  # others are of other present models
    records = [
        item
        for item in records
        if not isinstance(item, Reference) or item.model in ("", digest)
    ]
    rows = _rows(records, asked, run["identity"])
    smallest_first = _with_gains([row for row in rows if row.is_front], asked)
    front = ranked_front(smallest_first, asked.objective, rank_by)
    others = [row for row in rows if not row.is_front]
    others.sort(key=lambda row: (-asked.objective.gain(row.score, 0.0), row.params))
    trained = [item for item in records if is_trained(item)]
    reasons = Counter(
        " ".join(item.reason.split()) or "no reason recorded"
        for item in trained
        if item.status == "failed"
    )
    report = Report(
        **vars(asked),
        rows=(*front, *others),
        rank_by=rank_by,
        failures=tuple(reasons.most_common()),
        trainings=len(trained),
        training_seconds=math.fsum(item.seconds for item in trained),
        course=course_of(run, records, asked.objective),
        sizes=_sizes(run["identity"], records, asked),
        by_bits=tuple(best_by_bits(records, asked.budget, asked.objective)),
        compressions=tuple(
            compressions_of(
                (item for item in records if isinstance(item, Compression)),
                asked.objective,
                asked.budget.max_bytes,
            )
        ),
    )
    return replace(report, notes=notes_of(report))


def _sizes(
    identity: Mapping[str, Any], records: Sequence[Record], asked: Asked
) -> RunPoints | str:
    try:
        return run_points(identity, records, asked.objective)
    except LawError as error:
        return f"No law of size: {error}"


def _asked(run: Mapping[str, Any]) -> Asked:
    try:
        identity = run["identity"]
        task = Task.from_json(run["task"])
        fixed = dict(identity.get("set") or {})
        varied = always_searched(identity.get("families") or (), task)
        searched = (*varied, *(identity.get("search") or ()))
        return Asked(
            objective=asked_objective(identity, task),
            budget=Budget(**(identity.get("budget") or {})),
            data=dict(run["data"]),
            searched=tuple(n for n in dict.fromkeys(searched) if n not in fixed),
            fixed=fixed,
            task=task,
            class_counts={
                name: [*map(int, counts)]
                for name, counts in (run["data"].get("class_counts") or {}).items()
            },
            class_weights=str(identity.get("class_weights") or "none"),
            present=dict(run.get("baseline") or {}),
            is_timed=any(each.get("time") for each in run.get("sessions") or ()),
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        why = cause_of(error)
        raise ResultsError(f"run.json does not describe a run: {why}.") from error


def _rows(
    records: Sequence[Record], asked: Asked, identity: Mapping[str, Any]
) -> list[Row]:
    """A row for each reference and entry, the smallest first; gains come later."""
    objective = asked.objective
    answers = answers_of(records, asked.budget, identity)
    best, recommended = best_of(answers, objective), recommended_of(answers, objective)
    front, tied = set(front_of(answers, objective)), set(tied_of(answers, objective))
    scored = [r for r in records if isinstance(r, Reference) and r.is_scored]
    references = [item for item in scored if item.part == "validation"]
    chance = next((r.score for r in references if r.name == MAJORITY), None)
    tests: dict[tuple[Spec, float | None], dict[int, Evaluation]] = defaultdict(dict)
    for item in records:  # of one seed, the last counts
        if isinstance(item, Evaluation) and item.is_scored:
            tests[item.spec, item.learning_rate][item.seed] = item
    rows = [
        Row(
            (item,),
            tests=tuple(t for t in scored if t.part == "test" and t.key == item.key),
            is_baseline=True,
        )
        for item in references
    ]
    rows += [
        Row(
            entry.results,
            bits=entry.bits,
            tests=_tests(entry, tests[entry.spec, entry.learning_rate], records),
            is_front=entry in front,
            is_best=entry == best,
            is_recommended=entry == recommended,
            is_tied=entry in tied,
            is_baseline=entry.is_baseline
            and entry.bits == stored_entry(replace(entry, bits=32), asked.budget).bits,
            fit=entry.fit,
        )
        for entry in _all_entries(records, asked.budget)
    ]
    rows.sort(key=lambda row: (row.bytes, row.params))
    return [_with_figures(row, asked, chance) for row in rows]


def _all_entries(records: Sequence[Record], budget: Budget) -> list[Entry]:
    """All networks, in each of the bits that they were scored in."""
    entries = entries_of(records)
    stored = stored_entries(entries, records, budget)
    scored = {(entry.spec, entry.learning_rate) for entry in stored}
    others = [e for e in entries if (e.spec, e.learning_rate) not in scored]
    return [*stored, *(stored_entry(entry, budget) for entry in others)]


def _tests(
    entry: Entry, tests: Mapping[int, Evaluation], records: Sequence[Record]
) -> tuple[Evaluation | Compression, ...]:
    """What an entry reaches on the test part, one record a seed."""
    if entry.bits == 32:
        return tuple(tests.values())
    rounded = {(r.training, r.bits): r for r in rounded_of(records, "test")}
    places = [(training.key, entry.bits) for training in entry.results]
    return tuple(rounded[place] for place in places if place in rounded)


def _with_figures(row: Row, asked: Asked, chance: float | None) -> Row:
    """A row with the figures that follow from its records.

    The interval of the test score is that of one test part: more seeds do not add
    examples. Confusions are those of the last seed.
    """
    objective, tests = asked.objective, row.tests
    # Depth, width and learning rate have columns of their own.
    shown = {*asked.searched, *asked.fixed} if row.family in FAMILIES else {*row.knobs}
    shown -= {"depth", "width", "learning_rate"}
    interval = None
    if row.test_score is not None:
        score, examples = row.test_score, tests[0].examples
        interval = score_interval(objective, score, row.test_stderr or None, examples)
    low, high = interval or (None, None)
    flops = 0 if row.unknown_flops else row.flops
    return replace(
        row,
        shown_knobs=tuple(item for item in row.knobs.items() if item[0] in shown),
        over_budget=not asked.budget.allows_used(used_by(row)),
        density=density(objective, row.score, chance, row.params),
        net_score=net_score(objective, row.score, row.params, flops),
        test_low=low,
        test_high=high,
        confusions={
            target.name: confusion_from(target, tests[-1].confusion[target.name])
            for target in asked.targets
            if tests and target.name in tests[-1].confusion
        },
    )


def _with_gains(front: Sequence[Row], asked: Asked) -> list[Row]:
    """The front, smallest first, each row with its gain over the next smaller row, of
    rows that are smaller by `LEAST_RATIO`."""
    rows: list[Row] = []
    for row in front:
        gains = (
            gain_per_doubling(
                asked.objective, row.score, row.params, (smaller.score, smaller.params)
            )
            for smaller in reversed(rows)
        )
        gain = next((gain for gain in gains if gain is not None), None)
        rows.append(replace(row, gain=gain))
    return rows
