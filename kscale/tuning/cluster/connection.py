"""Ray, started for one command on this machine, or joined as a cluster."""

import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from kscale.engine.tensorflow.starting import kept_sigterm
from kscale.errors import ClusterError, sentence_of
from kscale.ship.extras import check_extra
from kscale.tuning.cluster.auth_tokens import fresh_token, read_token
from kscale.tuning.cluster.environment import private_folder, ray_environment, uses_tls
from kscale.tuning.cluster.starting import ray_command

logger = logging.getLogger(__name__)

PLACING_SECONDS = 60.0
"""Seconds that Ray has to place a process; then a note, or the end of the command."""

_HEAD_SECONDS = 5.0  # between two looks for the head of the cluster, and for an answer
_MOST_UNANSWERED = 3
_MOST_A_CORE = 4  # processes, each of which holds half a gigabyte and more
_NODE_DIED = "its node has died"  # in Ray's words
_OBJECT_BYTES = 2**27  # shared memory of a local Ray; data of a search go by path


@dataclass(frozen=True)
class Node:
    """A living machine of a cluster, or one of several Ray nodes on a machine.

    Args:
        id: Ray's name of the node.
        host: Name or address in the network.
        cpus: Cores that Ray hands out.
        gpus: GPUs that Ray hands out.
        memory: Bytes that Ray hands out.
    """

    id: str
    host: str
    cpus: int
    gpus: int
    memory: int


class Connection(AbstractContextManager["Connection"]):
    """A connection of this process to Ray, until `close`.

    Args:
        address: `host:port` of the cluster's head.
        node: Socket of the node of this machine.
        resources: Contexts that are left at the end, that of Ray last.
    """

    def __init__(self, address: str, node: socket.socket, resources: ExitStack) -> None:
        self.address = address
        self._node = node
        self._resources = resources
        self._lost: ClusterError | None = None
        self._looked = time.monotonic()

    @property
    def is_lost(self) -> bool:
        """Whether a look has found that Ray cannot be asked any more."""
        return self._lost is not None

    def check_alive(self, is_due: bool = False) -> bool:
        """Look for the node of this machine and, now and then, for the head.

        Without the node, Ray ends this process at the next call; without the head, Ray
        lets the call wait, and ends this process after a minute without a word.

        Args:
            is_due: Whether to look for the head, however recent the last look was.

        Returns:
            Whether the head was looked for.

        Raises:
            ClusterError: The node or the head is gone, now or at an earlier look.
        """
        is_due = is_due or time.monotonic() - self._looked >= _HEAD_SECONDS
        if self._lost is None and not self._has_node():
            self._lost = ClusterError(
                "The Ray node of this machine is gone. The same command goes on; with "
                "--cluster, start the node again first."
            )
        if self._lost is None and is_due and not self._has_head():
            self._lost = ClusterError(
                "The head of the Ray cluster is gone. Start the cluster again, and the "
                "same command goes on."
            )
        if self._lost is not None:
            raise self._lost
        return is_due

    def _has_node(self) -> bool:
        try:
            return bool(self._node.recv(1, socket.MSG_DONTWAIT))
        except BlockingIOError:  # nothing is ever sent
            return True
        except ConnectionError:
            return False

    def _has_head(self) -> bool:
        import ray

        client: Any = import_module("ray._private.worker").global_worker
        for _ in range(_MOST_UNANSWERED):
            try:
                client.gcs_client.internal_kv_get(b"kscale", None, _HEAD_SECONDS)
            except ray.exceptions.RayError as error:
                logger.debug("the head does not answer: %s", error)
            else:
                self._looked = time.monotonic()
                return True
        return False

    def nodes(self) -> tuple[Node, ...]:
        """The nodes that live now."""
        import ray

        return tuple(_node(row) for row in ray.nodes() if row["Alive"])

    def close(self) -> None:
        """End a local Ray with all its processes, or leave a cluster as it is."""
        self._resources.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def _node(row: dict[str, Any]) -> Node:
    has = row["Resources"]
    return Node(
        row["NodeID"],
        row["NodeManagerHostname"] or row["NodeManagerAddress"],
        *(int(has.get(name, 0)) for name in ("CPU", "GPU", "memory")),
    )


def is_of_node(error: Exception) -> bool:
    """Whether an error of Ray is the loss of a machine, not of a single process."""
    from ray.exceptions import ActorUnavailableError

    return isinstance(error, ActorUnavailableError) or _NODE_DIED in str(error)


def check_connectable(address: str | None) -> None:
    """Raise what `connect` would raise, as far as known before Ray is started.

    Args:
        address: As of `connect`.

    Raises:
        ClusterError: This process has another Ray; nobody answers, the token is missing
            or wrong, the cluster needs no token, or has another version of Ray.
        MissingPackageError: Ray is not installed.
        SpecError: The address is no `host:port`.
    """
    check_extra("--cluster" if address else "--workers", "ray")
    if "ray" in sys.modules and import_module("ray").is_initialized():
        raise ClusterError(
            "This process is connected to a Ray already: ray.shutdown() ends that."
        )
    if address:
        from kscale.tuning.cluster.probing import check_cluster, check_node_here

        token = read_token()
        check_cluster(address, token)
        check_node_here(address, token)


def connect(
    address: str | None, workers: int | None, note: Callable[[str], None]
) -> Connection:
    """Start Ray on this machine only, or join the cluster at an address.

    Args:
        address: `host:port` of a cluster's head; None starts a Ray of this command.
        workers: Processes at once on a Ray of this command, at most four a core; None
            for one a core.
        note: Takes sentences for the user: which ports listen, and who may ask them.

    Raises:
        ClusterError: No Ray can be started, or as of `check_connectable`.
        MissingPackageError: Ray is not installed.
        SpecError: The address is no `host:port`.
    """
    check_connectable(address)
    with ExitStack() as resources:
        if address:
            resources.enter_context(_ray_environment(read_token(), is_local=False))
            node = _init(resources, address)[1]
            note(_joined(address))
        else:
            address, node = _start(workers, resources)
            note(_started(address))
        return Connection(address, node, resources.pop_all())


def _start(workers: int | None, resources: ExitStack) -> tuple[str, socket.socket]:
    resources.enter_context(_ray_environment(fresh_token(), is_local=True))
    private = resources.enter_context(private_folder())
    options = {
        "head": True,
        "port": 0,  # any that is free
        "include-dashboard": "false",
        "num-cpus": workers and min(workers, _MOST_A_CORE * (os.cpu_count() or 1)),
        "object-store-memory": _OBJECT_BYTES,
    }
    ray = resources.enter_context(ray_command(options, private))
    import_module("ray")  # while the command starts
    address = ray.folder / "ray_current_cluster"
    ray.wait_for(lambda: address.exists() and bool(address.read_text()))
    return _init(resources, address.read_text())


def _init(resources: ExitStack, address: str) -> tuple[str, socket.socket]:
    """Let Ray connect this process; the address of the head, and a socket of the node
    of this machine."""
    import ray

    # Ray's words on lost processes stay off the terminal: kscale has its own.
    worker: Any = import_module("ray._private.worker")
    printing = worker.print_to_stdstream
    resources.callback(setattr, worker, "print_to_stdstream", printing)
    resources.callback(ray.shutdown)
    try:
        with kept_sigterm():
            context = ray.init(address, log_to_driver=False, logging_level="ERROR")
    except (RuntimeError, OSError, ValueError, ray.exceptions.RayError) as error:
        raise ClusterError(f"Ray cannot be used: {sentence_of(error)}.") from error
    worker.print_to_stdstream = lambda *about, **more: None
    node = resources.enter_context(socket.socket(socket.AF_UNIX))
    node.connect(context.address_info["raylet_socket_name"])
    head: str = context.address_info["gcs_address"]
    return head, node


@contextmanager
def _ray_environment(token: str, is_local: bool) -> Iterator[None]:
    """As `ray_environment`, for this process too, which may have imported Ray."""
    try:
        with ray_environment(token, is_local):
            _forget_environment()
            yield
    finally:
        _forget_environment()


def _forget_environment() -> None:
    """Let Ray read the environment again, which it keeps from its first import."""
    loader = import_module("ray._raylet")
    loader.Config.initialize("")
    loader.AuthenticationTokenLoader.instance().reset_cache()
    constants: Any = import_module("ray._private.ray_constants")
    constants.ENABLE_RAY_CLUSTER = constants.env_bool(
        constants.ENABLE_RAY_CLUSTERS_ENV_VAR, not constants.IS_WINDOWS_OR_OSX
    )


def _started(address: str) -> str:
    host = address.rpartition(":")[0]
    where = f"{host} only" if host == "127.0.0.1" else "all interfaces"
    return (
        f"Ray runs on this machine until the command ends. Its ports listen on {where} "
        "and ask for a token that was made for this command."
    )


def _joined(address: str) -> str:
    return f"Joined the Ray cluster at {address}, which asks for a token. " + (
        "What goes over the network is encrypted by TLS."
        if uses_tls()
        else "What goes over the network is not encrypted."
    )
