"""Several machines that train one network: worker 0 decides, the others follow.

Worker 0 runs the search and tells the others each call of a program before it makes the
call; all of them make it, and the replicas of all bring their gradients together. The
others write no run folder.
"""

import pickle
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.compiler.xla.tsl.protobuf.coordination_config_pb2 import CoordinatedJob
from tensorflow.python.eager import context

from kscale.data.dataset import Dataset
from kscale.data.example_rows import Rows
from kscale.data.stored import open_dataset
from kscale.engine.base import Masks, Outputs
from kscale.engine.progress import Progress
from kscale.engine.strategies import leads_workers, worker_count
from kscale.engine.tensorflow.epochs import EpochProgram
from kscale.engine.tensorflow.placing import PlacedData
from kscale.errors import SpecError, WorkerLostError, reason_of

_LEAST_WORDS = 1024
_GONE = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)
_OF_STEP = (tf.errors.ResourceExhaustedError, tf.errors.InvalidArgumentError)
"""Errors whose texts name the worker on which a step failed."""

_TASK = re.compile(r"/job:\w+/(?:replica:\d+/)?task:\d+")


@contextmanager
def together() -> Iterator[None]:
    """Inside, all workers take part; an error of one of them ends the group.

    Raises:
        WorkerLostError: A worker is gone, or failed.
    """
    try:
        yield
    except tf.errors.OpError as error:
        found = _TASK.findall(str(error))
        names_gone = found and not isinstance(error, _OF_STEP)
        is_gone = bool(names_gone) or isinstance(error, _GONE)
        why = f"gone: {(found or ['any'])[-1]}" if is_gone else reason_of(error)
        raise WorkerLostError(
            f"A worker was lost ({why}); the same command on every worker goes on from "
            "the last checkpoint.",
            is_gone,
        ) from error


def meet_within(seconds: float) -> None:
    """Let workers of TF_CONFIG that are started at the same time give up waiting for
    each other after a while, in place of an hour; before their strategy is made."""
    jobs = [CoordinatedJob(name="worker", num_tasks=worker_count())]
    context.context().configure_coordination_service(
        "standalone",
        "/job:worker/replica:0/task:0",
        cluster_register_timeout_in_ms=int(seconds * 1000),
        coordinated_jobs=jobs,
    )


def check_unused() -> None:
    """Raise where TensorFlow is in use already: workers must meet before.

    Raises:
        SpecError: TensorFlow has found the devices of this process.
    """
    if context.context()._initialized:
        raise SpecError(
            "Machines can train together only in a process that has not used "
            "TensorFlow yet: start another one."
        )


def give_up(why: str) -> None:
    """End the step that this worker is in, from another thread: a worker is gone."""
    context.context().abort_collective_ops(tf.errors.UNAVAILABLE, why)


class WorkerGroup:
    """What worker 0 tells the others, by sums over all replicas."""

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self.strategy = strategy
        self.is_chief = leads_workers()
        self._sum = tf.function(
            lambda parts: strategy.reduce(
                tf.distribute.ReduceOp.SUM, strategy.run(tf.identity, (parts,)), None
            ),
            reduce_retracing=False,
        )

    def agree(self, number: int | None) -> bool:
        """Whether every worker gives the number of worker 0, or none."""
        wanted = number
        if self.is_chief:
            self.tell(number)
        else:
            (wanted,) = self.hear()
        differs = self._summed(
            lambda replica: np.array([number not in (None, wanted)], np.int32)
        )
        return not differs.any()

    def tell(self, *message: Any) -> None:
        """Send a message to the other workers; `hear` receives it."""
        self._exchanged(pickle.dumps(message))

    def hear(self) -> Any:
        """The next message of worker 0."""
        return pickle.loads(self._exchanged(b""))

    def _exchanged(self, content: bytes) -> bytes:
        """Worker 0's content: the length, then the words, padded to few different
        lengths, because every length is traced once."""
        count = int(self._from_chief(np.array([len(content)], np.int32))[0])
        words = max(_LEAST_WORDS, 1 << (-(-count // 4) - 1).bit_length())
        padded = np.frombuffer(content.ljust(4 * words, b"\0"), np.int32)
        return self._from_chief(padded).tobytes()[:count]

    def _from_chief(self, words: NDArray[Any]) -> NDArray[Any]:
        nothing = np.zeros_like(words)
        is_chief = self.is_chief
        return self._summed(
            lambda replica: words if is_chief and replica == 0 else nothing
        )

    def _summed(self, part: Callable[[int], NDArray[Any]]) -> NDArray[Any]:
        with together():
            parts = self.strategy.experimental_distribute_values_from_function(
                lambda context: tf.constant(part(context.replica_id_in_sync_group))
            )
            return np.asarray(self._sum(parts))


@cache
def group_of(strategy: tf.distribute.Strategy) -> WorkerGroup | None:
    """The workers of a strategy; None for the strategies of one machine."""
    is_group = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    return WorkerGroup(strategy) if is_group else None


class LeadingProgram:
    """The program of worker 0, which the other workers run, too."""

    def __init__(self, group: WorkerGroup, program: EpochProgram) -> None:
        self._group = group
        self._program = program
        group.tell("program", program.network, program.recipe)

    def start(
        self, seeds: Sequence[int], rates: Sequence[float], epochs: int = 0
    ) -> None:
        self._all("start", seeds, rates, epochs)

    def load(
        self, path: Path, member: int = 0, only_weights: bool = False
    ) -> Progress | None:
        progress = self._program.load(path, member, only_weights)
        if progress is not None:
            self._group.tell("assign", [np.asarray(v) for v in _state(self._program)])
        return progress

    def save(self, path: Path, progress: Progress, member: int = 0) -> None:
        self._program.save(path, progress, member)

    def hold(self, chosen: Masks) -> None:
        self._all("hold", chosen)

    def run_epoch(self, orders: Sequence[NDArray[Any]]) -> list[float]:
        losses: list[float] = self._all("run_epoch", orders)
        return losses

    def score(self) -> list[float]:
        return self._program.score()

    def predict(
        self, rows: Mapping[str, Rows], labels: Mapping[str, Rows] | None = None
    ) -> list[Outputs]:
        return self._program.predict(rows, labels)

    def decode(self, rows: Mapping[str, Rows]) -> Outputs:
        return self._program.decode(rows)

    def close(self) -> None:
        """Nothing: programs are not kept, as workers may have room for others."""

    def _all(self, name: str, *arguments: Any) -> Any:
        self._group.tell(name, *arguments)
        with together():
            return getattr(self._program, name)(*arguments)


def follow(
    group: WorkerGroup, placed: Callable[[Dataset], PlacedData], dataset: Dataset | None
) -> None:
    """Do what worker 0 does, until it has no more to do.

    Args:
        group: The workers.
        placed: Places data.
        dataset: The data set; None to open the one that worker 0 names.

    Raises:
        DataError: There is no data set where worker 0 stored it.
        WorkerLostError: A worker is gone, or failed.
    """
    data: Any = None if dataset is None else placed(dataset)
    program: Any = None
    while True:
        name, *arguments = group.hear()
        if name == "end":
            return
        with together():
            if name == "data":
                data = data or placed(open_dataset(*arguments))
            elif name == "program":
                network, recipe = arguments
                program = EpochProgram(network, data, recipe, group.strategy)
            elif name == "assign":
                for variable, value in zip(_state(program), *arguments, strict=True):
                    variable.assign(value)
            else:
                getattr(program, name)(*arguments)


def _state(program: EpochProgram) -> list[Any]:
    return [*program.model.variables, *program.optimizer.variables]
