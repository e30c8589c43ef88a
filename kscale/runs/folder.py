"""The folder of a run: `run.json`, `results.jsonl`, who may write these files, and the
answers that follow from them."""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from kscale.errors import ResultsError, cause_of, unknown_name, unwritable, writing
from kscale.networks.budget import Budget
from kscale.runs.entries import (
    Entry,
    answers_of,
    best_of,
    front_of,
    recommended_of,
    shipped_of,
)
from kscale.runs.records import (
    Compression,
    Evaluation,
    Export,
    Record,
    Reference,
    Training,
    from_line,
    to_line,
)
from kscale.task.objectives import Objective, asked_objective
from kscale.task.tasks import Task

logger = logging.getLogger(__name__)

RESULTS_FILE = "results.jsonl"
RUN_FILE = "run.json"
FORMAT = 3
"""What `run.json` says of the form of a run folder."""

READABLE = (2, FORMAT)
"""Formats that are read, and in whose folders a search may go on."""


def read_records(folder: Path) -> list[Record]:
    """All records of a run folder, in the order in which they were written.

    A damaged line (a process was killed while it wrote, or the file was edited) is left
    out and named in a warning.

    Raises:
        ResultsError: The file cannot be read.
    """
    path = folder / RESULTS_FILE
    try:
        return list(_read_lines(path)) if path.exists() else []
    except OSError as error:
        raise ResultsError(f"{path} cannot be read: {error.strerror}.") from error


def _read_lines(path: Path) -> Iterator[Record]:
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield from_line(line)
        except ValueError as error:
            logger.warning(
                "%s, line %d is damaged and left out: %s", path, number, error
            )


def _missing(folder: Path) -> str:
    named = Path("runs") / folder
    hint = f" Did you mean {named}?" if named.is_dir() else ""
    return f"there is no such folder.{hint}"


def read_run(folder: Path) -> dict[str, Any]:
    """The content of `run.json`: identity, task, data, sessions.

    Raises:
        ResultsError: The folder holds no run.
    """
    path = folder / RUN_FILE
    try:
        data = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        why = f"it has no {RUN_FILE}."
        if not folder.is_dir():
            why = "it is a file." if folder.exists() else _missing(folder)
        raise ResultsError(f"{folder} is no run folder: {why}") from error
    except (ValueError, OSError, RecursionError) as error:
        why = cause_of(error) if isinstance(error, OSError) else "it is damaged"
        raise ResultsError(f"{path} cannot be read: {why}.") from error
    if not isinstance(data, dict) or not {"identity", "task", "data"} <= data.keys():
        raise ResultsError(f"{path} does not describe a run.")
    if data.get("format", FORMAT) not in READABLE:
        formats = " and ".join(map(str, READABLE))
        raise ResultsError(
            f"{path} is of format {data['format']!r}, and this kscale reads {formats}: "
            "use the version that wrote it."
        )
    return data


def write_atomically(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Write a file, whole or in pieces; readers see the old file or the whole new one,
    even after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # unknown where a disk is full
        raise
    finally:
        partial.unlink(missing_ok=True)


class RecordsWriter(AbstractContextManager["RecordsWriter"]):
    """The only writer of a run folder, for as long as it is open.

    Raises:
        ResultsError: Another process has the folder open, it holds another search or
            files of somebody else, or it cannot be written.
    """

    def __init__(self, folder: Path, description: Mapping[str, Any]) -> None:
        self.folder = folder
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._refuse_foreign()
            self._fd = os.open(folder / RESULTS_FILE, flags, 0o644)
        except ResultsError:
            raise
        except (OSError, ValueError) as error:
            raise ResultsError(unwritable(folder, error)) from error
        try:
            self._lock()
            self._claim(description)
            self._end_partial_line()
        except BaseException:
            os.close(self._fd)
            raise

    def _refuse_foreign(self) -> None:
        """Refuse files of somebody else: a search empties folders inside its folder."""
        if (self.folder / RUN_FILE).exists():
            read_run(self.folder)
            return
        for path in self.folder.iterdir():
            if path.name != RESULTS_FILE and not path.name.endswith(".partial"):
                raise ResultsError(
                    f"{self.folder} is no run folder and holds {path.name!r}; choose a "
                    "new folder with --run."
                )

    def _lock(self) -> None:
        try:
            import fcntl  # missing on Windows, where two writers are not kept apart
        except ImportError:
            return
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ResultsError(
                f"{self.folder} is in use by another kscale process; wait for it, or "
                "choose another folder with --run."
            ) from error

    def _claim(self, description: Mapping[str, Any]) -> None:
        """Write run.json for a new folder; check that an old one is the same search."""
        if not (self.folder / RUN_FILE).exists():
            if os.fstat(self._fd).st_size:
                raise ResultsError(
                    f"{self.folder} has results but no {RUN_FILE}; choose another "
                    "folder with --run."
                )
            self._write({**description, "sessions": []})
            return
        there = read_run(self.folder)
        asked = json.loads(json.dumps(description["identity"]))
        if different := _difference(there["identity"], asked):
            raise ResultsError(f"{self.folder} {different}")

    def _end_partial_line(self) -> None:
        """End the half line that a killed process may have left."""
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")

    def _write(self, data: Mapping[str, Any]) -> None:
        content = json.dumps(data, indent=2).encode() + b"\n"
        with writing(self.folder):
            write_atomically(self.folder / RUN_FILE, content)

    def add_session(self, session: Mapping[str, Any], about: Any = ()) -> None:
        """Append to run.json what this session was asked; `about` replaces items."""
        sessions = read_run(self.folder).get("sessions", [])
        self.describe({**dict(about), "sessions": [*sessions, dict(session)]})

    def describe(self, items: Mapping[str, Any]) -> None:
        """Replace items of run.json."""
        self._write({**read_run(self.folder), "format": FORMAT, **items})

    def append(self, record: Record) -> None:
        """Append a record; when this returns, the record survives a crash.

        Raises:
            ResultsError: The file cannot be written, and is as before.
        """
        before = os.fstat(self._fd).st_size
        try:
            left = to_line(record).encode()
            while left:
                left = left[os.write(self._fd, left) :]
            os.fsync(self._fd)
        except OSError as error:
            os.ftruncate(self._fd, before)
            raise ResultsError(unwritable(self.folder, error)) from error

    def __exit__(self, *error: object) -> None:
        """Let other processes write the folder."""
        os.close(self._fd)


def _difference(there: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """The end of a sentence on a folder: how the search in the folder differs from the
    search asked for, and what to do. Empty if both are the same."""
    has, wants = _flat(there), _flat(asked)
    keys = sorted({*has, *wants} - {"baseline"})  # which older folders hold
    other = [key for key in keys if has.get(key) != wants.get(key)]
    if not other:
        return ""
    key = other[0]
    if key == "code" and "families" not in other:
        return (
            "holds another search: your code changed since. Undo the change to go on "
            "with it, or choose another folder with --run to search what it is now."
        )
    return (
        f"holds another search: its {key} is {json.dumps(has.get(key))}, not "
        f"{json.dumps(wants.get(key))}. Choose another folder with --run."
    )


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Items by name, those inside the budget and the settings included."""
    flat: dict[str, Any] = {}
    for key, value in dict(identity).items():
        flat |= value if isinstance(value, dict) else {key: value}
    return flat


class RecordedRun:
    """The records of one search, from its folder or from a caller that has read them.

    Everything is rebuilt from `run.json` and `results.jsonl`; reading a folder runs
    none of its content.
    """

    def __init__(
        self, folder: str | Path, results: Sequence[Record] | None = None
    ) -> None:
        self.folder = Path(folder)
        self.description: Mapping[str, Any] = read_run(self.folder)
        self.results: list[Record] = list(
            read_records(self.folder) if results is None else results
        )

    @property
    def trainings(self) -> list[Training]:
        """Records of trainings, in the order of the file."""
        return [item for item in self.results if isinstance(item, Training)]

    @property
    def evaluations(self) -> list[Evaluation]:
        """Records of finished trainings on the test part, in the order of the file."""
        return [item for item in self.results if isinstance(item, Evaluation)]

    @property
    def references(self) -> list[Reference]:
        """Records of references, which no search proposes, in the order of the file."""
        return [item for item in self.results if isinstance(item, Reference)]

    @property
    def compressions(self) -> list[Compression]:
        """Records of compressed networks, in the order of the file."""
        return [item for item in self.results if isinstance(item, Compression)]

    @property
    def task(self) -> Task:
        """What the networks take in and put out."""
        return Task.from_json(self.description["task"])

    @property
    def budget(self) -> Budget:
        """What a network may cost."""
        return Budget(**self.description["identity"]["budget"])

    @property
    def objective(self) -> Objective:
        """What the search improves."""
        return asked_objective(self.description["identity"], self.task)

    def entries(self) -> list[Entry]:
        """Networks within the budget, baselines included; or the only one asked for."""
        return answers_of(self.results, self.budget, self.description["identity"])

    def front(self) -> list[Entry]:
        """Entries that no other beats in both size and score, smallest first."""
        return front_of(self.entries(), self.objective)

    def best(self) -> Entry:
        """The entry of the best score.

        Raises:
            ResultsError: No training has finished yet.
        """
        return self._found(best_of(self.entries(), self.objective))

    def recommended(self) -> Entry:
        """The smallest entry that is statistically tied with the best.

        Raises:
            ResultsError: No training has finished yet.
        """
        return self._found(recommended_of(self.entries(), self.objective))

    @property
    def exports(self) -> list[Export]:
        """Records of exported models, in the order of the file."""
        return [item for item in self.results if isinstance(item, Export)]

    def shipped(self, which: str | Entry) -> Training:
        """The training whose weights a model is made of: the best on validation.

        Args:
            which: `best`, `recommended`, or an entry.

        Raises:
            ResultsError: No training has finished yet, or there is no such answer.
        """
        return shipped_of(self.answer(which), self.objective)

    def answer(self, which: str | Entry) -> Entry:
        """The entry of `best` or `recommended`, or the entry that is given.

        Raises:
            ResultsError: No training has finished yet, or there is no such answer.
        """
        answers = {"best": self.best, "recommended": self.recommended}
        if isinstance(which, Entry):
            return which
        if which not in answers:
            raise ResultsError(unknown_name("answer", which, answers))
        return answers[which]()

    def _found(self, entry: Entry | None) -> Entry:
        if entry is None:
            raise ResultsError(f"{self.folder} has no finished training yet.")
        return entry
