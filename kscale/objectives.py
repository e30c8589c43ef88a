"""What a search improves: metrics by name, and which way is better."""

import re
from dataclasses import dataclass

from kscale.errors import DataError, unknown_name
from kscale.task import Target, TargetKind


@dataclass(frozen=True)
class Objective:
    """A metric of one target, computed on examples the training never saw.

    Args:
        name: Name in reports.
        keras_class: Class in `keras.metrics`; empty for the loss trained on.
        kind: Kind of target it is defined for.
        higher_is_better: Direction.
        is_share: Whether it lies between 0 and 1, and is printed in per cent.
    """

    name: str
    keras_class: str
    kind: TargetKind
    higher_is_better: bool
    is_share: bool

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


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
