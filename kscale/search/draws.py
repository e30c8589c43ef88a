"""Draws: the sequence of specs that a search tries, and the first jobs made of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from kscale.networks.families.base import Spec
from kscale.runs.records import Training
from kscale.search.contract import (
    DONE,
    Allowance,
    Beliefs,
    Job,
    Outlook,
    Signal,
    derived_seed,
    is_known,
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
        params: Parameters of the network.
    """

    spec: Spec
    learning_rate: float | None
    work: int
    params: int


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
        shares: Parts of the training examples to train some networks on, for the law.
        admits: Whether a spec may be proposed, where that is known only of the spec
            itself; the answer for a spec never changes. It is asked when a job is due.
    """

    draws: Draws
    trials: int
    epochs: int
    objective: Objective
    seed: int = 0
    seeds_per_spec: int = 1
    shares: tuple[float, ...] = ()
    admits: Callable[[Spec], bool] | None = None


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
        self._work: dict[Job, int] = {}  # of all that is drawn so far
        self._rounds: list[list[Job]] = []  # the same
        self._refused: set[Job] = set()  # what `admits` answered; never changes
        self._in_a_row = 0  # refused since the last that was admitted

    def propose(
        self, history: Sequence[Training], pending: Sequence[Job], allowance: Allowance
    ) -> Job | Signal:
        """The next first job, or `DONE`."""
        admits, most = self.settings.admits, self.settings.draws.most_refused
        for due in self._due_by_round(history, keys_of(history, pending)):
            while due and self._in_a_row != most:
                job = allowance.choose(due)
                if job is None:
                    return DONE
                if admits is None or admits(job.spec):
                    self._in_a_row = 0
                    return job
                self._in_a_row += 1
                self._refused.add(job)
                due.remove(job)
        return DONE

    def outlook(self, history: Sequence[Training], pending: Sequence[Job]) -> Outlook:
        """The rest of a round is known; later rounds are about as costly."""
        known = keys_of(history, pending)
        due = next(filter(None, self._due_by_round(history, known)), [])
        is_over = self._work and not due and not pending
        left = 0 if is_over else self._left(known) * self.settings.seeds_per_spec
        work = [self._work[job] for job in due] or [*self._work.values(), 0]
        return Outlook(tuple(due), left, left * self.epochs * fmean(work))

    def beliefs(self, history: Sequence[Training]) -> Beliefs | None:
        """Nothing is expected of what was not trained."""
        return None

    def notes(self, history: Sequence[Training]) -> Sequence[str]:
        """None."""
        return ()

    def needed(self, history: Sequence[Training], pending: Sequence[Job]) -> set[str]:
        """None: no training goes on from another."""
        return set()

    def tried(self, history: Sequence[Training], pending: Sequence[Job]) -> list[Job]:
        """First jobs that are done or out, in the order of the draws."""
        known = keys_of(history, pending)
        next(filter(None, self._due_by_round(history, known)), None)  # draws the known
        return [job for job in self._work if is_known(job, known)]

    @property
    def mean_work(self) -> float:
        """Mean work of the draws so far; 0 without any."""
        return sum(self._work.values()) / max(len(self._work), 1)

    def _due_by_round(
        self, history: Sequence[Training], known: set[str]
    ) -> Iterator[list[Job]]:
        """Due jobs of each round, in their order."""
        for jobs in self._all_rounds(history, known):
            due = [job for job in jobs if not is_known(job, known)]
            due = [job for job in due if job not in self._refused]
            cheap = sorted(jobs, key=self._work.__getitem__)[:_CHEAP_FIRST]
            order = {job: place for place, job in enumerate(cheap)}
            yield sorted(due, key=lambda job: order.get(job, _CHEAP_FIRST))

    def _all_rounds(
        self, history: Sequence[Training], known: set[str]
    ) -> Iterator[Sequence[Job]]:
        """All jobs of each round; a round is drawn when asked for."""
        yield from self._rounds
        while jobs := self._drawn_round(known):
            yield jobs

    def _drawn_round(self, known: set[str]) -> list[Job]:
        """Another round, as far as trials are left."""
        first, number = len(self._work), min(ROUND, self._left(known))
        draws = self.settings.draws.some(first, number) if number else ()
        work = {self._job(i, draw): draw.work for i, draw in enumerate(draws, first)}
        self._work |= work
        self._rounds += [[*work]] if work else []
        return [*work]

    def _left(self, known: set[str]) -> int:
        """Number of draws left: all but the done, the pending and the possible ones."""
        refused = sum(not is_known(job, known) for job in self._refused)
        return max(self.settings.trials - len(self._work) + refused, 0)

    def _job(self, index: int, draw: Draw) -> Job:
        count, seed = self.settings.seeds_per_spec, self.settings.seed
        seeds = tuple(derived_seed(seed, "search", index, m) for m in range(count))
        rates = (draw.learning_rate,) * count
        at = index * self.stride
        return Job("search", at, draw.spec, seeds, rates, self.epochs)
