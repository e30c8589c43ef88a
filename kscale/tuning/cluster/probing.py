"""Checks of an address before Ray connects, which would wait, or print and abort."""

import socket
import time

import grpc

from kscale.errors import ClusterError, sentence_of
from kscale.tuning.cluster.environment import uses_tls
from kscale.tuning.request import check_address

_SECONDS = 10.0  # to wait for a head or a node that is starting
_LOOK_SECONDS = 1.0  # between two looks whether Ray's command still runs


class _NoAnswerError(ClusterError):
    """Nobody answers at an address, or nobody whom this machine understands."""


def check_cluster(address: str, token: str) -> None:
    """Raise unless Ray of the same version answers at `host:port`, to the token only.

    The token is sent last: a cluster that asks nobody never sees a token.

    Raises:
        ClusterError: No cluster answers, or the cluster asks for no token, for another
            token, or has another version of Ray.
        SpecError: The address is no `host:port`.
    """
    check_address(address)
    if _call(address, "CheckAlive", None) is not None:
        raise ClusterError(
            f"The cluster at {address} asks nobody for a token, so anybody could run "
            "code on its machines. Start its nodes with `kscale node`."
        )
    answer = _call(address, "CheckAlive", token)
    if answer is None:
        raise ClusterError(
            f"The cluster at {address} has another token than this machine. Copy the "
            "token file of its first machine, or set RAY_AUTH_TOKEN."
        )
    import ray
    from ray.core.generated.gcs_service_pb2 import CheckAliveReply

    theirs = CheckAliveReply.FromString(answer).ray_version
    if theirs != ray.__version__:
        raise ClusterError(
            f"The cluster at {address} runs Ray {theirs}, and this machine Ray "
            f"{ray.__version__}: install the same on all machines."
        )


def _call(
    address: str, method: str, token: str | None, seconds: float = _SECONDS
) -> bytes | None:
    """The answer of a head to an empty question; None if a token is wrong."""
    metadata = [("authorization", f"Bearer {token}")] if token else None
    with _channel(address) as channel:
        try:
            answer: bytes = channel.unary_unary(
                f"/ray.rpc.NodeInfoGcsService/{method}"
            )(b"", timeout=seconds, metadata=metadata, wait_for_ready=True)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                return None
            raise _NoAnswerError(
                f"No Ray cluster answers at {address}. Start one with `kscale node`, "
                "and see whether a firewall is between, or TLS on one side only."
            ) from error
    return answer


def _channel(address: str) -> grpc.Channel:
    options = [("grpc.enable_http_proxy", 0)]
    if not uses_tls():
        return grpc.insecure_channel(address, options)
    from ray._common.tls_utils import load_certs_from_env

    try:
        chain, key, root = load_certs_from_env()
    except (RuntimeError, OSError) as error:
        raise ClusterError(f"TLS cannot be used: {sentence_of(error)}.") from error
    return grpc.secure_channel(
        address, grpc.ssl_channel_credentials(root, key, chain), options
    )


def has_node(address: str, token: str, folder: str) -> bool:
    """Whether a node whose files are in a folder takes part in a cluster by now."""
    try:
        paths = _node_sockets(address, token, _LOOK_SECONDS)
    except _NoAnswerError:  # the head is still to come
        return False
    return any(path.startswith(folder) for path in paths)


def _node_sockets(address: str, token: str, seconds: float = _SECONDS) -> list[str]:
    """The paths where the nodes of a cluster listen, each on its machine."""
    from ray.core.generated.gcs_service_pb2 import GetAllNodeInfoReply

    answer = _call(address, "GetAllNodeInfo", token, seconds) or b""
    nodes = GetAllNodeInfoReply.FromString(answer).node_info_list
    return [node.raylet_socket_name for node in nodes]


def check_node_here(address: str, token: str) -> None:
    """Raise unless a node of a cluster runs on this machine; Ray would abort, or wait.

    Raises:
        ClusterError: There is none, even after some seconds.
    """
    end = time.monotonic() + _SECONDS
    while not any(map(_is_here, _node_sockets(address, token))):
        if time.monotonic() > end:
            raise ClusterError(
                f"No node of the cluster at {address} runs on this machine, and Ray "
                "needs one of the same user. Start one first: "
                f"kscale node {address}."
            )
        time.sleep(0.5)


def _is_here(path: str) -> bool:
    """Whether a process of this machine listens on a socket, and lets us in."""
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(path)
        except OSError:
            return False
    return True
