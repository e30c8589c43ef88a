"""Projects of KerasTuner: a search that was made without kscale, read as a run."""

import json
import math
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from os import PathLike
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from kscale.errors import DataError, ResultsError, SpecError
from kscale.guests.hypermodels.user_code import load_hypermodel
from kscale.guests.keras_tuner_budget.build_sizes import BuildSizes
from kscale.guests.keras_tuner_projects.trials import ProjectTrial, read_trials
from kscale.networks.families.base import Spec, Value
from kscale.networks.sizing import Size
from kscale.reports.board_logs import LOGS
from kscale.runs.folder import (
    FORMAT,
    RESULTS_FILE,
    RUN_FILE,
    RecordsWriter,
    read_run,
    write_atomically,
)
from kscale.runs.records import UNCOUNTED, Training, to_line, training_key
from kscale.task.heads import HEADS, Head
from kscale.task.heads.real import REAL
from kscale.task.objectives import find_objective, shown_metrics, task_objective
from kscale.task.tasks import Input, Target, Task

_BATCH = 32  # examples of a step whose memory is predicted, as in a `Budget`
_NO_METRICS = ("multi_objective", "default_objective")  # KerasTuner makes these up


def import_project(
    directory: str | Path,
    hypermodel: Any,
    run: str | Path | None = None,
    *,
    task: Task | None = None,
) -> Path:
    """The folder of a run made of a project; see `kscale.read_keras_tuner`."""
    for argument, given in {"directory": directory, "run": run or ""}.items():
        if not isinstance(given, str | PathLike):
            raise SpecError(
                f"`{argument}` must be the path of a folder, not {given!r}."
            )
    folder = Path(directory)
    found = list(read_trials(folder))
    trials = [trial for trial in found if trial.is_ended]
    if not trials:
        around = *sorted(folder.glob("*/oracle.json")), folder.parent / "oracle.json"
        near = [path.parent for path in around if path.exists()]
        hint = f" Did you mean {near[0]}?" if near else ""
        files = len([*folder.glob("trial_*/trial.json")])
        has = (
            f"{len(found)} of its {files} trials can be read as KerasTuner "
            f"{keras_tuner.__version__} writes them, and none of these has ended"
        )
        raise ResultsError(
            f"{folder} is no project of KerasTuner with a trial that has ended: "
            f"{has if files else 'it has no trial_*/trial.json'}.{hint}"
        )
    code, models = load_hypermodel(hypermodel), _Models(task)
    with code.importable():
        counted = list(models.counted(code.hypermodel, trials))
    metric = _metric(trials)
    known = task if task is not None and task.targets else models.task(trials, metric)
    project = _Project(folder.resolve(), code.name, trials, known, metric)
    left_out = Counter(trial.status.lower() for trial in found if not trial.is_ended)
    description = project.description(code.digest(), left_out)
    results = list(map(project.training, trials, counted))
    description["unchecked"] = sum(
        result.status == "ok" and trial.saved is None
        for trial, result in zip(trials, results, strict=True)
    )
    digest = blake2b(json.dumps(_which(description)).encode(), digest_size=4)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", project.folder.name).lstrip(".-")
    path = Path(run or f"runs/{plain}-keras_tuner-{digest.hexdigest()}")
    _write(path, description, results)
    return path


class _Models:
    """The models of a project: their sizes, and what the first of them takes and gives.

    A model that has no shapes until it is called is called on the task; without one, as
    in its training, or as another model was.
    """

    def __init__(self, task: Task | None) -> None:
        self._given = task
        self._sides: list[tuple[Any, ...]] = []  # of the first input and output

    def counted(
        self, hypermodel: keras_tuner.HyperModel, trials: Sequence[ProjectTrial]
    ) -> Iterator[Size | str]:
        """The size of each model, or why there is none."""
        first = next((t.called for t in trials if _inputs(t.called)), None)
        called: Any = None
        sizes = BuildSizes(lambda hp: self._built(hypermodel, hp, called), self._given)
        for trial in trials:
            called = (trial.called or first) if self._given is None else None
            hp = keras_tuner.HyperParameters()
            hp.values = trial.values
            try:
                size = sizes.size(hp)
            except SpecError as error:
                hint = "give the task (--input on the command line)"
                yield UNCOUNTED + str(error).replace("give the task", hint)
                continue
            missing = sorted(set(hp.values) - set(trial.values))
            if missing and trial.status == "COMPLETED":
                asked = f"The hypermodel asks for {missing[0]!r}, which the trial did"
                yield f"{UNCOUNTED}{asked} not have."
            elif trial.saved and not trial.saved[0] <= size.params <= trial.saved[1]:
                built, saved = f"{size.params:,}", f"{trial.saved[1]:,}"
                yield (
                    f"{UNCOUNTED}The hypermodel builds a model of {built} params, but "
                    f"the checkpoint of the trial has {saved}: the code has changed "
                    "since the search."
                )
            else:
                yield size

    def _built(self, hypermodel: Any, hp: Any, called: Any) -> Any:
        """A model, called with some shapes if it has none until it is called."""
        model = hypermodel.build(hp)
        sides = [getattr(model, side, None) for side in ("inputs", "outputs")]
        given = _inputs(called)
        if given and isinstance(model, keras.Model) and not model.built:
            sides[0] = keras.tree.flatten(given)
            first = [given.pop("")] if "" in given else []
            sides[1] = keras.tree.flatten(model(*first, **given))
        if not self._sides:
            self._sides = [side[0].shape[1:] if side else () for side in sides]
        return model

    def task(self, trials: Sequence[ProjectTrial], metric: str) -> Task:
        """What the models take in and put out, as far as a report says it."""
        taken, given = self._sides or ((), ())
        features = max(math.prod(side or 1 for side in taken), 1)
        head = _head(
            [metric, *sorted({n for trial in trials for n in trial.metrics.metrics})]
        )
        outputs = max((given or (1,))[-1] or 1, head.least_outputs)
        target = Target("label" if head.is_named else "value", head.kind, outputs)
        return Task((Input("x", "vector", (features,)),), (target,))


def _inputs(called: Any) -> dict[str, Any]:
    """Symbolic inputs by argument, where the first one has no name; empty without any.

    Keras writes `input_shape` if `call` was given one argument, or else `shapes_dict`.
    """
    try:
        named = called.get("shapes_dict") or {"": called["input_shape"]}
        return {
            name.removesuffix("_shape"): keras.tree.map_shape_structure(_input, item)
            for name, item in named.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):  # none, or damaged
        return {}


def _input(shape: list[int | None]) -> Any:
    if not shape or 0 in shape:
        raise ValueError
    return keras.Input(tuple(shape[1:]))


def _head(metrics: Sequence[str]) -> Head:
    """The kind of the target, by the first metric that only some kinds have."""
    known = [head for head in HEADS.values() if not head.is_sequence]
    for metric in metrics:
        heads = [h for h in known if _known_name(metric, Target("y", h.kind, 10))]
        if 0 < len(heads) < len(known):
            return heads[0]
    return REAL


def _known_name(
    metric: str, target: Target, direction: str | None = None
) -> str | None:
    """The name by which kscale knows a metric of Keras, if it has this direction."""
    try:
        found = find_objective(metric.removeprefix("val_"), target)
    except DataError:
        return None
    usual = "max" if found.higher_is_better else "min"
    return found.name if direction in (None, usual) else None


def _metric(trials: Sequence[ProjectTrial]) -> str:
    """The objective: the metric whose best value is the score of every trial.

    KerasTuner does not write its name.
    """
    scored = [trial for trial in trials if trial.is_scored]
    if not scored:
        raise ResultsError(f"No trial of the project has a score: {trials[0].reason}.")
    equal = [
        {name for name, best in trial.best_metrics.items() if best == trial.score}
        for trial in scored
    ]
    found = sorted(set.intersection(*equal), reverse=True)
    if not found:
        names = sorted({name for trial in scored for name in trial.metrics.metrics})
        raise ResultsError(
            "No metric of the project is its objective; known are "
            f"{', '.join(names) or 'none'}."
        )
    order = sorted(found, key=lambda n: (n in _NO_METRICS, n.startswith("val_")))
    return order[-1]


@dataclass(frozen=True)
class _Project:
    """A finished search of KerasTuner, with the trials that have ended.

    `name` names the hypermodel; the score of a trial is its best value of `metric`.
    """

    folder: Path
    name: str
    trials: Sequence[ProjectTrial]
    task: Task
    metric: str

    def description(self, digest: str, left_out: Mapping[str, int]) -> dict[str, Any]:
        """What run.json says; `left_out` counts the unended trials by status."""
        domains: dict[str, list[Value]] = {}
        for trial in self.trials:
            for knob, value in trial.knobs.items():
                domains.setdefault(knob, []).append(value)
        found = (trial.metrics.metrics.get(self.metric) for trial in self.trials)
        way = "max" if "max" in {item.direction for item in found if item} else "min"
        objective = {"objective": self.metric.removeprefix("val_"), "direction": way}
        known = _known_name(self.metric, self.task.targets[0], way)
        return {
            "format": FORMAT,
            "identity": {
                "data": self.folder.name,
                "families": [self.name],
                "set": {},
                "search": [],
                "budget": {},
                **({"objective": known} if known else objective),
                "epochs": max(trial.last_epoch for trial in self.trials),
                "seed": 0,
                "code": digest,
                "keras_tuner": str(self.folder),
            },
            "task": self.task.to_json(),
            "data": {"name": self.folder.name},
            "hyperparameters": domains,
            "left_out": dict(sorted(left_out.items())),
        }

    def training(self, trial: ProjectTrial, size: Size | str) -> Training:
        """The record of a trial, with the size of its model or why there is none."""
        rate = trial.knobs.get("learning_rate")
        is_rate = isinstance(rate, float) and 0 < rate < math.inf
        reason = trial.reason
        if trial.status == "COMPLETED" and trial.is_scored:
            reason = size if isinstance(size, str) else ""
        counts = size if isinstance(size, Size) else Size(0, 0, 0, 0, 0)
        spec = Spec(self.name, tuple(sorted(trial.knobs.items())))
        longest = max(trial.epochs("epochs", 0) for trial in self.trials)
        is_hyperband = trial.epochs("epochs", -1) >= 0
        return Training(
            key=training_key("search", spec, None, 0, trial.last_epoch),
            stage="search",
            job=trial.number,
            spec=spec,
            learning_rate=float(rate) if is_rate else 0.0,  # type: ignore[arg-type]
            params=counts.params,
            trainable=counts.trainable,
            flops=counts.flops,
            bytes=counts.weight_bytes(),
            memory=counts.training_bytes(_BATCH),
            epochs_from=trial.epochs("initial_epoch", 0),
            epochs=trial.last_epoch,
            full_epochs=longest if is_hyperband else 0,
            status="failed" if reason else "ok",
            reason=reason,
            score=None if reason else trial.score,
            metrics={} if reason else self._further(trial),
        )

    def _further(self, trial: ProjectTrial) -> dict[str, float]:
        """Other metrics on the validation part that kscale knows."""
        named = {
            _known_name(name, self.task.targets[0]): value
            for name, value in trial.best_metrics.items()
            if name.startswith("val_") and name != self.metric and math.isfinite(value)
        }
        wanted = shown_metrics(self.task, task_objective(None, self.task))
        return {name: named[name] for name in wanted if name in named}


def _which(description: Mapping[str, Any]) -> tuple[Any, Any]:
    """What identifies a run; its code, trials and objective may change meanwhile."""
    identity = description["identity"]
    return identity.get("keras_tuner"), identity.get("families")


def _write(
    path: Path, description: dict[str, Any], results: Sequence[Training]
) -> None:
    """Replace what a folder holds, unless another search is there."""
    there = read_run(path) if (path / RUN_FILE).exists() else description
    is_same = _which(there) == _which(description)
    claimed = {**description, "identity": there["identity"]} if is_same else description
    lines = "".join(map(to_line, results)).encode()
    about = json.dumps({**description, "sessions": []}, indent=2).encode() + b"\n"
    contents = {RESULTS_FILE: lines, RUN_FILE: about}
    with RecordsWriter(path, claimed):
        if any((path / n).read_bytes() != content for n, content in contents.items()):
            shutil.rmtree(path / LOGS, ignore_errors=True)  # they follow from these
            for name, content in contents.items():
                write_atomically(path / name, content)
