"""Real values: numbers, in the unit of the data."""

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.task.heads.base import (
    Array,
    Figures,
    Head,
    KerasCall,
    Objective,
    error_metric,
    table_of,
)

_LEAST = 1e-7  # as in Keras, so that nothing is divided by 0
_QUANTILES = 10


def quantiles(values: Array) -> NDArray[np.int64]:
    """Strata for real values `(examples,)`: up to ten of nearly the same size."""
    bins = max(1, min(_QUANTILES, len(values) // _QUANTILES))
    rank = np.empty(len(values), dtype=np.int64)
    rank[np.argsort(values, kind="stable")] = np.arange(len(values))
    return rank * bins // len(values)


def _r2_score(labels: Array, squares: Array) -> float:
    """The mean over the outputs; 0 of an output without spread, as in Keras."""
    spread = np.square(labels - np.mean(labels, axis=0, dtype=np.float64)).sum(axis=0)
    left = squares / np.where(spread > 0, spread, 1.0)
    return float(np.where(spread > 0, 1 - left, 0.0).mean())


def _root(labels: Array, squares: Array) -> float:
    return math.sqrt(squares.mean() / len(labels))


def _mean_error(name: str, error: Figures, *aliases: str, **options: Any) -> Objective:
    """What follows from errors of labels and answers, which are given as float64."""
    values = partial(_exactly, error)
    return error_metric(name, values=values, aliases=aliases, **options)


def _exactly(error: Figures, arrays: Any, labels: Any, given: Any) -> Any:
    return error(arrays, *(arrays.array(each, "float64") for each in (labels, given)))


def _squared(arrays: Any, labels: Any, given: Any) -> Any:
    return arrays.square(labels - given)


def _mean_square(arrays: Any, teacher: Any, outputs: Any, temperature: float) -> Any:
    """Mean squared difference from a teacher's values, which have no temperature."""
    return arrays.mean(arrays.square(teacher - outputs), axis=-1)


def _absolute(arrays: Any, labels: Any, given: Any) -> Any:
    return arrays.abs(labels - given)


def _percentage(arrays: Any, labels: Any, given: Any) -> Any:
    size = arrays.maximum(arrays.abs(labels), _LEAST)
    return 100 * _absolute(arrays, labels, given) / size


def _squared_logarithmic(arrays: Any, labels: Any, given: Any) -> Any:
    found = (arrays.log1p(arrays.maximum(each, _LEAST)) for each in (labels, given))
    return _squared(arrays, *found)


def _log_cosh(arrays: Any, labels: Any, given: Any) -> Any:
    errors = _absolute(arrays, labels, given)
    return errors + arrays.log1p(arrays.exp(-2 * errors)) - math.log(2)


REAL = Head(
    kind="real",
    title="real values",
    nouns=("value", "values"),
    stratum="range of values",
    constant_words="the mean",
    least_outputs=1,
    dtype="float32",
    is_exclusive=False,
    counts=None,
    strata=lambda labels: quantiles(labels[:, 0]),
    loss=KerasCall("MeanSquaredError"),
    one_hot_loss=None,
    watched=KerasCall("RootMeanSquaredError"),
    distillation=_mean_square,
    activation="linear",
    activate=np.asarray,
    constant=lambda labels, outputs, metric: labels.mean(axis=0, dtype=np.float64),
    chosen=None,
    metric="root_mean_squared_error",
    mean_metric="r2_score",
    shown=("root_mean_squared_error", "mean_absolute_error", "r2_score"),
    objectives=table_of(
        _mean_error("root_mean_squared_error", _squared, "rmse", figure=_root),
        _mean_error("mean_squared_error", _squared, "mse"),
        _mean_error("mean_absolute_error", _absolute, "mae"),
        _mean_error("mean_absolute_percentage_error", _percentage, "mape"),
        _mean_error("mean_squared_logarithmic_error", _squared_logarithmic, "msle"),
        _mean_error("log_cosh_error", _log_cosh),
        _mean_error("loss", _squared),
        _mean_error(
            "r2_score", _squared, "r2", figure=_r2_score, higher_is_better=True
        ),
    ),
    confusion=None,
)
