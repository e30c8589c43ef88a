"""Real values: numbers, in the unit of the data."""

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kscale.task.heads.base import (
    Array,
    Head,
    KerasCall,
    Objective,
    error_metric,
    figure_of,
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


def _strata(labels: Array) -> NDArray[np.int64]:
    return quantiles(labels[:, 0])


def _mean(labels: Array, outputs: int) -> NDArray[np.float64]:
    return np.asarray(labels.mean(axis=0, dtype=np.float64))


def value_metrics(labels: Array, given: Array) -> dict[str, float]:
    """Errors over all values, and R2: the mean over the outputs.

    An output that is always the same has an R2 of 0, as in Keras.
    """
    errors = _errors(labels, given)
    spread = np.square(labels - np.mean(labels, axis=0, dtype=np.float64)).sum(axis=0)
    left = np.square(errors).sum(axis=0) / np.where(spread > 0, spread, 1.0)
    return {
        "root_mean_squared_error": float(np.sqrt(np.square(errors).mean())),
        "mean_absolute_error": float(np.abs(errors).mean()),
        "r2_score": float(np.where(spread > 0, 1 - left, 0.0).mean()),
    }


def _errors(labels: Array, given: Array) -> NDArray[np.float64]:
    return np.asarray(labels, np.float64) - np.asarray(given, np.float64)


def _mean_squared(labels: Array, given: Array) -> float:
    return float(np.square(_errors(labels, given)).mean())


def _mean_percentage(labels: Array, given: Array) -> float:
    relative = _errors(labels, given) / np.maximum(np.abs(labels), _LEAST)
    return float(100 * np.abs(relative).mean())


def _squared_logarithmic(labels: Array, given: Array) -> float:
    wanted, found = (
        np.log1p(np.maximum(np.asarray(each, np.float64), _LEAST))
        for each in (labels, given)
    )
    return float(np.square(wanted - found).mean())


def _log_cosh(labels: Array, given: Array) -> float:
    errors = np.abs(_errors(labels, given))
    return float((errors + np.log1p(np.exp(-2 * errors)) - np.log(2)).mean())


def _one_of(name: str, alias: str) -> Objective:
    return error_metric(name, partial(figure_of, value_metrics, name), alias)


REAL = Head(
    kind="real",
    title="real values",
    nouns=("value", "values"),
    constant_words="the mean",
    least_outputs=1,
    dtype="float32",
    has_columns=True,
    is_scaled=True,
    is_exclusive=False,
    counts=None,
    strata=_strata,
    loss=KerasCall("MeanSquaredError"),
    one_hot_loss=None,
    smooths=False,
    watched=KerasCall("RootMeanSquaredError"),
    activation="linear",
    activate=np.asarray,
    constant=_mean,
    chosen=None,
    metric="root_mean_squared_error",
    mean_metric="r2_score",
    shown=("root_mean_squared_error", "mean_absolute_error", "r2_score"),
    measure=value_metrics,
    objectives=table_of(
        _one_of("root_mean_squared_error", "rmse"),
        error_metric("mean_squared_error", _mean_squared, "mse"),
        _one_of("mean_absolute_error", "mae"),
        error_metric("mean_absolute_percentage_error", _mean_percentage, "mape"),
        error_metric("mean_squared_logarithmic_error", _squared_logarithmic, "msle"),
        error_metric("log_cosh_error", _log_cosh),
        error_metric("loss", _mean_squared),
        replace(_one_of("r2_score", "r2"), higher_is_better=True),
    ),
    confusion=None,
)
