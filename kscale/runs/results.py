"""Results: one JSON line a training, appended to a run folder and never changed."""

import json
import logging
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from kscale.errors import ResultsError
from kscale.networks.families import FAMILIES
from kscale.networks.families.base import Spec, is_own
from kscale.runs.identity import difference_of

logger = logging.getLogger(__name__)

Stage = Literal["baseline", "search", "finalist", "test", "latency"]

MAJORITY = "majority"
"""Family of the baseline that always answers the majority class, or the mean."""

PRESENT = "present"
"""Family of the user's present model, as it is."""

RETRAINED = "retrained"
"""Family of the user's present model, trained anew as a search trains."""

COMPARED = (MAJORITY, PRESENT, RETRAINED)
"""Families of rows that are no networks of kscale's, and never an answer."""

UNCOUNTED = "not counted: "
"""What the reason begins with of a row whose training went well elsewhere."""

TRAINED: tuple[Stage, ...] = ("baseline", "search", "finalist")
"""Stages whose results are of trainings."""


@dataclass(frozen=True)
class Result:
    """What one training left behind.

    Args:
        stage: `baseline`, `search` or `finalist`; or, where nothing is trained, `test`:
            an evaluation of a finished training on the test part, or `latency`: a
            measurement of a network that was proposed.
        job: Index of the job within its stage.
        member: Index of the network within its job.
        spec: What was trained.
        learning_rate: Largest learning rate, or the first one of a model that a user
            compiled; 0 where it is not known, None where nothing is trained.
        seed: Seed of initial weights, dropout and order of examples.
        params, trainable, flops, bytes: Exact size; `bytes` are float32 weights.
        epochs_from: Epochs the weights had been trained before this job.
        epochs: Epochs they have been trained after it.
        status: `ok` or `failed`.
        reason: Why it failed, in one line.
        score: Objective on the validation part (`test`: on the test part) after the
            last epoch; None if failed.
        stderr: Standard error of the score over the examples.
        examples: Number of examples the score was computed on.
        undertrained: Whether it was still improving when training ended.
        seconds: Wall-clock time of building, training and scoring.
        curve: For each epoch, under `loss` and `score`.
        parent: Index of the job whose weights it went on from.
        unknown_flops: Layers whose FLOPs nobody knows, which `flops` is without.
        memory: Bytes that the training was predicted to hold.
        latency_ms: Median time of a forward pass; None if it was not measured.
        latency_low, latency_high: First and last decile of those times.
        metrics: Further metrics on the examples of the score, by the names that
            `kscale.task.objectives.metric_names` gives; undefined ones are left out.
        metric_errors: Standard errors of some of them.
        confusion: By target of classes, how often each class was taken for which:
            `[class, answer, examples]` for all that occur.
        left_out: The score without each of up to 100 groups of the test examples, by
            which two networks are compared on the same examples: see
            `kscale.reports.pairs`. Empty where it is not known.
    """

    stage: Stage
    job: int
    spec: Spec
    params: int
    trainable: int
    flops: int
    bytes: int
    seed: int = 0
    member: int = 0
    learning_rate: float | None = None
    epochs_from: int = 0
    epochs: int = 0
    status: Literal["ok", "failed"] = "ok"
    reason: str = ""
    score: float | None = None
    stderr: float | None = None
    examples: int = 0
    undertrained: bool = False
    seconds: float = 0.0
    curve: Mapping[str, list[float]] = field(default_factory=dict, hash=False)
    parent: int | None = None
    unknown_flops: int = 0
    memory: int = 0
    latency_ms: float | None = None
    latency_low: float | None = None
    latency_high: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict, hash=False)
    metric_errors: Mapping[str, float] = field(default_factory=dict, hash=False)
    confusion: Mapping[str, list[list[int]]] = field(default_factory=dict, hash=False)
    left_out: list[float] = field(default_factory=list, hash=False)

    def to_line(self) -> str:
        """One line of JSON, with its newline; never NaN or infinity."""
        data = {**asdict(self), "spec": self.spec.to_json(), "curve": dict(self.curve)}
        return json.dumps(finite(data), allow_nan=False, separators=(",", ":")) + "\n"

    @classmethod
    def from_line(cls, line: str) -> "Result":
        """The result that `to_line` wrote.

        Raises:
            ValueError: The line is not a whole result.
        """
        try:
            data = json.loads(line, parse_constant=_refuse_constant)
            if not isinstance(data, dict):
                raise ValueError("not an object")
            _check_types(data)
            return cls(**{**data, "spec": Spec.from_json(data["spec"])})
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(str(error)) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _check_types(data: Mapping[str, Any]) -> None:
    """Raise a ValueError for a value of a wrong type, which would fail much later."""
    for item in fields(Result):
        value = data.get(item.name)
        if item.name in data and not _fits(item.name, value, item.default):
            raise ValueError(f"{item.name} is {str(value)[:80]!r}")


def _fits(name: str, value: Any, default: Any) -> bool:
    each = {"curve": _is_curve, "metrics": _is_number, "metric_errors": _is_number}
    each["confusion"] = _is_counts
    if name in each:
        return isinstance(value, dict) and all(map(each[name], value.values()))
    if name == "left_out":
        return isinstance(value, list) and all(map(_is_number, value))
    if name in ("stage", "status"):
        return value in (get_args(Stage) if name == "stage" else ("ok", "failed"))
    return _is_spec(value) if name == "spec" else _suits(name, value, default)


def _suits(name: str, value: Any, default: Any) -> bool:
    """Whether a value is of the kind of a field, told by its default."""
    if default is None or isinstance(default, float):
        if value is None:
            return default is None
        # Only a score may be below 0.
        return _is_number(value) and (name == "score" or value >= 0)
    if isinstance(default, bool | str):
        return type(value) is type(default)
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < _LARGEST


def _is_curve(values: Any) -> bool:
    return isinstance(values, list) and all(v is None or _is_number(v) for v in values)


def _is_counts(rows: Any) -> bool:
    """Whether they are triples of whole numbers, none of them below 0."""
    return isinstance(rows, list) and all(
        isinstance(row, list)
        and len(row) == 3
        and all(type(value) is int and value >= 0 for value in row)
        for row in rows
    )


def _is_spec(data: Any) -> bool:
    """Whether it names a family, and knobs of plain values, depth and width numbers."""
    if not isinstance(data, dict):
        return False
    family = data.get("family")
    if not isinstance(family, str):
        return False
    if family not in (*FAMILIES, *COMPARED) and not is_own(family):
        return False
    if any(type(data.get(name, 0)) is not int for name in ("depth", "width")):
        return False
    return all(isinstance(value, int | float | str) for value in data.values())


def finite(data: Any) -> Any:
    """Plain data for JSON, in which a number that is not finite is None."""
    if isinstance(data, float) and not math.isfinite(data):
        return None
    if isinstance(data, dict):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list):
        return [finite(value) for value in data]
    return data


_LARGEST = 1e100  # far beyond any figure, and its square is still finite
RESULTS_FILE = "results.jsonl"
RUN_FILE = "run.json"
FORMAT = 2
"""What `run.json` says of the form of a run folder."""


def read_results(folder: Path) -> list[Result]:
    """All results of a run folder, in the order in which they were written.

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


def _read_lines(path: Path) -> Iterator[Result]:
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield Result.from_line(line.decode())
        except ValueError as error:
            logger.warning(
                "%s, line %d is damaged and left out: %s", path, number, error
            )


def read_run(folder: Path) -> dict[str, Any]:
    """What a run folder says of itself: identity, task, data, sessions.

    Raises:
        ResultsError: The folder holds no run.
    """
    path = folder / RUN_FILE
    try:
        data = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ResultsError(
            f"{folder} is no run folder: it has no {RUN_FILE}."
        ) from error
    except (ValueError, OSError, RecursionError) as error:
        raise ResultsError(f"{path} cannot be read: {error}.") from error
    if not isinstance(data, dict) or not {"identity", "task", "data"} <= data.keys():
        raise ResultsError(f"{path} does not describe a run.")
    if data.get("format", FORMAT) != FORMAT:
        raise ResultsError(
            f"{path} is of format {data['format']!r}, and this kscale reads {FORMAT}: "
            "use the version that wrote it."
        )
    return data


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees all of it or the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


class ResultsWriter:
    """The only writer of a run folder, for as long as it is open.

    Raises:
        ResultsError: Another process has the folder open, it holds another search or
            files of somebody else, or it cannot be written.
    """

    def __init__(self, folder: Path, description: Mapping[str, Any]) -> None:
        self.folder = folder
        path = folder / RESULTS_FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._refuse_foreign()
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except (OSError, UnicodeError, ValueError) as error:
            if isinstance(error, ResultsError):
                raise
            raise ResultsError(f"{folder} cannot be written: {error}.") from error
        try:
            self._lock()
            self._claim(description)
            self._end_partial_line(path)
        except BaseException:
            os.close(self._fd)
            raise

    def _refuse_foreign(self) -> None:
        """A search empties folders of its own, so it begins in an empty one."""
        if (self.folder / RUN_FILE).exists():
            read_run(self.folder)
            return
        for path in self.folder.iterdir():
            is_ours = path.name == RESULTS_FILE or path.name.endswith(".partial")
            if not is_ours:
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
        if different := difference_of(there["identity"], asked):
            raise ResultsError(f"{self.folder} {different}")

    def _end_partial_line(self, path: Path) -> None:
        """A killed process may have left half a line; what follows starts a new one."""
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")

    def _write(self, data: Mapping[str, Any]) -> None:
        content = json.dumps(data, indent=2).encode() + b"\n"
        write_atomically(self.folder / RUN_FILE, content)

    def add_session(self, session: Mapping[str, Any], about: Any = ()) -> None:
        """Append to run.json what this session was asked; `about` replaces items."""
        data = {**read_run(self.folder), **dict(about)}
        self._write({**data, "sessions": [*data.get("sessions", []), dict(session)]})

    def append(self, result: Result) -> None:
        """Append a result; when this returns it survives a crash.

        Raises:
            ResultsError: The file cannot be written.
        """
        try:
            os.write(self._fd, result.to_line().encode())
            os.fsync(self._fd)
        except OSError as error:
            raise ResultsError(f"{self.folder} cannot be written: {error}.") from error

    def close(self) -> None:
        """Give the folder free."""
        os.close(self._fd)

    def __enter__(self) -> "ResultsWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
