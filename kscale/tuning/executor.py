"""Executors: what runs the members of jobs. The default runs them in this process."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from kscale.networks.families.base import Spec
from kscale.runs.records import Training
from kscale.search.contract import Job
from kscale.tuning.attempts import MemberWeights
from kscale.tuning.trainer import Assignment, Trainer


@dataclass(frozen=True)
class Outcome:
    """What became of an assignment.

    Args:
        assignment: What was to be done.
        training: What the training left behind; None where it has not ended.
        has_died: Whether the process of the training died; if not, the time was up.
        is_blamed: Whether a death may be the training's fault, not that of a machine.
    """

    assignment: Assignment
    training: Training | None
    has_died: bool = False
    is_blamed: bool = True


class Executor(Protocol):
    """Runs assignments, in this process or elsewhere.

    The driver has at most as many assignments out as there are slots, and asks for
    outcomes until each assignment has one. A process that dies is an outcome, too: the
    driver then makes another attempt, or gives the training up. Only the current
    attempt at a training counts: the driver ignores outcomes of earlier ones, and each
    outcome has its assignment as submitted.

    Attributes:
        trains_here: Whether this process trains, whose death may be the training's
            fault.
    """

    trains_here: bool

    @property
    def slots(self) -> int:
        """Assignments that may be out at once."""

    @property
    def devices(self) -> int:
        """Assignments that take no time from each other."""

    def submit(self, assignment: Assignment) -> None:
        """Take an assignment; it may begin at once or later."""

    def finished(self, timeout: float | None = None) -> Sequence[Outcome]:
        """Outcomes since the last call; waits for one, at most `timeout` seconds.

        Raises:
            ResultsError: A checkpoint cannot be written: no training could end well.
        """

    def close(self) -> None:
        """Give up what has not ended."""


class LocalExecutor:
    """Runs assignments in this process, one after the other or several in one program.

    Args:
        trainer_of: Gives the trainer of a spec.
        on_epoch: Called after each epoch with the job, the member, the epochs done and
            the score.
        waiting: Where assignments wait, perhaps those of other devices, too.
    """

    devices = 1
    trains_here = True

    def __init__(
        self,
        trainer_of: Callable[[Spec], Trainer],
        on_epoch: Callable[[Job, int, int, float], None] = lambda *seen: None,
        waiting: deque[Assignment] | None = None,
    ) -> None:
        self._trainer_of = trainer_of
        self._on_epoch = on_epoch
        self._waiting: deque[Assignment] = deque() if waiting is None else waiting

    @property
    def slots(self) -> int:
        """As many as the trainer of what waits may train at once."""
        if not self._waiting:
            return 1
        return self._trainer_of(self._waiting[-1].job.spec).at_once

    def submit(self, assignment: Assignment) -> None:
        """Take an assignment; `finished` runs it."""
        self._waiting.append(assignment)

    def finished(self, timeout: float | None = None) -> Sequence[Outcome]:
        """Run the next assignment to its end, with others that suit its program."""
        return self.run(self.group()) if self._waiting else ()

    def group(self, most: int | None = None) -> list[Assignment]:
        """Take the next assignment out of what waits, with others that suit its
        program: at most so many."""
        trainer = self._trainer_of(self._waiting[0].job.spec)
        alike = [a for a in self._waiting if self._trainer_of(a.job.spec) is trainer]
        group = trainer.group(alike)[:most]
        for each in group:
            self._waiting.remove(each)
        return group

    def run(self, group: Sequence[Assignment]) -> Sequence[Outcome]:
        """Train a group that was taken."""
        trainer = self._trainer_of(group[0].job.spec)
        for each in group:  # what waits is not to blame for a death of the process
            folder = each.target.parent
            MemberWeights(folder, each.job, each.member).attempts.blame()
        seen = [partial(self._on_epoch, each.job, each.member) for each in group]
        trained = trainer.train_together(group, seen)
        return [Outcome(*each) for each in zip(group, trained, strict=True)]

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
