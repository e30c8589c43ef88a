"""Ray's own command in a process below this one, which ends with this process."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kscale.errors import ClusterError, sentence_of

_SECONDS_TO_START = 60
_SECONDS_TO_END = 15
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_OPTIONS = {
    "disable-usage-stats": True,
    "log-style": "record",
    "log-color": "false",
    # Processes that nothing here asks: the autoscaler, and what sends logs to drivers.
    "no-monitor": True,
    "include-log-monitor": "false",
}


def without_client(parameters: Any, is_head: bool) -> None:
    """Leave out Ray Client, a further port that runs code; `ray start` calls this."""
    parameters.ray_client_server_port = None


class RayCommand:
    """`ray start --block`, running.

    Args:
        process: The command, to be watched.
        folder: Where Ray has its files.
        log: What the command prints.
    """

    def __init__(
        self, process: "subprocess.Popen[bytes]", folder: Path, log: Path
    ) -> None:
        self.process = process
        self.folder = folder
        self._log = log

    def wait_for(self, is_ready: Callable[[], bool]) -> None:
        """Wait until a node is ready.

        Raises:
            ClusterError: The command ended, or the node is not ready in a minute.
        """
        end = time.monotonic() + _SECONDS_TO_START
        while time.monotonic() < end and self.process.poll() is None:
            if is_ready():
                return
            time.sleep(0.05)
        raise ClusterError(f"Ray did not start: {self._last_words()}.")

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").split("\n")
        said = [line.rpartition(" -- ")[2].strip() for line in lines]
        return sentence_of(next((line for line in said[::-1] if line), "no reason"))


@contextmanager
def ray_command(options: Mapping[str, object], private: str) -> Iterator[RayCommand]:
    """Ray's command, ended with all its processes when the block ends.

    Ray's command ends its processes on SIGTERM, and is sent one where this process is
    killed. What Ray starts by itself is left for a minute then.

    Args:
        options: Options of `ray start`; those that are None or False are left out.
        private: A folder of this user alone.
    """
    folder, log = Path(private, "r"), Path(private, "start.log")
    parent = os.getpid()
    with open(log, "wb") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
            + _arguments({**options, **_OPTIONS, "temp-dir": folder}),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            env={
                **os.environ,
                "RAY_START_HOOK": f"{__name__}.{without_client.__name__}",
                # Trainings are lost at once, and go on from their checkpoints.
                "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
                # Metrics would be told to everybody, without a token.
                "RAY_enable_metrics_collection": "0",
            },
            start_new_session=True,
            preexec_fn=lambda: _die_with(parent),
        )
    try:
        yield RayCommand(process, folder, log)
    finally:
        process.terminate()
        try:
            process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _arguments(options: Mapping[str, object]) -> list[str]:
    return [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in options.items()
        if value is not None and value is not False
    ]


def _die_with(parent: int) -> None:
    """Let this process be terminated when its parent is killed; Linux alone can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
