"""An executor whose members are trained by other processes.

Nothing is shared with them but files: the data set as it is stored, and checkpoints.
"""

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from kscale.runs.records import Training
from kscale.tuning.executor import Outcome
from kscale.tuning.family_trainer import FamilyTrainer
from kscale.tuning.plan import Plan
from kscale.tuning.trainer import Assignment, TimeUp, TrainingSetup

_trainer: FamilyTrainer
_folder: Path


def _start(folder: Path, opened: Callable[[], TrainingSetup]) -> None:
    global _trainer, _folder
    _folder = folder
    _trainer = FamilyTrainer(opened())


def _train(assignment: Assignment) -> Training | None:
    """Train; where a file `kill` lies beside the data, die of it first."""
    kill = _folder / "kill"
    if kill.exists() and assignment.job.stage == "search":
        kill.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        return _trainer.train(assignment)
    except TimeUp:
        return None


class ProcessExecutor:
    """Runs assignments in processes.

    Args:
        plan: The search.
        folder: Where the data set is stored.
        slots: Number of processes.
    """

    trains_here = False

    def __init__(self, plan: Plan, folder: Path, slots: int = 2) -> None:
        self.slots = self.devices = slots
        stored = folder, plan.setup.stored_in(folder)
        context = get_context("spawn")
        self._make = partial(ProcessPoolExecutor, slots, context, _start, stored)
        self._pool = self._make()
        self._out: dict[Future[Training | None], Assignment] = {}
        self.most_out = 0

    def submit(self, assignment: Assignment) -> None:
        try:
            future = self._pool.submit(_train, assignment)
        except BrokenProcessPool as error:  # a process died since `finished`
            future = Future()
            future.set_exception(error)
        self._out[future] = assignment
        self.most_out = max(self.most_out, len(self._out))

    def finished(self, timeout: float | None = None) -> Sequence[Outcome]:
        done, _ = wait(self._out, timeout, FIRST_COMPLETED)
        outcomes = [self._outcome(future) for future in done]
        if any(outcome.has_died for outcome in outcomes):
            wait(self._out)  # all of a pool break together
            outcomes += [self._outcome(future) for future in list(self._out)]
            self._pool = self._make()
        return outcomes

    def _outcome(self, future: "Future[Training | None]") -> Outcome:
        assignment = self._out.pop(future)
        try:
            return Outcome(assignment, future.result())
        except BrokenProcessPool:
            return Outcome(assignment, None, has_died=True)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
