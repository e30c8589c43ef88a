"""Real nodes of Ray for tests: started by commands, and looked at from outside."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

CONNECT = """
import sys
from kscale.errors import KscaleError
from kscale.tuning.cluster.connection import connect
try:
    with connect(sys.argv[1] or None, 1, print) as connection:
        print(connection.address, len(connection.nodes()), flush=True)
        exec(sys.argv[2])
except KscaleError as error:
    sys.exit(f"Error: {error}")
"""
KSCALE = [sys.executable, "-m", "kscale"]
STARTING = 60.0  # seconds at most


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a user of a home, without anything of Ray."""
    kept = {name: text for name, text in os.environ.items() if "RAY_" not in name}
    return {**kept, "HOME": str(home), **more}


def connecting(address: str, home: Path, then: str = "", **more: str) -> list[str]:
    """What a process that connects prints, line by line, errors at the end."""
    done = subprocess.run(
        [sys.executable, "-c", CONNECT, address, then],
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=120,
    )
    return (done.stdout + done.stderr).splitlines()


def wait_until(is_so: Callable[[], bool], seconds: float = STARTING) -> bool:
    """Whether something becomes so within a time."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something listens on a port."""
    with socket.socket() as asking:
        return asking.connect_ex((host, port)) == 0


def free_block(start: int) -> int:
    """A first port for a node, none of whose services is in use."""
    return next(
        first
        for first in range(start, 60_000, 1000)
        if not any(answers(first + step) for step in range(20))
    )


def family_of(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """A process with all that it started."""
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def are_gone(processes: list[psutil.Process], seconds: float = 20.0) -> bool:
    """Whether processes ended, within some seconds."""
    return not psutil.wait_procs(processes, timeout=seconds)[1]


@contextmanager
def running(
    command: list[str], home: Path, **more: str
) -> Iterator["subprocess.Popen[str]"]:
    """A command in the background; at the end it is gone with all that it started."""
    process = subprocess.Popen(
        command,
        env=environment(home, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    started: list[psutil.Process] = []
    try:
        yield process
    finally:
        if process.poll() is None:
            started = family_of(process)
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert are_gone(started)
