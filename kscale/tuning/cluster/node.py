"""A node of a Ray cluster, in the foreground."""

import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_address

from kscale.errors import ClusterError, MissingPackageError
from kscale.ship.extras import check_extra
from kscale.tuning.cluster.auth_tokens import find_or_make_token, read_token
from kscale.tuning.cluster.environment import private_folder, ray_environment, uses_tls
from kscale.tuning.cluster.starting import ray_command
from kscale.tuning.request import check_address

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


def run_node(settings: NodeSettings, note: Callable[[str], None]) -> None:
    """Run a node until Ctrl-C; nothing of the node is left then.

    Args:
        settings: How the machine takes part.
        note: Takes text for the user: address, open ports, commands for other machines.

    Raises:
        ClusterError: The node cannot start or join, or Ray ended by itself.
        MissingPackageError: Ray or its dashboard is not installed.
        SpecError: The address is no `host:port`.
    """
    _check(settings)
    token = (read_token if settings.address else find_or_make_token)(settings.token)
    with ExitStack() as ending:
        ending.enter_context(ray_environment(token, is_local=False))
        from kscale.tuning.cluster.probing import check_cluster, has_node

        if settings.address:
            check_cluster(settings.address, token)
        from ray.util import get_node_ip_address

        host = settings.host or get_node_ip_address()
        head = settings.address or f"{host}:{settings.port}"
        private = ending.enter_context(private_folder())
        ray = ending.enter_context(ray_command(_options(settings), private))
        ray.wait_for(lambda: has_node(head, token, private))
        note(_about(settings, head))
        ray.process.wait()
        lost = f"the cluster at {head} is gone, or " * bool(settings.address)
        raise ClusterError(f"The node ended: {lost}a process of Ray died.")


def _check(settings: NodeSettings) -> None:
    check_extra("kscale node", "ray")
    if settings.has_dashboard and find_spec("aiohttp") is None:
        raise MissingPackageError("--dashboard needs more: pip install 'ray[default]'.")
    if settings.has_dashboard and settings.address:
        raise ClusterError("--dashboard belongs to the first node of a cluster.")
    if settings.address is not None:
        check_address(settings.address)
    if settings.host is not None:
        _check_host(settings.host)
    for step in (*([] if settings.address else [0]), *_SERVICES.values()):
        _check_free(settings.port + step, settings.port)


def _check_host(host: str) -> None:
    try:
        found = socket.gethostbyname(host)
        with socket.socket() as asked:
            asked.bind((found, 0))
    except (OSError, UnicodeError) as error:
        raise ClusterError(f"{host!r} is no IPv4 address of this machine.") from error
    if ip_address(found).is_loopback or ip_address(found).is_unspecified:
        raise ClusterError(
            "--host must be an address that other machines reach, not "
            f"{host!r}. For this machine alone: kscale tune --workers N."
        )


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


def _options(settings: NodeSettings) -> dict[str, object]:
    """Options of `ray start`."""
    is_head = settings.address is None
    return {
        **{name: settings.port + step for name, step in _SERVICES.items()},
        "head": is_head,
        "address": settings.address,
        "port": settings.port if is_head else None,
        "include-dashboard": str(settings.has_dashboard).lower() if is_head else None,
        "node-ip-address": settings.host,
        "num-cpus": settings.workers,
    }


def _about(settings: NodeSettings, head: str) -> str:
    first, last = settings.port, settings.port + PORTS - 1
    first += 1 if settings.address else 0
    privacy = "TLS encrypts." if uses_tls() else "Nothing is encrypted: see --help."
    listens = (
        f"Ports {first} to {last} of this machine listen on all interfaces: let only "
        f"machines of the cluster reach them. {privacy} Ctrl-C ends the node."
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
