"""Exact size of a blueprint, without building it.

Definitions, used wherever kscale prints or limits a size:

- `params`: all weights, as Keras `count_params()`: moving statistics included, shared
  weights once, the preprocessing around the network not. `trainable` leaves out the
  moving statistics of `BatchNorm`.
- `flops`: one example forward. One multiply-add is 2. Counted are matrix products and
  convolutions (dense, convolution, attention with its scores, and at every position
  the two products of a recurrent layer); element-wise work (biases, activations, norms,
  gates, pooling, softmax, look-ups) is not, as in the tables of the ResNet, MobileNet
  and EfficientNet papers (which print multiply-adds, half of it).
- `weight_bytes(dtype)`: `params` in that type.
- `activation_bytes`: the most bytes alive at once in a forward pass of one example.
  While a layer runs, alive are its inputs, its output, its inner results (attention:
  queries, keys, values, scores and context; recurrent layers: gates and states of every
  position) and all that a later layer reads; the inputs of the network are alive
  throughout. `Flatten` and `Reshape`, and `Dropout` outside training, need no bytes:
  their output is their input.
- `training_activation_bytes`: inputs, outputs and inner results of all layers for one
  example. The backward pass reads them all, but no inner results of a backbone that is
  not trained.

Activations are float32, token ids int32, masks one byte. A width may be an array: then
every figure is an int64 array, one element a width. The rules for single layers are in
`kscale.networks.layer_costs`.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from kscale.errors import SpecError
from kscale.networks import blueprint as bp
from kscale.networks.blueprint import BODY_INPUT, Blueprint, Layer, Repeat, Scope
from kscale.networks.device import DeviceSize, device_size
from kscale.networks.layer_costs import Misfit, Tensor, larger, same_shape, tensor

_BITS = {"float32": 32, "float16": 16, "bfloat16": 16, "int8": 8, "int4": 4}
_VIEWS = (bp.Flatten, bp.Dropout, bp.Reshape)
_MOST_IN_ARRAYS = 2**58  # so that even the bits of float32 weights fit into int64
_FLOPS_A_BYTE = 10
_BACKWARD_COPIES = 4  # weight, gradient, and Adam's two moments


@dataclass(frozen=True)
class Size:
    """What a network costs; exact, as defined at the top of `kscale.networks.sizing`.

    Fields are `int`, or int64 arrays if a width of the blueprint was an array. Two
    networks are of one size whatever their `layers`, which count all copies, and their
    `blueprint`, which is None where only the figures are known.
    """

    params: Any
    trainable: Any
    flops: Any
    activation_bytes: Any
    training_activation_bytes: Any
    layers: int = field(default=0, compare=False)
    blueprint: Blueprint | None = field(default=None, compare=False, repr=False)

    @property
    def figures(self) -> dict[str, Any]:
        """All figures by name."""
        return {name: it for name, it in vars(self).items() if name != "blueprint"}

    def device(self, most_ram: float = math.inf) -> DeviceSize | None:
        """Flash and RAM on a microcontroller; None where no blueprint is known.

        Args:
            most_ram: As of `device_size`.

        Raises:
            SpecError: As `device_size`.
        """
        blueprint = self.blueprint
        return None if blueprint is None else device_size(blueprint, most_ram)

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

    @property
    def training_work(self) -> Any:
        """Cost of a training step for one example, in FLOPs; orders networks by time.

        The backward pass costs twice the forward one. Every byte of an activation is
        moved about as often, and counts as 10 FLOPs: what a core computes while it
        moves a byte (Williams et al. 2009, the roofline's ridge).
        """
        return 3 * self.flops + _FLOPS_A_BYTE * self.training_activation_bytes

    def training_bytes(self, batch_size: int) -> Any:
        """Bytes held by training with Adam in float32, with a batch's activations."""
        weights = self.params * 4 + self.trainable * 4 * (_BACKWARD_COPIES - 1)
        return weights + batch_size * self.training_activation_bytes


class SizeRow(NamedTuple):
    """One line of the table of layers; `params` and `flops` are those of all copies."""

    path: str
    kind: str
    shape: tuple[Any, ...]
    params: Any
    flops: Any
    copies: int


@dataclass(slots=True)
class _Totals:
    """Sums over layers: params, frozen ones, FLOPs, bytes held, layers; and the peak of
    bytes.

    Arrays among them are never changed in place.
    """

    rows: list[SizeRow] | None
    sums: list[Any] = field(default_factory=lambda: [0, 0, 0, 0, 0])
    peak: Any = 0

    def add(self, other: "_Totals", path: str, weight_copies: int, copies: int) -> None:
        """Add the sums over one copy of a body, for all its copies, at a path."""
        factors = (weight_copies, weight_copies, copies, copies, copies)
        triples = zip(self.sums, other.sums, factors, strict=True)
        self.sums = [mine + more * factor for mine, more, factor in triples]
        self.peak = larger(self.peak, other.peak)
        if self.rows is not None and other.rows is not None:
            self.rows += [
                row._replace(
                    path=path + row.path,
                    params=row.params * weight_copies,
                    flops=row.flops * copies,
                    copies=row.copies * copies,
                )
                for row in other.rows
            ]


def size_of(blueprint: Blueprint) -> Size:
    """Exact size of a network.

    Raises:
        SpecError: A layer's input has a shape it cannot take, or a width of an array
            makes a figure too large for int64.
    """
    try:
        totals = _count(blueprint, rows=None)
        if not isinstance(totals.peak, int):
            # No figure falls as a width grows: none of other widths is greater.
            layers = tuple(map(_widest, blueprint.layers))
            widest = _count(replace(blueprint, layers=layers), rows=None)
            if max(*widest.sums, widest.peak) > _MOST_IN_ARRAYS:
                raise OverflowError
    except OverflowError as error:
        raise SpecError(
            "A figure is too large for arrays; give smaller widths or inputs, or count "
            "one width at a time."
        ) from error
    params, frozen, flops, held, number = totals.sums
    return Size(params, params - frozen, flops, totals.peak, held, number, blueprint)


def _widest(layer: Layer) -> Layer:
    """A layer with the largest element of every array, or more."""
    changes: dict[str, Any] = {
        name: int(value.max())
        for name, value in vars(layer).items()
        if hasattr(value, "max")
    }
    if isinstance(layer, Repeat):
        changes = {"body": tuple(map(_widest, layer.body))}
    elif "heads" in changes:
        changes["heads"] = changes["width"]
    return replace(layer, **changes) if changes else layer


def size_rows(blueprint: Blueprint) -> list[SizeRow]:
    """A row for each layer: its share of the size of a network.

    Params and FLOPs of the rows add up to those of `size_of`. Equal copies of a
    `Repeat` have one row: `block2-12/...` are the copies 2 to 12 of `block`.
    """
    rows: list[SizeRow] = []
    _count(blueprint, rows)
    return rows


def _count(blueprint: Blueprint, rows: list[SizeRow] | None) -> _Totals:
    scope = Scope()
    for item in blueprint.inputs:
        scope[item.name] = tensor(*item.shape)
    inputs = sum(scope[item.name].bytes for item in blueprint.inputs)
    totals = _Totals(rows, [0, 0, 0, inputs, 0])
    # Network inputs and outputs belong to the caller: they are alive throughout.
    entry = blueprint.inputs[0].name
    steps, _ = _steps(blueprint.layers, entry, blueprint.outputs)
    _walk(steps, None, inputs, scope, "", totals)
    return totals


class _Step(NamedTuple):
    """A layer, and what is known of it before any shape.

    `buffer` holds the first input; `dying` are the buffers that no later layer reads;
    `body` are the layers of a `Repeat`.
    """

    layer: Layer
    reads: tuple[str, ...]
    is_view: bool
    buffer: str
    dying: list[str]
    body: "list[_Step]"


def _steps(
    layers: tuple[Layer, ...], entry: str, kept: tuple[str, ...] = ()
) -> tuple[list[_Step], set[str]]:
    """Layers ready to be counted, and the names read that are not theirs.

    A first layer that names no inputs reads `entry`. The outputs named by `kept` stay
    alive; without any, the last output does.
    """
    buffers = {entry: entry}
    last_read: dict[str, int] = {}
    steps: list[_Step] = []
    outside: set[str] = set()
    before = entry
    for index, layer in enumerate(layers):
        reads = layer.inputs or (before,)
        body, around = (
            _steps(layer.body, BODY_INPUT) if isinstance(layer, Repeat) else ([], set())
        )
        for name in (*reads, *around):
            if name not in buffers:
                outside.add(name)
            last_read[buffers.get(name, name)] = index
        is_view = isinstance(layer, _VIEWS)
        buffer = buffers.get(reads[0], reads[0])
        buffers[layer.name] = buffer if is_view else layer.name
        last_read.setdefault(buffers[layer.name], index)
        steps.append(_Step(layer, reads, is_view, buffer, [], body))
        before = layer.name
    stay = {buffers.get(name, name) for name in kept or (before,)}
    for name, index in last_read.items():
        if name not in stay:
            steps[index].dying.append(name)
    return steps, outside


def _walk(
    steps: list[_Step],
    owned: Tensor | None,
    live: Any,
    scope: Scope,
    prefix: str,
    totals: _Totals,
) -> Tensor:
    """Count one copy of a body into the totals, and return its output.

    `owned` is the input of the copy, if nothing outside reads it later; its bytes are
    among those that are `live` before the copy.
    """
    alive = {BODY_INPUT: owned.bytes} if owned else {}
    for step in steps:
        read = [scope[name] for name in step.reads]
        if step.body:
            is_last = step.buffer in alive and step.buffer in step.dying
            output = _walk_repeat(step, read[0], is_last, live, scope, prefix, totals)
        else:
            output = _add_layer(step, read, live, prefix, totals)
        scope[step.layer.name] = output
        if not step.is_view:
            alive[step.layer.name] = output.bytes
            live = live + output.bytes
        for name in step.dying:
            if name in alive:
                live = live - alive.pop(name)
    return output


def _add_layer(
    step: _Step, read: list[Tensor], live: Any, prefix: str, totals: _Totals
) -> Tensor:
    layer = step.layer
    try:
        output, params, frozen, flops, inner, kept = layer.cost(read)
    except Misfit as misfit:
        shapes = ", ".join(str(item.shape) for item in read)
        raise SpecError(
            f"Layer '{prefix}{layer.name}' needs {misfit}, but got {shapes}."
        ) from misfit
    held = output.bytes + (inner if kept is None else kept)
    a, b, c, d, e = totals.sums  # a loop over them takes twice the time
    totals.sums = [a + params, b + frozen, c + flops, d + held, e + 1]
    alive = live + inner if step.is_view else live + output.bytes + inner
    totals.peak = larger(totals.peak, alive)
    if totals.rows is not None:
        kind = type(layer).__name__
        totals.rows.append(SizeRow(layer.name, kind, output.shape, params, flops, 1))
    return output


def _walk_repeat(
    step: _Step,
    entry: Tensor,
    owned: bool,
    live: Any,
    scope: Scope,
    prefix: str,
    totals: _Totals,
) -> Tensor:
    """Count copies one by one until all that follow are equal; count these at once."""
    repeat = step.layer
    assert isinstance(repeat, Repeat)
    around = live - entry.bytes if owned else live
    copy = 1
    while True:
        inside = Scope(scope)
        inside[BODY_INPUT] = entry
        counted = _Totals([] if totals.rows is not None else None)
        path = repeat.copy_path(prefix, copy)
        mine = entry if owned else None
        output = _walk(step.body, mine, live, inside, path, counted)
        settled = same_shape(output.shape, entry.shape)
        if repeat.shared and repeat.times > 1 and not settled:
            raise SpecError(
                f"Shared copies of {repeat.name!r} must keep the shape, but got "
                f"{entry.shape} in and {output.shape} out."
            )
        # From the second copy on, nothing outside the Repeat reads the input.
        copies = repeat.times - copy + 1 if settled and (owned or copy > 1) else 1
        path = repeat.copy_path("", copy)
        if copies > 1 and not repeat.shared:
            path = f"{path[:-1]}-{repeat.start + repeat.times - 1}/"
        weight_copies = int(copy == 1) if repeat.shared else copies
        totals.add(counted, path, weight_copies, copies)
        copy += copies
        if copy > repeat.times:
            return output
        entry, owned, live = output, True, around + output.bytes
