"""Trials of a project of KerasTuner, read from its JSON files."""

import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kscale.errors import sentence_of
from kscale.guests.hypermodels.drawn_hyperparameters import knob_name
from kscale.networks.families.base import Value

logger = logging.getLogger(__name__)

_SHOWN = {"depth": "depth", "width": "width"}
_ERROR = re.compile(r"^([\w.]+): ", re.MULTILINE)  # as a traceback names one


@dataclass(frozen=True)
class Trial:
    """What a `trial.json` says.

    Args:
        number: Its place among the trials.
        values: Hyperparameters that have a value.
        metrics: Best value of each metric.
        directions: Which of their values is the best: `min` or `max`.
        score: Value of the objective; None if it has none.
        step: Epoch of the score, from 0.
        status: `COMPLETED` or `FAILED`, or else it has not ended.
        message: Traceback of what failed.
        shapes: Shapes with batches that the model was called with: by argument a shape,
            or a list or dict of shapes; empty where KerasTuner did not keep them.
    """

    number: int
    values: Mapping[str, Any]
    metrics: Mapping[str, float] = field(hash=False)
    directions: Mapping[str, Any] = field(hash=False)
    score: float | None
    step: int
    status: str
    message: str
    shapes: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def is_ended(self) -> bool:
        """Whether the trial has ended; an invalid one is to be tried again."""
        return self.status in ("COMPLETED", "FAILED")

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Hyperparameters of the model, without those that Hyperband adds."""
        return {n: v for n, v in self.values.items() if not n.startswith("tuner/")}

    @property
    def knobs(self) -> dict[str, Value]:
        """Hyperparameters as a spec has them: depth and width are whole numbers."""
        return {
            knob_name(n, v, _SHOWN): v if isinstance(v, int | float | str) else str(v)
            for n, v in self.hyperparameters.items()
        }

    @property
    def reason(self) -> str:
        """Why the trial has no score, in a line: the end of the traceback."""
        message = self.message.strip()
        if not message:
            return "its score is no number"
        found = list(_ERROR.finditer(message))
        if not found:
            return sentence_of(message.rpartition("\n")[2])
        return f"{found[-1][1]}: {sentence_of(message[found[-1].end() :])}"

    def epochs(self, name: str, default: int) -> int:
        """A number of epochs that Hyperband chose."""
        found = self.values.get(f"tuner/{name}", default)
        return found if type(found) is int and found >= 0 else default

    @property
    def last_epoch(self) -> int:
        """Epochs at the end of the training, or until its best score."""
        return self.epochs("epochs", self.step + 1)


def read_trials(folder: Path) -> Iterator[Trial]:
    """Trials of a project, in order; a damaged file is left out with a warning."""
    paths = sorted(folder.glob("trial_*/trial.json"))
    for place, path in enumerate(paths):
        try:
            trial = _trial(json.loads(path.read_text()), place)
            yield replace(trial, shapes=_shapes(path.with_name("build_config.json")))
        except (OSError, ValueError, RecursionError) as error:
            logger.warning("%s is damaged and left out: %s", path, error)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            logger.warning("%s is damaged and left out: no %s", path, error)


def _trial(data: Any, place: int) -> Trial:
    name = str(data["trial_id"])
    values = dict(data["hyperparameters"]["values"])
    metrics = dict(data["metrics"]["metrics"])
    score, step = data["score"], data.get("best_step")
    is_score = isinstance(score, int | float) and not isinstance(score, bool)
    return Trial(
        int(name) if name.isdecimal() else place,
        values,
        {str(metric): _best(found) for metric, found in metrics.items()},
        {str(metric): found["direction"] for metric, found in metrics.items()},
        float(score) if is_score and math.isfinite(score) else None,
        step if type(step) is int and step >= 0 else 0,
        str(data["status"]),
        str(data.get("message") or ""),
    )


def _best(metric: Any) -> float:
    """The best of the reported values, each the mean of several executions."""
    means = [
        math.fsum(item["value"]) / len(item["value"]) for item in metric["observations"]
    ]
    return float(
        (max if metric["direction"] == "max" else min)(means, default=math.nan)
    )


def _shapes(path: Path) -> dict[str, Any]:
    """Shapes by argument, where the first one has no name; empty if they are damaged.

    Keras writes `input_shape` if `call` was given one argument, or else `shapes_dict`.
    """
    try:
        config = json.loads(path.read_text())
        named = config.get("shapes_dict") or {"": config["input_shape"]}
        shapes = {name.removesuffix("_shape"): item for name, item in named.items()}
        return shapes if _are_shapes(shapes) else {}
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return {}


def _are_shapes(item: Any) -> bool:
    """Whether an item is a shape with a batch, or lists or dicts of such shapes."""
    if isinstance(item, dict):
        return bool(item) and all(map(_are_shapes, item.values()))
    if not isinstance(item, list) or not item:
        return False
    if isinstance(item[0], list | dict):
        return all(map(_are_shapes, item))
    return all(side is None or (type(side) is int and side > 0) for side in item)
