"""The int8 file of a trained network for a microcontroller, and what the file needs."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from kscale.ship.compressing.quantizing import quantize_file
from kscale.ship.compressing.scoring import CALIBRATED, FileScorer
from kscale.ship.extras import check_extra
from kscale.ship.formats import litert
from kscale.ship.packaging import bare_model
from kscale.task.tasks import Task

if TYPE_CHECKING:
    import keras


def check_packages() -> None:
    """Raise unless a file can be made and measured here.

    Raises:
        MissingPackageError: A package is missing; the text says how to install it.
    """
    for extra in ("litert", "micro"):
        check_extra("Measuring flash and RAM of a microcontroller", extra)


def make_int8(scorer: FileScorer, weights: Path, path: Path) -> None:
    """Write the int8 file of a checkpoint.

    The file scales inputs as files of `kscale compress` do. All other preprocessing
    stays outside.

    Raises:
        ExportError: The network cannot be converted.
    """
    data = scorer.dataset
    about = (scorer.artifact(path).carried, data.target_scaling)
    model = bare_model(scorer.spec, data.task, weights, *about)
    write_int8(model, data.task, scorer.inputs("train", CALIBRATED), path)


def write_int8(
    model: "keras.Model", task: Task, examples: Mapping[str, Any], path: Path
) -> None:
    """Write the int8 file of a model of `bare_model`.

    Args:
        model: The model.
        task: What the model predicts.
        examples: What the float32 file takes, by names in the file, to calibrate with.
        path: Where to write.
    """
    with TemporaryDirectory() as folder:
        float32 = Path(folder, "float32.tflite")
        litert.convert(model, task, float32)
        quantize_file("int8", float32, path, examples)
