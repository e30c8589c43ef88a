"""Transformer encoders (Vaswani et al. 2017), for text as token ids and for sound.

Depth counts encoder blocks, width the features of every position. A block is
self-attention and two dense layers with `mlp_ratio` times the width between them; each
of both is added to its input. A block has about 12 width^2 weights. `depth=1` builds
one block between the embeddings and the average over all tokens that are not padding,
and the output layer.

Every input of tokens is embedded; the sum of the embeddings and of those of the
positions enters the first block. Padding is that of the first input. `norm="pre"`
normalizes the inputs of attention and of the dense layers, and the output of the last
block (Xiong et al. 2020); `norm="post"` normalizes sums, and the embeddings, as BERT.
`shared` gives all blocks the same weights and `embedding_width` makes token embeddings
narrower, as in ALBERT (Lan et al. 2019): then depth adds FLOPs and no weights.
`pooling="first"` reads the first position through a dense tanh layer, BERT's pooler
(Devlin et al. 2018).

Steps of a sound, of `stacked` frames each, enter through a dense layer. There a block
may have a `convolution` between attention and dense layers, whose norm, kernel for each
feature and dense layer are added likewise, as in small Conformers (Gulati et al. 2020).
Where the target is a transcript, the output layer answers at every step.

Example:

>>> from kscale.task.tasks import Task
>>> task = Task.of("tokens", (64,), vocabulary=1000, classes=2)
>>> FAMILY.size(FAMILY.spec(depth=1, width=32), task).params
46882
>>> 1000 * 32 + 64 * 32 + (12 * 32**2 + 13 * 32) + 2 * 32 + 32 * 2 + 2
46882
"""

from kscale.errors import SpecError
from kscale.networks import blueprint as bp
from kscale.networks.families import base, encoder, frames, tokens
from kscale.task.tasks import Task


def _convolutions_for(task: Task) -> tuple[base.Value, ...]:
    return (0, 7, 15, 31) if task.inputs[0].kind == "spectrogram" else (0,)


def _convolution_for(task: Task) -> base.Value:
    """The usual `convolution`: 15 for transcripts, where a convolution between
    attention and dense layers decides (Gulati et al. 2020)."""
    return 15 if frames.predicts_characters(task) else 0


def _check_convolution(task: Task, convolution: int) -> None:
    if convolution and _convolutions_for(task) == (0,):
        raise SpecError(
            f"`convolution` is for sounds, not for the kind {task.inputs[0].kind}: got "
            f"convolution={convolution}."
        )


def _network(
    task: Task,
    *,
    depth: int = base.depth_knob(2, (1, 2, 3, 4, 6, 8, 12, 24), "encoder blocks"),
    width: bp.Count = base.width_knob(64, 2048, "features of a position"),
    heads: int = encoder.HEADS,
    mlp_ratio: int = encoder.MLP_RATIO,
    activation: str = encoder.ACTIVATION,
    norm: str = encoder.NORM,
    dropout: float = encoder.DROPOUT,
    shared: bool = encoder.SHARED,
    vocabulary: int = tokens.VOCABULARY,
    embedding_width: int = tokens.EMBEDDING_WIDTH,
    token_dropout: float = tokens.TOKEN_DROPOUT,
    positions: int = base.knob(
        0, (0,), "rows of the position table; 0 is the length", low=0
    ),
    pooling: str = frames.pooling_knob("first", "how positions become one vector"),
    stacked: int = frames.STACKED,
    convolution: int = base.knob(
        0,
        (0, 7, 15, 31),
        "steps of sound that a convolution in each block reads; 0 is none, and 15 the "
        "default for transcripts",
        low=0,
        usual=_convolution_for,
        suited=_convolutions_for,
        is_optional=True,
    ),
) -> bp.Blueprint:
    are_characters = frames.predicts_characters(task)
    _check_convolution(task, convolution)
    frames.check_pooling(task, pooling)
    narrow = tokens.features_of(task.inputs[0], embedding_width, width)
    if task.inputs[0].kind == "tokens":
        frames.frame_layers(task, stacked)  # refuses sounds' knobs
        layers = _embeddings(task, narrow, vocabulary, positions, token_dropout)
        whole = []
    else:
        tokens.refuse_knobs_of_tokens(task, vocabulary=vocabulary)
        layers = _of_frames(task, narrow, stacked, positions)
        whole = base.dropped(token_dropout, "embeddings/whole_dropout", positions=True)
    if norm == "post":
        layers.append(bp.LayerNorm(name="embeddings/norm"))
    layers += base.dropped(dropout, "embeddings/dropout")
    layers += whole
    if embedding_width or task.inputs[0].vectors:
        layers.append(bp.Dense(width, name="embeddings/project"))
    mask = ("mask",) if any(layer.name == "mask" for layer in layers) else ()
    of_blocks = (heads, mlp_ratio, activation, dropout, norm, shared, mask)
    layers += encoder.encoder(depth, width, *of_blocks, convolution=convolution)
    if are_characters:
        return frames.with_frame_logits(task, layers)
    if pooling == "mean":
        pooled = (layers[-1].name, *mask)
        layers.append(bp.GlobalAveragePool(positions=True, name="pool", inputs=pooled))
    else:
        layers += [bp.First(name="first"), bp.Dense(width, "tanh", name="pooler")]
    return base.with_heads(task, layers)


def _rows(positions: int, length: int) -> int:
    """Rows of the position table."""
    if positions and positions < length:
        raise SpecError(
            f"`positions >= {length}`, the length of the input, must hold, but got "
            f"positions={positions}."
        )
    return positions or length


def _embeddings(
    task: Task, width: bp.Count, vocabulary: int, positions: int, dropout: float
) -> list[bp.Layer]:
    """The sum of the embeddings of all inputs and of the positions; the mask.

    Tokens are dropped before their positions are added: nothing but zeros, as of a
    short text all of whose tokens are dropped, would be normalized in every block, and
    gradients would grow a thousandfold each time.
    """
    length = task.inputs[0].shape[0]
    if any(item.shape != (length,) for item in task.inputs):
        raise SpecError(
            "All token inputs must have one length, but got "
            f"{', '.join(str(item.shape[0]) for item in task.inputs)}."
        )
    ids = task.inputs[0].name
    summands = [f"embeddings/{item.name}" for item in task.inputs]
    tables: list[bp.Layer] = []
    for item, name in zip(task.inputs, summands, strict=True):
        tables += tokens.embedded(item, vocabulary, width, name)
        tables += base.dropped(dropout, f"{name}/whole_dropout", positions=True)
    if dropout:
        summands = [f"{name}/whole_dropout" for name in summands]
    rows = _rows(positions, length)
    return [
        bp.PaddingMask(name="mask", inputs=(ids,)),
        *encoder.embeddings(ids, tables, summands, rows, width),
    ]


def _of_frames(
    task: Task, width: bp.Count, stacked: int, positions: int
) -> list[bp.Layer]:
    """The sum of a dense layer on each step of a sound and of the positions."""
    name = "embeddings/frames"
    before = frames.frame_layers(task, stacked)
    names = [layer.name for layer in before if layer.name != "mask"]
    read = [task.inputs[0].name, *names][-1]
    rows = _rows(positions, frames.steps_of(task, stacked))
    dense = bp.Dense(width, name=name, inputs=(read,))
    return [*before, *encoder.embeddings(read, [dense], [name], rows, width)]


FAMILY = base.Family(
    name="transformer",
    summary="encoder blocks; text as token ids, sound",
    depth_counts="encoder blocks",
    width_counts="features of a position",
    kinds=("tokens", "spectrogram"),
    learning_rate=base.learning_rate_knob(1e-3, 2e-4, 5e-3),
    network=_network,
    takes_several=True,
    targets=(*base.Family.targets, "characters"),
)
