"""The int8 file of a trained network for a microcontroller, and what the file needs."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from kscale.data.dataset import Dataset
from kscale.data.preprocessing.scaled import Scaled
from kscale.networks.families.base import Spec
from kscale.ship.artifacts import Artifact
from kscale.ship.compressing.quantizing import quantize_file
from kscale.ship.extras import check_extra
from kscale.ship.formats import litert
from kscale.ship.micro import arena_bytes
from kscale.ship.packaging import bare_model
from kscale.task.tasks import Task

if TYPE_CHECKING:
    import keras

_CALIBRATED = 16  # examples; the sizes are the same for any


def check_packages() -> None:
    """Raise unless a file can be made and measured here.

    Raises:
        MissingPackageError: A package is missing; the text says how to install it.
    """
    for extra in ("litert", "micro"):
        check_extra("Measuring flash and RAM of a microcontroller", extra)


def measured_needs(spec: Spec, dataset: Dataset, weights: Path) -> tuple[int, int]:
    """Bytes of flash and of RAM that a trained network needs in int8.

    The file scales its inputs itself. All other preprocessing stays outside.

    Args:
        spec: The network.
        dataset: What it was trained on.
        weights: A checkpoint.

    Raises:
        ExportError: The network cannot be converted, or does not run in TensorFlow Lite
            Micro.
        MissingPackageError: As `check_packages`.
    """
    task, preprocessing = dataset.task, dataset.preprocessing_of(spec)
    inside = {n: it for n, it in preprocessing.items() if isinstance(it, Scaled)}
    model = bare_model(spec, task, weights, inside, dataset.target_scaling)
    with TemporaryDirectory() as folder:
        path = Path(folder, "float32.tflite")
        artifact = Artifact(path, task, preprocessing, tuple(inside), dataset.reader)
        examples: dict[str, Any] = {}
        for name, rows in dataset.seen_by(spec).train.inputs.items():
            few = np.asarray(rows[:_CALIBRATED])
            item = inside.get(name)
            read = name if item is None else item.raw.name
            examples[artifact.takes[read]] = item.scaling.invert(few) if item else few
        return needs_of(model, task, examples, Path(folder))


def needs_of(
    model: "keras.Model", task: Task, examples: Mapping[str, Any], folder: Path
) -> tuple[int, int]:
    """Bytes of flash and of RAM that a model of `bare_model` needs in int8.

    Args:
        model: The model.
        task: What the model predicts.
        examples: What the float32 file takes, by names in the file.
        folder: Where files are written.
    """
    check_packages()
    float32, int8 = folder / "float32.tflite", folder / "int8.tflite"
    litert.convert(model, task, float32)
    quantize_file("int8", float32, int8, examples)
    return int8.stat().st_size, arena_bytes(int8)
