"""A node of a Ray cluster, in the foreground: `ray start --block` made private."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kscale.errors import ClusterError, MissingPackageError, sentence_of
from kscale.ship.extras import check_extra
from kscale.tuning.cluster.environment import (
    private_folder,
    ray_environment,
    uses_tls,
)
from kscale.tuning.cluster.tokens import find_or_make_token, read_token

PORTS = 1000  # that a node may use, from its first on
_FIRST_OF_WORKERS = 10
# Options of `ray start`, as steps from the first port.
_SERVICES = {
    "node-manager-port": 1,
    "object-manager-port": 2,
    "runtime-env-agent-port": 3,
    "dashboard-agent-listen-port": 4,
    "dashboard-agent-grpc-port": 5,
    "metrics-export-port": 6,
    "dashboard-port": 7,
    "min-worker-port": _FIRST_OF_WORKERS,
    "max-worker-port": PORTS - 1,
}
_SECONDS_TO_START = 60
_SECONDS_TO_END = 15
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


@dataclass(frozen=True)
class NodeSettings:
    """How a machine takes part in a cluster.

    Args:
        address: `host:port` of the first node; None where this is the first.
        port: First of the `PORTS` ports of this node.
        host: Address of this machine in the network; None for what Ray finds.
        workers: Trainings at once; None for one a core.
        has_dashboard: Whether the first node serves Ray's dashboard.
        token: File of the token; None for what `read_token` finds.
    """

    address: str | None
    port: int
    host: str | None
    workers: int | None
    has_dashboard: bool
    token: str | None


def without_client(parameters: Any, is_head: bool) -> None:
    """Leave out Ray Client, a further port that runs code; `ray start` calls this."""
    parameters.ray_client_server_port = None


def run_node(settings: NodeSettings, note: Callable[[str], None]) -> None:
    """Run a node until Ctrl-C or SIGTERM; nothing of the node is left then.

    Args:
        settings: How the machine takes part.
        note: Is told the address, what to run elsewhere, and what listens where.

    Raises:
        ClusterError: The node cannot start or join, or Ray ended by itself.
        MissingPackageError: Ray or its dashboard is not installed.
    """
    _check(settings)
    token = (read_token if settings.address else find_or_make_token)(settings.token)
    with ExitStack() as ending:
        ending.enter_context(ray_environment(token, is_local=False))
        from kscale.tuning.cluster.probing import check_cluster, node_sockets

        if settings.address:
            check_cluster(settings.address, token)
        head = settings.address or f"{settings.host or _found_host()}:{settings.port}"
        folder = Path(ending.enter_context(private_folder()))
        ray = ending.enter_context(_started(settings, folder))
        _wait_for(
            lambda: any(
                path.startswith(str(folder)) for path in node_sockets(head, token)
            ),
            ray,
            folder,
        )
        note(_about(settings, head))
        ray.wait()
        lost = f"the cluster at {settings.address} is gone, or " * bool(
            settings.address
        )
        raise ClusterError(f"The node ended: {lost}a process of Ray died.")


def _check(settings: NodeSettings) -> None:
    check_extra("kscale node", "ray")
    if settings.has_dashboard and find_spec("aiohttp") is None:
        raise MissingPackageError("--dashboard needs more: pip install 'ray[default]'.")
    if settings.has_dashboard and settings.address:
        raise ClusterError("--dashboard belongs to the first node of a cluster.")
    if settings.host in ("localhost", "127.0.0.1", "::1"):
        raise ClusterError(
            "--host must be an address that other machines reach, not "
            f"{settings.host}. For this machine alone: kscale tune --workers N."
        )
    for step in (*([] if settings.address else [0]), *_SERVICES.values()):
        _check_free(settings.port + step, settings.port)


def _check_free(port: int, first: int) -> None:
    with socket.socket() as asked:
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asked.bind(("", port))
        except OSError as error:
            raise ClusterError(
                f"Port {port} of this machine is in use: give another first port, "
                f"as --port {first + PORTS}."
            ) from error


@contextmanager
def _started(
    settings: NodeSettings, folder: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Ray's command; ended with all its processes, also where this process is killed.

    Ray's command ends its processes on SIGTERM, and they end with Ray's command.
    """
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    hook = f"{__name__}.{without_client.__name__}"
    parent = os.getpid()
    with open(_log(folder), "wb") as log:
        ray = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "ray.scripts.scripts",
                *_arguments(settings, folder),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "RAY_START_HOOK": hook},
            start_new_session=True,
            preexec_fn=lambda: _die_with(parent),
        )
    try:
        yield ray
    finally:
        ray.terminate()
        try:
            ray.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            ray.kill()
            ray.wait()


def _die_with(parent: int) -> None:
    """Let this process be terminated when its parent is killed; Linux alone can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)


def _arguments(settings: NodeSettings, folder: Path) -> list[str]:
    given = {
        **{name: settings.port + step for name, step in _SERVICES.items()},
        "temp-dir": folder / "r",
        "node-ip-address": settings.host,
        "num-cpus": settings.workers,
        "log-style": "record",
        "log-color": "false",
    }
    if settings.address:
        given["address"] = settings.address
    else:
        given["port"] = settings.port
        given["include-dashboard"] = str(settings.has_dashboard).lower()
    options = [f"--{name}={value}" for name, value in given.items() if value]
    head = [] if settings.address else ["--head"]
    return ["start", "--block", "--disable-usage-stats", *head, *options]


def _wait_for(
    is_ready: Callable[[], bool], ray: "subprocess.Popen[bytes]", folder: Path
) -> None:
    end = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < end and ray.poll() is None:
        if is_ready():
            return
        time.sleep(0.2)
    raise ClusterError(f"The node did not start: {_last_words(folder)}.")


def _log(folder: Path) -> Path:
    return folder / "start.log"


def _last_words(folder: Path) -> str:
    """The last line that Ray's command printed."""
    lines = _log(folder).read_text(errors="replace").split("\n")
    said = [line.rpartition(" -- ")[2].strip() for line in lines]
    return sentence_of(next((line for line in reversed(said) if line), "no reason"))


def _about(settings: NodeSettings, head: str) -> str:
    first, last = settings.port, settings.port + PORTS - 1
    first += 1 if settings.address else 0
    listens = (
        f"Ports {first} to {last} of this machine listen on all interfaces and ask for "
        f"the token. {_privacy()} Ctrl-C ends the node."
    )
    if settings.address:
        return f"This machine is a node of the cluster at {head}.\n{listens}"
    port = settings.port + _SERVICES["dashboard-port"]
    dashboard = f"http://127.0.0.1:{port}" if settings.has_dashboard else "off"
    return (
        f"On other machines, with the same token: kscale node {head}\n"
        f"On any of the machines: kscale tune --cluster {head}\n"
        f"{listens} The dashboard is {dashboard}."
    )


def _privacy() -> str:
    return "TLS encrypts." if uses_tls() else "Nothing is encrypted: see --help."


def _found_host() -> str:
    from ray.util import get_node_ip_address

    host: str = get_node_ip_address()
    return host
