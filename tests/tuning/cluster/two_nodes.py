"""A real Ray cluster of two nodes on this machine, for tests that kill what they like.

Every process of the cluster has a mark in its environment, by which it is found and
ended at the end, whoever its parent is by then.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import psutil
from ray.core.generated.gcs_service_pb2 import GetAllNodeInfoReply

TOKEN = "0123456789abcdef" * 4
_MARK = "KSCALE_TEST_CLUSTER"
_SECONDS = 60.0
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_NODE_INFO = "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo"

Node = subprocess.Popen[bytes]
"""`ray start --block`: the kernel kills the processes of a node with this one."""


@dataclass(frozen=True)
class Cluster:
    """Two nodes on this machine.

    Args:
        address: `host:port` of the head.
        head: The first node, which knows all others.
        nodes: Both nodes, the head first.
        environment: What a process needs to join.
    """

    address: str
    head: Node
    nodes: tuple[Node, Node]
    environment: dict[str, str]

    def processes(self, title: str) -> list[psutil.Process]:
        """Processes of the cluster whose command line begins so, as `ray::Follower`."""
        mark = self.environment[_MARK]
        return [p for p in marked(mark) if " ".join(p.cmdline()).startswith(title)]

    def alive(self) -> int:
        """How many nodes the head believes to be alive."""
        metadata = [("authorization", f"Bearer {TOKEN}")]
        options = [("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(self.address, options) as channel:
            answer = channel.unary_unary(_NODE_INFO)(
                b"", timeout=_SECONDS, metadata=metadata, wait_for_ready=True
            )
        found = GetAllNodeInfoReply.FromString(answer).node_info_list
        return sum(node.state == 0 for node in found)


@contextmanager
def two_nodes(tmp_path: Path, cpus: int = 1) -> Iterator[Cluster]:
    """Two nodes, of so many cores each, which are surely gone at the end.

    The environment of this process has the token inside.

    Args:
        tmp_path: Where the nodes write what they say.
        cpus: Cores that Ray hands out on each node.
    """
    with TemporaryDirectory(
        prefix="kr-", dir="/tmp", ignore_cleanup_errors=True
    ) as folder:
        ours = {
            _MARK: folder,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        before = {name: os.environ.get(name) for name in ours}
        environment = {**os.environ, **ours}
        os.environ.update(ours)
        nodes: list[Node] = []
        try:
            with (tmp_path / "nodes.txt").open("wb") as said:
                yield _started(nodes, environment, folder, cpus, said.fileno())
        finally:
            _end_all(folder)
            for node in nodes:
                node.wait()
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _started(
    nodes: list[Node],
    environment: dict[str, str],
    folder: str,
    cpus: int,
    output: int,
) -> Cluster:
    address = f"127.0.0.1:{_free_port()}"
    port = address.split(":")[1]
    head = ["--head", f"--port={port}", "--include-dashboard=false"]
    for place in (head, [f"--address={address}"]):
        command = ["-m", "ray.scripts.scripts", "start", "--block", *place]
        command += [f"--num-cpus={cpus}", "--node-ip-address=127.0.0.1"]
        command += ["--object-store-memory=80000000", "--disable-usage-stats"]
        if place is head:
            command += [f"--temp-dir={folder}"]
        node = subprocess.Popen(
            [sys.executable, *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        nodes.append(node)
        cluster = Cluster(address, nodes[0], (nodes[0], nodes[-1]), environment)
        end = time.monotonic() + _SECONDS
        while cluster.alive() < len(nodes):
            assert node.poll() is None and time.monotonic() < end, "no node came up"
            time.sleep(0.2)
    return cluster


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def marked(folder: str) -> list[psutil.Process]:
    """Other processes of a cluster."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(_MARK) == folder and process.pid != os.getpid():
                found.append(process)
    return found


def _end_all(folder: str) -> None:
    """Kill all processes of a cluster, also those that are stopped or orphans."""
    end = time.monotonic() + _SECONDS
    while found := marked(folder):
        for process in found:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(found, timeout=1)
        assert time.monotonic() < end, f"not all of {folder} can be killed"
