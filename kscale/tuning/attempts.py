"""Attempts at one training: their number, their checkpoints, and those that died."""

import json
import math
import os
import time
from pathlib import Path

from kscale.engine.progress import epochs_in, progress_in
from kscale.errors import writing
from kscale.runs.folder import write_atomically
from kscale.runs.records import Training
from kscale.search.contract import Job
from kscale.tuning.trainer import Assignment, EpochSeen, Trainer


class Attempts:
    """On disk, how often processes died in a training that came no further.

    Without a count, every restart would begin a training again that kills its process
    (a crash in native code, memory). An attempt is counted before the network is built,
    and forgotten when it ends without killing the process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def last(self) -> int:
        """Number of the last attempt; 0 where none is known."""
        return self._read()["number"]

    def begin(self, epochs: int, number: int = 0, is_here: bool = True) -> int:
        """Count an attempt from an epoch; how many died there before.

        Args:
            epochs: Where the attempt begins.
            number: Of the attempt.
            is_here: Whether a death of this process is one of the attempt.
        """
        data = self._read()
        deaths = data["deaths"] if data["epochs"] == epochs else 0
        deaths += data["is_begun"]
        begun = {"is_begun": int(is_here), "number": number}
        self._write({"epochs": epochs, "deaths": deaths, **begun})
        return deaths

    def blame(self) -> None:
        """Count a death of the process, past or to come, as one of the attempt."""
        self._write({**self._read(), "is_begun": 1})

    def end(self) -> None:
        """The attempt ended without killing the process."""
        with writing(self.path):
            self.path.unlink(missing_ok=True)

    def _write(self, content: dict[str, int]) -> None:
        with writing(self.path):
            write_atomically(self.path, json.dumps(content).encode())

    def _read(self) -> dict[str, int]:
        names = ("epochs", "deaths", "is_begun", "number")
        try:
            data = json.loads(self.path.read_text())
            return {name: int(data.get(name, 0)) for name in names}
        except (OSError, ValueError, AttributeError, TypeError):
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

    def begin(self, seconds: float = math.inf) -> Assignment:
        """Count an attempt, which no death is blamed on yet; what an executor is handed
        for it.

        Args:
            seconds: Time that is left.
        """
        names = (path.name.split(".")[1] for path in self._written())
        last = max((int(name) for name in names if name.isdecimal()), default=0)
        paths = [self.path, self._target(last)]
        if self.job.epochs_from:
            paths.append(self._parent)
        start = next((path for path in paths if progress_in(path)), None)
        epochs = 0 if start is None else epochs_in(start)
        # An attempt that was given up may still write, though it wrote nothing yet.
        number = max(last, self.attempts.last) + 1
        deaths = 0
        if not self.are_finished:
            deaths = self.attempts.begin(epochs, number, is_here=False)
        until, target = time.monotonic() + seconds, self._target(number)
        return Assignment(self.job, self.member, number, start, target, until, deaths)

    def end(self, assignment: Assignment, training: Training | None) -> None:
        """Put the weights of a finished attempt in place.

        Args:
            assignment: What was attempted.
            training: What came of it; None where the time was over first.
        """
        self.attempts.end()
        if training is None:
            return
        with writing(self.path):
            if training.status == "ok":
                os.replace(assignment.target, self.path)
            for path in self._written():
                path.unlink(missing_ok=True)

    def train(
        self,
        trainer: Trainer,
        seconds: float = math.inf,
        on_epoch: EpochSeen | None = None,
    ) -> Training:
        """Make an attempt in this process; as `Trainer.train`."""
        assignment, training = self.begin(seconds), None
        self.attempts.blame()
        try:
            training = trainer.train(assignment, on_epoch)
        finally:
            self.end(assignment, training)
        return training

    def _target(self, attempt: int) -> Path:
        return self.folder / f"{self.key}.{attempt}.npz"

    def _written(self) -> list[Path]:
        return list(self.folder.glob(f"{self.key}.*.npz"))
