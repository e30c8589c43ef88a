"""What a search improves: metrics by name, and which way is better."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kscale.errors import DataError, unknown_name
from kscale.task.tasks import Target, TargetKind, Task


@dataclass(frozen=True)
class Objective:
    """A metric, computed on examples the training never saw.

    Args:
        name: Name in reports.
        keras_class: Class in `keras.metrics`; empty for the loss trained on, and for a
            mean of several metrics.
        kind: Kind of target it is defined for.
        higher_is_better: Direction.
        is_share: Whether it lies between 0 and 1, and is printed in per cent.
        parts: Where a task has several targets, the metric of each by target name, in
            their order: the objective is the mean over them.
    """

    name: str
    keras_class: str
    kind: TargetKind
    higher_is_better: bool
    is_share: bool
    parts: tuple[tuple[str, "Objective"], ...] = ()

    def better(self, left: float, right: float) -> bool:
        """Whether the left score is better than the right one."""
        return left > right if self.higher_is_better else left < right

    def gain(self, score: float, over: float) -> float:
        """How much better a score is than another; negative if it is worse."""
        return score - over if self.higher_is_better else over - score


def _share(name: str, keras_class: str) -> Objective:
    return Objective(name, keras_class, "classes", True, True)


def _error(name: str, keras_class: str) -> Objective:
    return Objective(name, keras_class, "real", False, False)


_CLASSES = [
    _share("accuracy", "SparseCategoricalAccuracy"),
    _share("top_5_accuracy", "SparseTopKCategoricalAccuracy"),
    _share("recall", "Recall"),
    _share("precision", "Precision"),
    _share("f1_score", "F1Score"),
    _share("auc", "AUC"),
    Objective("loss", "", "classes", False, False),
    Objective(
        "categorical_crossentropy", "CategoricalCrossentropy", "classes", False, False
    ),
]
_REAL = [
    _error("root_mean_squared_error", "RootMeanSquaredError"),
    _error("mean_squared_error", "MeanSquaredError"),
    _error("mean_absolute_error", "MeanAbsoluteError"),
    _error("mean_absolute_percentage_error", "MeanAbsolutePercentageError"),
    _error("mean_squared_logarithmic_error", "MeanSquaredLogarithmicError"),
    _error("log_cosh_error", "LogCoshError"),
    _error("loss", ""),
    Objective("r2_score", "R2Score", "real", True, False),
]

OBJECTIVES: dict[TargetKind, dict[str, Objective]] = {
    "classes": {item.name: item for item in _CLASSES},
    "real": {item.name: item for item in _REAL},
}

METRICS: dict[TargetKind, tuple[str, ...]] = {
    "classes": ("accuracy", "recall", "precision", "f1_score", "auc"),
    "real": ("root_mean_squared_error", "mean_absolute_error", "r2_score"),
}
"""What every result says of each target, whatever the objective is."""

_MEAN = Objective("mean", "", "real", True, False)
_MEAN_NAMES = ("mean", "default")
_MEAN_METRICS: dict[TargetKind, str] = {"classes": "accuracy", "real": "r2_score"}

_SHORT = {
    "acc": "accuracy",
    "sparse_categorical_accuracy": "accuracy",
    "categorical_accuracy": "accuracy",
    "binary_accuracy": "accuracy",
    "sparse_top_k_categorical_accuracy": "top_5_accuracy",
    "f1": "f1_score",
    "roc_auc": "auc",
    "crossentropy": "loss",
    "sparse_categorical_crossentropy": "loss",
    "rmse": "root_mean_squared_error",
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "r2": "r2_score",
}


def find_objective(name: str | None, target: Target) -> Objective:
    """The objective of a name for a target; without a name the target's usual metric.

    Names are those of `keras.metrics`, as `snake_case` or as class names, and the usual
    short ones (`f1`, `rmse`, `mae`, `auc`). With more than two classes, `recall`,
    `precision`, `f1_score` and `auc` are means over the classes (macro).

    Raises:
        DataError: No such metric is known for the target's kind.

    Example:

    >>> find_objective("rmse", Target("y", "real", 1)).name
    'root_mean_squared_error'
    """
    known = OBJECTIVES[target.kind]
    wanted = str(name or target.metric)
    names = {_letters(item): item for item in known}
    names |= {_letters(short): item for short, item in _SHORT.items() if item in known}
    found = names.get(_letters(wanted))
    if found is None:
        what = "classes" if target.kind == "classes" else "real values"
        raise DataError(unknown_name(f"metric for {what}", wanted, known))
    if found == "top_5_accuracy" and target.outputs <= 5:
        raise DataError(
            f"top_5_accuracy needs more than 5 classes, but there are {target.outputs}."
        )
    return known[found]


def task_objective(name: str | None, task: Task) -> Objective:
    """The objective of a task: of its target, or the mean over its several targets.

    With several targets a metric must be known for all of them. Without a name, and
    for `mean`, it is the accuracy of classes and the R2 score of real values: metrics
    that have one unit, so that their mean says something.

    Raises:
        DataError: No such metric is known for one of the targets.

    Example:

    >>> task = Task((), (Target("kind", "classes", 3), Target("price", "real", 1)))
    >>> [(name, part.name) for name, part in task_objective(None, task).parts]
    [('kind', 'accuracy'), ('price', 'r2_score')]
    """
    if len(task.targets) < 2:
        return find_objective(name, task.targets[0])
    parts = tuple((target.name, _part(name, target)) for target in task.targets)
    first = parts[0][1]
    whole = first if all(part.name == first.name for _, part in parts) else _MEAN
    return replace(whole, parts=parts)


def asked_objective(identity: Mapping[str, Any], task: Task) -> Objective:
    """The objective that the identity of a run names.

    It may be a metric of the user's own, which another tuner improved: then the
    direction is there, too, and it has no unit.

    Raises:
        DataError: No such metric is known for one of the targets.
    """
    name, direction = identity.get("objective"), identity.get("direction")
    if direction is None:
        return task_objective(name, task)
    plain = re.sub(r"[^\w .:/-]", "?", str(name))[:60]
    return Objective(plain, "", task.targets[0].kind, direction == "max", False)


def _part(name: str | None, target: Target) -> Objective:
    """The metric of one of several targets."""
    if name is None or _letters(str(name)) in _MEAN_NAMES:
        return find_objective(_MEAN_METRICS[target.kind], target)
    try:
        return find_objective(name, target)
    except DataError as error:
        raise DataError(
            f"The objective must suit each of several targets. Of {target.name!r}: "
            f"{error} Or take mean: accuracy of classes and r2_score of real values."
        ) from error


def metric_name(objective: Objective) -> str:
    """Name of a metric as people write it."""
    return objective.name.replace("_", " ")


def metric_names(task: Task, objective: Objective) -> list[str]:
    """Names of the metrics of a result: `recall`, or `target/recall` of several.

    Example:

    >>> task = Task.of("vector", (3,), values=1)
    >>> metric_names(task, task_objective("loss", task))
    ['root_mean_squared_error', 'mean_absolute_error', 'r2_score']
    """
    if len(task.targets) == 1:
        return list(METRICS[task.targets[0].kind])
    own = {name: part.name for name, part in objective.parts}
    return [
        f"{target.name}/{metric}"
        for target in task.targets
        for metric in dict.fromkeys((own[target.name], *METRICS[target.kind]))
    ]


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
