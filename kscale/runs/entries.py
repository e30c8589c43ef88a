"""Entries: the trainings of a network together, and the front and best of a run."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, variance
from typing import Any, Generic, TypeVar

import msgspec

from kscale.networks.budget import Budget, stored_bytes, used_by
from kscale.networks.families import FAMILIES
from kscale.networks.families.base import Spec
from kscale.runs.records import Compression, DeviceFit, Record, Reference, Training
from kscale.task.objectives import Objective

T = TypeVar("T")


class _First(Generic[T]):
    """An attribute that all results of a model share, read from the first."""

    def __init__(self, of: Callable[[Training | Reference], T]) -> None:
        self._of = of

    def __get__(self, model: "ScoredModel", owner: object = None) -> T:
        return self._of(model.results[0])


class SeedMean:
    """A score that is the mean over seeds.

    Attributes:
        results: A record of each seed.
    """

    results: tuple[Any, ...]

    @property
    def seeds(self) -> int:
        """Number of records that the score is the mean of."""
        return len(self.results)

    @property
    def score(self) -> float:
        """Mean over the seeds."""
        return fmean(self._scores)

    @property
    def _scores(self) -> list[float]:
        return [result.score for result in self.results if result.score is not None]

    @property
    def stderr(self) -> float:
        """Standard error of the score: over examples, and over seeds if there are two.

        All seeds are scored on the same examples, so more seeds do not lower that part.
        """
        examples = math.sqrt(fmean((r.stderr or 0.0) ** 2 for r in self.results))
        return math.hypot(examples, self.seed_error)

    @property
    def seed_error(self) -> float:
        """Standard error of the mean over the seeds; 0 for one seed."""
        scores = self._scores
        return math.sqrt(variance(scores) / len(scores)) if len(scores) > 1 else 0.0

    @property
    def examples(self) -> int:
        """Examples that each score is of."""
        return int(self.results[0].examples)


@dataclass(frozen=True)
class ScoredModel(SeedMean):
    """A model with its size and score: a network by its trainings, or a reference.

    Args:
        results: The records counted, of one stage, each of another seed.
        bits: Bits of a weight, as the network is stored and, where others are too, as
            it was scored.

    Attributes:
        family, knobs, label: Of the network, or of the reference: then knobs are none.
        epochs: Epochs that each of the trainings counted took.
        latency_ms, latency_low, latency_high: Median, first and last decile of the time
            of a forward pass; None if it was not measured.
        fit: What the network needs on a microcontroller; None if nobody asked.

    All others are as in `kscale.runs.records`.
    """

    results: tuple[Training | Reference, ...]
    bits: int = 32
    fit: DeviceFit | None = field(default=None, kw_only=True)

    family = _First(lambda record: record.family)
    knobs = _First(lambda record: record.knobs)
    label = _First(lambda record: record.label)
    stage = _First[str](lambda record: record.stage)
    learning_rate = _First(lambda record: record.learning_rate)
    is_full = _First(lambda record: record.is_full)
    epochs = _First(lambda record: record.trained_epochs)
    params = _First(lambda record: record.params)
    trainable = _First(lambda record: record.trainable)
    flops = _First(lambda record: record.flops)
    unknown_flops = _First(lambda record: record.unknown_flops)
    memory = _First(lambda record: record.memory)
    latency_ms = _First[float | None](lambda record: record.latency_ms)
    latency_low = _First[float | None](lambda record: record.latency_low)
    latency_high = _First[float | None](lambda record: record.latency_high)

    @property
    def bytes(self) -> int:
        """Bytes of the weights, as the network is stored."""
        return int(stored_bytes(self.results[0].bytes, self.bits))

    @property
    def flash(self) -> int | None:
        """Bytes of flash on a microcontroller: measured, or else predicted."""
        return self._on_device("flash")

    @property
    def ram(self) -> int | None:
        """Bytes of RAM on a microcontroller: measured, or else predicted."""
        return self._on_device("ram")

    @property
    def int8(self) -> tuple[Training, DeviceFit] | None:
        """A training whose int8 file was scored, and the scores; None without one."""
        fit = self.fit if self.fit and self.fit.score is not None else None
        trained = [each for each in self.results if isinstance(each, Training)]
        found = (each for each in trained if fit and each.key == fit.training)
        return next(((each, fit) for each in found if fit), None)

    def _on_device(self, name: str) -> int | None:
        """A figure of the fit."""
        measured = getattr(self.fit, name, None)
        predicted = getattr(self.fit, f"predicted_{name}", None)
        return predicted if measured is None else measured

    @property
    def undertrained(self) -> bool:
        """Whether most of its trainings were still improving at the end."""
        return sum(r.undertrained for r in self.results) * 2 > len(self.results)


@dataclass(frozen=True, repr=False)
class Entry(ScoredModel):
    """All finished trainings of one spec at one learning rate.

    Its score is the mean over its finalist seeds if it has any, because the seed of the
    search was part of why it was chosen; else over the seeds of the search.

    Args:
        results: The trainings counted, of one stage, each with another seed.
        bits: As of any `ScoredModel`.
        others: Trainings of the same spec that are not counted.
    """

    results: tuple[Training, ...]
    others: tuple[Training, ...] = ()

    def __repr__(self) -> str:
        spec = self.spec
        shape = f" depth={spec.depth} width={spec.width}" if spec.width else ""
        shape = f" {spec.backbone}" if spec.backbone else shape
        stored = f" in {self.bits} bits" if self.bits != 32 else ""
        return (
            f"Entry({spec.family}{shape}, {self.params:,} params{stored}, score "
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


def entries_of(records: Iterable[Record]) -> list[Entry]:
    """Finished trainings grouped by spec and learning rate, in order of appearance.

    Where a training was continued, only the longest one counts. Those on fewer examples
    than the others never count.
    """
    groups: dict[tuple[Spec, float | None], list[Training]] = {}
    fits: dict[Spec, DeviceFit] = {}
    for record in records:
        if isinstance(record, DeviceFit):
            fits[record.spec] = record
        if not isinstance(record, Training) or record.stage == "subset":
            continue
        if record.is_scored:
            groups.setdefault((record.spec, record.learning_rate), []).append(record)
    return [_entry(group, fits.get(spec)) for (spec, _), group in groups.items()]


def _entry(group: list[Training], fit: DeviceFit | None) -> Entry:
    counted = [item for item in group if item.stage == "finalist"] or group
    longest = max(item.epochs for item in counted)
    by_seed = {item.seed: item for item in counted if item.epochs == longest}
    chosen = tuple(by_seed.values())
    others = tuple(item for item in group if item not in chosen)
    return Entry(chosen, others=others, fit=fit)


def stored_entry(entry: Entry, budget: Budget) -> Entry:
    """A network that was scored in float32, stored in as many bits as a budget allows,
    or in the fewest bits where it does not fit at all."""
    bits = budget.bits_for(entry.bytes) or budget.bits[-1:]
    return replace(entry, bits=bits[0])


def rounded_of(records: Iterable[Record], part: str) -> list[Compression]:
    """Records of networks with rounded weights, scored on a part."""
    return [
        record
        for record in records
        if isinstance(record, Compression) and record.is_rounded and record.part == part
    ]


def stored_entries(
    entries: Iterable[Entry], records: Iterable[Record], budget: Budget
) -> list[Entry]:
    """An entry for each network and number of bits that has a score; empty where the
    budget leaves the number of bits no choice."""
    if not budget.are_bits_open:
        return []
    rounded = rounded_of(records, "validation")
    found = {(record.training, record.bits): record for record in rounded}
    return [
        replace(entry, bits=bits, results=tuple(scored))
        for entry in entries
        for bits in budget.bits_for(entry.bytes)
        if all((training.key, bits) in found for training in entry.results)
        for scored in [[_rescored(t, found[t.key, bits]) for t in entry.results]]
    ]


def _rescored(training: Training, found: Compression) -> Training:
    """A training with the score in other bits."""
    names = ("score", "stderr", "examples", "metrics")
    return msgspec.structs.replace(training, **{n: getattr(found, n) for n in names})


def is_answer(entry: Entry, budget: Budget) -> bool:
    """Whether an entry is a network of full training, within the budget."""
    return entry.is_full and bool(budget.allows_used(used_by(entry)))


def answers_of(
    records: Sequence[Record], budget: Budget, identity: Mapping[str, Any]
) -> list[Entry]:
    """The entries that may be the answer of a run, by its identity in `run.json`.

    Where a single network was asked for, that network is the answer, though a baseline
    may do better. Baselines are the answer until that network is trained.
    """
    entries = entries_of(records)
    entries = stored_entries(entries, records, budget) or [
        stored_entry(entry, budget) for entry in entries
    ]
    found = [entry for entry in entries if is_answer(entry, budget)]
    if not _is_single(identity):
        return found
    searched = [
        entry
        for entry in found
        if any(r.stage == "search" for r in (*entry.results, *entry.others))
    ]
    return searched or found


def _is_single(identity: Mapping[str, Any]) -> bool:
    """Whether a single network was asked for: every knob of one family is set."""
    family, *others = identity.get("families") or ("",)
    if others or family not in FAMILIES:
        return False
    knobs = {*dict(FAMILIES[family].spec().knobs), "learning_rate"}
    return knobs <= (identity.get("set") or {}).keys()


def front_of(entries: Sequence[Entry], objective: Objective) -> list[Entry]:
    """Entries that no other entry beats in both size and score, smallest first.

    The front ends at the best entry: where there are finalists, a higher score of a
    network that was trained from a single seed proves nothing.
    """
    rivals, best = _rivals(entries), best_of(entries, objective)
    proved = [
        entry
        for entry in entries
        if entry in rivals or (best and objective.better(best.score, entry.score))
    ]
    proved.sort(
        key=lambda e: (e.bytes, e.params, -objective.gain(e.score, 0.0), e.flops)
    )
    front: list[Entry] = []
    for entry in proved:
        if not front or objective.better(entry.score, front[-1].score):
            front.append(entry)
    return front


Some = TypeVar("Some", bound=ScoredModel)


def best_of(entries: Sequence[Some], objective: Objective) -> Some | None:
    """The entry of the best score, the smaller if equal; a finalist if there is one."""
    return min(
        _rivals(entries),
        key=lambda e: (-objective.gain(e.score, 0.0), e.bytes, e.params),
        default=None,
    )


def _rivals(entries: Sequence[Some]) -> Sequence[Some]:
    """The entries among which the best is chosen: finalists if there are any."""
    return [entry for entry in entries if entry.stage == "finalist"] or entries


def answers_by_name(entries: Sequence[Entry], objective: Objective) -> dict[str, Entry]:
    """The best and the recommended entry by these names; empty without entries."""
    found = (best_of(entries, objective), recommended_of(entries, objective))
    named = zip(("best", "recommended"), found, strict=True)
    return {name: entry for name, entry in named if entry is not None}


def shipped_of(entry: Entry, objective: Objective) -> Training:
    """The training of an entry that is shipped: the best on validation."""
    return max(entry.results, key=lambda each: objective.gain(each.score or 0.0, 0.0))


def is_tied(entry: Entry, best: Entry, objective: Objective) -> bool:
    """Whether a score is within one standard error of the best one."""
    return objective.gain(best.score, entry.score) <= best.stderr


def tied_of(entries: Sequence[Entry], objective: Objective) -> list[Entry]:
    """The entries that are statistically tied with the best, itself among them.

    Only entries with as much evidence count: finalists where there are any.
    """
    best = best_of(entries, objective)
    rivals = _rivals(entries)
    return [entry for entry in rivals if best and is_tied(entry, best, objective)]


def recommended_of(entries: Sequence[Entry], objective: Objective) -> Entry | None:
    """The smallest entry that is statistically tied with the best; among equally small
    ones, the entry of the best score."""
    tied = tied_of(entries, objective)
    return min(
        tied,
        key=lambda e: (e.bytes, e.params, e.flops, -objective.gain(e.score, 0.0)),
        default=None,
    )
