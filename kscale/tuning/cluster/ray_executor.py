"""The executor of processes that Ray places: one actor a slot, on one or many machines.

The executor polls each actor. An actor that does not answer is dead or stopped: the
executor kills the actor, starts another in its place, and the training of the lost
actor is due again, as another attempt. Later answers of a lost actor are ignored.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray
from ray.exceptions import RayError, RayTaskError

from kscale.data.stored import data_folder
from kscale.errors import ClusterError, SpecError, sentence_of
from kscale.networks.families.base import Spec
from kscale.search.contract import Job
from kscale.text import counted
from kscale.tuning.cluster.connection import (
    PLACING_SECONDS,
    Connection,
    connect,
    is_of_node,
)
from kscale.tuning.cluster.slots import Actor, shared, silent_among
from kscale.tuning.cluster.worker import About, Kit, Worker
from kscale.tuning.executor import LocalExecutor, Outcome
from kscale.tuning.plan import Plan
from kscale.tuning.trainer import MOST_DEATHS, Assignment, Trainer

logger = logging.getLogger(__name__)

LAST_SECONDS = 10.0
"""Longest wait for last checkpoints, in seconds, after the end of a time limit."""

_POLL_SECONDS = 0.5
_POLLS_A_SECOND = 100  # answers to all polls: the driver has other work
_MOST_FAILED_STARTS = 3


class RayExecutor:
    """Runs assignments in actors of Ray, which starts with the first assignment.

    Args:
        plan: The search.
        trainer_of: Gives the trainer of a spec in this process, which only refuses what
            killed its processes: even to count such a network may kill another one.
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
        self._actors: list[Actor] = []
        self._waiting: deque[Assignment] = deque()
        self._given_up = 0  # slots whose actors do not start
        self._bad_hosts: set[str] = set()
        self._has_noted = False
        self._ticked = time.monotonic()

    @property
    def slots(self) -> int:
        """Actors that are placed, or will be soon; one before Ray has started."""
        placed = [a for a in self._actors if a.host or a.silent < PLACING_SECONDS]
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
        self._waiting.append(assignment)
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
            if self.slots > slots:
                break
            slots = self.slots
        return ()

    @property
    def _are_busy(self) -> bool:
        return any(actor.assignment for actor in self._actors)

    def _others(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Outcomes of the other trainings where the time of one was up: each writes a
        checkpoint at the end of its epoch."""
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
            connection, self._connection = self._connection, None
            for actor in self._actors if not connection.is_lost else ():
                _kill(actor)
            self._actors = []
            connection.close()

    def _start(self) -> None:
        """Lay the data in the folder, start or join Ray, and ask for the actors."""
        request = self._plan.request
        data = self._laid.enter_context(data_folder(self._folder / "data"))
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

    def _made(self, failures: int = 0) -> Actor:
        actor: Any = ray.remote(Worker)
        made = actor.options(
            **self._resources,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=2,
            scheduling_strategy="SPREAD",
        )
        handle = made.remote()
        return Actor(handle, handle.about.remote(), failures)

    def _hand_out(self) -> None:
        for actor in self._actors:
            if self._waiting and actor.is_started and actor.assignment is None:
                actor.assignment = assignment = self._waiting.popleft()
                start = assignment.start and assignment.start.absolute()
                target = assignment.target.absolute()
                actor.order = actor.handle.begin.remote(
                    replace(assignment, start=start, target=target),
                    assignment.deadline - time.monotonic(),
                )

    def _heard(self, seconds: float) -> list[Outcome]:
        """What became of assignments; waits until any actor answers.

        A pause of this process, such as the sleep of a laptop, makes no actor silent:
        each poll counts for a second at most.
        """
        if self._alive().check_alive():
            self._grow()
        due = [ref for a in self._actors for ref in (a.asked, a.order) if ref]
        ray.wait(due, timeout=seconds)
        ready = {*ray.wait(due, num_returns=len(due), timeout=0)[0]}
        now = time.monotonic()
        passed, self._ticked = min(now - self._ticked, 1.0), now
        outcomes = []
        for actor in [*self._actors]:
            actor.silent += passed
            if actor.order in ready and (why := _refusal(actor)):
                outcomes.append(self._lost(actor, why))
            elif actor.asked in ready:
                outcomes.append(self._answered(actor))
        for actor, are_together in silent_among(self._actors).items():
            why = f"no answer for {actor.silent:.0f} s"
            outcomes.append(self._lost(actor, why, are_together))
        self._check_placed()
        self._hand_out()
        return [outcome for outcome in outcomes if outcome is not None]

    def _answered(self, actor: Actor) -> Outcome | None:
        """Take what an actor answered, and ask again."""
        try:
            answer = ray.get(actor.asked)
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            return self._lost(actor, str(error), is_of_node(error))
        seconds = max(_POLL_SECONDS, len(self._actors) / _POLLS_A_SECOND)
        actor.asked = actor.handle.poll.remote(seconds)
        if isinstance(answer, About):
            _check_version(answer.host, answer.version)
            actor.host, actor.node, actor.silent = answer.host, answer.node, 0.0
            actor.order = actor.handle.start.remote(self._kit, self._sharers)
            return None
        if answer.is_started:
            actor.is_started, actor.silent = True, 0.0
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
        self, actor: Actor, why: str, is_machine_lost: bool = False
    ) -> Outcome | None:
        """Put another actor in the place of one that is dead or stopped.

        Args:
            actor: The actor that is lost.
            why: What is known of the loss.
            is_machine_lost: Whether the whole machine is lost, through no fault of
                the training.
        """
        logger.debug("a process of %s is lost: %s", actor.host, why)
        connection = self._alive()
        connection.check_alive(is_due=True)
        _kill(actor)
        if actor.node and actor.node not in [node.id for node in connection.nodes()]:
            is_machine_lost = True
        failures = 0 if actor.is_started else actor.failures + (not is_machine_lost)
        place = self._actors.index(actor)
        if failures < _MOST_FAILED_STARTS:
            self._actors[place] = self._made(failures)
        else:
            del self._actors[place]
            self._give_up(actor.host or "a machine", why)
        if actor.assignment is None:
            return None
        self._note(
            f"A process on {actor.host} ended or stopped; what was trained there goes "
            "on in another one."
        )
        return Outcome(actor.assignment, None, True, is_blamed=not is_machine_lost)

    def _give_up(self, host: str, why: str) -> None:
        """Go on without a slot whose actors do not start; raise without any other."""
        self._given_up += 1
        text = (
            f"Processes on {host} end while they start: "
            f"{sentence_of(why.splitlines()[-1])}. All machines need the same kscale "
            "and Ray."
        )
        if not self._actors:
            raise ClusterError(text)
        if host not in self._bad_hosts:
            self._bad_hosts.add(host)
            self._note(f"{text} The other processes go on.")

    def _check_placed(self) -> None:
        """Note once that actors have no room; raise where no actor has room."""
        late = [a for a in self._actors if a.silent > PLACING_SECONDS and not a.host]
        if late and len(late) == len(self._actors):
            raise ClusterError(
                f"No machine of the cluster had room for a process within "
                f"{PLACING_SECONDS:.0f} s; the same command goes on when there is room."
            )
        if late and not self._has_noted:
            self._has_noted = True
            self._note(
                f"There is no room for {len(late)} of "
                f"{counted(len(self._actors), 'process', 'processes')} now; the others "
                "go on."
            )

    def _alive(self) -> Connection:
        assert self._connection is not None, "nothing was submitted"
        return self._connection

    def _grow(self) -> None:
        """Ask for actors on machines that have joined the cluster meanwhile."""
        about = self._alive().nodes(), self._plan.request.workers
        try:
            count, resources, sharers = shared(*about)
        except ClusterError:  # machines may come back
            return
        more = count - self._given_up - len(self._actors)
        if more > 0:
            self._resources, self._sharers = resources, sharers
            self._actors += [self._made() for _ in range(more)]


def _refusal(actor: Actor) -> str:
    """Why an actor could not read the last order; empty if the order was read, or if
    the actor is gone, which the next poll finds."""
    order, actor.order = actor.order, None
    try:
        ray.get(order)
    except RayTaskError as error:
        why = sentence_of(error.cause)
        if not actor.is_started:
            return why
        raise ClusterError(
            f"A process on {actor.host} cannot read what is to be trained: {why}. All "
            "machines need the same kscale."
        ) from error
    except RayError as error:
        logger.debug("an order to %s is lost: %s", actor.host, error)
    return ""


def _check_version(host: str, there: str) -> None:
    here = version("kscale")
    if here != there:
        raise ClusterError(
            f"{host} has kscale {there}, and this machine has {here}: install the same "
            "version on all machines."
        )


def _kill(actor: Actor) -> None:
    with suppress(RayError, ValueError):
        ray.kill(actor.handle, no_restart=True)
