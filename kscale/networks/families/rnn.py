"""Recurrent networks (Hochreiter & Schmidhuber 1997; Cho et al. 2014), for sequences.

Depth counts stacked LSTM or GRU layers, width the units of a layer in one direction.
`depth=1` builds one such layer between the input and the output layer. A sequence is
read as it is, a spectrogram frame by frame, tokens through an embedding, an image row
by row: the pixels of a row are the features of one step. Padding changes no state.

`bidirectional` reads from both ends and joins the two outputs. `pooling="mean"`
averages the states of all positions, `pooling="last"` takes the state after the whole
input, of both directions. With `residual` every layer from the second on reads its
input normalized (Ba et al. 2016) and its output is added to the input, so that deep
stacks train; the sum of the last one is normalized. With `pooling="last"` the last
layer is not added to anything. A step reads `stacked` frames of a sound; where the
target is a transcript, the output layer answers at every step. Kernels start as in
Keras: recurrent ones orthogonal, an LSTM's forget bias at 1 (Jozefowicz et al. 2015).

Example:

>>> from kscale.task.tasks import Task
>>> task = Task.of("sequence", (20, 5), classes=3)
>>> FAMILY.size(FAMILY.spec(depth=1, width=16), task).params
1459
>>> 4 * (5 * 16 + 16 * 16 + 16) + 16 * 3 + 3
1459
"""

from dataclasses import replace

from kscale.networks import blueprint as bp
from kscale.networks.families import base, frames, tokens
from kscale.task.tasks import Task


def _network(
    task: Task,
    *,
    depth: int = base.depth_knob(2, (1, 2, 3, 4, 6, 8), "stacked recurrent layers"),
    width: bp.Count = base.width_knob(64, 2048, "units of a layer, one way"),
    cell: str = base.knob("lstm", ("lstm", "gru"), "kind of recurrent layer"),
    bidirectional: bool = base.flag_knob(
        False,
        "whether both ends are read from; true is the default for transcripts",
        usual=frames.predicts_characters,
    ),
    residual: bool = base.flag_knob(
        True, "whether layers from the second on are normalized and added to"
    ),
    dropout: float = base.share_knob(
        0.1,
        (0.0, 0.1, 0.2, 0.3, 0.5),
        "share of each layer's outputs dropped in training",
    ),
    vocabulary: int = tokens.VOCABULARY,
    embedding_width: int = tokens.EMBEDDING_WIDTH,
    token_dropout: float = tokens.TOKEN_DROPOUT,
    pooling: str = frames.pooling_knob("last", "how states become one vector"),
    stacked: int = frames.STACKED,
) -> bp.Blueprint:
    of_tokens = vocabulary, width, embedding_width, token_dropout
    layers, entry, mask = _entry(task, *of_tokens, stacked, bidirectional)
    are_characters = frames.predicts_characters(task)
    frames.check_pooling(task, pooling)
    layer = bp.Recurrent(width, cell, bidirectional, name="recurrent")
    rest = depth if pooling == "mean" else depth - 1
    if rest:
        layers += _with_dropout(replace(layer, inputs=(entry, *mask)), dropout)
    if rest > 1:
        body = _body(layer, mask, residual, dropout)
        layers.append(bp.Repeat(body, rest - 1, name="deeper"))
    if residual and depth > 1:
        layers.append(bp.LayerNorm(name="norm"))
    if are_characters:
        return frames.with_frame_logits(task, layers)
    entry = layers[-1].name if layers else entry
    if pooling == "mean":
        layers.append(
            bp.GlobalAveragePool(positions=True, name="pool", inputs=(entry, *mask))
        )
    else:
        last = replace(layer, sequences=False, name="last", inputs=(entry, *mask))
        layers += _with_dropout(last, dropout)
    return base.with_heads(task, layers)


def _entry(
    task: Task,
    vocabulary: int,
    width: bp.Count,
    embedding_width: int,
    token_dropout: float,
    stacked: int,
    bidirectional: bool,
) -> tuple[list[bp.Layer], str, tuple[str, ...]]:
    """What recurrent layers read: layers before them, the name of what the first one
    reads, and the name of the mask, if there is one."""
    item = task.inputs[0]
    layers = tokens.masked_embeddings(
        task, vocabulary, width, embedding_width, token_dropout
    )
    layers += frames.frame_layers(task, stacked)
    if item.kind == "image":
        layers.append(bp.Reshape((item.shape[0], -1), name="rows"))
    names = [layer.name for layer in layers]
    read = [item.name, *(name for name in names if name != "mask")]
    # What reads on from the start is past all that counts where padding begins.
    has_mask = "mask" in names and (
        bidirectional or not frames.predicts_characters(task)
    )
    return layers, read[-1], ("mask",) * has_mask


def _body(
    layer: bp.Recurrent, mask: tuple[str, ...], residual: bool, dropout: float
) -> tuple[bp.Layer, ...]:
    read = "norm" if residual else bp.BODY_INPUT
    layers = _with_dropout(replace(layer, inputs=(read, *mask)), dropout)
    if not residual:
        return tuple(layers)
    add = bp.Add(name="add", inputs=(bp.BODY_INPUT, layers[-1].name))
    return (bp.LayerNorm(name="norm"), *layers, add)


def _with_dropout(layer: bp.Layer, rate: float) -> list[bp.Layer]:
    return [layer, *base.dropped(rate, f"{layer.name}/dropout")]


FAMILY = base.Family(
    name="rnn",
    summary="LSTM or GRU layers; sequences, sound, text as token ids",
    depth_counts="stacked recurrent layers",
    width_counts="units of a layer, one way",
    kinds=("tokens", "image", "sequence", "spectrogram"),
    learning_rate=base.learning_rate_knob(3e-3, 5e-4, 1e-2),
    network=_network,
    targets=(*base.Family.targets, "characters"),
)
