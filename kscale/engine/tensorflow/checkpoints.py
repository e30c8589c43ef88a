"""Weights, optimizer and progress of one training in one file, replaced at once."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

from kscale.runs.folder import write_atomically

_UNREADABLE = (OSError, ValueError, BadZipFile, KeyError, EOFError)


@dataclass
class Progress:
    """How far a training has come.

    Args:
        epochs: Epochs done.
        curve: A value for each epoch under `loss` and `score`.
        seconds: Time spent so far, over all processes.
        fits: Of a user's own training, for each call of `model.fit` the epoch that
            follows, as Keras counts them.
    """

    epochs: int = 0
    curve: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    fits: list[int] = field(default_factory=list)


def save_checkpoint(
    path: Path,
    model: keras.Model,
    optimizer: keras.Optimizer | None,
    progress: Progress,
) -> None:
    """Write all variables of a model and its optimizer, seeds of dropout included."""
    arrays: dict[str, Any] = {
        f"model/{i}": np.asarray(v) for i, v in enumerate(model.variables)
    }
    if optimizer is not None:
        states = enumerate(optimizer.variables)
        arrays |= {f"optimizer/{i}": np.asarray(v) for i, v in states}
    buffer = io.BytesIO()
    np.savez(buffer, progress=np.array(json.dumps(vars(progress))), **arrays)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(
    path: Path, model: keras.Model, optimizer: keras.Optimizer | None
) -> Progress | None:
    """Set the variables that `save_checkpoint` wrote; None if there is nothing usable.

    The optimizer must have been built: an unbuilt one would drop its state silently.
    """
    arrays = _read(path)
    if arrays is None:
        return None
    wanted = list(_named("model", model.variables))
    if optimizer is not None:
        wanted += _named("optimizer", optimizer.variables)
    if any(
        name not in arrays or arrays[name].shape != tuple(variable.shape)
        for name, variable in wanted
    ):
        return None
    for name, variable in wanted:
        variable.assign(arrays[name])
    return Progress(**json.loads(str(arrays["progress"])))


def epochs_in(path: Path) -> int:
    """Epochs of the training a checkpoint is of; 0 if there is none that is usable."""
    progress = progress_in(path)
    return 0 if progress is None else progress.epochs


def progress_in(path: Path) -> Progress | None:
    """How far the training of a checkpoint has come; None if it cannot be read."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return Progress(**json.loads(str(file["progress"])))
    except (*_UNREADABLE, TypeError):
        return None


def _named(prefix: str, variables: list[Any]) -> list[tuple[str, Any]]:
    return [(f"{prefix}/{index}", item) for index, item in enumerate(variables)]


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except _UNREADABLE:
        return None


class Attempts:
    """How often a training was begun without getting further, on disk.

    A training that kills its process (a crash in native code, memory) would otherwise
    be begun again by every restart. An attempt is counted before the network is built
    and forgotten when it has come further or ended by itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, epochs: int) -> int:
        """Count an attempt from an epoch; how many before it ended no further."""
        before = self._read()
        count = before["count"] if before["epochs"] == epochs else 0
        self._write({"epochs": epochs, "count": count + 1})
        return int(count)

    def end(self) -> None:
        """The attempt ended without killing the process."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> dict[str, int]:
        try:
            data = json.loads(self.path.read_text())
            return {"epochs": int(data["epochs"]), "count": int(data["count"])}
        except (OSError, ValueError, KeyError, TypeError):
            return {"epochs": -1, "count": 0}

    def _write(self, data: dict[str, int]) -> None:
        write_atomically(self.path, json.dumps(data).encode())
