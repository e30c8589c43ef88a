"""A walk through the graph of a Keras model with shapes of one example."""

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
    """Memory of a tensor and its views, from step `made` to step `last_read`."""

    bytes: int
    made: int
    last_read: int


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of one example: shape without the batch, and memory."""

    shape: Shape
    dtype: str
    buffer: _Buffer


class Walk:
    """The layers and the memory of a model, in the order in which Keras runs them.

    Attributes:
        rows: A row for each layer and operation, by identity; a layer that is used
            several times has one row, with the FLOPs of all uses.
        held: Bytes of all inputs and outputs, and of what is needed only while a layer
            runs.
    """

    def __init__(self) -> None:
        self.rows: dict[int, SizeRow] = {}
        self.held = 0
        self._steps: list[int] = []  # bytes needed only while each runs
        self._buffers: list[_Buffer] = []
        self._weights: set[int] = set()

    def model(self, model: keras.Model, shapes: list[Shape]) -> None:
        """Walk a whole model, whose inputs and outputs stay in memory to the end."""
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
        """A tensor with new memory, from the next step on."""
        size, now = tensor_bytes(shape, dtype), len(self._steps)
        buffer = _Buffer(size, now, now)
        self._buffers.append(buffer)
        self.held += size
        return Value(shape, dtype, buffer)

    def _graph(
        self, graph: Any, inputs: list[Value], prefix: str, times: int
    ) -> list[Value]:
        """The outputs of a graph, which is walked once for `times` equal uses."""
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
        tensors = [i for i in _arrays(node) if isinstance(i, keras.KerasTensor)]
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
            rest = iter(taken)
            taken = [
                next(rest) if isinstance(item, keras.KerasTensor) else tuple(item.shape)
                for item in _arrays(node)
            ]
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


def _arrays(node: Any) -> list[Any]:
    """Tensors and constants that a call reads, in the order of the signature."""
    args, kwargs = node.arguments.args, node.arguments.kwargs
    if kwargs:
        call = inspect.signature(node.operation.call)
        args = tuple(call.bind(*args, **kwargs).arguments.values())
    return [item for item in keras.tree.flatten(args) if hasattr(item, "shape")]


def _output_shapes(
    node: Any, tensors: list[Any], values: dict[int, Value]
) -> list[Shape]:
    """Shapes that a call gives: as recorded, if these inputs were recorded, too."""
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
