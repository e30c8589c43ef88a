"""The executor of processes that Ray places: one actor a slot, on one or many machines.

An actor is asked again and again what happened. Who does not answer is dead or stopped,
is killed, and another one takes its place; what was trained there is out once more, as
another attempt. Nothing of a given-up actor is listened to.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError

from kscale.data.stored import private_folder
from kscale.errors import ClusterError, SpecError, sentence_of
from kscale.networks.families.base import Spec
from kscale.search.contract import Job
from kscale.text import counted
from kscale.tuning.cluster.connection import Connection, Node, connect
from kscale.tuning.cluster.worker import Heard, Kit, Worker
from kscale.tuning.executor import LocalExecutor, Outcome
from kscale.tuning.plan import Plan
from kscale.tuning.trainer import MOST_DEATHS, Assignment, Trainer

logger = logging.getLogger(__name__)

SILENT_SECONDS = 15.0
"""An actor that does not answer for so long is dead or stopped."""

START_SECONDS = 180.0
"""The same while TensorFlow starts, which comes from a slow disk now and then."""

PLACING_SECONDS = 60.0
"""What is not placed after so long is told; nothing placed at all ends the search."""

LAST_SECONDS = 10.0
"""Most time for the last checkpoints where the time of a search is over."""

_POLL_SECONDS = 0.5
_POLLS_A_SECOND = 100  # answers to all polls: the driver has other work
_NODE_DIED = "its node has died"
_MOST_FAILED_STARTS = 3
_HEAD_SECONDS = 5.0  # between two looks for the head of the cluster, and for an answer
_MOST_UNANSWERED = 3


@dataclass(eq=False)
class _Actor:
    """A slot: the actor, what it was asked, and for how long there was no answer."""

    handle: Any
    asked: Any
    silent: float = 0.0
    host: str = ""
    is_started: bool = False
    assignment: Assignment | None = None


class RayExecutor:
    """Runs assignments in actors of Ray, which starts with the first of them.

    Args:
        plan: The search.
        trainer_of: Gives the trainer of a spec in this process, which only refuses what
            killed its processes.
        folder: Folder of the run, which all machines see under the same path.
        on_epoch: As of `LocalExecutor`.
        note: Takes a sentence for the user.
    """

    trains_here = False

    def __init__(
        self,
        plan: Plan,
        trainer_of: Callable[[Spec], Trainer],
        folder: Path,
        on_epoch: Callable[[Job, int, int, float], None],
        note: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._refusing = LocalExecutor(trainer_of)
        self._folder = folder.absolute()
        self._on_epoch = on_epoch
        self._note = note
        self._connection: Connection | None = None
        self._laid = ExitStack()  # the data
        self._actors: list[_Actor] = []
        self._waiting: deque[tuple[float, Assignment]] = deque()
        self._failed_starts = 0
        self._has_told = self._is_headless = False
        self._looked = self._ticked = time.monotonic()

    @property
    def slots(self) -> int:
        """Actors that are placed, or will be soon; one before Ray has started."""
        placed = [each for each in self._actors if each.silent < PLACING_SECONDS]
        return max(len(placed), 1)

    @property
    def devices(self) -> int:
        """Actors do not share devices."""
        return self.slots

    def submit(self, assignment: Assignment) -> None:
        """Take an assignment, which begins as soon as an actor is free."""
        if assignment.deaths >= MOST_DEATHS:
            self._refusing.submit(assignment)
            return
        if self._connection is None:
            self._start()
        self._waiting.append((time.monotonic(), assignment))
        self._hand_out()

    def finished(self, timeout: float | None = None) -> Sequence[Outcome]:
        """Wait until a training ends, or there are more slots, and pass on all epochs
        that end before.

        Raises:
            ClusterError: The head of the cluster is gone, or no actor can be placed.
            ResultsError: As of `Executor`.
        """
        if refused := self._refusing.finished():
            return refused
        began = self._ticked = time.monotonic()
        slots = self.slots
        while self._waiting or self._are_busy:
            left = 1.0
            if timeout is not None:
                left = min(left, began + timeout - time.monotonic())
            if left < 0:
                break
            if outcomes := self._heard(left):
                return [*outcomes, *self._others(outcomes)]
            self._check_head()
            if self.slots > slots:
                break
            slots = self.slots
        return ()

    @property
    def _are_busy(self) -> bool:
        return any(actor.assignment for actor in self._actors)

    def _others(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Where time was up for one training, what becomes of the others: they write
        their checkpoints within their epoch."""
        found: list[Outcome] = []
        if not any(each.training is None and not each.has_died for each in outcomes):
            return found
        self._waiting.clear()
        end = time.monotonic() + LAST_SECONDS
        while self._are_busy and time.monotonic() < end:
            found += self._heard(1.0)
        return found

    def close(self) -> None:
        """Kill the actors, and end or leave Ray; the last checkpoints stay."""
        self._waiting.clear()
        with self._laid:
            if self._connection is None:
                return
            for actor in self._actors:
                if not self._is_headless:
                    _kill(actor)
            self._actors = []
            connection, self._connection = self._connection, None
            connection.close()

    def _start(self) -> None:
        """Lay the data in the folder, start or join Ray, and ask for the actors."""
        request = self._plan.request
        data = self._laid.enter_context(private_folder(self._folder / "data"))
        mark, opened = data / f"{uuid4()}.mark", self._plan.setup.stored_in(data)
        mark.touch()
        kit = Kit(mark, opened, self._plan.trainers_of())
        try:
            ray.cloudpickle.dumps(kit)
        except Exception as error:  # whatever pickling raises
            raise SpecError(
                "The hypermodel cannot be sent to other processes: "
                f"{sentence_of(error.__cause__ or error)}. Give `module:name`."
            ) from error
        self._connection = connect(request.cluster, request.workers, self._note)
        self._kit = ray.put(kit)
        nodes = self._connection.nodes()
        count, self._resources, self._sharers = shared(nodes, request.workers)
        if request.workers and count < request.workers:
            self._note(f"There is room for {counted(count, 'process', 'processes')}.")
        self._actors = [self._made() for _ in range(count)]

    def _made(self) -> _Actor:
        actor: Any = ray.remote(Worker)
        made = actor.options(
            **self._resources,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=2,
            scheduling_strategy="SPREAD",
        )
        handle = made.remote(self._kit, self._sharers)
        return _Actor(handle, handle.about.remote())

    def _hand_out(self) -> None:
        for actor in self._actors:
            if self._waiting and actor.is_started and actor.assignment is None:
                since, assignment = self._waiting.popleft()
                waited = time.monotonic() - since
                actor.assignment = assignment
                start = assignment.start and assignment.start.absolute()
                actor.handle.begin.remote(
                    replace(
                        assignment,
                        start=start,
                        target=assignment.target.absolute(),
                        seconds=assignment.seconds - waited,
                    )
                )

    def _heard(self, seconds: float) -> list[Outcome]:
        """What became of assignments; waits until any actor answers.

        A pause of this process, as of a laptop that sleeps, makes nobody silent: each
        look counts for a second at most.
        """
        self._check_node()
        by_asked = {actor.asked: actor for actor in self._actors}
        ray.wait([*by_asked], timeout=seconds)
        ready, _ = ray.wait([*by_asked], num_returns=len(by_asked), timeout=0)
        now = time.monotonic()
        passed, self._ticked = min(now - self._ticked, 1.0), now
        outcomes = []
        for asked in ready:
            actor = by_asked.pop(asked)
            actor.silent = 0.0
            outcomes.append(self._answered(actor))
        for actor in by_asked.values():
            actor.silent += passed
            limit = SILENT_SECONDS if actor.is_started else START_SECONDS
            if actor.host and actor.silent > limit:
                outcomes.append(self._lost(actor, f"no answer for {limit:.0f} s"))
        self._check_placed()
        self._hand_out()
        return [outcome for outcome in outcomes if outcome is not None]

    def _answered(self, actor: _Actor) -> Outcome | None:
        """Take what an actor answered, and ask again."""
        try:
            answer = ray.get(actor.asked)
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            return self._lost(actor, f"{error}", error)
        seconds = max(_POLL_SECONDS, len(self._actors) / _POLLS_A_SECOND)
        actor.asked = actor.handle.poll.remote(seconds)
        if not isinstance(answer, Heard):
            _check_version(answer.host, answer.version)
            actor.host = answer.host
            return None
        if answer.is_started and not actor.is_started:
            actor.is_started, self._failed_starts = True, 0
        assignment = actor.assignment
        if assignment is None:
            return None
        for seen in answer.epochs:
            self._on_epoch(assignment.job, assignment.member, *seen)
        if not answer.is_done:
            return None
        actor.assignment = None
        return Outcome(assignment, answer.training)

    def _lost(
        self, actor: _Actor, why: str, error: RayError | None = None
    ) -> Outcome | None:
        """Put another actor in the place of one that is dead or stopped."""
        logger.debug("a process of %s is lost: %s", actor.host, why)
        self._check_head(is_due=True)
        _kill(actor)
        is_of_node = isinstance(error, ActorUnavailableError) or _NODE_DIED in why
        if not (actor.is_started or is_of_node):
            self._failed_starts += 1
        if self._failed_starts >= _MOST_FAILED_STARTS:
            raise ClusterError(
                f"Processes that train die while they start: "
                f"{sentence_of(why.splitlines()[-1])}. All machines need the same "
                "kscale and Ray."
            )
        self._actors[self._actors.index(actor)] = self._made()
        if actor.assignment is None:
            return None
        self._note(
            f"A process on {actor.host} ended or stopped; what was trained there goes "
            "on in another one."
        )
        return Outcome(actor.assignment, None, True, is_blamed=not is_of_node)

    def _check_placed(self) -> None:
        """Tell once of actors without room; raise where there is none with room."""
        late = [a for a in self._actors if a.silent > PLACING_SECONDS and not a.host]
        if late and len(late) == len(self._actors):
            raise ClusterError(
                f"No machine of the cluster had room for a process within "
                f"{PLACING_SECONDS:.0f} s; the same command goes on when there is room."
            )
        if late and not self._has_told:
            self._has_told = True
            self._note(
                f"There is no room for {len(late)} of "
                f"{counted(len(self._actors), 'process', 'processes')} now; the others "
                "go on."
            )

    def _check_node(self) -> None:
        """Raise where the node of this machine is gone: Ray would end this process."""
        if self._connection is not None and not self._connection.has_node:
            self._is_headless = True
            raise ClusterError(
                "The Ray node of this machine is gone. The same command goes on; with "
                "--cluster, start the node again first."
            )

    def _check_head(self, is_due: bool = False) -> None:
        """Raise where the head does not answer: what Ray is asked then would wait, and
        end this process after a minute without a word.

        Args:
            is_due: Whether to look whenever the last look was.
        """
        if not is_due and time.monotonic() - self._looked < _HEAD_SECONDS:
            return
        for left in reversed(range(_MOST_UNANSWERED)):
            try:
                client: Any = ray._private.worker.global_worker
                client.gcs_client.internal_kv_get(b"kscale", None, _HEAD_SECONDS)
            except RayError as error:
                logger.debug("the head does not answer: %s", error)
                if not left:
                    self._is_headless = True
                    raise ClusterError(
                        "The head of the Ray cluster is gone. Start the cluster again, "
                        "and the same command goes on."
                    ) from error
            else:
                self._looked = time.monotonic()
                self._grow()
                return

    def _grow(self) -> None:
        """Ask for actors on machines that have joined the cluster meanwhile."""
        assert self._connection is not None
        about = self._connection.nodes(), self._plan.request.workers
        try:
            count, resources, sharers = shared(*about)
        except ClusterError:  # machines may come back
            return
        if count > len(self._actors):
            self._resources, self._sharers = resources, sharers
            self._actors += [self._made() for _ in range(count - len(self._actors))]


def shared(
    nodes: Sequence[Node], workers: int | None
) -> tuple[int, dict[str, int], dict[str, int]]:
    """How many actors there are, what each takes, and how many share a node."""
    name = "num_gpus" if any(node.gpus for node in nodes) else "num_cpus"
    room = {node.id: node.gpus if name == "num_gpus" else node.cpus for node in nodes}
    count = min(workers or sum(room.values()), sum(room.values()))
    if not count:
        raise ClusterError("The cluster has no cores and no GPUs to train on.")
    spread = -(-count // sum(map(bool, room.values())))
    sharers = {node: min(spread, most) for node, most in room.items() if most}
    return count, {"num_cpus": 0, name: 1}, sharers


def _check_version(host: str, there: str) -> None:
    here = version("kscale")
    if here != there:
        raise ClusterError(
            f"{host} has kscale {there}, and this machine has {here}: install the same "
            "version on all machines."
        )


def _kill(actor: _Actor) -> None:
    with suppress(RayError, ValueError):
        ray.kill(actor.handle, no_restart=True)
