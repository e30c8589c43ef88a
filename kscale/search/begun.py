"""What a search has begun: jobs by candidate, worked out from the history."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from kscale.networks.families.base import Spec
from kscale.runs.entries import Entry
from kscale.runs.records import Training
from kscale.search.contract import Job, derived_seed, is_known
from kscale.search.draws import Draw, Settings
from kscale.search.model import Observation


@dataclass(eq=False)
class Begun:
    """A candidate that was begun, and how far.

    Args:
        number: Number of the candidate in the order in which they were begun.
        jobs: Jobs of the candidate, pending ones too, by the epochs at their end.
        is_out: Whether a job is pending.
        scores: Mean score of the members by the same epochs, where more is better.
        has_failed: Whether a training failed, after which nothing more is asked.
        seconds: Seconds of its trainings.
    """

    number: int
    jobs: dict[int, Job] = field(default_factory=dict)
    is_out: bool = False
    scores: dict[int, float] = field(default_factory=dict)
    has_failed: bool = False
    seconds: float = 0.0

    @property
    def last(self) -> Job:
        """The longest job."""
        return self.jobs[self.epochs]

    @property
    def epochs(self) -> int:
        """Epochs after the longest job."""
        return max(self.jobs)


@dataclass(frozen=True, eq=False)
class State:
    """A history, read for a list of candidates.

    Args:
        begun: Begun candidates by their positions, in the order of the first results.
        rows: Observations for a model: whole jobs as they ended, then pending ones.
        interrupted: Jobs of which some trainings are in the history, and others are
            neither there nor out.
    """

    begun: Mapping[int, Begun]
    rows: Sequence[Observation]
    interrupted: Sequence[Job]

    @cached_property
    def number(self) -> int:
        """The number of the next candidate that is begun."""
        return 1 + max((each.number for each in self.begun.values()), default=-1)


class RungJobs:
    """The draws of a search in which trainings may pause, and the jobs of each.

    The index of a job is made of its candidate's number and its last rung's place, so
    that a history shows the begun candidates.

    Args:
        settings: What to try.
        rungs: Epochs at which a training may pause, the last of them all.
        most: Most draws.
    """

    def __init__(self, settings: Settings, rungs: Sequence[int], most: int) -> None:
        self.settings = settings
        self.rungs = tuple(rungs)
        self.most = most
        self.sign = 1.0 if settings.objective.higher_is_better else -1.0

    def __len__(self) -> int:
        return len(self.draws)

    @cached_property
    def draws(self) -> Sequence[Draw]:
        """The candidates."""
        return self.settings.draws.some(0, self.most)

    @cached_property
    def _places(self) -> Mapping[tuple[Spec, float | None], int]:
        draws = enumerate(self.draws)
        return {(draw.spec, draw.learning_rate): place for place, draw in draws}

    def left(self, epochs: int) -> float:
        """Logarithm of full length over a length."""
        return math.log(self.rungs[-1] / epochs)

    def state(self, history: Sequence[Training], pending: Sequence[Job] = ()) -> State:
        """What was begun so far."""
        begun: dict[int, Begun] = {}
        members: dict[tuple[int, int], list[Training]] = {}
        rows: list[Observation] = []
        searched = [training for training in history if training.stage == "search"]
        for training in searched:
            place = self.place(training.spec, training.learning_rate)
            if place is None:
                continue
            each = begun.setdefault(place, Begun(training.job // len(self.rungs)))
            each.seconds += training.seconds
            epochs = training.epochs
            if epochs not in each.jobs:
                each.jobs[epochs] = self.job(
                    each.number, place, epochs, training.epochs_from
                )
            if not training.is_scored or training.score is None:
                each.has_failed = True
                continue
            found = members.setdefault((place, epochs), [])
            found.append(training)
            if len(found) == self.settings.seeds_per_spec:
                whole = Entry(tuple(found))
                score = each.scores[epochs] = self.sign * whole.score
                rows.append(Observation(place, self.left(epochs), score, whole.stderr))
        done = {training.key for training in searched}
        known = {key for job in pending for key in job.keys} | done
        jobs = [each.last for each in begun.values()]
        for job in pending:
            place = self.place(job.spec, job.learning_rates[0])
            if job.stage == "search" and place is not None:
                number = job.index // len(self.rungs)
                each = begun.setdefault(place, Begun(number))
                each.jobs[job.epochs_to] = job
                each.is_out = True
                rows.append(Observation(place, self.left(job.epochs_to), None))
        return State(begun, rows, [job for job in jobs if not is_known(job, known)])

    def job(self, number: int, place: int, epochs: int, begun: int = 0) -> Job:
        """The job that trains a candidate up to a rung.

        Args:
            number: As `Begun.number`.
            place: Position of the candidate.
            epochs: Epochs at the end.
            begun: Epochs of the job to go on from; 0 for none.
        """
        settings, draw, stride = self.settings, self.draws[place], len(self.rungs)
        members = range(settings.seeds_per_spec)
        return Job(
            "search",
            number * stride + self.rungs.index(epochs),
            draw.spec,
            tuple(derived_seed(settings.seed, "search", number, m) for m in members),
            (draw.learning_rate,) * len(members),
            epochs,
            begun,
            number * stride + self.rungs.index(begun) if begun else None,
        )

    def place(self, spec: Spec, rate: float | None) -> int | None:
        """Position of a candidate; None where none is so."""
        places = self._places
        return places.get((spec, rate), places.get((spec, None)))
