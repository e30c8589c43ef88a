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
        self.key = job.member_key(member)
        self.path = folder / f"{self.key}.npz"
        self.attempts = Attempts(folder / f"{self.key}.attempts.json")
        self._parent = folder / f"{job.member_key(member, job.epochs_from)}.npz"

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

    def finish(self, attempt: int) -> None:
        """An attempt trained to the end: its weights are the training's."""
        os.replace(self.target(attempt), self.path)
        self.drop_attempts()

    def drop_attempts(self) -> None:
        """Delete what attempts wrote."""
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
    start, number = weights.start(), weights.last_attempt() + 1
    target = weights.target(number)
    assignment = Assignment(weights.job, weights.member, number, start, target, seconds)
    try:
        epochs = epochs_in(start) if start is not None else 0
        is_due = not weights.are_finished
        if is_due and weights.attempts.begin(epochs) >= _MOST_DEATHS:
            training = RunningTraining(setup, assignment, size)
            result = training.failed("the process died twice while training it")
        else:
            result = train(assignment, on_epoch)
        if result.status == "ok":
            weights.finish(number)
        else:
            weights.drop_attempts()
    finally:
        weights.attempts.end()
    return result
