"""The table of export formats: a new one is a file and a row here."""

import zipfile
from pathlib import Path

from kscale.ship.formats import litert, onnx, saved_model
from kscale.ship.formats.base import (
    Format,
    check_free,
    check_suffix,
    check_target,
    export_model,
)
from kscale.ship.prediction import Answer, answer_of
from kscale.task.tasks import Task


def _answer(path: Path, task: Task) -> Answer:
    import keras  # seconds; the table of formats is read without it

    return answer_of(keras.saving.load_model(path, compile=False), task)


FORMATS: dict[str, Format] = {
    "keras": Format(
        ".keras",
        zipfile.is_zipfile,
        lambda model, task, path: model.save(path),
        check_suffix(".keras"),
        answer=_answer,
    ),
    "saved-model": saved_model.FORMAT,
    "litert": litert.FORMAT,
    "onnx": onnx.FORMAT,
}

__all__ = ["FORMATS", "Format", "check_free", "check_target", "export_model"]
