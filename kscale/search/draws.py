"""Draws: the sequence of specs that a search tries, and the first jobs made of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from kscale.networks.families.base import Spec
from kscale.runs.records import Training
from kscale.search.contract import (
    DONE,
    Allowance,
    Job,
    Outlook,
    Signal,
    derived_seed,
    keys_of,
)
from kscale.task.objectives import Objective

ROUND = 20
"""Jobs of a round."""

_CHEAP_FIRST = 3


@dataclass(frozen=True)
class Draw:
    """One spec to try.

    Args:
        spec: The spec; within the budget.
        learning_rate: The learning rate; None where the code of a user's model decides.
        work: `Size.training_work` of the network.
    """

    spec: Spec
    learning_rate: float | None
    work: int


class Draws(Protocol):
    """A sequence of draws that depends on a seed alone."""

    @property
    def most_refused(self) -> int | None:
        """Refused draws in a row after which a search ends; None for a sequence that
        ends by itself."""

    def some(self, first: int, number: int) -> Sequence[Draw]:
        """Draws from a place in the sequence on.

        Fewer than `number` where drawing takes long, or where the sequence ends; none
        only where it has ended.
        """
        ...


@dataclass(frozen=True)
class Settings:
    """What every searcher is made from.

    Args:
        draws: What to try.
        trials: Most draws to try.
        epochs: Epochs of a training of full length.
        objective: What is better.
        seed: Decides the seeds of the trainings.
        seeds_per_spec: Trainings of each draw, each from another seed.
        admits: Whether a spec may be proposed, where that is known only of the spec
            itself; the answer for a spec never changes. It is asked when a job is due.
    """

    draws: Draws
    trials: int
    epochs: int
    objective: Objective
    seed: int = 0
    seeds_per_spec: int = 1
    admits: Callable[[Spec], bool] | None = None


@dataclass(frozen=True)
class _Place:
    """A draw in the sequence, the first job of the draw, and the keys of the job."""

    draw: Draw
    job: Job
    keys: frozenset[str]

    def is_known(self, known: set[str]) -> bool:
        return self.keys <= known


class FirstJobs:
    """The jobs that train each draw for the first time.

    They come in rounds. The three of the least work come first in a round, so that a
    search soon has an answer and knows what a training costs; the others come as drawn.
    A draw that is not admitted costs no trial: another one is drawn in a later round.

    Args:
        settings: What to try.
        epochs: Epochs that these jobs train.
        stride: Difference between the indices of two jobs, so that later jobs of the
            same draws have room between.
    """

    def __init__(self, settings: Settings, epochs: int, stride: int = 1) -> None:
        self.settings = settings
        self.epochs = epochs
        self.stride = stride
        self._rounds: list[list[_Place]] = []  # drawn so far, in the order they are due
        self._refused: set[int] = set()  # what `admits` answered; never changes
        self._in_a_row = 0  # refused since the last that was admitted

    def propose(
        self, history: Sequence[Training], pending: Sequence[Job], allowance: Allowance
    ) -> Job | Signal:
        """The next first job, or `DONE`."""
        most = self.settings.draws.most_refused
        for due in self._due_by_round(keys_of(history, pending)):
            while due and self._in_a_row != most:
                job = allowance.choose([place.job for place in due])
                if job is None:
                    return DONE
                if self.settings.admits is None or self.settings.admits(job.spec):
                    self._in_a_row = 0
                    return job
                self._in_a_row += 1
                self._refused.add(job.index)
                due = [place for place in due if place.job is not job]
        return DONE

    def outlook(self, history: Sequence[Training], pending: Sequence[Job]) -> Outlook:
        """The rest of a round is known; later rounds are about as costly."""
        known = keys_of(history, pending)
        due = next((due for due in self._due_by_round(known) if due), [])
        if not due:
            return Outlook()
        jobs = tuple(place.job for place in due)
        left = max(self.settings.trials - self._tried(known), 0)
        left *= self.settings.seeds_per_spec
        mean = sum(place.draw.work for place in due) / len(due)
        return Outlook(jobs, left, left * self.epochs * mean)

    def tried(self, history: Sequence[Training], pending: Sequence[Job]) -> list[Job]:
        """First jobs that are done or out, in the order of the draws."""
        known = keys_of(history, pending)
        for due in self._due_by_round(known):
            if due:  # a later round is not drawn yet
                break
        jobs = (p.job for p in chain(*self._rounds) if p.is_known(known))
        return sorted(jobs, key=lambda job: job.index)

    @property
    def mean_work(self) -> float:
        """Mean work of the draws so far; 0 without any."""
        work = [place.draw.work for place in chain(*self._rounds)]
        return sum(work) / len(work) if work else 0.0

    def _due_by_round(self, known: set[str]) -> Iterator[list[_Place]]:
        """What is due of each round, in the order in which it is due."""
        number = 0
        while number < len(self._rounds) or self._draw_round(known):
            yield [p for p in self._rounds[number] if self._is_due(p, known)]
            number += 1

    def _draw_round(self, known: set[str]) -> bool:
        """Draw another round; whether there is one."""
        number = min(ROUND, self.settings.trials - self._tried(known))
        first = sum(map(len, self._rounds))
        drawn = self.settings.draws.some(first, number) if number > 0 else ()
        if drawn:
            places = [self._place(i, draw) for i, draw in enumerate(drawn, first)]
            cheap = sorted(places, key=lambda place: place.draw.work)[:_CHEAP_FIRST]
            self._rounds.append(list(dict.fromkeys([*cheap, *places])))
        return bool(drawn)

    def _tried(self, known: set[str]) -> int:
        """Draws of the rounds so far that are done, out, or may still be."""
        places = chain(*self._rounds)
        return sum(
            p.job.index not in self._refused or p.is_known(known) for p in places
        )

    def _is_due(self, place: _Place, known: set[str]) -> bool:
        return place.job.index not in self._refused and not place.is_known(known)

    def _place(self, index: int, draw: Draw) -> _Place:
        settings = self.settings
        members = range(settings.seeds_per_spec)
        seeds = (derived_seed(settings.seed, "search", index, m) for m in members)
        rates = (draw.learning_rate for _ in members)
        at = index * self.stride
        job = Job("search", at, draw.spec, tuple(seeds), tuple(rates), self.epochs)
        return _Place(draw, job, frozenset(job.keys))
