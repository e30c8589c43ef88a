"""Real values: numbers, in the unit of the data."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kscale.task.heads.base import (
    Array,
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


def _r2_score(labels: Array, given: Array) -> float:
    """The mean over the outputs; 0 of an output without spread, as in Keras."""
    spread = np.square(labels - np.mean(labels, axis=0, dtype=np.float64)).sum(axis=0)
    errors = np.subtract(labels, given, dtype=np.float64)
    left = np.square(errors).sum(axis=0) / np.where(spread > 0, spread, 1.0)
    return float(np.where(spread > 0, 1 - left, 0.0).mean())


def _mean_error(
    name: str, error: Callable[[Array, Array], Array], *aliases: str
) -> Objective:
    """The mean of what `error` gives for labels and answers, as float64."""
    return error_metric(name, score=partial(_mean, error), aliases=aliases)


def _mean(error: Callable[[Array, Array], Array], labels: Array, given: Array) -> float:
    return float(error(labels.astype(float), given.astype(float)).mean())


def _root(labels: Array, given: Array) -> float:
    return math.sqrt(_mean(_squared, labels, given))


def _squared(labels: Array, given: Array) -> Array:
    return np.asarray(np.square(labels - given))


def _absolute(labels: Array, given: Array) -> Array:
    return np.asarray(np.abs(labels - given))


def _percentage(labels: Array, given: Array) -> Array:
    return 100 * _absolute(labels, given) / np.maximum(np.abs(labels), _LEAST)


def _squared_logarithmic(labels: Array, given: Array) -> Array:
    wanted, found = (np.log1p(np.maximum(each, _LEAST)) for each in (labels, given))
    return _squared(wanted, found)


def _log_cosh(labels: Array, given: Array) -> Array:
    errors = _absolute(labels, given)
    return np.asarray(errors + np.log1p(np.exp(-2 * errors)) - np.log(2))


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
    activation="linear",
    activate=np.asarray,
    constant=lambda labels, outputs, metric: labels.mean(axis=0, dtype=np.float64),
    chosen=None,
    metric="root_mean_squared_error",
    mean_metric="r2_score",
    shown=("root_mean_squared_error", "mean_absolute_error", "r2_score"),
    objectives=table_of(
        error_metric("root_mean_squared_error", score=_root, aliases=("rmse",)),
        _mean_error("mean_squared_error", _squared, "mse"),
        _mean_error("mean_absolute_error", _absolute, "mae"),
        _mean_error("mean_absolute_percentage_error", _percentage, "mape"),
        _mean_error("mean_squared_logarithmic_error", _squared_logarithmic, "msle"),
        _mean_error("log_cosh_error", _log_cosh),
        _mean_error("loss", _squared),
        Objective("r2_score", True, score=_r2_score, aliases=("r2",)),
    ),
    confusion=None,
)
