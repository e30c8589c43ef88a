"""Layer records: a network as plain data, which is counted and built from one source.

`kscale.networks.sizing` folds over a blueprint with shapes and counts,
`kscale.building.models` folds over it with Keras tensors. A blueprint is a graph: a
layer reads the output of the layer before it, or the earlier outputs that it names.
Names are resolved like variables of a program: inside a `Repeat` first among the layers
of the same copy, then outside; `BODY_INPUT` is the input of the copy. Every layer has a
stable path such as `stage2/block3/conv1`.

A width may be an `int` or a NumPy int64 array; arrays can be sized but not built.
"""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

from kscale.errors import SpecError
from kscale.networks.whole_numbers import Count, has_any
from kscale.task.tasks import Input

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


@dataclass(frozen=True)
class Dense(Layer):
    """`keras.layers.Dense` on the last axis."""

    units: Count
    activation: str = "linear"
    use_bias: bool = True
    initializer: str = "glorot_uniform"


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


@dataclass(frozen=True)
class GlobalAveragePool(Layer):
    """Average over the pixels of an image, or over the positions of a sequence.

    Args:
        positions: Whether the input is `(length, features)`, not an image. A second
            input may then be a mask `(length,)`, true at the positions that count.
    """

    positions: bool = False


@dataclass(frozen=True)
class Flatten(Layer):
    """`keras.layers.Flatten`."""


@dataclass(frozen=True)
class First(Layer):
    """The first position of `(length, features)`, as `(features,)`."""


@dataclass(frozen=True)
class Activation(Layer):
    """`keras.layers.Activation`, by name."""

    function: str


@dataclass(frozen=True)
class BatchNorm(Layer):
    """`keras.layers.BatchNormalization`; its moving statistics are not trainable.

    Args:
        initializer: Start of the scales; with `zeros` as the last layer of a residual
            branch, the branch starts as nothing.
    """

    momentum: float = 0.9
    epsilon: float = 1e-3
    initializer: str = "ones"


@dataclass(frozen=True)
class LayerNorm(Layer):
    """`keras.layers.LayerNormalization` over the last axis."""

    epsilon: float = 1e-6


@dataclass(frozen=True)
class Dropout(Layer):
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
    """

    vocabulary: int
    width: Count
    stddev: float = 0.02


@dataclass(frozen=True)
class KnownTokens(Layer):
    """Ids `(length,)` of a smaller vocabulary: one id replaces all that it lacks.

    Args:
        vocabulary: Ids below this number stay as they are.
        unknown: The id that replaces all others.
    """

    vocabulary: int
    unknown: int


@dataclass(frozen=True)
class Positions(Layer):
    """Numbers 0, 1, 2, ... of the positions of `(length,)` or `(length, features)`."""


@dataclass(frozen=True)
class PaddingMask(Layer):
    """True where ids `(length,)` are not 0; everywhere if all of them are 0."""


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
        if has_any(self.width % self.heads != 0):
            raise SpecError(
                f"The heads of {self.name!r} must divide its width, but got "
                f"heads={self.heads}, width={self.width}."
            )


@dataclass(frozen=True)
class Add(Layer):
    """`keras.layers.Add` of two or more inputs of one shape."""


@dataclass(frozen=True)
class Concatenate(Layer):
    """`keras.layers.Concatenate` on the last axis."""


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


@dataclass(frozen=True)
class ZeroPad2D(Layer):
    """`keras.layers.ZeroPadding2D`: rows and columns of zeros around an image."""

    padding: int


@dataclass(frozen=True)
class Multiply(Layer):
    """`keras.layers.Multiply` of the first input with others.

    The others have the shape of the first, or are `(channels,)`: a factor a channel.
    """


@dataclass(frozen=True)
class Rescale(Layer):
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


@dataclass(frozen=True)
class Prepend(Layer):
    """A learned position before all others of `(length, features)`: a class token."""


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


@dataclass(frozen=True)
class RandomShift(Layer):
    """`keras.layers.RandomTranslation`, in training only; borders are repeated.

    Args:
        down: Most of the height by which an image is moved up or down.
        across: Most of the width by which it is moved left or right.
    """

    down: float
    across: float


@dataclass(frozen=True)
class RandomFlip(Layer):
    """`keras.layers.RandomFlip`: half of the images mirrored, in training only."""


@dataclass(frozen=True)
class RandomErase(Layer):
    """`keras.layers.RandomErasing`: a rectangle of zeros, in training only.

    Args:
        most: Largest share of the image that is erased.
    """

    most: float


AUGMENTATIONS = (RandomShift, RandomFlip, RandomErase)
"""Records that change inputs at random; only the next layer reads the output."""


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

    Raises:
        SpecError: Two layers have one name, or inputs, layers or outputs are missing.
    """

    inputs: tuple[Input, ...]
    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        if not (self.inputs and self.layers and self.outputs):
            raise SpecError("A blueprint needs inputs, layers and outputs.")
        names = [item.name for item in self.inputs]
        names += [layer.name for layer in self.layers]
        if len(set(names)) < len(names):
            double = next(name for name in names if names.count(name) > 1)
            raise SpecError(f"Two layers of a blueprint are named {double!r}.")


class Scope(dict[str, Any]):
    """Values by layer name, looked up here and then in the scope around this one."""

    def __init__(self, around: "Scope | None" = None) -> None:
        super().__init__()
        self.around = around

    def __missing__(self, name: str) -> Any:
        if self.around is None:
            raise SpecError(f"A layer reads {name!r}, which no earlier layer is named.")
        return self.around[name]


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
    kept = tuple(r for r in blueprint.layers if not isinstance(r, AUGMENTATIONS))
    return replace(blueprint, layers=kept)
