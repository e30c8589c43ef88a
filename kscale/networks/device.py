"""Flash and RAM that a network needs on a microcontroller, known before any training.

The network is the int8 LiteRT file that `kscale compress` writes (static int8, batch 1)
and runs in TensorFlow Lite Micro, with the kernels that TensorFlow itself has:

- `flash`: bytes of the file. Weights take a byte each, biases four; every channel of a
  layer with weights has two scales and two zero points, every tensor a record.
- `ram`: bytes of the interpreter's arena. Its head holds the tensors that are alive at
  once and the scratch buffers of an operation, each of a multiple of 16 bytes, where
  the interpreter's planner lays them. Its tail holds a record of each tensor and
  operation, and a multiplier for each channel. Weights stay in flash.

The fold follows the converter. Batch normalization, `relu` and `relu6` become part of
the operation whose only reader they are. Dropout and augmentation are left out. What a
later operation alone reads, such as a shortcut, is computed right before it. The file
scales images and sequences itself; a spectrogram is made outside. Every output gets a
softmax.

Figures of operations are those that the interpreter records on a 64-bit machine, where
pointers are twice as long as those of a board: an upper bound of the tail. Kernels of a
maker (CMSIS-NN, ESP-NN) ask for scratch buffers of their own. How far predictions are
from measurements stands in `experiments/results/device_sizes.md`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from kscale.errors import SpecError
from kscale.networks import blueprint as bp
from kscale.networks.arena import ALIGNMENT, Buffer, aligned, head_bytes
from kscale.networks.blueprint import Blueprint, Layer
from kscale.networks.flat import Flat, Node
from kscale.task.tasks import Input

# Bytes of the arena's tail, and of the file: of every network, tensor and channel.
_ARENA, _TAIL_OF_TENSOR, _TAIL_OF_CHANNEL = 885, 24, 8
_FILE, _FILE_OF_TENSOR, _FILE_OF_CHANNEL, _FILE_OF_OPERATION = 650, 108, 24, 7

# Bytes of the tail that an operation takes, without its tensors and channels.
_OPERATIONS = {
    "ADD": 137,
    "CONCATENATION": 137,
    "CONV_2D": 173,
    "DEPTHWISE_CONV_2D": 174,
    "FULLY_CONNECTED": 174,
    "HARD_SWISH": 97,
    "LOGISTIC": 97,
    "MAX_POOL_2D": 138,
    "MEAN": 133,
    "MUL": 118,
    "PAD": 121,
    "RELU": 137,
    "RESHAPE": 101,
    "SOFTMAX": 0,
    "TANH": 97,
}
_FUSED = ("linear", "relu", "relu6")
_FUSING = ("ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL")
_ACTIVATIONS = {
    "relu": ("RELU",),
    "relu6": ("RELU",),
    "sigmoid": ("LOGISTIC",),
    "silu": ("LOGISTIC", "MUL"),
    "hard_silu": ("HARD_SWISH",),
    "tanh": ("TANH",),
}
_SCALED = ("image", "sequence")


@dataclass(frozen=True)
class DeviceSize:
    """What an int8 network needs on a microcontroller; arrays for a width of an array.

    Args:
        flash: Bytes of the int8 LiteRT file.
        ram: Bytes of the interpreter's arena.
        peak: Path of the layer at which the arena is fullest; empty for arrays.
    """

    flash: Any
    ram: Any
    peak: str = field(default="", compare=False)


@dataclass(slots=True)
class _Operation:
    """An operation of the file, at the path of its first layer, with `#` and more where
    it is not the only one of the layer.

    `weights` are bytes of its constants, `constants` their number; `elements` are bytes
    of the output, which is int8. A function can still become part of a linear one.
    """

    kind: str
    path: str
    reads: tuple[str, ...]
    elements: Any
    copies: int
    weights: Any = 0
    constants: int = 0
    channels: Any = 0
    scratch: tuple[Any, ...] = ()
    is_linear: bool = True

    @property
    def tail(self) -> Any:
        """Bytes that all copies take of the arena's tail."""
        tensors = _TAIL_OF_TENSOR * (1 + self.constants)
        channels = _TAIL_OF_CHANNEL * self.channels
        return self.copies * (_OPERATIONS[self.kind] + tensors + channels)

    @property
    def flash(self) -> Any:
        """Bytes that all copies take of the file."""
        tensors = _FILE_OF_TENSOR * (1 + self.constants) + _FILE_OF_OPERATION
        channels = _FILE_OF_CHANNEL * self.channels
        return self.copies * (self.weights + channels + tensors)


def device_size(blueprint: Blueprint) -> DeviceSize:
    """Flash and RAM of a network in int8.

    Raises:
        SpecError: A layer has no operation in TensorFlow Lite Micro, or its input has a
            shape that it cannot take.

    Example:

    >>> from kscale.task.tasks import Task
    >>> from kscale.networks.families import FAMILIES
    >>> task = Task.of("image", (28, 28, 1), classes=10)
    >>> spec = FAMILIES["cnn"].spec(depth=4, width=8)
    >>> device_size(FAMILIES["cnn"].blueprint(spec, task)).peak
    'stage1/pool'
    """
    flat = Flat(blueprint)
    fold = _Fold(blueprint.inputs, flat)
    for item in blueprint.inputs:
        fold.scale(item)
    for node in flat.nodes:
        fold.add(node)
    for name in flat.outputs:
        fold.append("SOFTMAX", f"{name}#softmax", (name,), fold.elements[name], 1)
    return fold.size()


class _Fold:
    """Operations made of layers, as the converter makes them.

    Attributes:
        elements: Bytes of each tensor in int8, by the path of the layer that gives it.
    """

    def __init__(self, inputs: Sequence[Input], flat: Flat) -> None:
        self.inputs = inputs
        self.operations: list[_Operation] = []
        self.elements = {item.name: prod(item.shape) for item in inputs}
        self._source: dict[str, str] = {}
        reads = (name for node in flat.nodes for name in node.reads)
        self._readers = Counter([*flat.outputs, *reads])

    def scale(self, item: Input) -> None:
        """Add the factor and the offset of an input; a dense layer takes both along."""
        if item.kind not in _SCALED:
            return
        reads, elements = (item.name,), prod(item.shape)
        for kind in ("MUL", "ADD"):
            path = f"{item.name}#{kind.lower()}"
            self.append(kind, path, reads, elements, 1, **_of_channels(item.shape[-1]))
            reads = (path,)
        self._source[item.name] = path

    def add(self, node: Node) -> None:
        """Add the operations of a layer, or make the layer part of the last one."""
        rule = _RULES.get(type(node.layer))
        if rule is None:
            raise _refused(node, type(node.layer).__name__)
        self.elements[node.path] = prod(node.cost.output.shape)
        rule(self, node)

    def append(
        self,
        kind: str,
        path: str,
        reads: Iterable[str],
        elements: Any,
        copies: int,
        **more: Any,
    ) -> None:
        """Add an operation, whose output is the tensor of its path."""
        sources = tuple(self._source.get(name, name) for name in reads)
        self.operations.append(
            _Operation(kind, path, sources, elements, copies, **more)
        )

    def simple(self, node: Node, kind: str, **more: Any) -> None:
        """Add the one operation of a layer."""
        elements = self.elements[node.path]
        self.append(kind, node.path, node.reads, elements, node.copies, **more)

    def fused(self, node: Node) -> _Operation | None:
        """The operation before a layer that the layer may become part of."""
        (name, *_), last = node.reads, self.operations[-1:]
        source = self._source.get(name, name)
        is_last = bool(last) and last[0].path == source
        may = is_last and last[0].kind in _FUSING and last[0].is_linear
        return last[0] if may and self._readers[name] == 1 else None

    def join(self, node: Node, operation: _Operation) -> None:
        """Make a layer part of an operation."""
        self._source[node.path] = operation.path

    def size(self) -> DeviceSize:
        """Bytes of all operations, and of the arena that holds their tensors."""
        buffers, inputs = self._buffers(), len(self.inputs)
        tail = _ARENA + inputs * _TAIL_OF_TENSOR
        tail = tail + sum(item.tail for item in self.operations)
        flash = _FILE + inputs * _FILE_OF_TENSOR
        flash = flash + sum(item.flash for item in self.operations)
        return DeviceSize(
            flash, aligned(head_bytes(buffers) + tail), self._peak(buffers)
        )

    def _peak(self, buffers: list[Buffer]) -> str:
        """Path of the layer at which most bytes are alive; empty for arrays."""
        if not all(isinstance(item.size, int) for item in buffers):
            return ""
        alive = [
            sum(item.size for item in buffers if item.first <= index <= item.last)
            for index in range(len(self.operations))
        ]
        return self.operations[alive.index(max(alive))].path.partition("#")[0]

    def _buffers(self) -> list[Buffer]:
        """Tensors and scratch buffers, in the order of the file's tensors."""
        last = {name: i for i, op in enumerate(self.operations) for name in op.reads}
        found = [
            Buffer(aligned(self.elements[item.name]), 0, last[item.name])
            for item in self.inputs
        ]
        end = len(self.operations) - 1
        for index, item in enumerate(self.operations):
            used = last.get(item.path, end)
            found.append(Buffer(aligned(item.elements), index, used))
        for index, item in enumerate(self.operations):
            found += [Buffer(size, index, index) for size in item.scratch]
        return found


def _of_channels(channels: Any) -> dict[str, Any]:
    """What an operation with a number for each channel has."""
    return {"weights": aligned(channels), "constants": 1}


def _refused(node: Node, what: str) -> SpecError:
    return SpecError(
        f"Layer {node.path!r} runs on no microcontroller: TensorFlow Lite Micro has no "
        f"int8 operation for {what}."
    )


def _weighted(kind: str) -> Callable[[_Fold, Node], None]:
    """The rule of a layer with weights and channels, whose bias is always there."""

    def rule(fold: _Fold, node: Node) -> None:
        layer: Any = node.layer
        channels = node.cost.output.shape[-1]
        kernel = node.cost.params - layer.use_bias * channels
        fold.simple(
            node,
            kind,
            weights=aligned(kernel) + aligned(4 * channels),
            constants=2,
            channels=channels,
            is_linear=layer.activation == "linear",
        )
        if layer.activation not in _FUSED:
            _activate(fold, node, layer.activation, node.path)

    return rule


def _activate(fold: _Fold, node: Node, function: str, read: str) -> None:
    """Add the operations of a function on a tensor, under the path of a layer."""
    if function not in _ACTIVATIONS:
        raise _refused(node, f"the function {function}")
    entry, elements = read, fold.elements[node.path]
    for number, kind in enumerate(_ACTIVATIONS[function]):
        reads = (read, entry) if number else (entry,)
        entry = f"{node.path}#{kind.lower()}"
        fold.append(kind, entry, reads, elements, node.copies, is_linear=False)
    fold._source[node.path] = entry


def _activation(fold: _Fold, node: Node) -> None:
    function = node.layer.function  # type: ignore[attr-defined]
    before = fold.fused(node)
    if function in _FUSED and before is not None:
        fold.join(node, before)
        before.is_linear = False
    elif function != "linear":
        _activate(fold, node, function, node.reads[0])


def _norm(fold: _Fold, node: Node) -> None:
    before, channels = fold.fused(node), node.cost.output.shape[-1]
    if before is not None and before.constants > 1:
        fold.join(node, before)
        return
    elements, scaled = fold.elements[node.path], f"{node.path}#scaled"
    more = _of_channels(channels)
    fold.append("MUL", scaled, node.reads, elements, node.copies, **more)
    fold.append("ADD", node.path, (scaled,), elements, node.copies, **more)


def _average(fold: _Fold, node: Node) -> None:
    sums = aligned(4 * node.cost.output.shape[-1])
    fold.simple(node, "MEAN", constants=1, scratch=(ALIGNMENT, ALIGNMENT, sums))


def _add_all(fold: _Fold, node: Node) -> None:
    first, *others = node.reads
    for number, other in enumerate(others, 1):
        path = node.path if number == len(others) else f"{node.path}#{number}"
        elements = fold.elements[node.path]
        fold.append("ADD", path, (first, other), elements, node.copies)
        first = path


def _plain(kind: str, constants: int = 0, weights: int = 0) -> Any:
    """The rule of a layer that is one operation."""

    def rule(fold: _Fold, node: Node) -> None:
        fold.simple(node, kind, constants=constants, weights=weights)

    return rule


_RULES: dict[type[Layer], Callable[[_Fold, Node], None]] = {
    bp.Activation: _activation,
    bp.Add: _add_all,
    bp.BatchNorm: _norm,
    bp.Concatenate: _plain("CONCATENATION"),
    bp.Conv2D: _weighted("CONV_2D"),
    bp.Dense: _weighted("FULLY_CONNECTED"),
    bp.DepthwiseConv2D: _weighted("DEPTHWISE_CONV_2D"),
    bp.Flatten: _plain("RESHAPE", 1, 8),
    bp.GlobalAveragePool: _average,
    bp.MaxPool2D: _plain("MAX_POOL_2D"),
    bp.Multiply: _plain("MUL"),
    bp.Reshape: _plain("RESHAPE", 1, 16),
    bp.Rescale: _plain("MUL", 1, 1),
    bp.ZeroPad2D: _plain("PAD", 1, 32),
}
"""By kind of layer, what the converter makes of it."""
