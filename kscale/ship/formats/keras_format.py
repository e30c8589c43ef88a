"""Keras' own format: one `.keras` file, which Keras opens without kscale."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from kscale.errors import ExportError
from kscale.ship.formats.base import Format
from kscale.task.tasks import Task

if TYPE_CHECKING:
    import keras

_SUFFIX = ".keras"


def _check(path: Path) -> None:
    if path.suffix != _SUFFIX:
        raise ExportError(f"A Keras file must end with {_SUFFIX}, but got {path.name}.")


def _write(model: "keras.Model", task: Task, path: Path) -> None:
    model.save(path)


FORMAT = Format(_SUFFIX, zipfile.is_zipfile, _write, _check)
