"""The executor of several devices: a thread and a trainer each."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from kscale.networks.families.base import Spec
from kscale.search.contract import Job
from kscale.tuning.executor import LocalExecutor, Outcome
from kscale.tuning.trainer import Assignment, TimeUp, Trainer

TrainerOf = Callable[[Spec], Trainer]
EpochHeard = Callable[[Job, int, int, float], None]


class DeviceExecutor:
    """Runs assignments in threads, one on each device at a time.

    Epochs and results of the threads wait for `finished`, which calls `on_epoch`. A
    training in which a process died runs alone: another death is that training's.

    Args:
        trainers: For each device, what gives the trainer of a spec there.
        on_epoch: As of `LocalExecutor`.
    """

    trains_here = True

    def __init__(self, trainers: Sequence[TrainerOf], on_epoch: EpochHeard) -> None:
        self.slots = self.devices = len(trainers)
        self._on_epoch = on_epoch
        self._news: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        self._free: SimpleQueue[LocalExecutor] = SimpleQueue()
        for trainer_of in trainers:
            self._free.put(LocalExecutor(trainer_of, self._heard))
        self._threads = ThreadPoolExecutor(self.slots)
        self._waiting: deque[Assignment] = deque()
        self._running: list[Assignment] = []
        self._is_closed = False

    def submit(self, assignment: Assignment) -> None:
        """Take an assignment, which begins at once unless one must be alone."""
        self._waiting.append(assignment)
        self._start()

    def _start(self) -> None:
        while self._waiting:
            both = [self._waiting[0], *self._running]
            if len(both) > 1 and any(assignment.deaths for assignment in both):
                return
            self._running.append(self._waiting.popleft())
            future = self._threads.submit(self._run, self._running[-1])
            future.add_done_callback(lambda done: self._news.put(done.result))

    def _run(self, assignment: Assignment) -> Sequence[Outcome]:
        device = self._free.get()
        try:
            device.submit(assignment)
            return device.finished()
        finally:
            self._free.put(device)

    def _heard(self, *seen: Any) -> None:
        """Pass on that a thread has done an epoch; end the training once closed."""
        if self._is_closed:
            raise TimeUp
        self._news.put(partial(self._on_epoch, *seen))

    def finished(self, timeout: float | None = None) -> Sequence[Outcome]:
        """Wait until a training ends, and pass on all epochs that end before."""
        outcomes: Sequence[Outcome] | None = None
        while not outcomes:
            try:
                outcomes = self._news.get(timeout=timeout)()
            except Empty:
                return ()
        for outcome in outcomes:
            self._running.remove(outcome.assignment)
        self._start()
        return outcomes

    def close(self) -> None:
        """End what runs with its epoch; the last checkpoints stay."""
        self._is_closed = True
        self._threads.shutdown(cancel_futures=True)
