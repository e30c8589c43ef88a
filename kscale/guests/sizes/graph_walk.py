"""Walks the graph of a Keras model with shapes of one example; computes nothing."""

import inspect
from dataclasses import dataclass
from math import prod
from typing import Any

import keras

from kscale.guests.sizes.layer_work import (
    VIEWS,
    einsum_shape,
    graph_of,
    packed_values,
    work_of,
)
from kscale.guests.sizes.operation_work import Shape, Work
from kscale.networks.sizing import SizeRow

_BYTES = {"bool": 1, "string": 0}


def tensor_bytes(shape: Shape, dtype: str) -> int:
    """Bytes of a tensor; 0 if a side of it is unknown.

    Example:

    >>> tensor_bytes((2, 3), "float32"), tensor_bytes((2, 3), "bfloat16")
    (24, 12)
    """
    if None in shape:
        return 0
    bits = "".join(letter for letter in dtype.split("_")[0] if letter.isdigit())
    size = _BYTES[dtype] if dtype in _BYTES else int(bits) // 8
    return prod(shape, start=size)


@dataclass(eq=False)
class _Buffer:
    """Memory behind a tensor and its views; `last_read` is the last step that reads."""

    bytes: int
    made: int
    last_read: int


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of one example: its shape without the batch, and the memory behind."""

    shape: Shape
    dtype: str
    buffer: _Buffer


class Walk:
    """What was met on the way through a model, in the order in which Keras runs it.

    Attributes:
        rows: A row for each layer and operation, by identity; a layer that is used
            several times has one row, with `flops` of all its uses.
        held: Bytes of all inputs, outputs and insides.
    """

    def __init__(self) -> None:
        self.rows: dict[int, SizeRow] = {}
        self.held = 0
        self._steps: list[int] = []  # bytes of the insides of each
        self._buffers: list[_Buffer] = []
        self._weights: set[int] = set()

    def model(self, model: keras.Model, shapes: list[Shape]) -> None:
        """Walk a whole model, of which the caller keeps the inputs and the outputs."""
        graph = graph_of(model)
        if graph is None:
            self._row(model, model.name, (), None)
            return
        dtypes = [item.dtype for item in graph.inputs]
        pairs = zip(shapes, dtypes, strict=True)
        inputs = [self._value(shape, dtype) for shape, dtype in pairs]
        outputs = self._graph(graph, inputs, "", 1)
        for value in (*inputs, *outputs):
            value.buffer.last_read = len(self._steps)
        # Weights that no layer of the graph holds.
        self._row(model, "(outside the layers)", (), Work())

    def peak(self) -> int:
        """The most bytes alive at once."""
        alive = [inner for inner in (*self._steps, 0)]
        for buffer in self._buffers:
            for step in range(buffer.made, min(buffer.last_read + 1, len(alive))):
                alive[step] += buffer.bytes
        return max(alive)

    def _value(self, shape: Shape, dtype: str) -> Value:
        """A tensor that needs memory of its own from the next step on."""
        size, now = tensor_bytes(shape, dtype), len(self._steps)
        buffer = _Buffer(size, now, now)
        self._buffers.append(buffer)
        self.held += size
        return Value(shape, dtype, buffer)

    def _graph(
        self, graph: Any, inputs: list[Value], prefix: str, times: int
    ) -> list[Value]:
        """Walk a graph once, for `times` equal uses, and return its outputs."""
        values = {id(t): v for t, v in zip(graph.inputs, inputs, strict=True)}
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                if not node.is_input:
                    outputs = self._node(node, values, prefix, times)
                    keys = map(id, node.outputs)
                    values.update(zip(keys, outputs, strict=True))
        return [values[id(tensor)] for tensor in graph.outputs]

    def _node(
        self, node: Any, values: dict[int, Value], prefix: str, times: int
    ) -> list[Value]:
        operation = node.operation
        tensors = _in_order(node)
        read = [values[id(tensor)] for tensor in tensors]
        path = prefix + operation.name.replace(".", "/")
        inner = graph_of(operation)
        if inner is not None:
            return self._graph(inner, read, f"{path}/", times)
        if type(operation) is keras.layers.TimeDistributed:
            self._every_step(operation.layer, read[0], f"{path}/", times)
        shapes = _output_shapes(node, tensors, values)
        return self._layer(node, read, shapes, path, times)

    def _every_step(self, layer: Any, read: Value, prefix: str, times: int) -> None:
        """Walk a model that is applied to every position of a sequence."""
        inner = graph_of(layer)
        if inner is not None:
            length, *shape = read.shape
            entry = self._value(tuple(shape), read.dtype)
            self._graph(inner, [entry], prefix, times * length)

    def _layer(
        self, node: Any, read: list[Value], shapes: list[Shape], path: str, times: int
    ) -> list[Value]:
        operation = node.operation
        taken = [value.shape for value in read]
        if not isinstance(operation, keras.layers.Layer):
            taken = _with_constants(node, taken)
        work = work_of(operation, taken, shapes)
        for value in read:
            value.buffer.last_read = len(self._steps)
        dtypes = [tensor.dtype for tensor in node.outputs]
        if type(operation) in VIEWS:
            outputs = [Value(shapes[0], dtypes[0], read[0].buffer)]
            self.held += tensor_bytes(shapes[0], dtypes[0])
        else:
            outputs = list(map(self._value, shapes, dtypes))
        inner = work.inner if work else 0
        self.held += inner
        self._steps.append(inner)
        self._row(operation, path, shapes[0], work, times)
        return outputs

    def _row(
        self, operation: Any, path: str, shape: Shape, work: Work | None, times: int = 1
    ) -> None:
        """Add a layer's row, or one more use of the layer to it."""
        weights = [w for w in getattr(operation, "weights", []) if self._is_new(w)]
        packed = packed_values(operation)
        params = sum(packed.get(id(w), prod(w.shape)) for w in weights)
        before = self.rows.get(id(operation))
        flops = None if work is None else work.flops * times
        if before is not None:
            total = None if None in (flops, before.flops) else before.flops + flops
            row = before._replace(flops=total, copies=before.copies + times)
        else:
            row = SizeRow(path, type(operation).__name__, shape, params, flops, times)
        if params or graph_of(operation) is None:
            self.rows[id(operation)] = row

    def _is_new(self, weight: Any) -> bool:
        is_new = id(weight) not in self._weights
        self._weights.add(id(weight))
        return is_new


def _in_order(node: Any) -> list[Any]:
    """Tensors that a call reads, those by name in the order of the signature."""
    flat = _arguments(node)
    return [item for item in flat if isinstance(item, keras.KerasTensor)]


def _arguments(node: Any) -> list[Any]:
    args, kwargs = node.arguments.args, node.arguments.kwargs
    if kwargs:
        call = inspect.signature(node.operation.call)
        args = tuple(call.bind(*args, **kwargs).arguments.values())
    flat: list[Any] = keras.tree.flatten(args)
    return flat


def _with_constants(node: Any, read: list[Shape]) -> list[Shape]:
    """Shapes of what an operation reads, arrays that are no tensor of it included."""
    rest = iter(read)
    return [
        next(rest) if isinstance(item, keras.KerasTensor) else tuple(item.shape)
        for item in _arguments(node)
        if hasattr(item, "shape")
    ]


def _output_shapes(
    node: Any, tensors: list[Any], values: dict[int, Value]
) -> list[Shape]:
    """Shapes that a call gives: those recorded if it was recorded with these inputs."""
    if type(node.operation) is keras.layers.EinsumDense:
        return [einsum_shape(node.operation, values[id(tensors[0])].shape)]
    recorded = [tuple(tensor.shape[1:]) for tensor in node.outputs]
    is_same = all(values[id(t)].shape == tuple(t.shape[1:]) for t in tensors)
    if is_same and not any(None in shape for shape in recorded):
        return recorded
    known = {
        id(tensor): keras.KerasTensor((None, *values[id(tensor)].shape), tensor.dtype)
        for tensor in tensors
    }
    args, kwargs = node.arguments.fill_in(known)
    made = keras.tree.flatten(node.operation.compute_output_spec(*args, **kwargs))
    return [tuple(item.shape[1:]) for item in made]
