"""What is asked at an address before Ray is: heads that answer as Ray's do."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
import ray

from kscale.errors import ClusterError, SpecError
from kscale.tuning.cluster.probing import check_cluster, has_node
from kscale.tuning.request import SearchRequest, check_address

TOKEN = "0123"


class Head(grpc.GenericRpcHandler):
    """A head of some version that asks for a token, or asks nobody.

    Answers are what Ray 2.60 was seen to send.
    """

    def __init__(self, version: str, token: str | None) -> None:
        self.version = version
        self.token = token
        self.heard: list[str] = []

    def service(self, details: Any) -> grpc.RpcMethodHandler:
        metadata = dict(details.invocation_metadata)
        self.heard.append(metadata.get("authorization", ""))
        return grpc.unary_unary_rpc_method_handler(self.answer)

    def answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        if self.token and self.heard[-1] != f"Bearer {self.token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
        version = self.version.encode()
        return b"\n\x00\x12" + bytes([len(version)]) + version + b" \x01"


@contextmanager
def answering(head: Head) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers([head])
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield address
    finally:
        server.stop(0).wait()


def test_a_head_of_this_version_with_this_token_is_a_cluster() -> None:
    with answering(Head(ray.__version__, TOKEN)) as address:
        check_cluster(address, TOKEN)


def test_a_head_that_is_still_to_come_is_no_error() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert not has_node(address, TOKEN, "/")


def test_another_token_is_refused() -> None:
    refused = pytest.raises(ClusterError, match="has another token")
    with answering(Head(ray.__version__, "4567")) as address, refused as error:
        check_cluster(address, TOKEN)
    assert TOKEN not in str(error.value)


def test_a_head_that_asks_nobody_never_hears_the_token() -> None:
    head = Head(ray.__version__, None)
    refused = pytest.raises(ClusterError, match="asks nobody for a token")
    with answering(head) as address, refused:
        check_cluster(address, TOKEN)
    assert head.heard == [""]


def test_another_version_of_ray_is_named() -> None:
    refused = pytest.raises(ClusterError, match="runs Ray 2.51.1, and this machine")
    with answering(Head("2.51.1", TOKEN)) as address, refused:
        check_cluster(address, TOKEN)


@pytest.mark.parametrize(
    "address",
    [
        *("", "here", "here:", "here:0", "here:65536", "here:6379/x", "a b:1"),
        *("ray://here:1", "http://here:1", "::1:6379", "[::1]:6379", "me@here:1"),
    ],
)
def test_an_address_is_a_host_and_a_port(address: str) -> None:
    for refuse in (check_address, lambda text: SearchRequest(cluster=text)):
        with pytest.raises(SpecError, match="is HOST:PORT"):
            refuse(address)
    for good in ("here:1", "10.0.0.5:65535", "a-b.c_d:6379"):
        check_address(good)
