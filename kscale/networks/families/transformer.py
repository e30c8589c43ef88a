"""Transformer encoders (Vaswani et al. 2017), for text as token ids.

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
from kscale.networks.families import base, encoder, tokens
from kscale.task.tasks import Task


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
    pooling: str = base.knob("mean", ("mean", "first"), "how tokens become one vector"),
) -> bp.Blueprint:
    length = task.inputs[0].shape[0]
    if any(item.shape != (length,) for item in task.inputs):
        raise SpecError(
            "All token inputs must have one length, but got "
            f"{', '.join(str(item.shape[0]) for item in task.inputs)}."
        )
    if positions and positions < length:
        raise SpecError(
            f"`positions >= {length}`, the length of the input, must hold, but got "
            f"positions={positions}."
        )
    narrow = tokens.features_of(task.inputs[0], embedding_width, width)
    layers = _embeddings(task, narrow, vocabulary, positions or length)
    if norm == "post":
        layers.append(bp.LayerNorm(name="embeddings/norm"))
    layers += base.dropped(dropout, "embeddings/dropout")
    layers += base.dropped(token_dropout, "embeddings/whole_dropout", positions=True)
    if embedding_width or task.inputs[0].vectors:
        layers.append(bp.Dense(width, name="embeddings/project"))
    mask, of_blocks = ("mask",), (heads, mlp_ratio, activation, dropout)
    layers += encoder.encoder(depth, width, *of_blocks, norm, shared, mask)
    if pooling == "mean":
        pooled = (layers[-1].name, "mask")
        layers.append(bp.GlobalAveragePool(positions=True, name="pool", inputs=pooled))
    else:
        layers += [bp.First(name="first"), bp.Dense(width, "tanh", name="pooler")]
    return base.with_heads(task, layers)


def _embeddings(
    task: Task, width: bp.Count, vocabulary: int, positions: int
) -> list[bp.Layer]:
    """The sum of the embeddings of all inputs and of the positions; the mask."""
    ids = task.inputs[0].name
    summands = [f"embeddings/{item.name}" for item in task.inputs]
    tables: list[bp.Layer] = []
    for item, name in zip(task.inputs, summands, strict=True):
        tables += tokens.embedded(item, vocabulary, width, name)
    return [
        bp.PaddingMask(name="mask", inputs=(ids,)),
        *encoder.embeddings(ids, tables, summands, positions, width),
    ]


FAMILY = base.Family(
    name="transformer",
    summary="encoder blocks; text as token ids",
    depth_counts="encoder blocks",
    width_counts="features of a position",
    kinds=("tokens",),
    learning_rate=base.learning_rate_knob(1e-3, 2e-4, 5e-3),
    network=_network,
    takes_several=True,
)
