"""Points of a run: which of its trainings say how error falls with size.

A search tries good knobs and bad ones, and a law is of what a size can reach. So a
point is the best network of half an octave of sizes. The best of several is a little
better than it deserves, as its seed was part of why it was chosen; networks of more
seeds, such as finalists, stand for their half octave where there are any. A half octave
whose best is clearly worse than a smaller network had bad knobs only, and is left
out. Neither all networks nor the front do better: `experiments/law_points.py`.

All networks are scored on the same examples. What these examples add to one score they
add to the others, so the error of a point is that over the seeds alone.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from statistics import variance
from typing import Any, NamedTuple

from kscale.errors import LawError
from kscale.runs.entries import Entry, best_of, entries_of
from kscale.runs.law.points import Point
from kscale.runs.law.quantities import Quantity
from kscale.runs.records import Record, Training
from kscale.task.objectives import Objective, metric_name
from kscale.text import counted

_RANGES = 2  # of sizes in an octave
_BADLY = 1.25  # times the least error of smaller sizes
_FEWEST, _RANGE = 4, 10  # sizes of a law, and the largest by the smallest


class RunPoints(NamedTuple):
    """Points of a run, what their values are, and what to know of them."""

    points: tuple[Point, ...]
    quantity: Quantity
    notes: tuple[str, ...]


def are_enough(points: Sequence[Point]) -> bool:
    """Whether points are of enough sizes, over a range that is wide enough, for a law
    that is worth showing where nobody asked for one."""
    sizes = {point.size for point in points}
    return len(sizes) >= _FEWEST and max(sizes) >= _RANGE * min(sizes)


def run_points(
    identity: Mapping[str, Any], records: Iterable[Record], objective: Objective
) -> RunPoints:
    """The points of a run, the smallest first.

    They are of trainings of full length that ended well; baselines are of another kind.
    Networks that were still improving are left out, unless too few others remain.

    Args:
        identity: As in `run.json`.
        records: All records of the run.
        objective: What the search improved.

    Raises:
        LawError: What a perfect score would be is not known.
    """
    entries = [e for e in entries_of(records) if e.is_full and not e.is_baseline]
    examples = max((entry.examples for entry in entries), default=0)
    quantity = quantity_of(identity, objective, examples)
    noise = _seed_noise(entries, quantity)
    chosen = _chosen(entries, objective, quantity, noise)
    points = [_point(entry, quantity, noise) for entry in chosen]
    done = [p for p, e in zip(points, chosen, strict=True) if not e.undertrained]
    short, notes = len(points) - len(done), []
    if len(points) < len(entries):
        notes.append(
            f"The law is of {counted(len(points), 'network')}, of {len(entries)} that "
            "were trained in full: finalists, and the best of each range of sizes."
        )
    networks = counted(short, "network")
    if short and are_enough(done):
        points = done
        notes.append(f"Left out of the law: {networks} still improving at the end.")
    elif short:
        notes.append(
            f"Of these, {networks} still improved at the end, so that the law is of "
            "this length of training too; longer ones may change it."
        )
    return RunPoints(tuple(points), quantity, tuple(notes))


def quantity_of(
    identity: Mapping[str, Any], objective: Objective, examples: int
) -> Quantity:
    """What the scores of a run are.

    Args:
        identity: As in `run.json`.
        objective: What the search improved.
        examples: Number of examples that a score was computed on.

    Raises:
        LawError: What a perfect score would be is not known.
    """
    name, is_score = metric_name(objective), objective.higher_is_better
    if is_score and identity.get("direction"):
        raise LawError(
            f"There is no law of {name}: what a perfect {name} would be is not known."
        )
    is_share, is_mean = objective.is_share, objective.shares is not None
    step = 1 / examples if is_score and is_mean and examples else 0.0
    return Quantity(name, is_score, 1, is_share, not is_share, step)


def _chosen(
    entries: Sequence[Entry], objective: Objective, quantity: Quantity, noise: float
) -> list[Entry]:
    """The best entry of each range of sizes, the smallest first; more seeds count for
    more than a better score. Where it is clearly far above a smaller one, only bad
    knobs were tried."""
    ordered = sorted((e for e in entries if e.params), key=lambda entry: entry.params)
    groups = groupby(ordered, lambda e: math.floor(_RANGES * math.log2(e.params)))
    chosen: list[Entry] = []
    least = math.inf
    for group in ([*each] for _, each in groups):
        seeds = max(entry.seeds for entry in group)
        best = best_of([e for e in group if e.seeds == seeds], objective)
        assert best is not None  # no group is empty
        error = quantity.error(best.score)
        if error * (1 - 2 * noise / math.sqrt(seeds)) <= _BADLY * least:
            chosen.append(best)
        least = min(least, error)
    return chosen


def _seed_noise(entries: Iterable[Entry], quantity: Quantity) -> float:
    """Standard deviation of an error over the seeds, as a part of the error: of all
    networks that were trained from several seeds; 0 where there are none."""
    squares, freedom = 0.0, 0
    for entry in entries:
        scores = [result.score for result in entry.results if result.score is not None]
        error = quantity.error(entry.score)
        if len(scores) > 1 and error > 0:
            spread = variance(map(quantity.stderr, scores)) / error**2
            squares += spread * (len(scores) - 1)
            freedom += len(scores) - 1
    return math.sqrt(squares / freedom) if freedom else 0.0


def _point(entry: Entry, quantity: Quantity, noise: float) -> Point:
    error, spec = quantity.error(entry.score), entry.spec
    stderr = noise * error / math.sqrt(entry.seeds) or None
    shape = spec.depth, spec.width or None
    examples = entry.results[0].trained_on or None
    return Point(entry.params, error, stderr, entry.seeds, *shape, examples)


def with_subsets(found: RunPoints, records: Sequence[Record]) -> tuple[Point, ...]:
    """The points of a run, and those of its networks on fewer examples."""
    groups: dict[Any, list[Training]] = {}
    trainings = (record for record in records if isinstance(record, Training))
    for each in trainings:
        if each.stage == "subset" and each.is_scored:
            key = each.spec, each.learning_rate, each.share
            groups.setdefault(key, []).append(each)
    entries = [Entry(tuple(group)) for group in groups.values()]
    noise = _seed_noise(entries_of(records), found.quantity)
    fewer = (_point(entry, found.quantity, noise) for entry in entries)
    return (*found.points, *fewer)
