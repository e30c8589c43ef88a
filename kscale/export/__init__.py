"""The table of export formats: a new one is a file and a row here."""

from kscale.export import keras_format, saved_model
from kscale.export.base import Format, check_target, export_model

FORMATS: dict[str, Format] = {
    "keras": keras_format.FORMAT,
    "saved-model": saved_model.FORMAT,
}

__all__ = ["FORMATS", "Format", "check_target", "export_model"]
