"""TensorBoard: the logs of a run, written without TensorFlow."""

import contextlib
import math
import os
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from kscale.errors import writing
from kscale.reports.hparams import (
    end_summary,
    experiment_summary,
    metrics_of,
    shape_name,
    start_summary,
)
from kscale.reports.measures import density
from kscale.runs.folder import RecordedRun
from kscale.runs.records import (
    MAJORITY,
    Evaluation,
    Record,
    Reference,
    Training,
    is_trained,
)

LOGS = "logs"
"""Folder of a run that TensorBoard reads: `tensorboard --logdir RUN/logs`."""


class LogWriter:
    """Keeps the logs of a run in step with its results.

    A training is one session of HParams in a folder of its own, written when it has
    ended: the curves, the hyperparameters, final metrics and the status. Sessions that
    differ in nothing but the seed are one group; a failed one is in another, with its
    reason. A score on the test part is a metric in the session of its training.

    The files depend on `run.json` and `results.jsonl` only; missing files are written
    at once. A file is whole or missing, and an existing file is never changed: a search
    that is killed and goes on writes nothing twice. Wall times are those of a search
    without breaks. TensorBoard keeps scalars in 32 bits and hyperparameters in 64: so
    the exact sizes are hyperparameters.
    """

    def __init__(self, run: RecordedRun) -> None:
        self.folder = run.folder / LOGS
        self._objective = run.objective
        self._tags = metrics_of(run).keys()
        self._chance: float | None = None
        self._now = _started(run.description)
        self._tested: dict[Any, str] = {}
        # Its domains hold the size of a present model, which may be another later.
        present = dict(run.description.get("baseline") or {})
        top = self._path("", f"experiment{_plain(str(present.get('digest', '')))}")
        if not top.exists():
            with writing(self.folder):
                for old in self.folder.glob("*.experiment*"):
                    old.unlink()
            summary = experiment_summary(run, self._now)
            _write_once(top, [Event(wall_time=self._now, summary=summary)])
        for result in run.results:
            self.record(result)

    def record(self, record: Record) -> None:
        """Write the missing files of a record; called in the order of the records."""
        if isinstance(record, Evaluation):
            self._record_test(record)
            return
        if isinstance(record, Reference) and record.part == "test":
            self._record_test(record)
        elif isinstance(record, Training | Reference):
            if record.family == MAJORITY:
                self._chance = record.score
            name = self._tested[_tested_key(record)] = _folder_name(record)
            _write_once(self._path(name, "training"), self._training_events(record))
        self._now += record.seconds

    def _record_test(self, test: Evaluation | Reference) -> None:
        name = self._tested.get(_tested_key(test))
        if name is not None and test.score is not None:
            event = self._scalar("summary/test_score", test.score, test.epochs)
            _write_once(self._path(name, "test"), [event])

    def _training_events(self, result: Training | Reference) -> Iterable[Event]:
        start, end = self._now, self._now + result.seconds
        yield Event(wall_time=start, summary=start_summary(result, start))
        yield from self._curve_events(result)
        for tag, value in self._final_values(result).items():
            yield self._scalar(tag, value, result.trained_epochs, result.seconds)
        yield Event(wall_time=end, summary=end_summary(result, end))

    def _curve_events(self, result: Training | Reference) -> Iterable[Event]:
        """A point for each epoch, but for the last score, which is not rounded."""
        epochs = result.trained_epochs
        for tag, values in result.curve.items():
            shown = values[:-1] if tag == "score" else values
            for epoch, value in enumerate(shown, start=1 + epochs - len(values)):
                seconds = result.seconds * epoch / epochs
                yield self._scalar(tag, value, epoch, seconds)

    def _final_values(self, result: Training | Reference) -> dict[str, float]:
        """The last score in all digits (curves are rounded), with further figures."""
        if result.score is None:
            return {}
        objective, is_training = self._objective, is_trained(result)
        figures = (result.score, self._chance, result.params)
        further = {f"metrics/{name}": value for name, value in result.metrics.items()}
        values: dict[str, float | None] = {
            "score": result.score,
            "summary/stderr": result.stderr,
            "summary/latency_ms": result.latency_ms,
            "summary/density": density(objective, *figures),
            **{tag: v for tag, v in further.items() if tag in self._tags},
            "summary/seconds": result.seconds if is_training else None,
            "summary/undertrained": float(result.undertrained) if is_training else None,
        }
        return {tag: value for tag, value in values.items() if value is not None}

    def _scalar(
        self, tag: str, value: float | None, epoch: int, seconds: float = 0.0
    ) -> Event:
        """A point at an epoch, so many seconds from now."""
        summary = scalar_pb(tag, math.nan if value is None else value)
        return Event(step=epoch, wall_time=self._now + seconds, summary=summary)

    def _path(self, name: str, part: str) -> Path:
        return self.folder / name / f"events.out.tfevents.{part}"


def _started(description: Mapping[str, Any]) -> float:
    """Seconds since 1970 at which the first session of a run began; 0 if not known."""
    for session in description.get("sessions") or ():
        with contextlib.suppress(KeyError, TypeError, ValueError):
            return datetime.fromisoformat(session["started"]).timestamp()
    return 0.0


def _tested_key(record: Training | Evaluation | Reference) -> Any:
    """What a training and its evaluation have in common."""
    if isinstance(record, Reference):
        return record.name, record.model
    return record.spec, record.learning_rate, record.seed, record.epochs


def _folder_name(result: Training | Reference) -> str:
    """Name of a session's folder, in letters that every file system takes."""
    key = result.key.rsplit("-", 1)[-1][:8]
    text = f"{result.stage}-{shape_name(result)}-seed{result.seed}-{key}"
    return _plain(text)


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text)


def _write_once(path: Path, events: Iterable[Event]) -> None:
    """Write an event file that is not there, so that TensorBoard sees all or nothing.

    The partial file has a name that TensorBoard does not read. Its `EventFileWriter`
    would write piece by piece, and through TensorFlow.
    """
    if path.exists():
        return
    partial = path.with_name(f"{os.getpid()}.partial")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                records = RecordWriter(file)
                first = Event(wall_time=0.0, file_version="brain.Event:2")
                for event in chain([first], events):
                    records.write(event.SerializeToString())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
