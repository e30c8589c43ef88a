"""The table of export formats: a new one is a file and a row here."""

from kscale.ship.formats import keras_format, saved_model
from kscale.ship.formats.base import Format, check_target, export_model

FORMATS: dict[str, Format] = {
    "keras": keras_format.FORMAT,
    "saved-model": saved_model.FORMAT,
}

__all__ = ["FORMATS", "Format", "check_target", "export_model"]
