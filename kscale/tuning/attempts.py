"""Attempts at one training: their number, their checkpoints, and those that died."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path

from kscale.engine.progress import epochs_in, progress_in
from kscale.networks.sizing import Size
from kscale.runs.folder import write_atomically
from kscale.runs.records import Training
from kscale.search.contract import Job
from kscale.tuning.trainer import (
    Assignment,
    EpochSeen,
    RunningTraining,
    TrainingSetup,
)

_MOST_DEATHS = 2


class Attempts:
    """How often a process died without getting further, on disk.

    Without a count, every restart would begin a training again that kills its process
    (a crash in native code, memory). An attempt is counted before the network is built,
    and forgotten when it ends without killing the process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, epochs: int) -> int:
        """Count an attempt from an epoch; how many died there before."""
        data = self._read()
        deaths = data["deaths"] if data["epochs"] == epochs else 0
        deaths += data["is_begun"]
        content = {"epochs": epochs, "deaths": deaths, "is_begun": 1}
        write_atomically(self.path, json.dumps(content).encode())
        return deaths

    def end(self) -> None:
        """The attempt ended without killing the process."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> dict[str, int]:
        names = ("epochs", "deaths", "is_begun")
        try:
            data = json.loads(self.path.read_text())
            return {name: int(data[name]) for name in names}
        except (OSError, ValueError, KeyError, TypeError):
            return dict.fromkeys(names, 0)


class MemberWeights:
    """The checkpoints of one member of a job in a folder.

    The name of a checkpoint has the number of the attempt. The checkpoint of a finished
    training is renamed to the name of the training.

    Args:
        folder: Folder of all checkpoints.
        job, member: What is trained.
    """

    def __init__(self, folder: Path, job: Job, member: int) -> None:
        self.folder = folder
        self.job = job
        self.member = member
        self.key = job.key(member)
        self.path = folder / f"{self.key}.npz"
        self.attempts = Attempts(folder / f"{self.key}.attempts.json")
        self._parent = folder / f"{job.parent_key(member)}.npz"

    @property
    def are_finished(self) -> bool:
        """Whether the weights of the finished training are there."""
        return epochs_in(self.path) == self.job.epochs_to

    def target(self, attempt: int) -> Path:
        """Where an attempt writes."""
        return self.folder / f"{self.key}.{attempt}.npz"

    def last_attempt(self) -> int:
        """Number of the last attempt that wrote; 0 without any."""
        names = (path.name.split(".")[1] for path in self._written())
        return max((int(name) for name in names if name.isdecimal()), default=0)

    def start(self) -> Path | None:
        """The checkpoint from which the next attempt goes on: of this training, or of
        the parent job."""
        paths = [self.path, self.target(self.last_attempt())]
        if self.job.epochs_from:
            paths.append(self._parent)
        return next((path for path in paths if progress_in(path)), None)

    def assignment(self, seconds: float = math.inf) -> Assignment:
        """What an executor is handed for the next attempt.

        Args:
            seconds: Time that is left.
        """
        start, number = self.start(), self.last_attempt() + 1
        target = self.target(number)
        return Assignment(self.job, self.member, number, start, target, seconds)

    def begin(self, assignment: Assignment) -> bool:
        """Count an attempt; no more are made after two deaths at one epoch."""
        if self.are_finished:
            return True
        epochs = epochs_in(assignment.start) if assignment.start is not None else 0
        return self.attempts.begin(epochs) < _MOST_DEATHS

    def end(self, assignment: Assignment, training: Training | None) -> None:
        """Put the weights of a finished attempt in place.

        Args:
            assignment: What was attempted.
            training: What came of it; None where the time was over first.
        """
        self.attempts.end()
        if training is None:
            return
        if training.status == "ok":
            os.replace(assignment.target, self.path)
        for path in self._written():
            path.unlink(missing_ok=True)

    def _written(self) -> list[Path]:
        return list(self.folder.glob(f"{self.key}.*.npz"))


def train_member(
    train: Callable[[Assignment, EpochSeen | None], Training],
    setup: TrainingSetup,
    size: Size,
    weights: MemberWeights,
    seconds: float = math.inf,
    on_epoch: EpochSeen | None = None,
) -> Training:
    """Make an attempt at one member, unless two processes died of it at one epoch.

    Args:
        train: Trains the member, as `Trainer.train`.
        setup: What all trainings share.
        size: Size of the network.
        weights: The member, and where its checkpoints are.
        seconds: Time that is left.
        on_epoch: Called after each epoch.

    Raises:
        ResultsError, TimeUp: As `Trainer.train`.
    """
    assignment = weights.assignment(seconds)
    result: Training | None = None
    try:
        if weights.begin(assignment):
            result = train(assignment, on_epoch)
        else:
            result = given_up(setup, assignment, size)
    finally:
        weights.end(assignment, result)
    return result


def given_up(setup: TrainingSetup, assignment: Assignment, size: Size) -> Training:
    """The record of a training that would only kill the process again."""
    training = RunningTraining(setup, assignment, size)
    return training.failed("the process died twice while training it")
