"""Trainers: each member of a job is trained, and leaves a record."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from kscale.data.dataset import Dataset
from kscale.data.memory import free_bytes
from kscale.data.parts import PartName
from kscale.data.splitting import nested_rows
from kscale.data.stored import open_dataset, store_dataset
from kscale.engine.base import Devices, Outputs
from kscale.engine.progress import Progress
from kscale.engine.recipe import Recipe, is_undertrained
from kscale.errors import (
    ResultsError,
    TrialError,
    WorkerLostError,
    is_out_of_memory,
    reason_of,
    writing,
)
from kscale.networks.families.base import Spec
from kscale.networks.sizing import Size
from kscale.runs.records import Training
from kscale.search.contract import Job
from kscale.task.evaluation import Scores, evaluate, evaluate_test, mean_score, short
from kscale.task.objectives import Objective
from kscale.units import format_bytes

logger = logging.getLogger(__name__)

EpochSeen = Callable[[int, float], None]
"""Called after each epoch with the epochs done and the score."""

Write = Callable[[Path, Progress], None]
"""Writes a checkpoint: the weights, and how far the training has come."""

_T = TypeVar("_T")

MOST_DEATHS = 2
"""Processes that die of a training before it has failed, if it comes no further."""


class TimeUp(Exception):
    """The time limit ended a training, whose checkpoint is on disk."""


@dataclass(frozen=True)
class Assignment:
    """One member of a job to train: plain data, for this process or another.

    Args:
        job: The job.
        member: Index of the member.
        attempt: Number of the attempt, from 1.
        start: Checkpoint to go on from, of an earlier attempt or of the parent job;
            None to begin anew.
        target: Where checkpoints of this attempt are written.
        deadline: When the time is over, by `time.monotonic` where it is trained.
        deaths: Processes that died of earlier attempts and came no further.
    """

    job: Job
    member: int
    attempt: int
    start: Path | None
    target: Path
    deadline: float = math.inf
    deaths: int = 0


@dataclass(frozen=True, eq=False)
class TrainingSetup:
    """What all trainings of a search share.

    Args:
        dataset: What to train and validate on.
        objective: What the score is.
        recipe: Epochs, batches and schedule.
        strategy: Name of the devices.
        class_weights: One of `kscale.data.class_weights.CLASS_WEIGHTS`.
        checkpoint_seconds: Least time between two checkpoints of one training.
        precision: One of `kscale.engine.base.PRECISIONS`.
        parametrization: One of `kscale.networks.parametrization.PARAMETRIZATIONS`.
    """

    dataset: Dataset
    objective: Objective
    recipe: Recipe
    strategy: str = "auto"
    class_weights: str = "none"
    checkpoint_seconds: float = 15.0
    precision: str = "auto"
    parametrization: str = "standard"

    def stored_in(self, folder: Path) -> "Callable[[], TrainingSetup]":
        """What opens the setup in another process, from data laid in a folder."""
        store_dataset(self.dataset, folder)
        shared = {item.name: getattr(self, item.name) for item in fields(self)}
        del shared["dataset"]
        return partial(_opened, folder, shared)

    def examples(self, share: float) -> int:
        """How many training examples a share of them is, at least one."""
        return max(round(share * len(self.dataset.train)), 1)

    def order(self, training: Training, epoch: int) -> NDArray[np.int32]:
        """The examples of an epoch of a training, `(steps, batch_size)`.

        Shares are nested, and stratified by the targets. Every training has the same
        number of steps: on fewer examples, each example is seen more often.
        """
        everything, recipe = len(self.dataset.train), self.recipe
        about = everything, training.seed, epoch, self.dataset.lengths
        if training.share == 1:
            return recipe.order(*about)
        some = self._nested[: self.examples(training.share)]
        return recipe.order_of_some(some, *about)

    @cached_property
    def _nested(self) -> NDArray[np.int32]:
        labels = {n: rows[:] for n, rows in self.dataset.train.targets.items()}
        return nested_rows(self.dataset.task.targets, labels, seed=0)

    def test_score(
        self, spec: Spec, part: PartName, outputs: Outputs, decoded: Outputs
    ) -> Scores:
        """Scores of outputs on a part, by all metrics of a test.

        Args:
            spec: Spec of the network.
            part: Name of the part.
            outputs: Outputs of the network.
            decoded: By target name, decoded ids, `(examples, length)`.
        """
        data = self.dataset.seen_by(spec)
        pairs = data.pairs(part, outputs, decoded)
        return evaluate_test(self.objective, data.task, pairs)


def _opened(folder: Path, shared: dict[str, Any]) -> TrainingSetup:
    return TrainingSetup(open_dataset(folder), **shared)


class Trainer(Protocol):
    """Trains and evaluates the networks of one kind of candidates.

    A trainer trains members one by one, unless it has methods of its own for groups.
    """

    @property
    def at_once(self) -> int:
        """Members of one program at most; 1 where several lose."""
        return 1

    def train(
        self, assignment: Assignment, on_epoch: EpochSeen | None = None
    ) -> Training:
        """Train a member; a failure is a record with its reason, not an error.

        The finished weights are in `assignment.target`.

        Raises:
            ResultsError: A checkpoint cannot be written: no training could end well.
            TimeUp: The time was over first; a checkpoint is in `assignment.target`.
            WorkerLostError: A machine that trained, too, is gone.
        """

    def group(self, assignments: Sequence[Assignment]) -> list[Assignment]:
        """The first assignment, and those that are worth training with the first."""
        return [assignments[0]]

    def train_together(
        self, assignments: Sequence[Assignment], on_epochs: Sequence[EpochSeen | None]
    ) -> list[Training | None]:
        """Train a group as `train` does each; None where the time was over first."""
        try:
            return list(map(self.train, assignments, on_epochs))
        except TimeUp:
            return [None]

    def evaluate(self, training: Training, weights: Path, part: PartName) -> Scores:
        """What a finished training reaches on a part, with all that is tested.

        Raises:
            TrialError: The weights are missing or damaged.
        """

    def ship(self, training: Training, weights: Path, path: Path) -> str:
        """Write the model of a finished training, with its preprocessing.

        Returns:
            What the user must know of the file; empty where there is nothing.

        Raises:
            ExportError: The weights are damaged, or the file cannot be written.
        """


def check_memory(what: str, needed: int, devices: Devices) -> None:
    """Refuse what would take the process down for want of memory."""
    free = free_bytes()
    if needed > free and not devices.are_gpus:
        raise TrialError(
            f"{what} would hold about {format_bytes(needed)} and {format_bytes(free)} "
            "of memory are free"
        )


class RunningTraining:
    """A training while it runs: its time, progress, checkpoints and record.

    All trainers use this class, so that going on, ending, failing and scoring are
    the same for all candidates.

    Args:
        setup: What all trainings share.
        assignment: What is trained.
        size: Exact size of the network.
        unknown_flops: Layers whose FLOPs nobody knows.
        on_epoch: Called after each epoch.
        beside: Trainings that share the time, this one included.

    Attributes:
        progress: How far the training has come.
        record: What is known of the training so far.
        is_memory_full: Whether what failed found too little memory.
    """

    def __init__(
        self,
        setup: TrainingSetup,
        assignment: Assignment,
        size: Size,
        unknown_flops: int = 0,
        on_epoch: EpochSeen | None = None,
        beside: int = 1,
    ) -> None:
        self.setup = setup
        self._beside = beside
        self.assignment = assignment
        self.job = job = assignment.job
        self.on_epoch = on_epoch
        self.progress = Progress()
        self.is_memory_full = False
        self._began = self._saved = time.monotonic()
        self._seconds_before = 0.0
        self.record = job.training(
            assignment.member,
            size,
            full_epochs=setup.recipe.epochs,
            trained_on=setup.examples(job.share),
            unknown_flops=unknown_flops,
            memory=size.training_bytes(setup.recipe.batch_size),
        )

    @property
    def seconds(self) -> float:
        """Time spent on the job until now, in all attempts: a share of it where
        several are trained at once."""
        return self._seconds_before + (time.monotonic() - self._began) / self._beside

    def tried(self, step: Callable[[], _T]) -> _T | Training:
        """What a function returns, or the record of its failure.

        Raises:
            ResultsError, TimeUp, WorkerLostError: As `Trainer.train`.
        """
        try:
            return step()
        except (TimeUp, ResultsError, WorkerLostError):
            raise
        except Exception as error:
            logger.debug("a training failed", exc_info=True)
            self.is_memory_full = is_out_of_memory(error)
            return replace(
                self.record,
                status="failed",
                reason=reason_of(error),
                seconds=round(self.seconds, 3),
            )

    def check_survival(self, devices: Devices) -> None:
        """Refuse a training that kills processes or needs more memory than is free."""
        if self.assignment.deaths >= MOST_DEATHS:
            raise TrialError("the process died twice while training it")
        check_memory("training", self.record.memory, devices)

    def begin(self, load: Callable[[Path], Progress | None]) -> None:
        """Go on from where the assignment starts, or anew where that is not possible.

        The seconds of a parent job are left out, as the parent's record has them.

        Args:
            load: Sets the weights from a checkpoint; gives None where that fails.
        """
        start = self.assignment.start
        self.progress = (load(start) if start is not None else None) or Progress()
        is_parents = self.progress.epochs <= self.job.epochs_from
        self._seconds_before = 0.0 if is_parents else self.progress.seconds
        if self.progress.epochs != self.job.epochs_to:
            self.progress.is_finished = False

    def add_epoch(self, loss: float | None, score: float) -> None:
        """Note that an epoch is done, its mean loss and score, which must be finite.

        Args:
            loss: None where it is not known.
            score: Of the network, on the validation part.
        """
        progress = self.progress
        progress.epochs += 1
        if loss is not None and not math.isfinite(loss):
            raise TrialError(f"the loss became {loss} in epoch {progress.epochs}")
        shown = math.nan if loss is None else short(loss)
        progress.curve.setdefault("loss", []).append(shown)
        self.add_score(score)

    def score(self, outputs: Outputs) -> float:
        """What outputs of the network for the validation part reach."""
        data = self.setup.dataset.seen_by(self.record.spec)
        pairs = data.pairs("validation", outputs)
        return mean_score(self.setup.objective, data.task, pairs)

    def add_score(self, score: float) -> None:
        """Note the score after the last epoch, which must be finite."""
        epochs = self.progress.epochs
        if not math.isfinite(score):
            raise TrialError(f"the score became {score} in epoch {epochs}")
        self.progress.curve.setdefault("score", []).append(short(score))
        if self.on_epoch is not None:
            self.on_epoch(epochs, score)

    def keep(self, write: Write, is_last: bool = False) -> None:
        """Write a checkpoint of an unfinished training when it is time to.

        Args:
            write: Writes a checkpoint.
            is_last: Whether the last epoch is done, so that no time is needed.

        Raises:
            TimeUp: The time is over.
        """
        now = time.monotonic()
        is_late = now >= self.assignment.deadline and not is_last
        if is_late or now - self._saved >= self.setup.checkpoint_seconds:
            self._save(write)
        if is_late:
            raise TimeUp

    def _save(self, write: Write) -> None:
        self.progress.seconds = self.seconds
        path = self.assignment.target
        with writing(path):
            write(path, self.progress)
        self._saved = time.monotonic()

    def finished(
        self,
        write: Write,
        outputs: Outputs,
        decoded: Outputs | None = None,
        **changes: Any,
    ) -> Training:
        """Write the finished weights; the record of the training.

        Args:
            write: Writes a checkpoint.
            outputs: Of the network, for the validation part.
            decoded: As of `TrainingSetup.test_score`, where texts are decoded.
            changes: Items of the record that are otherwise.
        """
        setup, progress = self.setup, self.progress
        progress.epochs = self.job.epochs_to
        progress.is_finished = True
        self._save(write)
        data = setup.dataset.seen_by(self.record.spec)
        pairs = data.pairs("validation", outputs, decoded)
        done = evaluate(setup.objective, data.task, pairs)
        sign = 1.0 if setup.objective.higher_is_better else -1.0
        gains = [sign * value for value in progress.curve["score"]]
        steady = setup.recipe.steady_epochs()
        found = {
            "score": done.score,
            "stderr": done.stderr,
            "examples": done.examples,
            "metrics": dict(done.metrics),
            "undertrained": is_undertrained(gains, steady, done.stderr),
            "seconds": round(progress.seconds, 3),
            "curve": progress.curve,
        }
        return replace(self.record, **{**found, **changes})
