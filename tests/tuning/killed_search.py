"""A search that is killed where it is told to be, again and again, in real processes.

Run as a script with a JSON object of kills by folder, the numbers of trials and of
finalist seeds, and how many processes train, none for this one. A kill is
`[kind, count]`; the search is started once for each, and once more without a kill.
TensorFlow is imported once and each search runs in a fork, which dies by SIGKILL.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from kscale import Listener, tune
from kscale.search.contract import Job

SETTINGS: dict[str, Any] = {
    "max_params": 3000,
    "epochs": 3,
    "batch_size": 128,
    "searcher": "random",  # no proposal of which depends on measured seconds
    "most_finalists": 2,
    "checkpoint_seconds": 0.0,
    "settings": {"norm": "none"},
}


def die() -> None:
    """As an out-of-memory killer would have it: no clean-up of any kind."""
    os.kill(os.getpid(), signal.SIGKILL)


class Killer(Listener):
    """Kills its process at the n-th event of a kind.

    Kinds: `epoch` and `finalist` (an epoch of any training, or of a finalist), `append`
    (half of a result's line is written), `written` (the line is, and not yet flushed to
    disk), `checkpoint` (the new file is written, the old one not yet replaced),
    `seconds` (whatever happens then).
    """

    def __init__(self, kind: str, count: float) -> None:
        self.kind = kind
        self.left = count
        if kind == "append":
            self._instead("write", self._write_half)
        elif kind == "written":
            self._instead("fsync", self._fsync)
        elif kind == "checkpoint":
            self._instead("replace", self._replace)
        elif kind == "seconds":
            threading.Timer(count, die).start()

    def epoch_done(self, job: Job, member: int, epochs: int, score: float) -> None:
        if self.kind == "epoch" or self.kind == job.stage:
            self._count()

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            die()

    def _instead(self, name: str, function: Any) -> None:
        setattr(self, f"real_{name}", getattr(os, name))
        setattr(os, name, function)

    def _write_half(self, file: int, content: bytes) -> int:
        if content.startswith(b'{"type"'):
            self.left -= 1
            if self.left == 0:
                self.real_write(file, content[: len(content) // 2])
                die()
        return int(self.real_write(file, content))

    def _fsync(self, file: int) -> None:
        if os.readlink(f"/proc/self/fd/{file}").endswith("results.jsonl"):
            self._count()
        self.real_fsync(file)

    def _replace(self, source: Any, target: Any) -> None:
        if str(target).endswith(".npz"):
            self._count()
        self.real_replace(source, target)


def start(folder: Path, kind: str, count: float) -> int:
    """Run the search in a fork; its exit status."""
    process = os.fork()
    if process == 0:
        trials, finalist_seeds, *workers = map(int, sys.argv[2:])
        tune(
            "digits",
            run=folder,
            listener=Killer(kind, count),
            trials=trials,
            finalist_seeds=finalist_seeds,
            workers=workers[0] if workers else None,
            **SETTINGS,
        )
        is_needed = bool(workers)  # as only `workers` and `cluster` need Ray
        os._exit(("ray" in sys.modules) != is_needed)
    return os.waitpid(process, 0)[1]


def start_all(folder: Path, kills: list[list[Any]]) -> list[int]:
    """Search, killed again and again; the exit statuses."""
    seen, ends = b"", []
    for kind, count in [*kills, ["none", 0]]:
        ends.append(start(folder, kind, count))
        there = (folder / "results.jsonl").read_bytes()
        assert there.startswith(seen), "a recorded result was changed or lost"
        seen = there
    return ends


def main() -> None:
    asked = json.loads(sys.argv[1])
    ends = {folder: start_all(Path(folder), kills) for folder, kills in asked.items()}
    print(json.dumps(ends))


if __name__ == "__main__":
    main()
