"""The course of a search: what was tried and dropped, and where the compute went."""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from kscale.networks.families.base import Spec
from kscale.runs.records import STAGES, Record, Reference, Stage, Training, is_trained
from kscale.task.objectives import Objective
from kscale.units import octave_of

_Trained = Training | Reference


@dataclass(frozen=True)
class Compute:
    """What some trainings took.

    Args:
        tried: Networks among them: a spec with a learning rate counts once.
        epochs: Epochs of all trainings together.
        seconds: Wall-clock time of all trainings together.
    """

    tried: int
    epochs: int
    seconds: float


@dataclass(frozen=True)
class Step(Compute):
    """Trainings of a stage that ended at the same number of epochs: a rung.

    Args:
        stage: `baseline`, `search`, `finalist` or `subset`.
        to_epoch: Epochs of the weights at their end.
        went_on: Networks that were trained again in a later step; None where there is
            none.
        failed: Networks of which no training ended well.
        dropped: The others; None where there is no later step.
    """

    stage: Stage
    to_epoch: int
    went_on: int | None
    failed: int
    dropped: int | None


@dataclass(frozen=True)
class Expectation:
    """What the searcher expected of the most promising untrained network of an octave,
    which is a guess, and no score.

    Args:
        label: The network in a few words.
        params: Its parameters.
        score: The score that was expected at full length.
        deviation: Standard deviation of the expectation.
    """

    label: str
    params: int
    score: float
    deviation: float


@dataclass(frozen=True)
class Octave(Compute):
    """Networks of similar size that the search and its finalists trained.

    Args:
        low, high: Fewest and most params of the octave.
        best: Best score of a training of full length; None without one.
        expected: What the searcher expected of the most promising untrained network;
            None if unknown.
    """

    low: int
    high: int
    best: float | None
    expected: Expectation | None = None


@dataclass(frozen=True)
class Course:
    """What a search did.

    Args:
        steps: Baselines, the rungs of the search, finalists.
        octaves: Sizes that were trained, or of which something was expected; the
            smallest first.
    """

    steps: tuple[Step, ...] = ()
    octaves: tuple[Octave, ...] = ()


def course_of(
    run: Mapping[str, Any], records: Iterable[Record], objective: Objective
) -> Course:
    """What a search did, by the records and the last expectations of the searcher."""
    trained = [item for item in records if is_trained(item)]
    searched = [item for item in trained if item.stage in ("search", "finalist")]
    if not searched:
        return Course()
    octaves = {
        number: _octave(number, items, objective)
        for number, items in _grouped(searched, lambda item: octave_of(item.params))
    }
    for expected in _expectations(run):
        number = octave_of(expected.params)
        known = octaves.get(number) or _octave(number, (), objective)
        octaves[number] = replace(known, expected=expected)
    return Course(_steps(trained), tuple(octaves[each] for each in sorted(octaves)))


def _grouped(
    items: Iterable[_Trained], key: Callable[[_Trained], Any]
) -> Iterator[tuple[Any, list[_Trained]]]:
    for each, group in groupby(sorted(items, key=key), key):
        yield each, [*group]


def _network(item: _Trained) -> Hashable:
    """What counts as one network."""
    return (item.label, *item.knobs.items(), item.learning_rate)


def _compute(items: Sequence[_Trained]) -> dict[str, Any]:
    begun = (item.epochs_from for item in items if isinstance(item, Training))
    return {
        "tried": len({*map(_network, items)}),
        "epochs": max(sum(item.epochs for item in items) - sum(begun), 0),
        "seconds": math.fsum(item.seconds for item in items),
    }


def _steps(trained: Iterable[_Trained]) -> tuple[Step, ...]:
    groups = [*_grouped(trained, lambda i: (STAGES.index(i.stage), i.epochs))]
    found: list[Step] = []
    later: set[Hashable] = set()
    for (stage, epochs), items in reversed(groups):
        networks = {*map(_network, items)}
        well = {_network(item) for item in items if item.status == "ok"}
        has_next = STAGES[stage] == "search" and bool(later)
        step = Step(
            **_compute(items),
            stage=STAGES[stage],
            to_epoch=epochs,
            went_on=len(networks & later) if has_next else None,
            failed=len(networks - well - later),
            dropped=len(well - later) if has_next else None,
        )
        found.append(step)
        later |= networks if step.stage != "subset" else set()
    return tuple(reversed(found))


def _octave(number: int, items: Sequence[_Trained], objective: Objective) -> Octave:
    scores = [
        item.score
        for item in items
        if item.is_full and item.is_scored and item.score is not None
    ]
    gains = [objective.gain(score, 0.0) for score in scores]
    best = scores[gains.index(max(gains))] if gains else None
    low = 2 ** (number - 1) if number else 0
    return Octave(**_compute(items), low=low, high=2**number - 1, best=best)


def _expectations(run: Mapping[str, Any]) -> Iterator[Expectation]:
    """Expectations of untrained networks in run.json; damaged ones are left out."""
    beliefs = run.get("beliefs")
    untried = beliefs.get("untried") if isinstance(beliefs, Mapping) else None
    for item in untried if isinstance(untried, list) else ():
        try:
            numbers = float(item["score"]), float(item["deviation"])
            label, params = Spec.from_json(item["spec"]).label, int(item["params"])
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
        if all(map(math.isfinite, numbers)) and params >= 0:
            yield Expectation(label, params, *numbers)
