"""Layer records: a network as plain data, which is counted and built from one source.

Each record says what its layer costs; `kscale.networks.sizing` folds over a blueprint
with shapes and counts, `kscale.building.models` with Keras tensors. A blueprint is a
graph: a layer reads the output of the layer before it, or the earlier outputs that it
names. Names are resolved like variables of a program: inside a `Repeat` first among the
layers of the same copy, then outside; `BODY_INPUT` is the input of the copy. Every
layer has a stable path such as `stage2/block3/conv1`.

Arrays of widths can be sized but not built.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.errors import SpecError
from kscale.networks.layer_costs import (
    Cost,
    Misfit,
    Tensor,
    convolution,
    same_shape,
    shape_of,
    tensor,
    windows_of,
)
from kscale.task.tasks import Input

Count = int | NDArray[np.int64]
"""A whole number, or an array with an element for each width."""
BODY_INPUT = "@in"
"""Name, inside a `Repeat`, of the input of the copy."""


@dataclass(frozen=True)
class Layer:
    """The fields of all records.

    Args:
        name: Local name; the path is that of the enclosing `Repeat`, `/`, this name.
        inputs: Names of the inputs; without any, the output of the layer before.
    """

    _: KW_ONLY
    name: str
    inputs: tuple[str, ...] = ()

    def cost(self, read: list[Tensor]) -> Cost:
        """What the layer costs for what it reads.

        Raises:
            Misfit: The layer cannot read what it is given.
            SpecError: The kind of layer does not say what it costs.
        """
        raise SpecError(
            f"What layer {self.name!r} costs is not known: its kind, "
            f"{type(self).__name__}, has no method `cost`."
        )


class Costless(Layer):
    """A layer that gives something of the shape that it reads, and has no weights."""

    def cost(self, read: list[Tensor]) -> Cost:
        return Cost(read[0])


@dataclass(frozen=True)
class Dense(Layer):
    """`keras.layers.Dense` on the last axis."""

    units: Count
    activation: str = "linear"
    use_bias: bool = True
    initializer: str = "glorot_uniform"

    def cost(self, read: list[Tensor]) -> Cost:
        *leading, features = read[0].shape
        weights = features * self.units
        return Cost(
            tensor(*leading, self.units),
            params=weights + self.use_bias * self.units,
            flops=2 * prod(leading) * weights,
        )


@dataclass(frozen=True)
class Conv2D(Layer):
    """`keras.layers.Conv2D` with a square kernel on `(height, width, channels)`."""

    filters: Count
    kernel: int
    strides: int = 1
    padding: str = "same"
    activation: str = "linear"
    use_bias: bool = True
    initializer: str = "glorot_uniform"

    def cost(self, read: list[Tensor]) -> Cost:
        return convolution(self, read, self.filters)


@dataclass(frozen=True)
class MaxPool2D(Layer):
    """`keras.layers.MaxPooling2D` with a square window.

    Args:
        pool: Side of the window.
        strides: Step from window to window; 0 is the side, so that none overlap.
        padding: `valid` or `same`.
    """

    pool: int = 2
    strides: int = 0
    padding: str = "valid"

    def cost(self, read: list[Tensor]) -> Cost:
        strides = self.strides or self.pool
        return Cost(tensor(*windows_of(read, self.pool, strides, self.padding)))


@dataclass(frozen=True)
class GlobalAveragePool(Layer):
    """Average over the pixels of an image, or over the positions of a sequence.

    Args:
        positions: Whether the input is `(length, features)`, not an image. A second
            input may then be a mask `(length,)`, true at the positions that count.
    """

    positions: bool = False

    def cost(self, read: list[Tensor]) -> Cost:
        shape = shape_of(read, 2) if self.positions else shape_of(read, 3)
        return Cost(tensor(shape[-1]))


@dataclass(frozen=True)
class Flatten(Layer):
    """`keras.layers.Flatten`."""

    def cost(self, read: list[Tensor]) -> Cost:
        return Cost(tensor(prod(read[0].shape)))


@dataclass(frozen=True)
class First(Layer):
    """The first position of `(length, features)`, as `(features,)`."""

    def cost(self, read: list[Tensor]) -> Cost:
        return Cost(tensor(shape_of(read, 2)[1]))


@dataclass(frozen=True)
class Activation(Costless):
    """`keras.layers.Activation`, by name."""

    function: str


@dataclass(frozen=True)
class BatchNorm(Layer):
    """`keras.layers.BatchNormalization`; its moving statistics are not trainable.

    A second input may be a mask `(length,)`, true at the positions that count.

    Args:
        initializer: Start of the scales; with `zeros` as the last layer of a residual
            branch, the branch starts as nothing.
    """

    momentum: float = 0.9
    epsilon: float = 1e-3
    initializer: str = "ones"

    def cost(self, read: list[Tensor]) -> Cost:
        channels = read[0].shape[-1]
        return Cost(read[0], params=4 * channels, frozen=2 * channels)


@dataclass(frozen=True)
class LayerNorm(Layer):
    """`keras.layers.LayerNormalization` over the last axis."""

    epsilon: float = 1e-6

    def cost(self, read: list[Tensor]) -> Cost:
        return Cost(read[0], params=2 * read[0].shape[-1])


@dataclass(frozen=True)
class Dropout(Costless):
    """`keras.layers.Dropout`.

    Args:
        rate: Share that is set to 0, in training only.
        positions: Whether whole positions of `(length, features)` are dropped.
    """

    rate: float
    positions: bool = False


@dataclass(frozen=True)
class Embedding(Layer):
    """`keras.layers.Embedding` of ids `(length,)` into `(length, width)`.

    Args:
        vocabulary: Number of ids.
        width: Features of an id.
        stddev: Standard deviation of the normal that it starts from, cut at two of
            them; by default BERT's (Devlin et al. 2018, released code).
        is_shared: Whether other layers read the table.
        start: Input whose word vectors it starts from, if there are any; rows that
            these lack are drawn, with the spread of the others.
    """

    vocabulary: int
    width: Count
    stddev: float = 0.02
    is_shared: bool = False
    start: str = ""

    def cost(self, read: list[Tensor]) -> Cost:
        output = tensor(shape_of(read, 1)[0], self.width)
        return Cost(output, params=self.vocabulary * self.width)


@dataclass(frozen=True)
class KnownTokens(Layer):
    """Ids `(length,)` of a smaller vocabulary: one id replaces all that it lacks.

    Args:
        vocabulary: Ids below this number stay as they are.
        unknown: The id that replaces all others.
    """

    vocabulary: int
    unknown: int

    def cost(self, read: list[Tensor]) -> Cost:
        return Cost(tensor(shape_of(read, 1)[0]))


@dataclass(frozen=True)
class Positions(Layer):
    """Numbers 0, 1, 2, ... of the positions of `(length,)` or `(length, features)`."""

    def cost(self, read: list[Tensor]) -> Cost:
        if len(read[0].shape) not in (1, 2):
            raise Misfit("ids (length,) or a sequence (length, features)")
        return Cost(tensor(read[0].shape[0]))


@dataclass(frozen=True)
class PaddingMask(Layer):
    """True where ids `(length,)` are not 0; everywhere if all of them are 0."""

    def cost(self, read: list[Tensor]) -> Cost:
        return Cost(tensor(shape_of(read, 1)[0], itemsize=1))


@dataclass(frozen=True)
class Attention(Layer):
    """`keras.layers.MultiHeadAttention`.

    The inputs are queries `(length, features)`, a memory `(memory length, features)`
    for keys and values, and optionally a mask `(memory length,)`, false where nothing
    may be read.

    Args:
        width: Features of queries, keys and values, all heads together.
        heads: Number of heads.
        causal: Whether a position reads only itself and earlier positions.
        dropout: Rate applied to the attention weights.
    """

    width: Count
    heads: Count
    causal: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if np.any(self.width % self.heads != 0):
            raise SpecError(
                f"The heads of {self.name!r} must divide its width, but got "
                f"heads={self.heads}, width={self.width}."
            )

    def cost(self, read: list[Tensor]) -> Cost:
        if [len(item.shape) for item in read[:2]] != [2, 2]:
            raise Misfit("queries and a memory, both (length, features)")
        (length, features), (memory, source) = (item.shape for item in read[:2])
        queries, keys = features * self.width, source * self.width
        projections = length * queries + memory * keys
        scores = length * memory
        return Cost(
            tensor(length, features),
            params=2 * (queries + keys) + 3 * self.width + features,
            # Queries, output, keys and values; then scores and context.
            flops=4 * (projections + scores * self.width),
            inner=4 * (2 * (length + memory) * self.width + scores * self.heads),
        )


@dataclass(frozen=True)
class Add(Layer):
    """`keras.layers.Add` of two or more inputs of one shape."""

    def cost(self, read: list[Tensor]) -> Cost:
        if not all(same_shape(item.shape, read[0].shape) for item in read):
            raise Misfit("inputs of one shape")
        return Cost(read[0])


@dataclass(frozen=True)
class Concatenate(Layer):
    """`keras.layers.Concatenate` on the last axis."""

    def cost(self, read: list[Tensor]) -> Cost:
        *leading, _ = read[0].shape
        if not all(same_shape(item.shape[:-1], tuple(leading)) for item in read):
            raise Misfit("inputs that differ in the last side only")
        return Cost(tensor(*leading, sum(item.shape[-1] for item in read)))


@dataclass(frozen=True)
class DepthwiseConv2D(Layer):
    """`keras.layers.DepthwiseConv2D`: one square kernel for each channel.

    It starts from He initialization over the positions of the kernel.
    """

    kernel: int
    strides: int = 1
    padding: str = "same"
    activation: str = "linear"
    use_bias: bool = True

    def cost(self, read: list[Tensor]) -> Cost:
        return convolution(self, read)


@dataclass(frozen=True)
class ZeroPad2D(Layer):
    """`keras.layers.ZeroPadding2D`: rows and columns of zeros around an image."""

    padding: int

    def cost(self, read: list[Tensor]) -> Cost:
        height, width, channels = shape_of(read, 3)
        both = 2 * self.padding
        return Cost(tensor(height + both, width + both, channels))


@dataclass(frozen=True)
class Multiply(Layer):
    """`keras.layers.Multiply` of the first input with others.

    The others have the shape of the first, or are `(channels,)`: a factor a channel.
    """

    def cost(self, read: list[Tensor]) -> Cost:
        whole = read[0].shape
        fits = (whole, whole[-1:])
        if not all(any(same_shape(item.shape, fit) for fit in fits) for item in read):
            raise Misfit(
                "inputs of the first one's shape, or of a factor for each channel"
            )
        return Cost(read[0])


@dataclass(frozen=True)
class Rescale(Costless):
    """`keras.layers.Rescaling` by a factor."""

    factor: float


@dataclass(frozen=True)
class Reshape(Layer):
    """`keras.layers.Reshape`.

    Args:
        shape: Shape of the output, without the batch; one side may be -1, which takes
            what remains.
    """

    shape: tuple[int, ...]

    def cost(self, read: list[Tensor]) -> Cost:
        elements, known = prod(read[0].shape), prod(s for s in self.shape if s != -1)
        rest = elements // known
        if np.any((rest * known if -1 in self.shape else known) != elements):
            sides = "x".join(map(str, self.shape))
            raise Misfit(f"as many elements as its output of {sides}")
        shape = tuple(rest if side == -1 else side for side in self.shape)
        return Cost(Tensor(shape, read[0].bytes))


@dataclass(frozen=True)
class Prepend(Layer):
    """A learned position before all others of `(length, features)`: a class token."""

    def cost(self, read: list[Tensor]) -> Cost:
        length, features = shape_of(read, 2)
        return Cost(tensor(length + 1, features), params=features)


@dataclass(frozen=True)
class Recurrent(Layer):
    """`keras.layers.LSTM` or `keras.layers.GRU`, or two of them in `Bidirectional`.

    The inputs are `(length, features)` and optionally a mask `(length,)`: where it is
    false the state stays as it is.

    Args:
        units: Features of the state, of one direction.
        cell: `lstm` or `gru`.
        bidirectional: Whether a second layer reads from the end; outputs are joined.
        sequences: Whether the output is the state at every position, or the last state.
    """

    units: Count
    cell: str = "lstm"
    bidirectional: bool = False
    sequences: bool = True

    def __post_init__(self) -> None:
        if self.cell not in ("lstm", "gru"):
            raise SpecError(f"`cell` is one of lstm, gru, not {self.cell!r}.")

    def cost(self, read: list[Tensor]) -> Cost:
        length, features = shape_of(read, 2)
        units, directions = self.units, 1 + self.bidirectional
        # Gates, their biases, and states: an LSTM has a cell beside its output, Keras'
        # GRU (`reset_after`) one bias for what is read and one for the state.
        gates, biases, states = (4, 4, 2) if self.cell == "lstm" else (3, 6, 1)
        kernels = gates * units * (features + units)
        return Cost(
            tensor(*[length] * self.sequences, directions * units),
            params=directions * (kernels + biases * units),
            # At every position, the products with both kernels.
            flops=2 * length * directions * kernels,
            inner=4 * length * directions * (gates + states) * units,
        )


@dataclass(frozen=True)
class Augmentation(Layer):
    """An image changed at random, in training only; only the next layer reads it."""

    def cost(self, read: list[Tensor]) -> Cost:
        return Cost(tensor(*shape_of(read, 3)))


@dataclass(frozen=True)
class RandomShift(Augmentation):
    """`keras.layers.RandomTranslation`, in training only; borders are repeated.

    Args:
        down: Most of the height by which an image is moved up or down.
        across: Most of the width by which it is moved left or right.
    """

    down: float
    across: float


@dataclass(frozen=True)
class RandomFlip(Augmentation):
    """`keras.layers.RandomFlip`: half of the images mirrored, in training only."""


@dataclass(frozen=True)
class RandomErase(Augmentation):
    """`keras.layers.RandomErasing`: a rectangle of zeros, in training only.

    Args:
        most: Largest share of the image that is erased.
    """

    most: float


@dataclass(frozen=True)
class Repeat(Layer):
    """A body applied `times` times, each copy to the output of the copy before.

    Copy `i` of a `Repeat` named `stage2/block` has the path `stage2/block<i>`, counted
    from `start`. Outside, the name stands for the output of the last copy.

    Args:
        body: Layers of one copy; the first one reads the input of the copy.
        times: Number of copies, at least 1.
        shared: Whether all copies use the same weights; the path is then the name.
        start: Number of the first copy, where the numbers before it are taken.
    """

    body: tuple[Layer, ...]
    times: int
    shared: bool = False
    start: int = 1

    def __post_init__(self) -> None:
        if self.times < 1 or not self.body:
            raise SpecError(
                "`times >= 1` and a body of at least one layer must hold, but "
                f"{self.name!r} got times={self.times}, {len(self.body)} layers."
            )

    def copy_path(self, prefix: str, copy: int) -> str:
        """Path of a copy, counted from 1, with a slash at the end."""
        number = "" if self.shared else self.start + copy - 1
        return f"{prefix}{self.name}{number}/"


@dataclass(frozen=True)
class Blueprint:
    """A network as data.

    Args:
        inputs: Named inputs of the network.
        layers: Layers in the order in which they are computed.
        outputs: Names of the layers whose outputs the network returns.
        activations: For each output the Keras activation of an exported model; without
            any, it is taken to be a softmax.
        open_length: Whether the examples of a batch may all be cut to a shorter length,
            the first side of their inputs.

    Raises:
        SpecError: Two layers have one name, or inputs, layers or outputs are missing.
    """

    inputs: tuple[Input, ...]
    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]
    activations: tuple[str, ...] = ()
    open_length: bool = False

    def __post_init__(self) -> None:
        if not (self.inputs and self.layers and self.outputs):
            raise SpecError("A blueprint needs inputs, layers and outputs.")
        names = [item.name for item in self.inputs]
        names += [layer.name for layer in self.layers]
        if len(set(names)) < len(names):
            double = next(name for name in names if names.count(name) > 1)
            raise SpecError(f"Two layers of a blueprint are named {double!r}.")

    def shape_of(self, item: Input) -> tuple[int | None, ...]:
        """Shape of an input of the model: None stands for an open length."""
        return (None, *item.shape[1:]) if self.open_length else item.shape


class Scope(dict[str, Any]):
    """Values by layer name, looked up here and then in the scope around this one."""

    def __init__(self, around: "Scope | None" = None) -> None:
        super().__init__()
        self.around = around

    def __missing__(self, name: str) -> Any:
        if self.around is None:
            raise SpecError(f"A layer reads {name!r}, which no earlier layer is named.")
        return self.around[name]


def walked(
    layers: Iterable[Layer],
    entry: Any,
    scope: Scope,
    visit: Callable[[Layer, str, list[Any]], Any],
    prefix: str = "",
) -> Any:
    """What the last of some layers gives, every copy of a `Repeat` after the other.

    Args:
        layers: The layers.
        entry: What a first layer without names of inputs reads.
        scope: By name, what inputs and earlier layers give; the layers are added.
        visit: What a layer gives, of the record, its path, and what the layer reads.
        prefix: Path of the copy around the layers.
    """
    for layer in layers:
        reads = [scope[name] for name in layer.inputs] or [entry]
        if isinstance(layer, Repeat):
            entry = reads[0]
            for copy in range(1, layer.times + 1):
                inside = Scope(scope)
                inside[BODY_INPUT] = entry
                path = layer.copy_path(prefix, copy)
                entry = walked(layer.body, entry, inside, visit, path)
        else:
            entry = visit(layer, prefix + layer.name, reads)
        scope[layer.name] = entry
    return entry


def flat_layers(blueprint: Blueprint) -> Iterator[Layer]:
    """All records of a network but `Repeat`; those inside a `Repeat` come once."""
    waiting = list(blueprint.layers[::-1])
    while waiting:
        layer = waiting.pop()
        if isinstance(layer, Repeat):
            waiting += layer.body[::-1]
        else:
            yield layer


def without_augmentation(blueprint: Blueprint) -> Blueprint:
    """The network as it is used after training.

    The layers of Keras change their inputs whenever a call does not say that nothing is
    trained.
    """
    kept = tuple(r for r in blueprint.layers if not isinstance(r, Augmentation))
    return replace(blueprint, layers=kept)
