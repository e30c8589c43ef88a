"""The actor of a slot: a process that trains assignments and reports its progress.

The executor makes the class an actor of Ray.
"""

import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue

from kscale.errors import ClusterError
from kscale.networks.families.base import Spec
from kscale.runs.records import Training
from kscale.tuning.trainer import Assignment, Trainer, TrainingSetup

_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Kit:
    """All that another process needs to make the trainers of a search.

    Args:
        mark: An empty file beside the data, made anew at each start of a search: a
            machine that lacks the file has another folder under the same path.
        opened: Opens what all trainings share, as `TrainingSetup.stored_in` gives it.
        trainers: Makes, of what is opened, a function from a spec to a trainer.
    """

    mark: Path
    opened: Callable[[], TrainingSetup]
    trainers: Callable[[TrainingSetup], Callable[[Spec], Trainer]]


@dataclass(frozen=True)
class About:
    """The machine and the software of an actor.

    Args:
        host: Name of the machine.
        node: Ray's name of the node.
        version: Version of kscale on the machine.
    """

    host: str
    node: str
    version: str


@dataclass
class Heard:
    """News of an actor since the last answer.

    Args:
        is_started: Whether TensorFlow and the data are there to train with.
        epochs: Epochs done and the score after each.
        is_done: Whether the training ended.
        training: What the training left behind; None where the time was over first.
    """

    is_started: bool = False
    epochs: list[tuple[int, float]] = field(default_factory=list)
    is_done: bool = False
    training: Training | None = None


class Worker:
    """Trains in a thread, so that `poll` answers meanwhile: a process that does not
    answer is dead or stopped."""

    def __init__(self) -> None:
        self._due: SimpleQueue[Assignment] = SimpleQueue()
        self._news = Heard()
        self._error: Exception | None = None
        self._lock = threading.Lock()
        self._has_ended = threading.Event()

    def about(self) -> About:
        """The machine and the version of kscale, before anything of the search is
        unpacked."""
        import ray

        node = ray.get_runtime_context().get_node_id()
        return About(socket.gethostname(), node, version("kscale"))

    def start(self, kit: Kit, sharers: dict[str, int]) -> None:
        """Start TensorFlow and open the data, in the thread that trains.

        Args:
            kit: What makes the trainers.
            sharers: By the id of a Ray node, actors that share the cores there.
        """
        about = (kit, sharers)
        threading.Thread(target=self._work, args=about, daemon=True).start()

    def begin(self, assignment: Assignment, seconds: float) -> None:
        """Train as soon as what was handed over before is done.

        Args:
            assignment: What to train, with a deadline by another machine's clock.
            seconds: Time that is left.
        """
        self._due.put(replace(assignment, deadline=time.monotonic() + seconds))

    def poll(self, seconds: float) -> Heard:
        """News since the last poll; waits for the end of a training, at most `seconds`.

        Raises:
            KscaleError: No training can end well.
        """
        self._has_ended.wait(seconds)
        self._has_ended.clear()
        if self._error is not None:
            raise self._error
        with self._lock:
            heard, self._news = self._news, Heard(self._news.is_started)
        return heard

    def _work(self, kit: Kit, sharers: dict[str, int]) -> None:
        try:
            trainer_of = _started(kit, sharers)
            with self._lock:
                self._news.is_started = True
            self._has_ended.set()
            while True:
                assignment = self._due.get()
                trainer = trainer_of(assignment.job.spec)
                (training,) = trainer.train_together([assignment], [self._seen])
                with self._lock:
                    self._news.training, self._news.is_done = training, True
                self._has_ended.set()
        except Exception as error:
            self._error = error
            self._has_ended.set()
        except BaseException:  # a user's code ended the process
            os._exit(1)

    def _seen(self, epochs: int, score: float) -> None:
        with self._lock:
            self._news.epochs.append((epochs, score))


def _threads(sharers: dict[str, int]) -> int:
    """Threads of TensorFlow: a share of the cores of this machine or container."""
    import ray
    from ray._private.utils import get_num_cpus

    allowed = getattr(os, "sched_getaffinity", None)  # macOS has none
    here = len(allowed(0)) if allowed else os.cpu_count() or 1
    cores = min(here, int(get_num_cpus()))
    node = ray.get_runtime_context().get_node_id()
    return max(cores // sharers.get(node, cores), 1)


def _started(kit: Kit, sharers: dict[str, int]) -> Callable[[Spec], Trainer]:
    """Start TensorFlow and open the data; what gives the trainer of a spec."""
    if not kit.mark.is_file():
        raise ClusterError(
            f"{socket.gethostname()} does not see {kit.mark.parent}: the run "
            "folder must be on a disk that all machines of the cluster share; give "
            "another --run."
        )
    # Before TensorFlow is imported, which reads them once.
    os.environ.update(dict.fromkeys(_THREADS, str(_threads(sharers))))
    import gc

    from kscale.engine.tensorflow.starting import start

    start()
    trainers = kit.trainers(kit.opened())
    gc.freeze()  # as `settled`, until the process ends
    return trainers
