"""Weights in fewer bits: LiteRT files quantized by ai-edge-quantizer.

TensorFlow is not needed. The work is done in a process of its own, whose crash is the
failure of one method.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kscale.errors import ExportError, MissingPackageError, reason_of
from kscale.ship.compressing.contract import Examples

_MOST_EXAMPLES = 500
"""Examples of a calibration: ranges settle long before."""


def quantize_file(name: str, source: Path, target: Path, examples: Examples) -> None:
    """Write a float32 LiteRT file in fewer bits.

    Args:
        name: Name of the method.
        source: The file, whose batch is 1.
        target: Where to write.
        examples: Inputs to calibrate with.

    Raises:
        ExportError: The quantizer refuses the network, or crashed.
        MissingPackageError: The quantizer is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "examples.npz"
        some: dict[str, Any] = {
            n: rows[:_MOST_EXAMPLES] for n, rows in examples.items()
        }
        np.savez(arrays, **some)
        command = f"from {__name__} import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", command, name, source, target, arrays],
            capture_output=True,
            text=True,
        )
    if done.returncode == _IS_MISSING:
        raise MissingPackageError(
            "Quantizing needs the package ai-edge-quantizer: "
            "pip install 'kscale[litert]'."
        )
    if done.returncode == _IS_REFUSED:
        raise ExportError(f"the quantizer refuses the network: {done.stdout.strip()}")
    if done.returncode or not target.exists():
        raise ExportError(f"the quantizer crashed with exit code {done.returncode}")


_IS_MISSING, _IS_REFUSED = 3, 4


def main() -> None:
    """Quantize in this process, by the arguments of `quantize_file`."""
    name, source, target, arrays = sys.argv[1:]
    try:
        content = _quantized(name, source, arrays)
    except ImportError:
        sys.exit(_IS_MISSING)
    except Exception as error:  # whatever the quantizer raises for a network
        print(reason_of(error))
        sys.exit(_IS_REFUSED)
    Path(target).write_bytes(content)


def _quantized(name: str, source: str, arrays: str) -> Any:
    """The content of the quantized file."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import TFLOperationName
    from ai_edge_quantizer.quantizer import Quantizer

    quantizer = Quantizer(source)
    weights = partial(
        quantizer.add_weight_only_config, ".*", TFLOperationName.ALL_SUPPORTED
    )
    recipes: dict[str, Callable[[], None]] = {
        "int8": partial(
            quantizer.add_static_config, ".*", TFLOperationName.ALL_SUPPORTED, 8, 8
        ),
        "int8-dynamic": partial(
            quantizer.add_dynamic_config, ".*", TFLOperationName.ALL_SUPPORTED, 8
        ),
        "int8-weights": partial(weights, 8),
        "int4": partial(weights, 4),
        "float16": partial(weights, 16, algorithm_key=AlgorithmName.FLOAT_CASTING),
    }
    recipes[name]()
    ranges = None
    if quantizer.need_calibration:
        examples = np.load(arrays)
        number = min(map(len, examples.values()))
        rows = [{n: a[i : i + 1] for n, a in examples.items()} for i in range(number)]
        (signature,) = Interpreter(source).get_signature_list()
        ranges = quantizer.calibrate({signature: rows}, num_threads=1)
    return quantizer.quantize(ranges, enable_progress_report=False).quantized_model
