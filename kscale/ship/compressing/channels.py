"""Which channels the weights of a network belong to, and which of them are tied.

Every layer that makes features numbers its channels anew. A sum ties the channels that
it adds, a depthwise convolution and a norm keep those that they read, and layers that
are read twice tie what they read. A flattened image has the channels of each pixel
again and again. What remains of a channel remains wherever the channel occurs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kscale.errors import SpecError
from kscale.naming import layer_name
from kscale.networks import blueprint as bp
from kscale.networks.blueprint import Blueprint, Layer, Scope, walked
from kscale.networks.decoder_layers import SharedEmbedding, Sinusoids, TiedDense
from kscale.networks.layer_costs import Tensor, tensor
from kscale.networks.sound_layers import DepthwiseConv1D, FrameLogits
from kscale.networks.word_layers import Conv1D

Channels = NDArray[np.int64]
"""Numbers of the channels on an axis."""

Weights = Mapping[str, Sequence[NDArray[Any]]]
"""Arrays of each layer by its Keras name, in the order of Keras."""

Importance = Callable[[NDArray[Any]], NDArray[np.float64]]
"""Of a kernel `(others, channels)`, how much each channel is made of."""

_COPIES = {"lstm": (4, 4), "gru": (3, 6)}  # of a unit, in kernels and in biases


class Weight(NamedTuple):
    """The axes of a weight, as channels.

    A single axis is that of a bias or a norm. Of several, the last are the channels
    that the weight makes, and None is everything that is no channel.

    Args:
        axes: Channels of each axis; the shape is without what None stands for.
        scaled_by: Channels whose number divides the products of what is made: the
            weight is multiplied by the square root of the share that remains.
    """

    axes: tuple[Channels | None, ...]
    scaled_by: Channels | None = None


class ChannelMap:
    """Channels of a network.

    Args:
        blueprint: The network; all its widths must be ints.

    Attributes:
        groups: Places of the channels that one layer makes, in the order of the layers.
        weights: By Keras name of a layer, its weights in the order of Keras.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        self.groups: list[Channels] = []
        self.weights: dict[str, list[Weight]] = {}
        self._tied: list[tuple[Channels, Channels]] = []
        scope = Scope()
        for item in blueprint.inputs:
            scope[item.name] = tensor(*item.shape), self.new(item.shape[-1])
        walked(blueprint.layers, scope[blueprint.inputs[0].name], scope, self._visit)

    def new(self, count: int) -> Channels:
        """Channels that nothing else has."""
        start = self.groups[-1][-1] + 1 if self.groups else 0
        self.groups.append(np.arange(start, start + count))
        return self.groups[-1]

    def of_table(self, path: str) -> Channels:
        """Channels of an embedding that was read before."""
        (axes, _), *_ = self.weights[layer_name(path)]
        assert axes[-1] is not None
        return axes[-1]

    def tie(self, *axes: Channels) -> None:
        """Channels at one place of several axes remain together, or not at all."""
        self._tied += [(axes[0], other) for other in axes[1:]]

    @property
    def ties(self) -> Channels:
        """By channel, the first of all channels that are tied to the channel."""
        first = np.arange(max(group[-1] for group in self.groups) + 1)
        before = None
        while before is None or np.any(first != before):
            before = first.copy()
            for left, right in self._tied:
                least = np.minimum(first[left], first[right])
                np.minimum.at(first, left, least)
                np.minimum.at(first, right, least)
            first = first[first]
        return first

    def _visit(
        self, layer: Layer, path: str, reads: list[tuple[Tensor, Channels]]
    ) -> tuple[Tensor, Channels]:
        """What a layer gives, with its channels."""
        output = layer.cost([shape for shape, _ in reads]).output
        return output, self._add(layer, path, [axis for _, axis in reads], output)

    def _add(
        self, layer: Layer, path: str, reads: list[Channels], output: Tensor
    ) -> Channels:
        """Note the weights of a layer; the channels of its output."""
        rule = _RULES.get(type(layer))
        if rule is None:
            # What is flattened or cut into rows has the channels of each pixel.
            return np.resize(reads[0], output.shape[-1])
        given, weights = rule(self, layer, reads)
        if not weights:
            return given
        earlier = self.weights.setdefault(layer_name(path), weights)
        for one, other in zip(earlier, weights, strict=True):
            for left, right in zip(one.axes, other.axes, strict=True):
                if left is not None and right is not None and left is not right:
                    self.tie(left, right)
        return given


def kept_channels(
    wide: ChannelMap, narrow: ChannelMap, weights: Weights, importance: Importance
) -> NDArray[np.bool_]:
    """Whether each channel of the wide network remains in the narrow one.

    Of the channels that a layer makes, those of largest importance remain, as many as
    the narrow network has; what is tied counts together.

    Raises:
        SpecError: The networks differ in more than their widths.
    """
    ties = wide.ties
    total = np.zeros(len(ties))
    for name, of_layer in wide.weights.items():
        for weight, array in zip(of_layer, weights[name], strict=True):
            made = weight.axes[-1]
            if made is not None and len(weight.axes) > 1:
                values = importance(array.reshape(-1, len(made)))
                np.add.at(total, ties[made], values)
    if len(wide.groups) != len(narrow.groups):
        raise SpecError("The networks differ in more than their widths.")
    is_kept, is_decided = (np.zeros(len(ties), bool) for _ in range(2))
    for group, left in zip(wide.groups, narrow.groups, strict=True):
        firsts = ties[group]
        open_ones = np.unique(firsts[~is_decided[firsts]])
        wanted = len(left) - np.count_nonzero(is_kept[firsts])
        if not 0 <= wanted <= len(open_ones):
            raise SpecError(
                f"{len(group)} channels of a layer cannot become {len(left)}: others "
                "are tied to them."
            )
        ranked = open_ones[np.argsort(-total[open_ones], kind="stable")]
        is_kept[ranked[:wanted]] = True
        is_decided[open_ones] = True
    return np.asarray(is_kept[ties])


def narrowed(
    wide: Blueprint, narrow: Blueprint, weights: Weights, importance: Importance
) -> dict[str, list[NDArray[Any]]]:
    """Weights of a narrow network, copied from a wide one of the same structure.

    A norm over all features (`LayerNorm`) reads those that remain, and gives something
    else than before, even where only features that are always 0 are gone.

    Args:
        wide: The network that has the weights.
        narrow: The same network with fewer channels.
        weights: Of the wide network.
        importance: Decides which channels remain.

    Raises:
        SpecError: The networks differ in more than their widths.
    """
    source = ChannelMap(wide)
    if source.weights.keys() != weights.keys():
        others = ", ".join(sorted(source.weights.keys() ^ weights.keys()))
        raise SpecError(f"Channels of {others} are not known: nothing is narrowed.")
    is_kept = kept_channels(source, ChannelMap(narrow), weights, importance)
    found: dict[str, list[NDArray[Any]]] = {}
    for name, of_layer in source.weights.items():
        arrays = zip(of_layer, weights[name], strict=True)
        found[name] = [_cut(weight, array, is_kept) for weight, array in arrays]
    return found


def _cut(
    weight: Weight, array: NDArray[Any], is_kept: NDArray[np.bool_]
) -> NDArray[Any]:
    """What remains of a weight, by its axes."""
    shape = [-1 if axis is None else len(axis) for axis in weight.axes]
    cut = array.reshape(shape)
    for place, axis in enumerate(weight.axes):
        if axis is not None:
            cut = np.compress(is_kept[axis], cut, axis=place)
    if weight.scaled_by is not None:
        cut = cut * cut.dtype.type(np.sqrt(np.mean(is_kept[weight.scaled_by])))
    return cut


_Given = tuple[Channels, list[Weight]]


def _matrix(read: Channels | None, made: Channels, use_bias: bool = True) -> _Given:
    biases = [Weight((made,))] * use_bias
    return made, [Weight((read, made)), *biases]


def _convolution(
    channels: ChannelMap, record: bp.Conv2D | Conv1D, reads: Any
) -> _Given:
    made = channels.new(int(record.filters))
    biases = [Weight((made,))] * record.use_bias
    return made, [Weight((None, reads[0], made)), *biases]


def _attention(channels: ChannelMap, record: bp.Attention, reads: Any) -> _Given:
    """Features inside each head: those of queries and keys, and those of values."""
    heads, width = int(record.heads), int(record.width)
    matched, values = (
        np.concatenate([channels.new(width // heads) for _ in range(heads)])
        for _ in range(2)
    )
    made = channels.new(len(reads[0]))
    queries = [Weight(axes, matched) for axes in ((reads[0], matched), (matched,))]
    projections = ((reads[1], matched), (reads[1], values), (values, made))
    others = [weight for pair in projections for weight in _matrix(*pair)[1]]
    return made, [*queries, *others]


def _recurrent(channels: ChannelMap, record: bp.Recurrent, reads: Any) -> _Given:
    in_kernels, in_biases = _COPIES[record.cell]
    states, weights = [], []
    for _ in range(1 + record.bidirectional):
        state = channels.new(int(record.units))
        gates = np.tile(state, in_kernels)
        states.append(state)
        weights += [Weight((reads[0], gates)), Weight((state, gates))]
        weights.append(Weight((np.tile(state, in_biases),)))
    return np.concatenate(states), weights


def _tied(channels: ChannelMap, record: TiedDense, reads: Any) -> _Given:
    channels.tie(reads[0], channels.of_table(record.table))
    return channels.new(record.units), []


def _sum(channels: ChannelMap, record: Layer, reads: Any) -> _Given:
    channels.tie(*reads)
    return reads[0], []


def _each(count: int) -> Callable[..., _Given]:
    """A layer with so many numbers for each channel that the layer reads."""
    return lambda channels, record, reads: (reads[0], [Weight((reads[0],))] * count)


def _dense(channels: ChannelMap, record: bp.Dense, reads: Any) -> _Given:
    return _matrix(reads[0], channels.new(int(record.units)), record.use_bias)


def _of_each(channels: ChannelMap, record: Any, reads: Any) -> _Given:
    return _matrix(None, reads[0], record.use_bias)


_RULES: dict[type[Layer], Callable[[ChannelMap, Any, list[Channels]], _Given]] = {
    bp.Dense: _dense,
    FrameLogits: _dense,
    bp.Conv2D: _convolution,
    Conv1D: _convolution,
    bp.DepthwiseConv2D: _of_each,
    DepthwiseConv1D: _of_each,
    bp.BatchNorm: _each(4),
    bp.LayerNorm: _each(2),
    bp.Embedding: lambda channels, r, reads: _matrix(
        None, channels.new(int(r.width)), use_bias=False
    ),
    SharedEmbedding: lambda channels, r, reads: (channels.of_table(r.table), []),
    Sinusoids: lambda channels, r, reads: (channels.new(int(r.width)), []),
    TiedDense: _tied,
    bp.Prepend: lambda channels, r, reads: _matrix(None, reads[0], use_bias=False),
    bp.Attention: _attention,
    bp.Recurrent: _recurrent,
    bp.Add: _sum,
    bp.Multiply: _sum,
    bp.Concatenate: lambda channels, r, reads: (np.concatenate(reads), []),
}
"""By record, the channels of the output and the weights; others have no weights."""
