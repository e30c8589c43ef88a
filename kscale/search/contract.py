"""The contract of a searcher: from what is known to the next job, as a function."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from hashlib import blake2b
from typing import Any, Protocol

from kscale.networks.families.base import Spec
from kscale.networks.sizing import Size
from kscale.runs.records import Stage, Training, training_key


class Signal(Enum):
    """What a searcher may propose instead of a job."""

    WAIT = "the next job cannot be chosen before a pending one has ended"
    DONE = "there is no further job"


WAIT, DONE = Signal.WAIT, Signal.DONE


@dataclass(frozen=True)
class Job:
    """Trainings of one spec, each with a seed and a learning rate.

    Args:
        stage: `baseline`, `search`, `finalist` or `subset`.
        index: Number of the job within the stage, from 0; other jobs have others.
        spec: What to train.
        seeds: A seed for each member.
        learning_rates: A learning rate for each member; None where the code of a user's
            model decides.
        epochs_to: Epochs the weights have been trained when the job ends.
        epochs_from: Epochs they were trained before; above 0 the job goes on from the
            weights and the optimizers of the parent's members.
        parent: Index of the job to go on from, in the same stage.
        keep: Whether the weights stay on disk whatever becomes of the scores.
        share: Part of the training examples to train on.
    """

    stage: Stage
    index: int
    spec: Spec
    seeds: tuple[int, ...]
    learning_rates: tuple[float | None, ...]
    epochs_to: int
    epochs_from: int = 0
    parent: int | None = None
    keep: bool = False
    share: float = 1.0

    def key(self, member: int) -> str:
        """A name for the training of a member, whatever the job is numbered.

        Two jobs that train the same spec with the same seed, learning rate, stage and
        epochs have the same key, so that a finished one is never trained again.
        """
        return self._key(member, self.epochs_to)

    def parent_key(self, member: int) -> str | None:
        """The key of the training that a member goes on from; None if from nothing."""
        return self._key(member, self.epochs_from) if self.epochs_from else None

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The keys of all members."""
        return tuple(self.key(member) for member in range(len(self.seeds)))

    def training(self, member: int, size: Size, **found: Any) -> Training:
        """The record of a member's training.

        Args:
            member: Place of the member in the job.
            size: Exact size of the network.
            **found: Further fields of the record: what became of the training.
        """
        return Training(
            key=self.key(member),
            stage=self.stage,
            job=self.index,
            member=member,
            spec=self.spec,
            params=size.params,
            trainable=size.trainable,
            flops=size.flops,
            bytes=size.weight_bytes(),
            seed=self.seeds[member],
            epochs_from=self.epochs_from,
            epochs=self.epochs_to,
            parent=self.parent,
            share=self.share,
            **{"learning_rate": self.learning_rates[member], **found},
        )

    def _key(self, member: int, epochs: int) -> str:
        rate, seed = self.learning_rates[member], self.seeds[member]
        return training_key(self.stage, self.spec, rate, seed, epochs, self.share)


def derived_seed(*parts: object) -> int:
    """A seed between 1 and 2**31 that depends on every part and on nothing else.

    Example:

    >>> derived_seed(0, "search", 1) == derived_seed(0, "search", 1)
    True
    >>> derived_seed(0, "search", 1) == derived_seed(1, "search", 0)
    False
    """
    digest = blake2b(repr(parts).encode(), digest_size=4).digest()
    return 1 + int.from_bytes(digest, "big") % (2**31 - 1)


@dataclass(frozen=True)
class Allowance:
    """What time is left for a search, and what a job would cost.

    Args:
        seconds: Time left.
        cost: Seconds that a job will take.
        most: Most seconds that a search leaves for finalists.
        share: Part of the time left that one job of a search should take at most.
        alone: Seconds of a job in a process that trained nothing before: later ones of
            a network may be quicker.
        devices: Trainings that take no time from each other; a fraction where an
            effort pays for some of the time of the last device.
    """

    seconds: float = math.inf
    cost: Callable[[Job], float] = lambda job: 0.0
    most: float = math.inf
    share: float = 1.0
    alone: Callable[[Job], float] = lambda job: 0.0
    devices: float = 1

    @property
    def is_limited(self) -> bool:
        """Whether time is limited at all."""
        return self.seconds < math.inf

    def total(self, jobs: Iterable[Job]) -> float:
        """Seconds that jobs will take one after the other."""
        return sum(map(self.cost, jobs))

    def less(self, seconds: float) -> "Allowance":
        """The allowance when some seconds are reserved for something else."""
        return replace(self, seconds=self.seconds - seconds)

    def half(self) -> "Allowance":
        """The most that a search leaves for finalists."""
        return replace(self, seconds=self.most)

    def choose(self, jobs: Sequence[Job]) -> Job | None:
        """The first job within the share of the time left, or else the cheapest one.

        Returns:
            None where there is no job, or time for none.
        """
        if not self.is_limited or not jobs:
            return jobs[0] if jobs else None
        fits = (job for job in jobs if self.cost(job) <= self.share * self.seconds)
        chosen = next(fits, None) or min(jobs, key=self.cost)
        return chosen if self.cost(chosen) <= self.seconds else None


@dataclass(frozen=True)
class Outlook:
    """What is left of a search, as far as it is known.

    Args:
        jobs: Jobs that are known to come, pending ones left out.
        trainings: Expected number of further trainings.
        work: Expected work of those: the sum over them of `Size.training_work` times
            the epochs.
    """

    jobs: tuple[Job, ...] = ()
    trainings: float = 0.0
    work: float = 0.0


@dataclass(frozen=True)
class Belief:
    """What a searcher expects of a network that is trained at full length.

    Args:
        spec: The spec.
        learning_rate: The learning rate; None where the code of a user's model decides.
        params: Its parameters.
        score: The expected score.
        deviation: Standard deviation of that expectation; seeds vary the score further.
    """

    spec: Spec
    learning_rate: float | None
    params: int
    score: float
    deviation: float


@dataclass(frozen=True)
class Beliefs:
    """What a searcher makes of a history.

    Args:
        trained: Networks that were trained, however short; the most promising first.
        untried: The most promising network that was not trained of each octave of
            sizes, the smallest first.
        gain: By how much the next job is expected to improve on the best of `trained`,
            in the unit of the score; a probability-weighted mean, never below 0.
    """

    trained: tuple[Belief, ...]
    untried: tuple[Belief, ...]
    gain: float

    def to_json(self) -> dict[str, Any]:
        """What is expected of networks that were not trained, as plain data."""
        untried = [vars(each) | {"spec": each.spec.to_json()} for each in self.untried]
        return {"untried": untried, "gain": self.gain}


class Searcher(Protocol):
    """Proposes jobs from what is known.

    Rules, checked for every searcher in `tests/contracts/searcher.py`:

    - A searcher reads no file and no clock, prints nothing and imports no Keras. It
      keeps nothing but what follows from the arguments; equal calls give equal answers.
    - Random choices depend on the seed and the index of a job alone.
    - A job is proposed once: none whose members are all in the history or pending.
    - No proposed spec is over the budget.
    - `DONE` comes when nothing is left to propose, and again ever after.
    - A failed training is history like any other.
    """

    def propose(
        self, history: Sequence[Training], pending: Sequence[Job], allowance: Allowance
    ) -> Job | Signal:
        """The next job, `WAIT` or `DONE`.

        Args:
            history: Every finished training, failed ones too, in the order of the file.
            pending: Jobs that are out.
            allowance: What time is left.
        """
        ...

    def outlook(self, history: Sequence[Training], pending: Sequence[Job]) -> Outlook:
        """What is left, from which the time left is worked out."""
        ...

    def notes(self, history: Sequence[Training]) -> Sequence[str]:
        """Sentences on how the search went, for whoever reads the answer."""
        ...

    def beliefs(self, history: Sequence[Training]) -> Beliefs | None:
        """What the searcher expects of networks; None where it expects nothing yet, or
        never does."""
        ...

    def needed(self, history: Sequence[Training], pending: Sequence[Job]) -> set[str]:
        """Keys of finished trainings whose weights a pending or a later job may go on
        from."""
        ...


def keys_of(history: Iterable[Training], pending: Iterable[Job] = ()) -> set[str]:
    """Keys of all trainings that are finished or out."""
    done = {training.key for training in history}
    return done | {key for job in pending for key in job.keys}


def is_known(job: Job, keys: set[str]) -> bool:
    """Whether all members of a job are among the keys."""
    return keys.issuperset(job.keys)
