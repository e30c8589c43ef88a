"""ONNX: one file for runtimes of many makers, by tf2onnx.

Spectrograms and texts are made outside: ONNX has no short-time Fourier transform that
tf2onnx writes. The exact GELU is written with the error function, because ONNX lacks
the complementary error function that TensorFlow takes.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.log_mel import LogMel
from kscale.ship.formats import saved_model
from kscale.ship.formats.base import Format, check_suffix, converted, is_numeric
from kscale.task.tasks import Task

if TYPE_CHECKING:
    import keras

_OPSET = 17
_FIRST = b"\x08"  # the tag of the version, which a file of ONNX begins with


def _gelu(x: Any) -> Any:
    import keras

    return 0.5 * x * (1 + keras.ops.erf(x / 2**0.5))


def _write(model: "keras.Model", task: Task, path: Path) -> None:
    import keras  # seconds; the table of formats is read without it

    for layer in model._flatten_layers():
        if getattr(layer, "activation", None) is keras.activations.gelu:
            layer.activation = _gelu
    with TemporaryDirectory() as folder:
        saved = Path(folder, "saved")
        saved_model.write(model, task, saved)
        words = ["--saved-model", str(saved), "--output", str(path)]
        converted("tf2onnx.convert", [*words, "--opset", str(_OPSET)], path)


def _carries(item: Preprocessing) -> bool:
    return is_numeric(item) and not isinstance(item, LogMel)


def _is_onnx(path: Path) -> bool:
    if path.suffix != ".onnx" or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(1) == _FIRST


FORMAT = Format(
    ".onnx", _is_onnx, _write, check_suffix(".onnx"), carries=_carries, extra="onnx"
)
