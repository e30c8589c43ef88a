"""Exact size of a blueprint, without building it.

Definitions, used wherever kscale prints or limits a size:

- `params`: all weights, as Keras `count_params()`: moving statistics included, shared
  weights once, the preprocessing around the network not. `trainable` leaves out the
  moving statistics of `BatchNorm`.
- `flops`: one example forward. One multiply-add is 2. Counted are matrix products and
  convolutions (dense, convolution, attention with its scores); element-wise work
  (biases, activations, norms, pooling, softmax, look-ups) is not, as in the tables of
  the ResNet, MobileNet and EfficientNet papers (which print multiply-adds, half of it).
- `weight_bytes(dtype)`: `params` in that type.
- `activation_bytes`: the most bytes alive at once in a forward pass of one example.
  While a layer runs, alive are its inputs, its output, what it computes inside
  (attention: queries, keys, values, scores and context) and whatever a later layer
  still reads; the network's own inputs throughout. `Flatten`, and `Dropout` outside training,
  give their input back.
- `training_activation_bytes`: inputs, outputs and insides of all layers for one
  example, which is what the backward pass reads.

Activations are float32, token ids int32, masks one byte. A width may be an array: then
every figure is an int64 array, one element a width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from kscale import blueprint as bp
from kscale.blueprint import BODY_INPUT, Blueprint, Layer, Repeat, Scope
from kscale.errors import SpecError

_BITS = {"float32": 32, "float16": 16, "bfloat16": 16, "int8": 8, "int4": 4}
_VIEWS = (bp.Flatten, bp.Dropout)
_BACKWARD_COPIES = 4  # weight, gradient, and Adam's two moments


class Tensor(NamedTuple):
    """What a layer puts out: its shape without the batch, and bytes an element."""

    shape: tuple[Any, ...]
    itemsize: int = 4

    @property
    def bytes(self) -> Any:
        """Bytes of one example."""
        return prod(self.shape) * self.itemsize


class Cost(NamedTuple):
    """What one layer adds."""

    output: Tensor
    params: Any = 0
    frozen: Any = 0
    flops: Any = 0
    inner: Any = 0


@dataclass(frozen=True)
class Size:
    """What a network costs; exact, as defined at the top of `kscale.sizing`.

    Fields are `int`, or int64 arrays if a width of the blueprint was an array.
    """

    params: Any
    trainable: Any
    flops: Any
    activation_bytes: Any
    training_activation_bytes: Any

    def weight_bytes(self, dtype: str = "float32") -> Any:
        """Bytes of the weights in a type.

        Raises:
            SpecError: The type is not float32, float16, bfloat16, int8 or int4.

        Example:

        >>> Size(1001, 1001, 0, 0, 0).weight_bytes("int4")
        501
        """
        if dtype not in _BITS:
            raise SpecError(f"Unknown type {dtype!r}. Known: {', '.join(_BITS)}.")
        return -(-self.params * _BITS[dtype] // 8)

    def training_bytes(self, batch_size: int) -> Any:
        """Bytes held by training with Adam in float32, with a batch's activations."""
        weights = self.params * 4 + self.trainable * 4 * (_BACKWARD_COPIES - 1)
        return weights + batch_size * self.training_activation_bytes


class SizeRow(NamedTuple):
    """One line of the per-layer table; `params` and `flops` are of all its copies."""

    path: str
    kind: str
    shape: tuple[Any, ...]
    params: Any
    flops: Any
    copies: int


class _Totals:
    """Running sums of one fold; never changed in place where arrays are inside."""

    __slots__ = ("flops", "frozen", "held", "params", "peak", "rows")

    def __init__(self, rows: list[SizeRow] | None) -> None:
        self.params: Any = 0
        self.frozen: Any = 0
        self.flops: Any = 0
        self.held: Any = 0
        self.peak: Any = 0
        self.rows = rows

    def see(self, alive: Any) -> None:
        """Raise the peak to what is alive now."""
        if isinstance(alive, int) and isinstance(self.peak, int):
            self.peak = max(alive, self.peak)
        else:
            self.peak = np.maximum(self.peak, alive)

    def add(self, other: "_Totals", weight_copies: int, copies: int) -> None:
        """Add a body counted once, for all its copies."""
        self.params = self.params + other.params * weight_copies
        self.frozen = self.frozen + other.frozen * weight_copies
        self.flops = self.flops + other.flops * copies
        self.held = self.held + other.held * copies
        self.see(other.peak)
        if self.rows is not None and other.rows is not None:
            self.rows += [
                row._replace(
                    params=row.params * weight_copies,
                    flops=row.flops * copies,
                    copies=row.copies * copies,
                )
                for row in other.rows
            ]


def size_of(blueprint: Blueprint) -> Size:
    """Exact size of a network.

    Raises:
        SpecError: A layer's input has a shape it cannot take.
    """
    totals = _count(blueprint, rows=None)
    return Size(
        params=totals.params,
        trainable=totals.params - totals.frozen,
        flops=totals.flops,
        activation_bytes=totals.peak,
        training_activation_bytes=totals.held,
    )


def size_rows(blueprint: Blueprint) -> list[SizeRow]:
    """Where the size sits: a row for each layer, equal copies of a `Repeat` in one row.

    Params and FLOPs of the rows add up to those of `size_of`. Copies 2 to 12 of `block`
    stand in the row of path `block2-12/...`.
    """
    rows: list[SizeRow] = []
    _count(blueprint, rows)
    return rows


def _count(blueprint: Blueprint, rows: list[SizeRow] | None) -> _Totals:
    scope = Scope()
    totals = _Totals(rows)
    inputs = 0
    for item in blueprint.inputs:
        scope[item.name] = Tensor(item.shape)
        inputs += scope[item.name].bytes
    totals.held = inputs
    entry = scope[blueprint.inputs[0].name]
    scope[BODY_INPUT] = entry
    # Network inputs and outputs belong to the caller: they are alive throughout.
    _fold(blueprint.layers, entry, False, inputs, scope, "", totals, blueprint.outputs)
    return totals


def _fold(
    layers: tuple[Layer, ...],
    entry: Tensor,
    owns_entry: bool,
    outside: Any,
    scope: Scope,
    prefix: str,
    totals: _Totals,
    kept: tuple[str, ...] = (),
) -> Tensor:
    """Walk one body; `outside` is alive around it, its entry too if not owned."""
    dying, roots = _lifetimes(layers, kept)
    alive: dict[str, Any] = {BODY_INPUT: entry.bytes} if owns_entry else {}
    tensor, before = entry, BODY_INPUT
    for index, layer in enumerate(layers):
        read = [scope[name] for name in layer.inputs] if layer.inputs else [tensor]
        if isinstance(layer, Repeat):
            # What enters a Repeat and is read nowhere later dies inside it.
            root = roots.get(layer.inputs[0] if layer.inputs else before, "")
            owned = root in alive and root in dying[index]
            around = outside + sum(alive.values())
            if owned:
                around = around - alive[root]
            tensor = _fold_repeat(layer, read[0], owned, around, scope, prefix, totals)
        else:
            tensor = _fold_layer(
                layer, read, outside + sum(alive.values()), prefix, totals
            )
        scope[layer.name] = tensor
        if roots[layer.name] == layer.name:
            alive[layer.name] = tensor.bytes
        for name in dying[index]:
            alive.pop(name, None)
        before = layer.name
    return tensor


def _fold_layer(
    layer: Layer, read: list[Tensor], around: Any, prefix: str, totals: _Totals
) -> Tensor:
    try:
        cost = RULES[type(layer)](layer, read)
    except _Misfit as misfit:
        shapes = ", ".join(str(item.shape) for item in read)
        raise SpecError(
            f"Layer '{prefix}{layer.name}' needs {misfit}, but got {shapes}."
        ) from misfit
    made = cost.output.bytes
    totals.params = totals.params + cost.params
    totals.frozen = totals.frozen + cost.frozen
    totals.flops = totals.flops + cost.flops
    totals.held = totals.held + made + cost.inner
    totals.see(around + (0 if isinstance(layer, _VIEWS) else made) + cost.inner)
    if totals.rows is not None:
        kind = type(layer).__name__
        row = SizeRow(
            prefix + layer.name, kind, cost.output.shape, cost.params, cost.flops, 1
        )
        totals.rows.append(row)
    return cost.output


def _fold_repeat(
    repeat: Repeat,
    entry: Tensor,
    owned: bool,
    around: Any,
    scope: Scope,
    prefix: str,
    totals: _Totals,
) -> Tensor:
    """Walk copies until one is sure to equal all that follow; count those at once."""
    copy = 1
    while True:
        inside = Scope(scope)
        inside[BODY_INPUT] = entry
        body = _Totals([] if totals.rows is not None else None)
        path = repeat.copy_path(prefix, copy)
        output = _fold(repeat.body, entry, owned, around, inside, path, body)
        settled = _same_shape(output.shape, entry.shape)
        if repeat.shared and repeat.times > 1 and not settled:
            raise SpecError(
                f"Shared copies of {repeat.name!r} must keep the shape, but got "
                f"{entry.shape} in and {output.shape} out."
            )
        # From the second copy on, what enters belongs to the Repeat alone.
        settled = settled and (owned or copy > 1)
        copies = repeat.times - copy + 1 if settled else 1
        if body.rows and copies > 1 and not repeat.shared:
            last = f"{prefix}{repeat.name}{copy}-{repeat.times}/"
            body.rows = [
                row._replace(path=last + row.path.removeprefix(path))
                for row in body.rows
            ]
        weights = int(copy == 1) if repeat.shared else copies
        totals.add(body, weights, copies)
        copy += copies
        if copy > repeat.times:
            return output
        entry, owned = output, True


def _same_shape(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    return len(left) == len(right) and all(
        a is b or np.array_equal(a, b) for a, b in zip(left, right, strict=True)
    )


def _lifetimes(
    layers: tuple[Layer, ...], kept: tuple[str, ...]
) -> tuple[list[list[str]], dict[str, str]]:
    """Which buffers die after each layer, and whose buffer each name stands for."""
    roots: dict[str, str] = {BODY_INPUT: BODY_INPUT}
    last: dict[str, int] = {}
    before = BODY_INPUT
    for index, layer in enumerate(layers):
        names = layer.inputs or (before,)
        if isinstance(layer, Repeat):
            names = (*names, *bp.free_names(layer.body))
        for name in names:
            last[roots.get(name, name)] = index
        is_view = isinstance(layer, _VIEWS)
        roots[layer.name] = roots.get(names[0], names[0]) if is_view else layer.name
        last.setdefault(roots[layer.name], index)
        before = layer.name
    for name in kept or (before,):
        last[roots.get(name, name)] = len(layers)
    dying: list[list[str]] = [[] for _ in range(len(layers) + 1)]
    for name, index in last.items():
        dying[index].append(name)
    return dying, roots


class _Misfit(Exception):
    """A layer cannot take its input; the text says what it needs."""


def _need(read: list[Tensor], rank: int, what: str) -> tuple[Any, ...]:
    if len(read[0].shape) != rank:
        raise _Misfit(what)
    return read[0].shape


def _dense(layer: bp.Dense, read: list[Tensor]) -> Cost:
    *leading, features = read[0].shape
    weights = features * layer.units
    return Cost(
        Tensor((*leading, layer.units)),
        params=weights + layer.units if layer.use_bias else weights,
        flops=2 * prod(leading) * weights,
    )


def _conv2d(layer: bp.Conv2D, read: list[Tensor]) -> Cost:
    height, width, channels = _need(read, 3, "an image (height, width, channels)")
    if layer.padding == "same":
        rows, columns = -(-height // layer.strides), -(-width // layer.strides)
    else:
        rows = (height - layer.kernel) // layer.strides + 1
        columns = (width - layer.kernel) // layer.strides + 1
    if rows < 1 or columns < 1:
        raise _Misfit(f"an image of at least {layer.kernel}x{layer.kernel}")
    weights = layer.kernel * layer.kernel * channels * layer.filters
    return Cost(
        Tensor((rows, columns, layer.filters)),
        params=weights + layer.filters if layer.use_bias else weights,
        flops=2 * rows * columns * weights,
    )


def _max_pool2d(layer: bp.MaxPool2D, read: list[Tensor]) -> Cost:
    height, width, channels = _need(read, 3, "an image (height, width, channels)")
    if min(height, width) < layer.pool:
        raise _Misfit(f"an image of at least {layer.pool}x{layer.pool}")
    return Cost(Tensor((height // layer.pool, width // layer.pool, channels)))


def _global_average_pool(layer: Layer, read: list[Tensor]) -> Cost:
    if len(read[0].shape) not in (2, 3):
        raise _Misfit("an image or a sequence")
    return Cost(Tensor(read[0].shape[-1:]))


def _flatten(layer: Layer, read: list[Tensor]) -> Cost:
    return Cost(Tensor((prod(read[0].shape),)))


def _first(layer: Layer, read: list[Tensor]) -> Cost:
    return Cost(Tensor(_need(read, 2, "a sequence (length, features)")[1:]))


def _same(layer: Layer, read: list[Tensor]) -> Cost:
    return Cost(read[0])


def _batch_norm(layer: Layer, read: list[Tensor]) -> Cost:
    channels = read[0].shape[-1]
    return Cost(read[0], params=4 * channels, frozen=2 * channels)


def _layer_norm(layer: Layer, read: list[Tensor]) -> Cost:
    return Cost(read[0], params=2 * read[0].shape[-1])


def _embedding(layer: bp.Embedding, read: list[Tensor]) -> Cost:
    length = _need(read, 1, "ids (length,)")[0]
    return Cost(Tensor((length, layer.width)), params=layer.vocabulary * layer.width)


def _mask(layer: Layer, read: list[Tensor]) -> Cost:
    return Cost(Tensor(_need(read, 1, "ids (length,)"), itemsize=1))


def _attention(layer: bp.Attention, read: list[Tensor]) -> Cost:
    length, features = _need(read, 2, "queries (length, features)")
    memory, source = read[1].shape
    width = layer.width
    weights = width * (features + 2 * source + features)
    products = length * width * features * 2 + memory * width * source * 2
    scores = length * memory
    return Cost(
        Tensor((length, features)),
        params=weights + 3 * width + features,
        flops=2 * (products + 2 * scores * width),
        inner=4 * (2 * (length + memory) * width + scores * layer.heads),
    )


def _add(layer: Layer, read: list[Tensor]) -> Cost:
    if not all(_same_shape(item.shape, read[0].shape) for item in read):
        raise _Misfit("inputs of one shape")
    return Cost(read[0])


def _concatenate(layer: Layer, read: list[Tensor]) -> Cost:
    if not all(_same_shape(item.shape[:-1], read[0].shape[:-1]) for item in read):
        raise _Misfit("inputs that differ in the last side only")
    width = sum(item.shape[-1] for item in read)
    return Cost(Tensor((*read[0].shape[:-1], width)))


RULES: dict[type[Layer], Callable[[Any, list[Tensor]], Cost]] = {
    bp.Dense: _dense,
    bp.Conv2D: _conv2d,
    bp.MaxPool2D: _max_pool2d,
    bp.GlobalAveragePool: _global_average_pool,
    bp.Flatten: _flatten,
    bp.First: _first,
    bp.Activation: _same,
    bp.BatchNorm: _batch_norm,
    bp.LayerNorm: _layer_norm,
    bp.Dropout: _same,
    bp.Embedding: _embedding,
    bp.Positions: _same,
    bp.PaddingMask: _mask,
    bp.Attention: _attention,
    bp.Add: _add,
    bp.Concatenate: _concatenate,
}
