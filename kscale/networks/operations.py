"""Operations of an int8 LiteRT file, and what each takes of flash and RAM.

Figures of operations are those that TensorFlow Lite Micro records on a 64-bit machine,
where pointers are twice as long as those of a board: an upper bound.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from kscale.networks.arena import aligned
from kscale.networks.flat import Flat, Node
from kscale.task.tasks import Input

# Bytes of the tail of the arena, and of the file, of a tensor; bytes of the file of a
# channel and of an operation.
TAIL_OF_TENSOR = 24
FILE_OF_TENSOR, _FILE_OF_CHANNEL, _FILE_OF_OPERATION = 108, 24, 7

# Bytes of the tail that an operation takes, without its tensors and channels.
_OPERATIONS = {
    "ADD": 137,
    "BATCH_MATMUL": 90,
    "CONCATENATION": 137,
    "CONV_2D": 173,
    "DEPTHWISE_CONV_2D": 174,
    "DEQUANTIZE": 107,
    "FULLY_CONNECTED": 174,
    "HARD_SWISH": 97,
    "LOGISTIC": 97,
    "MAX_POOL_2D": 138,
    "MEAN": 133,
    "MUL": 118,
    "NEG": 65,
    "PAD": 121,
    "QUANTIZE": 107,
    "RELU": 137,
    "RESHAPE": 101,
    "RSQRT": 107,
    "SOFTMAX": 483,
    "SQUARED_DIFFERENCE": 137,
    "STRIDED_SLICE": 137,
    "TANH": 97,
    "TRANSPOSE": 80,
}
_SCALED = ("image", "sequence")
_FUSING = ("ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL")


@dataclass(slots=True)
class Operation:
    """An operation, at the path of its layer, with `#` and more where a layer has more.

    Args:
        kind: Name in LiteRT.
        path: Name of the output.
        reads: Names of the tensors that are read.
        output: Bytes of the output.
        copies: Equal operations that this one stands for.
        weights: Bytes of the constants.
        constants: Number of the constants.
        channels: Channels of the constants, each with a scale and a zero point.
        scratch: Bytes of the buffers that are needed only while it runs.
        kept: Bytes of the arena's tail that grow with the tensors.
        is_linear: Whether a function can still become part of the operation.
    """

    kind: str
    path: str
    reads: tuple[str, ...]
    output: Any
    copies: int
    weights: Any = 0
    constants: int = 0
    channels: Any = 0
    scratch: tuple[Any, ...] = ()
    kept: Any = 0
    is_linear: bool = True

    @property
    def tail(self) -> Any:
        """Bytes that all copies take of the arena's tail."""
        tensors = TAIL_OF_TENSOR * (1 + self.constants)
        channels = 2 * aligned(4 * self.channels)  # multipliers and their shifts
        return self.copies * (_OPERATIONS[self.kind] + tensors + channels + self.kept)

    @property
    def flash(self) -> Any:
        """Bytes that all copies take of the file."""
        tensors = FILE_OF_TENSOR * (1 + self.constants) + _FILE_OF_OPERATION
        channels = _FILE_OF_CHANNEL * self.channels
        return self.copies * (self.weights + channels + tensors)


def of_channels(channels: Any) -> dict[str, Any]:
    """What an operation with a constant of so many numbers has."""
    return {"weights": aligned(channels), "constants": 1}


class Operations:
    """Operations made of layers, as the converter makes them, one after the other.

    Attributes:
        made: The operations.
        elements: Numbers of each tensor, by the path of the layer that gives it.
        known: Bytes of what is the same for all examples, by path.
    """

    def __init__(self, inputs: Sequence[Input], flat: Flat) -> None:
        self.made: list[Operation] = []
        self.elements: dict[str, Any] = {it.name: prod(it.shape) for it in inputs}
        self.known: dict[str, Any] = {}
        self._source: dict[str, str] = {}
        reads = (name for node in flat.nodes for name in node.reads)
        self._readers = Counter([*flat.outputs, *reads])

    def scale(self, item: Input) -> None:
        """Add the factor and the offset of an input; a dense layer takes both along."""
        if item.kind not in _SCALED:
            return
        name, more = item.name, of_channels(item.shape[-1])
        self.append("MUL", f"{name}#mul", (name,), prod(item.shape), **more)
        self.append("ADD", f"{name}#add", (f"{name}#mul",), prod(item.shape), **more)
        self.rename(name, f"{name}#add")

    def append(
        self,
        kind: str,
        path: str,
        reads: Iterable[str],
        output: Any,
        copies: int = 1,
        **more: Any,
    ) -> str:
        """Add an operation, and give the path of its output."""
        sources = tuple(self._source.get(name, name) for name in reads)
        self.made.append(Operation(kind, path, sources, output, copies, **more))
        return path

    def simple(self, node: Node, kind: str, **more: Any) -> None:
        """Add the one operation of a layer."""
        elements = self.elements[node.path]
        self.append(kind, node.path, node.reads, elements, node.copies, **more)

    def rename(self, name: str, path: str) -> None:
        """What is known by a name is the output at a path."""
        self._source[name] = path

    def fused(self, node: Node) -> Operation | None:
        """The operation before a layer that the layer may become part of."""
        (name, *_), last = node.reads, self.made[-1:]
        is_last = bool(last) and last[0].path == self._source.get(name, name)
        may = is_last and last[0].kind in _FUSING and last[0].is_linear
        return last[0] if may and self._readers[name] == 1 else None
