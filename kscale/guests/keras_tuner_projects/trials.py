"""Trials of a project of KerasTuner, read from its JSON files."""

import json
import logging
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import h5py
import msgspec

from kscale.errors import sentence_of
from kscale.guests.hypermodels.drawn_hyperparameters import knob_name
from kscale.networks.families.base import Value

logger = logging.getLogger(__name__)

_SHOWN = {"depth": "depth", "width": "width"}
_STATE = re.compile(r"(^|/)(optimizer|seed_generator)(_\d+)?/")
_ERROR = re.compile(r"^([\w.]+): ", re.MULTILINE)  # as a traceback names one


class _Observation(msgspec.Struct):
    value: Annotated[list[float], msgspec.Meta(min_length=1)]  # of each execution


class _Metric(msgspec.Struct):
    direction: str | None
    observations: list[_Observation]

    def best(self) -> float:
        """The best of the means over executions."""
        means = [math.fsum(item.value) / len(item.value) for item in self.observations]
        return (max if self.direction == "max" else min)(means, default=math.nan)


class _Metrics(msgspec.Struct):
    metrics: dict[str, _Metric]


class _Hyperparameters(msgspec.Struct):
    values: dict[str, Any]


class ProjectTrial(msgspec.Struct):
    """What a `trial.json` says, in KerasTuner's words.

    `best_step` is the epoch of the score, from 0; `message` the traceback of what
    failed; `number` the place among the trials; `called` what Keras wrote of the shapes
    that the model was called with, None where KerasTuner did not keep them; `saved` the
    least and the most weights that the checkpoint has, None without one.
    """

    trial_id: str
    hyperparameters: _Hyperparameters
    metrics: _Metrics
    score: float | None
    status: str
    best_step: int | None = None
    message: str | None = None
    number: int = 0
    called: Any = None
    saved: tuple[int, int] | None = None

    @property
    def is_ended(self) -> bool:
        """Whether the trial has ended; an invalid one is to be tried again."""
        return self.status in ("COMPLETED", "FAILED")

    @property
    def is_scored(self) -> bool:
        """Whether there is a score that is a number."""
        return self.score is not None and math.isfinite(self.score)

    @property
    def best_metrics(self) -> dict[str, float]:
        """The best value of each metric."""
        return {name: metric.best() for name, metric in self.metrics.metrics.items()}

    @property
    def values(self) -> dict[str, Any]:
        """Hyperparameters of the model, without those that Hyperband adds."""
        found = self.hyperparameters.values.items()
        return {n: v for n, v in found if not n.startswith("tuner/")}

    @property
    def knobs(self) -> dict[str, Value]:
        """Hyperparameters as a spec has them: depth and width are whole numbers."""
        return {
            knob_name(n, v, _SHOWN): v if isinstance(v, int | float | str) else str(v)
            for n, v in self.values.items()
        }

    @property
    def reason(self) -> str:
        """Why the trial has no score, in a line: the end of the traceback."""
        message = (self.message or "").strip()
        if not message:
            return "its score is no number"
        found = list(_ERROR.finditer(message))
        if not found:
            return sentence_of(message.rpartition("\n")[2])
        return f"{found[-1][1]}: {sentence_of(message[found[-1].end() :])}"

    def epochs(self, name: str, default: int) -> int:
        """A number of epochs that Hyperband chose."""
        found = self.hyperparameters.values.get(f"tuner/{name}", default)
        return found if type(found) is int and found >= 0 else default

    @property
    def last_epoch(self) -> int:
        """Epochs at the end of the training, or until its best score."""
        return self.epochs("epochs", (self.best_step or 0) + 1)


def read_trials(folder: Path) -> Iterator[ProjectTrial]:
    """Trials of a project, in order; a damaged file is left out with a warning."""
    for place, path in enumerate(sorted(folder.glob("trial_*/trial.json"))):
        try:
            # With NaN, which is no JSON for msgspec.
            trial = msgspec.convert(json.loads(path.read_text()), ProjectTrial)
        except (OSError, ValueError, RecursionError):
            logger.warning("%s is damaged or half written, and left out.", path)
            continue
        name = trial.trial_id
        trial.number = int(name) if name.isdecimal() else place
        with suppress(OSError, ValueError, RecursionError):
            trial.called = json.loads(path.with_name("build_config.json").read_text())
        with (
            suppress(OSError),
            h5py.File(path.with_name("checkpoint.weights.h5")) as h5,
        ):
            trial.saved = _saved(h5)
        yield trial


def _saved(checkpoint: h5py.File) -> tuple[int, int]:
    """Number of weights, without states of optimizers and seeds.

    Single numbers may be states of metrics: the least number is without these.
    """
    names: list[str] = []
    checkpoint.visit(names.append)
    items = [checkpoint[name] for name in names if not _STATE.search(name)]
    arrays = [item for item in items if isinstance(item, h5py.Dataset)]
    most = sum(array.size for array in arrays)
    return most - sum(array.shape == () for array in arrays), most
