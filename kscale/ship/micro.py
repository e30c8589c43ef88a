"""TensorFlow Lite Micro: the files that it reads, and the RAM that it takes."""

import re
import sys
from pathlib import Path

from kscale.errors import ExportError
from kscale.ship.extras import check_extra
from kscale.ship.programs import last_words, run_program

_ARENA = 2**28  # bytes offered; what is not used is never touched
_TOTAL = re.compile(r"Arena allocation total (\d+) bytes")


def plain_file(content: bytes) -> bytes:
    """A LiteRT file with all weights inside, and without names that nothing reads.

    The quantizer lays weights of 256 KiB and more behind the file's own structure. A
    microcontroller would take them for tensors without content. Names of tensors that
    are neither inputs nor outputs are a twentieth of a small file.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    for graph in model.subgraphs:
        ends = {*map(int, graph.inputs), *map(int, graph.outputs)}
        for index, tensor in enumerate(graph.tensors):
            tensor.name = tensor.name if index in ends else None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def arena_bytes(path: Path) -> int:
    """Bytes of RAM that the interpreter takes for a file, as it records them itself.

    Raises:
        ExportError: The interpreter does not run the file.
        MissingPackageError: The interpreter is not installed.
    """
    check_extra("Measuring the RAM of a file", "micro")
    # A process of its own: what the file does to the interpreter ends that one alone,
    # and the allocations are written to the standard error of the process.
    done = run_program(__name__, [path])
    found = _TOTAL.search(done.stderr)
    if done.returncode or found is None:
        raise ExportError(
            f"TensorFlow Lite Micro does not run the network: {last_words(done)}."
        )
    return int(found[1])


def _main(path: str) -> None:
    """Run a file once, and write what was allocated."""
    from tflite_micro.python.tflite_micro import runtime

    content = Path(path).read_bytes()
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=_ARENA)
    interpreter.invoke()
    interpreter.print_allocations()


if __name__ == "__main__":
    _main(*sys.argv[1:])
