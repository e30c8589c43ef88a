"""Machines that train each network together: Ray places the workers that follow.

This process is worker 0 of TensorFlow's TF_CONFIG, and has the run folder. The others
follow in processes of Ray, each of which takes a whole machine of the cluster.
"""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from threading import Event, Thread
from typing import Any

from kscale.engine.base import Engine
from kscale.engine.engines import make_engine
from kscale.engine.strategies import missing_workers
from kscale.engine.tensorflow.starting import start
from kscale.engine.tensorflow.workers import check_unused, give_up, meet_within
from kscale.errors import (
    ClusterError,
    KscaleError,
    SpecError,
    WorkerLostError,
    sentence_of,
)
from kscale.text import counted
from kscale.tuning.cluster.connection import (
    PLACING_SECONDS,
    Connection,
    Node,
    connect,
    is_of_node,
)

_MEETING_SECONDS = 60.0
_WATCH_SECONDS = 0.5
_FAULT_SECONDS = 3.0  # until Ray knows of a loss that TensorFlow knows of

Note = Callable[[str], None]


class Follower:
    """A worker that follows worker 0, in a process of Ray."""

    def __init__(self) -> None:
        start(finds_devices=False)

    def address(self) -> str:
        """Where TensorFlow is to listen."""
        return _free_address()

    def follow(self, config: str, class_weights: str) -> None:
        """Train what worker 0 trains, until the end.

        Args:
            config: TF_CONFIG of this worker.
            class_weights: As of `Engine.follow`.
        """
        os.environ["TF_CONFIG"] = config
        _met().follow(None, class_weights, None)


@contextmanager
def group(
    cluster: str, machines: int, class_weights: str, note: Note
) -> Iterator[Callable[[], bool]]:
    """Inside, this process is worker 0 of several machines, which have met.

    After a loss, the function that is given says whether the training may have caused
    the loss: a follower's process ended, and the follower's machine did not.

    Args:
        cluster: `host:port` of a cluster's head.
        machines: How many, this one included.
        class_weights: As of `Engine.follow`.
        note: Takes sentences for the user: which ports listen.

    Raises:
        ClusterError: Too few machines have room, they do not meet, or one cannot train;
            or the head of the cluster is gone.
        SpecError: TensorFlow is in use in this process already.
        WorkerLostError: A machine is gone that had met the others.
    """
    check_unused()
    with connect(cluster, None, note) as connection, ExitStack() as ending:
        start(finds_devices=False)
        followers, others = _placed(connection, machines, note, ending)
        hosts = [_free_address(), *others]
        note(
            f"TensorFlow listens on {', '.join(hosts)}; it asks for no password and "
            "encrypts nothing: let nobody else into this network."
        )
        following = [
            each.follow.remote(_config(hosts, index), class_weights)
            for index, each in enumerate(followers, 1)
        ]
        os.environ["TF_CONFIG"] = _config(hosts, 0)
        ending.callback(os.environ.pop, "TF_CONFIG")
        have_met = False
        try:
            _wait(connection, following)
            _met()
            have_met = True
            with _watched(connection, following):
                yield lambda: _may_be_blamed(connection, following)
        except (ClusterError, SpecError, WorkerLostError) as error:
            connection.check_alive(is_due=True)
            cause = _cause(following, others, have_met)
            if cause is None:
                raise
            raise cause from error


def _placed(
    connection: Connection, machines: int, note: Note, ending: ExitStack
) -> tuple[list[Any], list[str]]:
    """The followers, and where each is to listen. A machine that dies meanwhile, or
    that is still to come, is waited for."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    until = time.monotonic() + PLACING_SECONDS
    while True:
        try:
            nodes = _nodes(connection.nodes(), here, machines)
            followers = list(map(_follower, nodes))
            for each in followers:
                ending.callback(_end, connection, each)
            addresses = _addresses(followers, until - time.monotonic())
            if here in [node.id for node in nodes]:
                note(f"The cluster has one machine, which {machines} workers share.")
            return followers, addresses
        except ClusterError:
            connection.check_alive(is_due=True)
            if time.monotonic() >= until:
                raise
        ending.pop_all().close()
        time.sleep(1)


def _nodes(nodes: Sequence[Node], here: str, machines: int) -> list[Node]:
    """The nodes of the followers, one each, or all on the only machine there is."""
    this = next((node for node in nodes if node.id == here), None)
    if this is None:
        raise ClusterError("The head of the cluster does not know this machine.")
    others = [node for node in nodes if node.gpus == this.gpus and node is not this]
    if not others and not this.gpus:
        return [replace(this, cpus=0)] * (machines - 1)
    if len(others) < machines - 1:
        have = counted(this.gpus, "GPU")
        raise ClusterError(
            f"{machines} machines were asked for, and the cluster has "
            f"{len(others) + 1} with {have}, as this one has."
        )
    return others[: machines - 1]


def _follower(node: Node) -> Any:
    """A follower that takes all cores and GPUs of a node."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node.id, soft=False)
    return (
        ray.remote(Follower)
        .options(num_cpus=node.cpus, num_gpus=node.gpus, scheduling_strategy=there)
        .remote()
    )


def _addresses(followers: list[Any], seconds: float) -> list[str]:
    """Where the followers are to listen, as soon as they run."""
    import ray

    asked = [each.address.remote() for each in followers]
    try:
        found: list[str] = ray.get(asked, timeout=max(seconds, 0.0))
    except ray.exceptions.GetTimeoutError as error:
        raise ClusterError(
            f"{len(followers) + 1} machines were asked for, and not all had room "
            f"within {PLACING_SECONDS:.0f} s: others use them."
        ) from error
    except ray.exceptions.RayError as error:
        raise ClusterError(
            f"A machine cannot train with the others: {sentence_of(error)}."
        ) from error
    return found


def _end(connection: Connection, follower: Any) -> None:
    import ray

    with suppress(ClusterError):
        connection.check_alive(is_due=True)
        ray.kill(follower)


def _free_address() -> str:
    """A port of this node where nobody listens."""
    import ray

    with socket.socket() as free:
        free.bind(("", 0))
        address = ray.util.get_node_ip_address()
        return f"{address}:{free.getsockname()[1]}"


def _config(hosts: Sequence[str], index: int) -> str:
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": hosts}, "task": task})


def _met() -> Engine:
    """The engine of all workers of TF_CONFIG, as soon as they are there."""
    meet_within(_MEETING_SECONDS)
    return make_engine("workers")


def _wait(connection: Connection, following: list[Any]) -> None:
    """Wait until all followers listen, or one of them fails."""
    until = time.monotonic() + _MEETING_SECONDS
    while missing := missing_workers():
        connection.check_alive()
        if _errors(following) or time.monotonic() >= until:
            raise ClusterError(
                f"A machine does not answer at {missing[0]}: is a firewall between?"
            )
        time.sleep(_WATCH_SECONDS)


@contextmanager
def _watched(connection: Connection, following: list[Any]) -> Iterator[None]:
    """Inside, the loss of a follower, of the head or of the node of this machine ends
    the step in which the others wait."""
    is_over = Event()

    def watch() -> None:
        are_there = True
        while are_there and not is_over.wait(_WATCH_SECONDS):
            try:
                connection.check_alive()
                are_there = not _errors(following)
            except ClusterError:
                are_there = False
        if not are_there:
            give_up("a follower or the cluster is gone")

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def _errors(following: list[Any]) -> dict[int, Exception]:
    """Errors of the followers that have ended, by their places."""
    import ray

    errors: dict[int, Exception] = {}
    for place, each in enumerate(following):
        try:
            ray.get(each, timeout=0)
        except ray.exceptions.GetTimeoutError:
            continue
        except ray.exceptions.RayError as error:
            errors[place] = error
    return errors


def _may_be_blamed(connection: Connection, following: list[Any]) -> bool:
    """Whether a follower ended on a machine that lives, in a cluster that lives, and
    not because another machine was gone."""
    import ray

    try:
        connection.check_alive(is_due=True)
    except ClusterError:
        return False
    ray.wait(following, timeout=_FAULT_SECONDS)
    return any(
        not is_of_node(error)
        and not getattr(getattr(error, "cause", None), "is_gone", False)
        for error in _errors(following).values()
    )


def _cause(
    following: list[Any], hosts: Sequence[str], have_met: bool
) -> KscaleError | None:
    """The error that explains a loss: a follower is gone, or cannot train."""
    import ray

    ray.wait(following, timeout=_FAULT_SECONDS)
    for place, error in _errors(following).items():
        where = f"the machine of {hosts[place]}"
        if isinstance(error, ray.exceptions.RayTaskError):
            if not isinstance(error.cause, WorkerLostError):
                return ClusterError(
                    f"Training fails on {where}: {sentence_of(error.cause)}."
                )
        elif have_met:
            return WorkerLostError(
                f"A worker was lost ({where}); the same command goes on from the last "
                "checkpoint."
            )
        else:  # which may happen again at each start
            return ClusterError(
                f"The worker on {where} ended before all had met; the same command "
                "tries again."
            )
    return None
