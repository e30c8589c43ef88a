"""LiteRT (TensorFlow Lite): one file for phones and boards.

The batch is 1 and all operations are builtin ones: recurrent layers run nowhere with
other files. Texts become token ids outside.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from kscale.ship.formats import saved_model
from kscale.ship.formats.base import Format, check_suffix, converted, is_numeric
from kscale.task.tasks import Task

if TYPE_CHECKING:
    import keras

_MARK, _MARK_AT = b"TFL3", 4


def convert(model: "keras.Model", task: Task, path: Path) -> None:
    """Write a float32 file of a model, as `packaging.bare_model` makes it.

    Raises:
        ExportError: TensorFlow's converter failed.
    """
    with TemporaryDirectory() as folder:
        saved = Path(folder, "saved")
        saved_model.write(model, task, saved, batch=1)
        converted(
            "tensorflow.lite.python.tflite_convert",
            [f"--saved_model_dir={saved}", f"--output_file={path}"],
            path,
        )


def is_litert(path: Path) -> bool:
    """Whether a path is a file of LiteRT."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(_MARK_AT + len(_MARK))[_MARK_AT:] == _MARK


FORMAT = Format(
    ".tflite",
    is_litert,
    convert,
    check_suffix(".tflite"),
    carries=is_numeric,
    extra="litert",
)
