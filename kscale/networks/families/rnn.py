"""Recurrent networks (Hochreiter & Schmidhuber 1997; Cho et al. 2014), for sequences.

Depth counts stacked LSTM or GRU layers, width the units of one layer, in one direction.
With `depth=1` one layer stands between the input and the output layer. A sequence is
read as it is, a spectrogram frame by frame, tokens through an embedding, an image row
by row, a row's pixels being the features of one step. Padding is id 0; there a state
stays as it is, and it is never averaged. `vocabulary` tells the first ids apart, and
all others are one.

`bidirectional` reads from both ends and joins the two outputs. `pooling="mean"`
averages the states of all positions, `pooling="last"` takes the one after the whole
input, of both directions. With `residual` every layer from the second on reads its
input normalized (Ba et al. 2016) and is added to it, so that deep stacks train; the
output is normalized then. The last layer of `pooling="last"` has nothing to be added
to. Kernels start as in Keras: recurrent ones orthogonal, an LSTM's forget bias at 1
(Jozefowicz et al. 2015).

Example:

>>> from kscale.task.tasks import Task
>>> task = Task.of("sequence", (20, 5), classes=3)
>>> FAMILY.size(FAMILY.spec(depth=1, width=16), task).params
1459
>>> 4 * (5 * 16 + 16 * 16 + 16) + 16 * 3 + 3
1459
"""

from dataclasses import replace

from kscale.errors import SpecError
from kscale.networks.blueprint import (
    BODY_INPUT,
    Add,
    Blueprint,
    Count,
    Dropout,
    GlobalAveragePool,
    Layer,
    LayerNorm,
    PaddingMask,
    Recurrent,
    Repeat,
    Reshape,
)
from kscale.networks.families.base import (
    Family,
    Knob,
    depth_knob,
    learning_rate_knob,
    width_knob,
    with_heads,
)
from kscale.networks.families.tokens import (
    EMBEDDING_WIDTH,
    TOKEN_DROPOUT,
    VOCABULARY,
    embedded,
    refuse_knobs_of_tokens,
)
from kscale.task.tasks import Task


def _network(
    task: Task,
    *,
    depth: int,
    width: Count,
    cell: str,
    bidirectional: bool,
    residual: bool,
    dropout: float,
    vocabulary: int,
    embedding_width: int,
    token_dropout: float,
    pooling: str,
) -> Blueprint:
    layers = _sequence(task, width, vocabulary, embedding_width)
    if token_dropout and task.inputs[0].kind == "tokens":
        whole = Dropout(token_dropout, positions=True, name="embeddings/dropout")
        layers.append(whole)
    mask = ("mask",) if task.inputs[0].kind == "tokens" else ()
    layer = Recurrent(width, cell, bidirectional, name="recurrent")
    entry = layers[-1].name if layers else task.inputs[0].name
    rest = depth if pooling == "mean" else depth - 1
    if rest:
        layers += _dropped(replace(layer, inputs=(entry, *mask)), dropout)
    if rest > 1:
        body = _body(layer, mask, residual, dropout)
        layers.append(Repeat(body, rest - 1, name="deeper"))
    if residual and depth > 1:
        layers.append(LayerNorm(name="norm"))
    entry = layers[-1].name if layers else entry
    if pooling == "mean":
        layers.append(GlobalAveragePool(name="pool", inputs=(entry, *mask)))
    else:
        last = replace(layer, sequences=False, name="last", inputs=(entry, *mask))
        layers += _dropped(last, dropout)
    return with_heads(task, layers)


def _sequence(
    task: Task, width: Count, vocabulary: int, embedding_width: int
) -> list[Layer]:
    """What turns the input into `(length, features)`, and says where padding is."""
    if len(task.inputs) != 1:
        raise SpecError(
            f"Family rnn takes one input, but the data has {len(task.inputs)}."
        )
    item = task.inputs[0]
    if item.kind == "tokens":
        narrow: Count = embedding_width or width
        layers = embedded(item, vocabulary, narrow, "embeddings", "rnn")
        return [PaddingMask(name="mask"), *layers]
    refuse_knobs_of_tokens(task, vocabulary=vocabulary, embedding_width=embedding_width)
    if item.kind == "image":
        return [Reshape((item.shape[0], -1), name="rows")]
    return []


def _body(
    layer: Recurrent, mask: tuple[str, ...], residual: bool, dropout: float
) -> tuple[Layer, ...]:
    if not residual:
        return _dropped(replace(layer, inputs=(BODY_INPUT, *mask)), dropout)
    inside = _dropped(replace(layer, inputs=("norm", *mask)), dropout)
    add = Add(name="add", inputs=(BODY_INPUT, inside[-1].name))
    return (LayerNorm(name="norm"), *inside, add)


def _dropped(layer: Layer, rate: float) -> tuple[Layer, ...]:
    return (layer, Dropout(rate, name=f"{layer.name}/dropout")) if rate else (layer,)


FAMILY = Family(
    name="rnn",
    summary="LSTM or GRU layers; sequences, sound, text as token ids",
    depth_counts="stacked recurrent layers",
    width_counts="units of a layer, one way",
    kinds=("tokens", "image", "sequence", "spectrogram"),
    knobs=(
        depth_knob(2, (1, 2, 3, 4, 6, 8), "stacked recurrent layers"),
        width_knob(64, 2048, "units of a layer, one way"),
        Knob("cell", "lstm", ("lstm", "gru"), "kind of recurrent layer"),
        Knob("bidirectional", False, (False, True), "whether both ends are read from"),
        Knob(
            "residual",
            True,
            (False, True),
            "whether layers from the second on are normalized and added to",
        ),
        Knob(
            "dropout",
            0.1,
            (0.0, 0.1, 0.2, 0.3, 0.5),
            "share of each layer's outputs dropped in training",
            low=0.0,
            high=0.95,
            shapes=False,
        ),
        VOCABULARY,
        EMBEDDING_WIDTH,
        TOKEN_DROPOUT,
        Knob("pooling", "mean", ("mean", "last"), "how states become one vector"),
    ),
    learning_rate=learning_rate_knob(3e-3, 5e-4, 1e-2),
    network=_network,
)
