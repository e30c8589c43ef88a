"""A small real run with failed trainings, and a real TensorBoard that shows it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from tuning.made_data import digits

from kscale import Listener, Reference, Run, Training, tune
from kscale.search.contract import Job

SMALL: dict[str, Any] = {
    "family": "mlp",
    "max_params": 1000,
    "trials": 3,
    "searcher": "random",
    "epochs": 2,
    "batch_size": 128,
    "seeds": 2,
    "finalist_seeds": 1,
    "most_finalists": 2,
    "search": ("dropout",),
}


class Failing(Listener):
    """Fails both trainings of the second spec, and one of the third's."""

    def epoch_done(self, job: Job, member: int, epochs: int, score: float) -> None:
        if job.stage == "search" and (job.index, member) in ((1, 0), (1, 1), (2, 0)):
            raise MemoryError("the device gave up")


def small_run(folder: Path) -> Run:
    """A run of about ten trainings, three of them failed."""
    return tune(digits(), run=folder, listener=Failing(), **SMALL)


def trainings(run: Run) -> list[Training | Reference]:
    """Records that are sessions."""
    references = [item for item in run.references if item.part == "validation"]
    return [*references, *run.trainings]


class Board:
    """What a TensorBoard answers.

    Args:
        address: Where it listens.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def get(self, path: str, **query: str) -> Any:
        """A document of its HTTP API."""
        with urlopen(f"{self.address}data/{path}?{urlencode(query)}") as answer:
            return json.load(answer)

    def post(self, path: str, **asked: Any) -> Any:
        """The answer of the HParams plugin."""
        request = Request(
            f"{self.address}data/plugin/hparams/{path}",
            json.dumps(asked).encode(),
            {"Content-Type": "application/json"},
        )
        with urlopen(request) as answer:
            return json.load(answer)

    def groups(self, *columns: Any, statuses: str = "SUCCESS FAILURE") -> list[Any]:
        """Session groups, filtered and sorted as the columns say."""
        found = self.post(
            "session_groups",
            colParams=columns,
            allowedStatuses=[f"STATUS_{status}" for status in statuses.split()],
            startIndex=0,
            sliceSize=1000,
        )
        return list(found["sessionGroups"])

    def sessions(self) -> dict[str, tuple[Any, Any]]:
        """By name, each session with its group."""
        return {
            session["name"]: (session, group)
            for group in self.groups()
            for session in group["sessions"]
        }

    def points(self, name: str, tag: str) -> list[Any]:
        """Step and value of each point of a scalar of a session."""
        found = self.get("plugin/scalars/scalars", run=name, tag=tag)
        return [[step, value] for _, step, value in found]

    def wait_for(self, sessions: int) -> None:
        """Wait until it has read so many: it loads beside its answers."""
        until = time.monotonic() + 60
        while len(self.sessions()) < sessions and time.monotonic() < until:
            time.sleep(0.2)


# What a shell starts in the background ignores Ctrl-C, and so would its children.
_HEEDS_CTRL_C = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('kscale', run_name='__main__')"
)


@contextmanager
def board_on(run: Run) -> Iterator[Board]:
    """`kscale board` on a run, ended by Ctrl-C."""
    command = [sys.executable, "-c", _HEEDS_CTRL_C, "board", str(run.folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        board = Board(process.stdout.readline().strip())
        try:
            board.wait_for(len(trainings(run)))
            yield board
        finally:
            process.send_signal(signal.SIGINT)
            out, error = process.communicate()
    assert (process.returncode, out, error) == (0, "", "TensorBoard ended.\n")
