"""Keras' own format: one `.keras` file, which Keras opens without kscale."""

import zipfile
from pathlib import Path

from kscale.errors import ExportError
from kscale.ship.formats.base import Format

_SUFFIX = ".keras"


def _check(path: Path) -> None:
    if path.suffix != _SUFFIX:
        raise ExportError(f"A Keras file must end with {_SUFFIX}, but got {path.name}.")


FORMAT = Format(
    _SUFFIX, zipfile.is_zipfile, lambda model, task, path: model.save(path), _check
)
