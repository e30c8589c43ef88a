"""Weights in fewer bits: LiteRT files quantized by ai-edge-quantizer.

TensorFlow is not needed. The work is done in a process of its own, whose crash is the
failure of one method.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kscale.ship.formats.base import converted
from kscale.ship.micro import plain_file
from kscale.ship.runtimes import Arrays, load_arrays, save_arrays

_OF_WEIGHTS = ("int8-dynamic", "int8-weights", "int4")


def quantize_file(name: str, source: Path, target: Path, examples: Arrays) -> None:
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


def _tables(model: Any) -> Iterator[str]:
    """Patterns of the operations that take rows of an embedding.

    Methods that store weights leave such a table in float32. The static way stores the
    table in 8 bits with one scale, and loses nothing more: what is taken of the table
    has the scale of the table.
    """
    from ai_edge_quantizer.qtyping import BuiltinOperator
    from ai_edge_quantizer.utils.tfl_flatbuffer_utils import get_tensor_name

    for graph in model.subgraphs:
        for each in graph.operators:
            kind = model.operatorCodes[each.opcodeIndex].builtinCode
            table = model.buffers[graph.tensors[each.inputs[0]].buffer]
            if kind == BuiltinOperator.GATHER and table.data is not None:
                yield re.escape(get_tensor_name(graph.tensors[each.outputs[0]]))


def _ranges(source: str, rows: Sequence[Arrays], recipe: Any) -> Any:
    """The least and the largest number of each tensor over all examples.

    `Quantizer.calibrate` takes moving averages of the extremes of single examples. Of a
    real target that is about the mean, and every larger value would be cut off.
    """
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.recipe_manager import RecipeManager
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    manager = RecipeManager()
    manager.load_quantization_recipe(recipe)
    found = Calibrator(source, num_threads=1, qsv_update_func=min_max_update)
    (signature,) = found.get_signature_list()
    found.calibrate({signature: rows}, manager)
    return found.get_model_qsvs()


def _quantized(name: str, source: str, arrays: str) -> Any:
    """The content of the quantized file."""
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import TFLOperationName
    from ai_edge_quantizer.quantizer import Quantizer
    from ai_edge_quantizer.utils.tfl_flatbuffer_utils import read_model

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
    for scope in _tables(read_model(source)) if name in _OF_WEIGHTS else ():
        quantizer.add_static_config(scope, TFLOperationName.GATHER, 8, 8)
    ranges = None
    if quantizer.need_calibration:
        examples = load_arrays(Path(arrays))
        number = min(map(len, examples.values()))
        rows = [{n: a[i : i + 1] for n, a in examples.items()} for i in range(number)]
        ranges = _ranges(source, rows, quantizer.get_quantization_recipe())
    made = quantizer.quantize(ranges, enable_progress_report=False)
    return plain_file(made.quantized_model)


if __name__ == "__main__":
    Path(sys.argv[-1]).write_bytes(_quantized(*sys.argv[1:-1]))
