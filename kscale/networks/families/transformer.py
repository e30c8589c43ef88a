"""Transformer encoders (Vaswani et al. 2017), for text as token ids.

Depth counts encoder blocks, width is the model width (features of every position). A
block is self-attention and two dense layers with `mlp_ratio` times the width between
them, each added to what entered it: about 12 width^2 weights. With `depth=1` one block
stands between the embeddings and the average over all tokens that are not padding.

Every input of tokens is embedded; the sum, with an embedding of the positions, enters
the first block. Padding is id 0 of the first input; it is never read. `vocabulary`
tells the first ids of each input apart, and all others are one. `norm="pre"`
normalizes what enters attention and the dense layers, and once at the end (Xiong et al.
2020); `norm="post"` normalizes sums, and the embeddings, as BERT. `shared` gives all
blocks the same weights and `embedding_width` makes token embeddings narrower, as in
ALBERT (Lan et al. 2019): then depth adds FLOPs and no weights. `pooling="first"` reads
the first position through a dense tanh layer, BERT's pooler (Devlin et al. 2018).

Example:

>>> from kscale.task.tasks import Task
>>> task = Task.of("tokens", (64,), vocabulary=1000, classes=2)
>>> FAMILY.size(FAMILY.spec(depth=1, width=32), task).params
46882
>>> 1000 * 32 + 64 * 32 + (12 * 32**2 + 13 * 32) + 2 * 32 + 32 * 2 + 2
46882
"""

from typing import Any

from kscale.errors import SpecError
from kscale.networks.blueprint import (
    Add,
    Blueprint,
    Count,
    Dense,
    Dropout,
    Embedding,
    First,
    GlobalAveragePool,
    Layer,
    LayerNorm,
    PaddingMask,
    Positions,
    Repeat,
)
from kscale.networks.families.base import (
    Family,
    Knob,
    depth_knob,
    learning_rate_knob,
    width_knob,
    with_heads,
)
from kscale.networks.families.encoder import (
    ACTIVATION,
    DROPOUT,
    HEADS,
    MLP_RATIO,
    encoder_block,
)
from kscale.networks.families.tokens import (
    EMBEDDING_WIDTH,
    TOKEN_DROPOUT,
    VOCABULARY,
    embedded,
)
from kscale.task.tasks import Task


def _network(
    task: Task,
    *,
    depth: int,
    width: Count,
    heads: int,
    mlp_ratio: int,
    activation: str,
    norm: str,
    dropout: float,
    shared: bool,
    vocabulary: int,
    embedding_width: int,
    token_dropout: float,
    positions: int,
    pooling: str,
) -> Blueprint:
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
    body = encoder_block(
        width, heads, mlp_ratio, activation, dropout, norm, mask=("mask",)
    )
    layers = [
        *_embeddings(
            task,
            width,
            vocabulary,
            embedding_width,
            positions or length,
            norm,
            dropout,
            token_dropout,
        ),
        Repeat(body, depth, shared=shared, name="block"),
    ]
    if norm == "pre":
        layers.append(LayerNorm(name="norm"))
    if pooling == "mean":
        pooled = (layers[-1].name, "mask")
        layers.append(GlobalAveragePool(name="pool", inputs=pooled))
    else:
        layers += [First(name="first"), Dense(width, activation="tanh", name="pooler")]
    return with_heads(task, layers)


def _embeddings(
    task: Task,
    width: Count,
    vocabulary: int,
    embedding_width: int,
    positions: int,
    norm: str,
    dropout: float,
    token_dropout: float,
) -> list[Layer]:
    narrow: Any = embedding_width or width
    ids = task.inputs[0].name
    layers: list[Layer] = [
        PaddingMask(name="mask", inputs=(ids,)),
        Positions(name="positions", inputs=(ids,)),
    ]
    summands = []
    for item in task.inputs:
        summands.append(f"embeddings/{item.name}")
        layers += embedded(item, vocabulary, narrow, summands[-1], "transformer")
    summands.append("embeddings/positions")
    layers.append(
        Embedding(positions, narrow, name=summands[-1], inputs=("positions",))
    )
    layers.append(Add(name="embeddings/sum", inputs=tuple(summands)))
    if norm == "post":
        layers.append(LayerNorm(name="embeddings/norm"))
    if dropout:
        layers.append(Dropout(dropout, name="embeddings/dropout"))
    if token_dropout:
        whole = Dropout(token_dropout, positions=True, name="embeddings/whole_dropout")
        layers.append(whole)
    if embedding_width:
        layers.append(Dense(width, name="embeddings/project"))
    return layers


FAMILY = Family(
    name="transformer",
    summary="encoder blocks; text as token ids",
    depth_counts="encoder blocks",
    width_counts="features of a position",
    kinds=("tokens",),
    knobs=(
        depth_knob(2, (1, 2, 3, 4, 6, 8, 12, 24), "encoder blocks"),
        width_knob(64, 2048, "features of a position"),
        HEADS,
        MLP_RATIO,
        ACTIVATION,
        Knob("norm", "pre", ("pre", "post"), "where sums are normalized"),
        DROPOUT,
        Knob("shared", False, (False, True), "whether all blocks share weights"),
        VOCABULARY,
        EMBEDDING_WIDTH,
        TOKEN_DROPOUT,
        Knob(
            "positions", 0, (0,), "rows of the position table; 0 is the length", low=0
        ),
        Knob("pooling", "mean", ("mean", "first"), "how tokens become one vector"),
    ),
    learning_rate=learning_rate_knob(1e-3, 2e-4, 5e-3),
    network=_network,
)
