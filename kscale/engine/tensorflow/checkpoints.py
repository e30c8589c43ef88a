"""Weights, optimizer and progress of one training in one file, replaced at once."""

import io
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kscale.engine.progress import Progress, arrays_in
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


def _named(
    model: keras.Model, optimizer: keras.Optimizer | None
) -> list[tuple[str, Any]]:
    kept = {"model": model.variables, "optimizer": getattr(optimizer, "variables", ())}
    return [
        (f"{owner}/{index}", variable)
        for owner, variables in kept.items()
        for index, variable in enumerate(variables)
    ]
