"""The table of export formats: a new one is a file and a row here."""

import zipfile
from pathlib import Path

from kscale.errors import ExportError
from kscale.ship.formats import saved_model
from kscale.ship.formats.base import Format, check_target, export_model


def _check_keras(path: Path) -> None:
    if path.suffix != ".keras":
        raise ExportError(f"A Keras file must end with .keras, but got {path.name}.")


FORMATS: dict[str, Format] = {
    "keras": Format(
        ".keras",
        zipfile.is_zipfile,
        lambda model, task, path: model.save(path),
        _check_keras,
    ),
    "saved-model": saved_model.FORMAT,
}

__all__ = ["FORMATS", "Format", "check_target", "export_model"]
