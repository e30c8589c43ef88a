"""The command `ray start` as a child of this process, which ends with this process."""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from kscale.errors import ClusterError, sentence_of

_SECONDS_TO_START = 60
_SECONDS_TO_END = 15
_OPTIONS = {
    "disable-usage-stats": True,
    "log-style": "record",
    "log-color": "false",
    # Processes that kscale does not use: the autoscaler, and the sender of logs.
    "no-monitor": True,
    "include-log-monitor": "false",
}


def prepare(parameters: Any, is_head: bool) -> None:
    """Hook of `ray start`: start no Ray Client, and end when kscale's process ends.

    Ray Client would be a further port through which others could run code.
    """
    parameters.ray_client_server_port = None
    private = Path(parameters.temp_dir).parent
    Thread(target=_end_with_input, args=[private], daemon=True).start()


def _end_with_input(private: Path) -> None:
    os.read(sys.stdin.fileno(), 1)  # until the other end is closed, by death also
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)


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
        words = [line.rpartition(" -- ")[2].strip() for line in lines]
        return sentence_of(next((line for line in words[::-1] if line), "no reason"))


@contextmanager
def ray_command(options: Mapping[str, object], private: str) -> Iterator[RayCommand]:
    """Ray's command, ended with all its processes when the block ends.

    Ray's command ends its processes on SIGTERM, and sends itself one where this process
    is killed. Processes that Ray starts without the command outlive a kill by a minute.

    Args:
        options: Options of `ray start`; those that are None or False are left out.
        private: A folder that only this user may open.
    """
    folder, log = Path(private, "r"), Path(private, "start.log")
    environment = {
        **os.environ,
        "RAY_START_HOOK": f"{__name__}.{prepare.__name__}",
        # Trainings are lost at once, and go on from their checkpoints.
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        # Anybody could read metrics, without a token.
        "RAY_enable_metrics_collection": "0",
    }
    with (
        open(log, "wb") as printed,
        subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
            + _arguments({**options, **_OPTIONS, "temp-dir": folder}),
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=printed,
            env=environment,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield RayCommand(process, folder, log)
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()


def _arguments(options: Mapping[str, object]) -> list[str]:
    return [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in options.items()
        if value is not None and value is not False
    ]
