"""A walk through the graph of a Keras model with shapes of one example."""

import inspect
from dataclasses import dataclass
from math import prod
from typing import Any

import keras

from kscale.guests.sizes.work import (
    VIEWS,
    Shape,
    Work,
    einsum_shape,
    graph_of,
    packed_values,
    work_of,
)
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
class _Value:
    """A tensor of one example, whose memory is needed from one step to another."""

    shape: Shape
    dtype: str
    made: int
    last_read: int
    owner: "_Value | None" = None  # of the memory of a view


class GraphWalk:
    """The layers and the memory of a model, in the order in which Keras runs them.

    Attributes:
        rows: A row for each layer and operation, by identity; a layer that is used
            several times has one row, with the FLOPs of all uses.
        held: Bytes of all inputs and outputs, and of what is needed only while a layer
            runs.
    """

    def __init__(self, model: keras.Model, shapes: list[Shape] | None) -> None:
        self.rows: dict[int, SizeRow] = {}
        self.held = 0
        self._steps: list[int] = []  # bytes needed only while each runs
        self._values: list[_Value] = []
        self._weights: set[int] = set()
        graph = graph_of(model)
        if graph is None or shapes is None:
            self._row(model, model.name, (), None)
            return
        pairs = zip(shapes, graph.inputs, strict=True)
        inputs = [self._value(shape, item.dtype) for shape, item in pairs]
        # Inputs and outputs stay in memory to the end.
        for value in (*inputs, *self._graph(graph, inputs, "", 1)):
            self._read(value)
        self._row(model, "(outside the layers)", (), Work())

    def peak(self) -> int:
        """The most bytes alive at once."""
        alive = [*self._steps, 0]
        for value in self._values:
            for step in range(value.made, min(value.last_read + 1, len(alive))):
                alive[step] += tensor_bytes(value.shape, value.dtype)
        return max(alive)

    def _value(self, shape: Shape, dtype: str, view: _Value | None = None) -> _Value:
        """A tensor, from the next step on; a view has the memory of another."""
        now = len(self._steps)
        self.held += tensor_bytes(shape, dtype)
        if view is not None:
            return _Value(shape, dtype, now, now, view.owner or view)
        self._values.append(_Value(shape, dtype, now, now))
        return self._values[-1]

    def _read(self, value: _Value) -> None:
        (value.owner or value).last_read = len(self._steps)

    def _graph(
        self, graph: Any, inputs: list[_Value], prefix: str, times: int
    ) -> list[_Value]:
        """The outputs of a graph, which is walked once for `times` equal uses."""
        values = {id(t): v for t, v in zip(graph.inputs, inputs, strict=True)}
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                if not node.is_input:
                    outputs = self._node(node, values, prefix, times)
                    values.update(zip(map(id, node.outputs), outputs, strict=True))
        return [values[id(tensor)] for tensor in graph.outputs]

    def _node(
        self, node: Any, values: dict[int, _Value], prefix: str, times: int
    ) -> list[_Value]:
        operation, arrays = node.operation, _arrays(node)
        path = prefix + operation.name.replace(".", "/")
        read = [values[id(array)] for array in arrays if id(array) in values]
        if (inner := graph_of(operation)) is not None:
            return self._graph(inner, read, f"{path}/", times)
        if type(operation) is keras.layers.TimeDistributed and (
            (inner := graph_of(operation.layer)) is not None
        ):
            length, *sides = read[0].shape
            position = self._value(tuple(sides), read[0].dtype)
            self._graph(inner, [position], f"{path}/", times * length)
        shapes = _output_shapes(node, values)
        taken = [value.shape for value in read]
        if not isinstance(operation, keras.layers.Layer):
            rest = iter(taken)
            taken = [next(rest) if id(a) in values else tuple(a.shape) for a in arrays]
        work = work_of(operation, taken, shapes)
        for value in read:
            self._read(value)
        source = read[0] if type(operation) in VIEWS else None
        dtypes = [tensor.dtype for tensor in node.outputs]
        pairs = zip(shapes, dtypes, strict=True)
        outputs = [self._value(shape, dtype, source) for shape, dtype in pairs]
        self._steps.append(work.inner if work else 0)
        self.held += self._steps[-1]
        self._row(operation, path, shapes[0], work, times)
        return outputs

    def _row(
        self, operation: Any, path: str, shape: Shape, work: Work | None, times: int = 1
    ) -> None:
        """Add a layer's row, or one more use of the layer to it."""
        weights = {id(weight): weight for weight in getattr(operation, "weights", ())}
        packed = packed_values(operation)
        new = weights.keys() - self._weights
        params = sum(packed.get(key, prod(weights[key].shape)) for key in new)
        self._weights |= new
        flops = None if work is None else work.flops * times
        row = SizeRow(path, type(operation).__name__, shape, params, flops, times)
        before = self.rows.get(id(operation))
        if before is not None:
            total = None if None in (flops, before.flops) else before.flops + flops
            row = before._replace(flops=total, copies=before.copies + times)
        if params or graph_of(operation) is None:
            self.rows[id(operation)] = row


def _arrays(node: Any) -> list[Any]:
    """Tensors and constants that a call reads, in the order of the signature."""
    args, kwargs = node.arguments.args, node.arguments.kwargs
    if kwargs:
        call = inspect.signature(node.operation.call)
        args = tuple(call.bind(*args, **kwargs).arguments.values())
    return [item for item in keras.tree.flatten(args) if hasattr(item, "shape")]


def _output_shapes(node: Any, values: dict[int, _Value]) -> list[Shape]:
    """Shapes that a call gives: as recorded, if these inputs were recorded, too."""
    tensors = [i for i in _arrays(node) if isinstance(i, keras.KerasTensor)]
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
