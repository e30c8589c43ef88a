"""The jobs of a stage in a history: the begun ones, and the interrupted ones."""

from collections.abc import Callable, Iterator, Sequence

from kscale.networks.families.base import Spec
from kscale.runs.records import Stage, Training
from kscale.search.contract import Job, keys_of


class StageJobs:
    """Begun jobs of a stage; every job has another index.

    Args:
        stage: The stage.
        history: All trainings.
        pending: All jobs that are out.
        place: Position of a candidate by spec and learning rate; None for others.

    Attributes:
        trainings: Trainings of the stage.
        pending: Pending jobs of the stage, by index.
        begun: Candidate and share of the examples of each job, by index.
        next_index: An index that no job has.
    """

    def __init__(
        self,
        stage: Stage,
        history: Sequence[Training],
        pending: Sequence[Job],
        place: Callable[[Spec, float | None], int | None],
    ) -> None:
        self.trainings = [t for t in history if t.stage == stage]
        self.pending = {job.index: job for job in pending if job.stage == stage}
        found = {t.job: (t.spec, t.learning_rate, t.share) for t in self.trainings}
        for index, job in self.pending.items():
            found[index] = job.spec, job.learning_rates[0], job.share
        places = {i: (place(spec, rate), s) for i, (spec, rate, s) in found.items()}
        self.begun = {i: (at, s) for i, (at, s) in places.items() if at is not None}
        self.next_index = 1 + max(found, default=-1)

    def interrupted(self, job: Callable[[int, int, float], Job]) -> Iterator[Job]:
        """Jobs of which some trainings are in the history, and others not.

        Args:
            job: Makes a job of an index, a candidate and a share.
        """
        known = keys_of(self.trainings)
        for index, each in self.begun.items():
            made = job(index, *each)
            if index not in self.pending and not known.issuperset(made.keys):
                yield made
