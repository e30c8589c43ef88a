"""Entries: the trainings of a network together, and the front and best of a run."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any

from kscale.networks.budget import Budget, used_by
from kscale.networks.families import FAMILIES
from kscale.networks.families.base import Spec, Value
from kscale.runs.records import Record, Reference, Training
from kscale.task.objectives import Objective


@dataclass(frozen=True)
class Outcome:
    """What the trainings of one network came to, or one reference.

    Args:
        results: The records counted, of one stage, each of another seed.
    """

    results: tuple[Training | Reference, ...]

    @property
    def family(self) -> str:
        """Name of the family, or of the reference."""
        return self.results[0].family

    @property
    def knobs(self) -> dict[str, Value]:
        """Values of all knobs by name; none of a reference."""
        return self.results[0].knobs

    @property
    def label(self) -> str:
        """Family and shape, or the name, in a few characters."""
        return self.results[0].label

    @property
    def learning_rate(self) -> float | None:
        """Largest learning rate; None where nothing is trained."""
        return self.results[0].learning_rate

    @property
    def params(self) -> int:
        """Exact number of weights."""
        return self.results[0].params

    @property
    def flops(self) -> int:
        """Exact FLOPs of one example forward."""
        return self.results[0].flops

    @property
    def unknown_flops(self) -> int:
        """Layers whose FLOPs nobody knows, which `flops` is without."""
        return self.results[0].unknown_flops

    @property
    def trainable(self) -> int:
        """Exact number of weights that training changes."""
        return self.results[0].trainable

    @property
    def bytes(self) -> int:
        """Exact bytes of the weights in float32."""
        return self.results[0].bytes

    @property
    def memory(self) -> int:
        """Bytes that each training was predicted to hold."""
        return self.results[0].memory

    @property
    def latency_ms(self) -> float | None:
        """Median time of a forward pass; None if it was not measured."""
        return self.results[0].latency_ms

    @property
    def latency_low(self) -> float | None:
        """First decile of the times of a forward pass."""
        return self.results[0].latency_low

    @property
    def latency_high(self) -> float | None:
        """Last decile of the times of a forward pass."""
        return self.results[0].latency_high

    @property
    def epochs(self) -> int:
        """Epochs that each of the trainings counted took."""
        return self.results[0].trained_epochs

    @property
    def is_full(self) -> bool:
        """Whether the trainings counted had their full length."""
        return self.results[0].is_full

    @property
    def stage(self) -> str:
        """Stage of the records counted."""
        return self.results[0].stage

    @property
    def seeds(self) -> int:
        """Number of trainings that the score is the mean of."""
        return len(self.results)

    @property
    def score(self) -> float:
        """Mean over the seeds."""
        return fmean(_scores(self.results))

    @property
    def stderr(self) -> float:
        """Standard error of the score: over examples, and over seeds if there are two.

        All seeds are scored on the same examples, so more seeds do not lower that part.
        """
        seen = [result.stderr or 0.0 for result in self.results]
        scores = _scores(self.results)
        seeds = variance(scores) / len(scores) if len(scores) > 1 else 0.0
        return math.sqrt(fmean(error**2 for error in seen) + seeds)

    @property
    def undertrained(self) -> bool:
        """Whether most of its trainings were still improving at the end."""
        return sum(r.undertrained for r in self.results) * 2 > len(self.results)


@dataclass(frozen=True, repr=False)
class Entry(Outcome):
    """All finished trainings of one spec at one learning rate.

    Its score is the mean over its finalist seeds if it has any, because the seed of the
    search was part of why it was chosen; else over the seeds of the search.

    Args:
        results: The trainings counted, of one stage, each with another seed.
        others: Trainings of the same spec that are not counted.
    """

    results: tuple[Training, ...]
    others: tuple[Training, ...] = ()

    def __repr__(self) -> str:
        spec = self.spec
        shape = f" depth={spec.depth} width={spec.width}" if spec.width else ""
        shape = f" {spec.backbone}" if spec.backbone else shape
        return (
            f"Entry({spec.family}{shape}, {self.params:,} params, score "
            f"{self.score:.4g} +- {self.stderr:.2g}, {len(self.results)} trained)"
        )

    @property
    def spec(self) -> Spec:
        """What was trained."""
        return self.results[0].spec

    @property
    def is_baseline(self) -> bool:
        """Whether the network was trained as a baseline, also if a finalist later."""
        return any(r.stage == "baseline" for r in (*self.results, *self.others))


def _scores(results: Iterable[Training | Reference]) -> list[float]:
    return [result.score for result in results if result.score is not None]


def entries_of(records: Iterable[Record]) -> list[Entry]:
    """Finished trainings grouped by spec and learning rate, in order of appearance.

    Where a training was continued, only the longest one counts.
    """
    groups: dict[tuple[Spec, float | None], list[Training]] = {}
    for record in records:
        if isinstance(record, Training) and record.is_scored:
            groups.setdefault((record.spec, record.learning_rate), []).append(record)
    return [_entry(group) for group in groups.values()]


def _entry(group: list[Training]) -> Entry:
    finalists = [result for result in group if result.stage == "finalist"]
    counted = finalists or group
    longest = max(result.epochs for result in counted)
    by_seed = {result.seed: result for result in counted if result.epochs == longest}
    chosen = tuple(by_seed.values())
    return Entry(chosen, tuple(result for result in group if result not in chosen))


def is_answer(entry: Entry, budget: Budget) -> bool:
    """Whether an entry is a network of full training, within the budget."""
    return entry.is_full and bool(budget.allows_used(used_by(entry)))


def answers_of(entries: Iterable[Entry], budget: Budget, is_one: bool) -> list[Entry]:
    """The entries that may be the answer of a run.

    Args:
        entries: All of the run.
        budget: What they may cost.
        is_one: Whether one network was asked for: it is the answer, though a baseline
            does better. Until it is trained, baselines are.
    """
    found = [entry for entry in entries if is_answer(entry, budget)]
    asked = [
        entry
        for entry in found
        if any(r.stage == "search" for r in (*entry.results, *entry.others))
    ]
    return asked if is_one and asked else found


def names_one(identity: Mapping[str, Any]) -> bool:
    """Whether `run.json` says that one network was asked for: every knob is set."""
    family, *others = identity.get("families") or ("",)
    if others or family not in FAMILIES:
        return False
    knobs = {*FAMILIES[family].all_knobs, "learning_rate"}
    return knobs <= (identity.get("set") or {}).keys()


def front_of(entries: Sequence[Entry], objective: Objective) -> list[Entry]:
    """Entries that no other entry beats in both size and score, smallest first.

    The front ends at the best entry: where there are finalists, a score above theirs
    from the seed of the search alone has proved nothing.
    """
    best = best_of(entries, objective)
    proved = [
        entry
        for entry in entries
        if best is None
        or entry.stage == best.stage
        or objective.better(best.score, entry.score)
    ]
    ordered = sorted(
        proved,
        key=lambda entry: (
            entry.params,
            -objective.gain(entry.score, 0.0),
            entry.flops,
        ),
    )
    front: list[Entry] = []
    for entry in ordered:
        if not front or objective.better(entry.score, front[-1].score):
            front.append(entry)
    return front


def best_of(entries: Sequence[Entry], objective: Objective) -> Entry | None:
    """The entry of the best score, the smaller if equal; a finalist if there is one."""
    finalists = [entry for entry in entries if entry.stage == "finalist"]
    return min(
        finalists or entries,
        key=lambda entry: (-objective.gain(entry.score, 0.0), entry.params),
        default=None,
    )


def is_tied(entry: Entry, best: Entry, objective: Objective) -> bool:
    """Whether a score is within one standard error of the best one."""
    return objective.gain(best.score, entry.score) <= best.stderr


def recommended_of(entries: Sequence[Entry], objective: Objective) -> Entry | None:
    """The smallest entry that is statistically tied with the best.

    Only entries with as much evidence count: finalists where there are any.
    """
    best = best_of(entries, objective)
    if best is None:
        return None
    tied = [
        entry
        for entry in entries
        if entry.stage == best.stage and is_tied(entry, best, objective)
    ]
    return min(tied, key=lambda entry: (entry.params, entry.flops))
