"""The executor of several devices: a thread and a trainer each."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from queue import Empty, SimpleQueue
from typing import Any

from kscale.networks.families.base import Spec
from kscale.search.contract import Job
from kscale.tuning.executor import LocalExecutor, Outcome
from kscale.tuning.trainer import Assignment, TimeUp, Trainer

TrainerOf = Callable[[Spec], Trainer]
EpochHeard = Callable[[Job, int, int, float], None]


class DeviceExecutor:
    """Runs assignments in threads, one after the other on each device, or several in
    one program, which devices that are free share evenly.

    Epochs and results of the threads wait for `finished`, which calls `on_epoch`. A
    training in which a process died runs alone: another death is that training's.

    Args:
        trainers: For each device, what gives the trainer of a spec there.
        on_epoch: As of `LocalExecutor`.
    """

    trains_here = True

    def __init__(self, trainers: Sequence[TrainerOf], on_epoch: EpochHeard) -> None:
        self.devices = len(trainers)
        self._on_epoch = on_epoch
        self._news: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        self._waiting: deque[Assignment] = deque()
        about = self._heard, self._waiting
        self._free = [LocalExecutor(trainer_of, *about) for trainer_of in trainers]
        self._threads = ThreadPoolExecutor(self.devices)
        self._running: dict[LocalExecutor, list[Assignment]] = {}
        self._is_closed = False

    @property
    def slots(self) -> int:
        """As many as run, and as free devices may train at once."""
        running = sum(map(len, self._running.values()))
        return running + sum(device.slots for device in self._free)

    def submit(self, assignment: Assignment) -> None:
        """Take an assignment; `finished` begins it, unless one must be alone."""
        self._waiting.append(assignment)

    def _start(self) -> None:
        while self._waiting and self._free:
            both = [self._waiting[0], *chain(*self._running.values())]
            if len(both) > 1 and any(assignment.deaths for assignment in both):
                return
            share = -(-len(self._waiting) // len(self._free))
            device = self._free.pop(0)
            self._running[device] = device.group(share)
            future = self._threads.submit(device.run, self._running[device])
            future.add_done_callback(lambda done: self._news.put(done.result))

    def _heard(self, *seen: Any) -> None:
        """Pass on that a thread has done an epoch; end the training once closed."""
        if self._is_closed:
            raise TimeUp
        self._news.put(partial(self._on_epoch, *seen))

    def finished(self, timeout: float | None = None) -> Sequence[Outcome]:
        """Begin what waits, wait until a training ends, and pass on all epochs that end
        before."""
        self._start()
        outcomes: Sequence[Outcome] | None = None
        while not outcomes:
            try:
                outcomes = self._news.get(timeout=timeout)()
            except Empty:
                return ()
        for device, group in [*self._running.items()]:
            if outcomes[0].assignment in group:
                del self._running[device]
                self._free.append(device)
        return outcomes

    def close(self) -> None:
        """End what runs with its epoch; the last checkpoints stay."""
        self._is_closed = True
        self._threads.shutdown()
