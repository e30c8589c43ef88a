"""Progress of a training, as a checkpoint holds it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np

_T = TypeVar("_T")


@dataclass
class Progress:
    """How far a training has come.

    A checkpoint of any engine is an `.npz` file that holds the progress as JSON under
    `progress`.

    Args:
        epochs: Epochs the weights have been trained.
        curve: A value for each epoch under `loss` and `score`.
        seconds: Time spent on the job so far, over all attempts.
        fits: For each call of `model.fit` by a user's code, the epoch that follows, as
            Keras counts epochs.
        is_finished: Whether the job was trained to its end.
    """

    epochs: int = 0
    curve: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    fits: list[int] = field(default_factory=list)
    is_finished: bool = False

    def to_array(self) -> Any:
        """An array that `of_arrays` reads."""
        return np.array(json.dumps(vars(self)))

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Any]) -> "Progress":
        """The progress among the arrays of a checkpoint."""
        return cls(**json.loads(str(arrays["progress"])))


def arrays_in(path: Path) -> dict[str, Any] | None:
    """All arrays of a checkpoint by name; None if the file is unusable."""
    return _read(path, lambda file: {name: file[name] for name in file.files})


def progress_in(path: Path) -> Progress | None:
    """How far the training of a checkpoint has come; None if the file is unusable."""
    return _read(path, Progress.of_arrays)


def epochs_in(path: Path) -> int:
    """Epochs that the weights of a checkpoint were trained; 0 without a usable file."""
    return (progress_in(path) or Progress()).epochs


def _read(path: Path, read: Callable[[Any], _T]) -> _T | None:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return read(file)
    except (OSError, ValueError, BadZipFile, KeyError, EOFError, TypeError):
        return None
