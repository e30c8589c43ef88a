"""Projects of KerasTuner: a search that was made without kscale, read as a run."""

import json
import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import keras_tuner

from kscale.errors import DataError, ResultsError, SpecError, sentence_of
from kscale.families.base import Spec, Value
from kscale.objectives import find_objective, metric_names, task_objective
from kscale.results import (
    FORMAT,
    RUN_FILE,
    Result,
    ResultsWriter,
    read_results,
    read_run,
)
from kscale.run import Run
from kscale.sizing import Size
from kscale.task import Target, Task
from kscale.tuning.build_sizes import BuildSizes
from kscale.tuning.own.code import load_hypermodel
from kscale.tuning.own.sources import digest_of

logger = logging.getLogger(__name__)

_BATCH = 32  # of the memory that training was predicted to hold, as in a `Budget`
_ENDED = ("COMPLETED", "FAILED", "INVALID")
_RESERVED = ("family", "depth", "width")
_ERROR = re.compile(r"^([\w.]+): ", re.MULTILINE)  # as a traceback names one


@dataclass(frozen=True)
class _Trial:
    """What a `trial.json` says.

    Args:
        number: Its place among the trials.
        values: Hyperparameters that have a value.
        metrics: Best value of each metric.
        score: Value of the objective; None if it has none.
        step: Epoch of the score, from 0.
        status: `COMPLETED`, `FAILED` or `INVALID`, or else it has not ended.
        message: Traceback of what failed.
    """

    number: int
    values: Mapping[str, Any]
    metrics: Mapping[str, float] = field(hash=False)
    score: float | None
    step: int
    status: str
    message: str

    @property
    def own_values(self) -> dict[str, Any]:
        """Hyperparameters of the model, without those that Hyperband adds."""
        return {n: v for n, v in self.values.items() if not n.startswith("tuner/")}

    def epochs(self, name: str, default: int) -> int:
        """A number of epochs that Hyperband chose."""
        found = self.values.get(f"tuner/{name}", default)
        return found if type(found) is int and found >= 0 else default


def read_keras_tuner(
    directory: str | Path,
    hypermodel: Any,
    run: str | Path | None = None,
    *,
    task: Task | None = None,
) -> Run:
    """A finished project of KerasTuner as a run: its front, and exact sizes.

    Only the project's JSON files are read. Each model is built abstractly, without its
    weights, to be counted; one that cannot be built is a failed training with its
    reason. The scores are those of the objective, of one training each. Read again, a
    project that has grown adds to its run.

    Args:
        directory: Folder of the project, with `oracle.json` and `trial_*` in it.
        hypermodel: What the models were built from: `module:name`, a function of
            hyperparameters or a `keras_tuner.HyperModel`.
        run: Folder of the run; by default one in `runs`, named after the project.
        task: Inputs of models that have no shapes until they are called, and what is
            predicted.

    Raises:
        ResultsError: The folder holds no ended trial, its objective is not known to
            kscale, or the run's folder holds something else.
        SpecError: There is no such hypermodel.
    """
    folder = Path(directory)
    trials = [trial for trial in _read_trials(folder) if trial.status in _ENDED]
    if not trials:
        raise ResultsError(_no_project(folder))
    code = load_hypermodel(hypermodel)
    name, model = code.name, code.hypermodel
    watched = _Watched(model)
    sizes = BuildSizes(watched, task)
    with code.importable():
        counted = [_size(sizes, trial) for trial in trials]
    metric = _metric(trials)
    known = task if task is not None and task.targets else watched.task(trials, metric)
    description = _description(folder, name, known, metric, trials, digest_of(model))
    path = Path(run) if run is not None else _default_folder(folder, description)
    _keep_epochs(path, description)
    with ResultsWriter(path, description) as writer:
        there = {result.job for result in read_results(path)}
        for trial, size in zip(trials, counted, strict=True):
            if trial.number not in there:
                writer.append(_result(trial, size, name, known, metric))
    return Run(path)


class _Watched(keras_tuner.HyperModel):
    """A hypermodel, with the shapes of the first model that it built."""

    def __init__(self, hypermodel: keras_tuner.HyperModel) -> None:
        super().__init__()
        self._hypermodel = hypermodel
        self._shapes: tuple[list[Any], list[Any]] | None = None

    def build(self, hp: keras_tuner.HyperParameters) -> Any:
        model = self._hypermodel.build(hp)
        if self._shapes is None:
            sides = (getattr(model, side, None) or [] for side in ("inputs", "outputs"))
            inputs, outputs = ([tuple(t.shape[1:]) for t in s] for s in sides)
            self._shapes = inputs, outputs
        return model

    def task(self, trials: Sequence[_Trial], metric: str) -> Task:
        """What the models take in and put out, as far as a report says it."""
        inputs, outputs = self._shapes or ([], [])
        sides = [side or 1 for side in (inputs or [()])[0]]
        last = ((outputs or [()])[0] or (1,))[-1] or 1
        names = {name for trial in trials for name in trial.metrics}
        kind = _kind(metric, names)
        task = Task.of("vector", (max(math.prod(sides), 1),), values=1)
        if kind == "classes":
            return Task(task.inputs, (Target("label", "classes", max(last, 2)),))
        return Task(task.inputs, (Target("value", "real", last),))


def _kind(metric: str, names: set[str]) -> Any:
    """Whether classes or real values are predicted, told by the metrics."""
    for name in (metric, *sorted(names)):
        kinds = [
            kind
            for kind in ("classes", "real")
            if _objective_name(name, Target("y", kind, 10)) is not None
        ]
        if len(kinds) == 1:
            return kinds[0]
    return "real"


def _objective_name(metric: str, target: Target) -> str | None:
    """The name by which kscale knows a metric of Keras."""
    try:
        return find_objective(metric.removeprefix("val_"), target).name
    except DataError:
        return None


def _read_trials(folder: Path) -> Iterator[_Trial]:
    """Trials of a project, in order; a damaged file is left out with a warning."""
    paths = sorted(folder.glob("trial_*/trial.json"))
    for place, path in enumerate(paths):
        try:
            yield _trial(json.loads(path.read_text()), place)
        except (OSError, ValueError, RecursionError) as error:
            logger.warning("%s is damaged and left out: %s", path, error)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            logger.warning("%s is damaged and left out: no %s", path, error)


def _trial(data: Any, place: int) -> _Trial:
    name = str(data["trial_id"])
    values = dict(data["hyperparameters"]["values"])
    metrics = dict(data["metrics"]["metrics"])
    score, step = data["score"], data.get("best_step")
    is_score = isinstance(score, int | float) and not isinstance(score, bool)
    return _Trial(
        int(name) if name.isdecimal() else place,
        values,
        {str(metric): _best(found) for metric, found in metrics.items()},
        float(score) if is_score and math.isfinite(score) else None,
        step if type(step) is int and step >= 0 else 0,
        str(data["status"]),
        str(data.get("message") or ""),
    )


def _best(metric: Any) -> float:
    """The best of the values reported, each the mean of its executions."""
    means = [
        math.fsum(item["value"]) / len(item["value"]) for item in metric["observations"]
    ]
    return float(
        (max if metric["direction"] == "max" else min)(means, default=math.nan)
    )


def _metric(trials: Sequence[_Trial]) -> str:
    """The metric whose best value is the score of every trial: KerasTuner names it not.

    Raises:
        ResultsError: There is none.
    """
    scored = [trial for trial in trials if trial.score is not None]
    names = sorted({name for trial in scored for name in trial.metrics})
    found = [
        name
        for name in names
        if all(trial.metrics.get(name) == trial.score for trial in scored)
    ]
    if not found:
        raise ResultsError(
            "No metric of the project is its objective"
            f"{': no trial has a score' if not scored else ''}; known are "
            f"{', '.join(names) or 'none'}."
        )
    return next((name for name in found if name.startswith("val_")), found[0])


def _size(sizes: BuildSizes, trial: _Trial) -> Size | str:
    """The size of a trial's model, or why there is none."""
    hp = keras_tuner.HyperParameters()
    hp.values = trial.own_values
    try:
        size = sizes.size(hp)
    except SpecError as error:
        return str(error)
    missing = sorted(set(hp.values) - set(trial.values))
    if missing and trial.status == "COMPLETED":
        return f"The hypermodel asks for {missing[0]!r}, which the trial did not have."
    return size


def _description(
    folder: Path,
    name: str,
    task: Task,
    metric: str,
    trials: Sequence[_Trial],
    digest: str,
) -> dict[str, Any]:
    objective = _objective_name(metric, task.targets[0])
    if objective is None:
        raise ResultsError(
            f"The project's objective, {metric!r}, is not a metric that kscale knows; "
            "those of a search are in kscale tune --help."
        )
    domains: dict[str, list[Value]] = {}
    for trial in trials:
        for knob, value in _knobs(trial).items():
            domains.setdefault(knob, []).append(value)
    return {
        "format": FORMAT,
        "identity": {
            "data": folder.resolve().name,
            "families": [name],
            "set": {},
            "search": [],
            "budget": {},
            "objective": objective,
            "epochs": max(trial.epochs("epochs", trial.step + 1) for trial in trials),
            "seed": 0,
            "code": digest,
            "keras_tuner": str(folder.resolve()),
        },
        "task": task.to_json(),
        "data": {"name": folder.resolve().name},
        "hyperparameters": domains,
    }


def _knobs(trial: _Trial) -> dict[str, Value]:
    """Hyperparameters as a spec has them, where depth and width are whole numbers."""
    knobs: dict[str, Value] = {}
    for name, value in trial.own_values.items():
        is_whole = name != "family" and type(value) is int
        plain = value if isinstance(value, int | float | str) else str(value)
        knobs[f"{name}_" if name in _RESERVED and not is_whole else name] = plain
    return knobs


def _result(
    trial: _Trial, size: Size | str, name: str, task: Task, metric: str
) -> Result:
    knobs = _knobs(trial)
    rate = knobs.get("learning_rate")
    is_rate = isinstance(rate, float) and 0 < rate < math.inf
    reason = _reason(trial, size)
    counts = size if isinstance(size, Size) else Size(0, 0, 0, 0, 0)
    return Result(
        stage="search",
        job=trial.number,
        spec=Spec(name, tuple(sorted(knobs.items()))),
        learning_rate=float(rate) if is_rate else 0.0,  # type: ignore[arg-type]
        params=counts.params,
        trainable=counts.trainable,
        flops=counts.flops,
        bytes=counts.weight_bytes(),
        memory=counts.training_bytes(_BATCH),
        epochs_from=trial.epochs("initial_epoch", 0),
        epochs=trial.epochs("epochs", trial.step + 1),
        status="failed" if reason else "ok",
        reason=reason,
        score=None if reason else trial.score,
        metrics={} if reason else _further(trial, task, metric),
    )


def _reason(trial: _Trial, size: Size | str) -> str:
    """Why a trial counts as failed; empty if it does not."""
    if trial.status != "COMPLETED":
        return _raised(trial.message) or "KerasTuner gives no reason"
    if trial.score is None:
        return "its score is no number"
    return size if isinstance(size, str) else ""


def _raised(message: str) -> str:
    """What a traceback ends with, in one line."""
    found = list(_ERROR.finditer(message))
    if not found:
        return sentence_of(message.strip().rpartition("\n")[2])
    return f"{found[-1][1]}: {sentence_of(message[found[-1].end() :])}"


def _further(trial: _Trial, task: Task, metric: str) -> dict[str, float]:
    """Other metrics on the validation part that kscale knows."""
    wanted = metric_names(task, task_objective(None, task))
    named = {
        _objective_name(name, task.targets[0]): value
        for name, value in trial.metrics.items()
        if name.startswith("val_") and name != metric and math.isfinite(value)
    }
    return {name: named[name] for name in wanted if name in named}


def _default_folder(folder: Path, description: Mapping[str, Any]) -> Path:
    identity = {k: v for k, v in description["identity"].items() if k != "epochs"}
    text = json.dumps(identity, sort_keys=True)
    digest = blake2b(text.encode(), digest_size=4).hexdigest()
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", folder.resolve().name).lstrip(".-")
    return Path("runs") / f"{name}-keras_tuner-{digest}"


def _keep_epochs(path: Path, description: dict[str, Any]) -> None:
    """A project that has grown may have trained longer, and is the same one."""
    if (path / RUN_FILE).exists():
        there = read_run(path)["identity"]
        if there.get("keras_tuner") and type(there.get("epochs")) is int:
            description["identity"]["epochs"] = there["epochs"]


def _no_project(folder: Path) -> str:
    inside = sorted(path.parent.name for path in folder.glob("*/oracle.json"))
    hint = f" Did you mean {folder / inside[0]}?" if inside else ""
    return (
        f"{folder} is no project of KerasTuner with a trial that has ended: it has no "
        f"such trial_*/trial.json.{hint}"
    )
