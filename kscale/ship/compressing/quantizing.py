"""Weights in fewer bits: LiteRT files quantized by ai-edge-quantizer.

TensorFlow is not needed. The work is done in a process of its own, whose crash is the
failure of one method.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kscale.ship.compressing.contract import Examples
from kscale.ship.formats.base import converted
from kscale.ship.micro import plain_file
from kscale.ship.runtimes import load_arrays, save_arrays


def quantize_file(name: str, source: Path, target: Path, examples: Examples) -> None:
    """Write a float32 LiteRT file in fewer bits.

    Args:
        name: Name of the method.
        source: The file, whose batch is 1.
        target: Where to write.
        examples: Inputs to calibrate with.

    Raises:
        ExportError: The quantizer refuses the network, or crashed.
    """
    with TemporaryDirectory() as folder:
        arrays = Path(folder, "examples.npz")
        save_arrays(arrays, examples)
        words: list[str | Path] = [name, source, arrays, target]
        converted(__name__, words, target, "ai-edge-quantizer")


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
        examples = load_arrays(Path(arrays))
        number = min(map(len, examples.values()))
        rows = [{n: a[i : i + 1] for n, a in examples.items()} for i in range(number)]
        (signature,) = Interpreter(source).get_signature_list()
        ranges = quantizer.calibrate({signature: rows}, num_threads=1)
    made = quantizer.quantize(ranges, enable_progress_report=False)
    return plain_file(made.quantized_model)


if __name__ == "__main__":
    Path(sys.argv[-1]).write_bytes(_quantized(*sys.argv[1:-1]))
