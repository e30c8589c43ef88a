"""Weights, optimizer and progress of one training in one file, replaced at once."""

import io
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kscale.building.models import build_model
from kscale.engine.progress import Progress, arrays_in
from kscale.engine.rounding import round_weights
from kscale.errors import TrialError
from kscale.networks.blueprint import Blueprint
from kscale.runs.folder import write_atomically


def save_checkpoint(
    path: Path,
    model: keras.Model,
    optimizer: keras.Optimizer | None,
    progress: Progress,
) -> None:
    """Write all variables of a model and its optimizer, seeds of dropout included."""
    arrays: dict[str, Any] = {
        name: np.asarray(variable) for name, variable in _named(model, optimizer)
    }
    buffer = io.BytesIO()
    np.savez(buffer, progress=progress.to_array(), **arrays)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(
    path: Path, model: keras.Model, optimizer: keras.Optimizer | None
) -> Progress | None:
    """Set the variables that `save_checkpoint` wrote; None if there is nothing usable.

    The optimizer must have been built: the state of an unbuilt one would be lost
    without an error.
    """
    arrays = arrays_in(path)
    if arrays is None:
        return None
    wanted = _named(model, optimizer)
    if any(
        name not in arrays or arrays[name].shape != tuple(variable.shape)
        for name, variable in wanted
    ):
        return None
    for name, variable in wanted:
        variable.assign(arrays[name])
    return Progress.of_arrays(arrays)


def round_checkpoint(
    source: Path, target: Path, blueprint: Blueprint, bits: int
) -> None:
    """Write a checkpoint with the weights of a network rounded to so many bits.

    Raises:
        TrialError: The checkpoint is missing or damaged.
    """
    model = build_model(blueprint)
    if load_checkpoint(source, model, None) is None:
        raise TrialError(f"{source} is missing or damaged: nothing to round.")
    round_weights(model, bits)
    arrays: dict[str, Any] = dict(arrays_in(source) or {})
    arrays |= {name: np.asarray(variable) for name, variable in _named(model, None)}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomically(target, buffer.getvalue())


def _named(
    model: keras.Model, optimizer: keras.Optimizer | None
) -> list[tuple[str, Any]]:
    kept = {"model": model.variables, "optimizer": getattr(optimizer, "variables", ())}
    return [
        (f"{owner}/{index}", variable)
        for owner, variables in kept.items()
        for index, variable in enumerate(variables)
    ]
