"""Transformers with encoder and decoder (Vaswani et al. 2017), for translation.

Depth counts the blocks of the encoder, width the features of its positions; the decoder
has as many, or `decoder_depth` and `decoder_width`. A block of the encoder is
self-attention and two dense layers with `mlp_ratio` times the width between them: about
12 width^2 weights. A block of the decoder has attention to the encoder's output, too,
and reads itself and earlier positions only: about 16 width^2 weights. `depth=1` builds
one block of each.

Embeddings are multiplied with the square root of the width, and those of positions are
added: sinusoids, or learned ones. `shared_embeddings` says which tables are one:
`all`, which is those of the source, of the target and of the output layer; `target`,
which is those of the target and of the output layer; or `none`. An output layer with a
table has no weights of its own. `norm="pre"` normalizes what attention and dense layers
read and the output of the last block (Xiong et al. 2020); `norm="post"` normalizes
sums, as published. `shared` gives all blocks of the encoder the same weights, and all
of the decoder. Padding of the source is never read.

Example:

>>> FAMILY.size(FAMILY.spec(depth=6, width=512), FAMILY.usual).params
63084544
>>> blocks = 6 * (12 * 512**2 + 13 * 512) + 6 * (16 * 512**2 + 19 * 512)
>>> 37000 * 512 + blocks + 2 * 2 * 512
63084544
"""

from typing import Any, NamedTuple

import numpy as np

from kscale.errors import SpecError
from kscale.networks import blueprint as bp
from kscale.networks.decoder_layers import SharedEmbedding
from kscale.networks.families import base, encoder
from kscale.task.tasks import Input, Target, Task

_TABLES = ("all", "target", "none")


def tables_for(task: Task) -> tuple[base.Value, ...]:
    """Values of `shared_embeddings` that a search tries: source and target have one
    table only where they have as many tokens."""
    return (
        _TABLES
        if len({item.vocabulary for item in task.inputs}) == 1
        else ("target", "none")
    )


def _network(
    task: Task,
    *,
    depth: int = base.depth_knob(2, (1, 2, 3, 4, 6, 8, 12), "blocks of the encoder"),
    decoder_depth: int = base.knob(
        0, (0, 1, 2, 3, 4, 6), "blocks of the decoder; 0 is the depth", low=0
    ),
    width: bp.Count = base.width_knob(128, 2048, "features of a position"),
    decoder_width: int = base.knob(
        0, (0,), "features of a position of the decoder; 0 is the width", low=0
    ),
    heads: int = encoder.HEADS,
    mlp_ratio: int = encoder.MLP_RATIO,
    activation: str = base.activation_knob(
        ("relu", "gelu", "silu"), "function inside the dense layers"
    ),
    norm: str = encoder.NORM,
    dropout: float = encoder.DROPOUT,
    shared: bool = encoder.SHARED,
    shared_embeddings: str = base.knob(
        "all",
        _TABLES,
        "which embeddings are one table: source, target and output; no source; none",
        suited=tables_for,
    ),
    learned_positions: bool = base.flag_knob(
        False, "whether positions are told apart by learned features, not by sinusoids"
    ),
) -> bp.Blueprint:
    source, previous = _sides_of(task)
    wide = decoder_width or width
    tables = _tables(source, previous, width, wide, shared_embeddings)
    layers: list[bp.Layer] = [bp.PaddingMask(name="mask", inputs=(source.name,))]
    of_blocks = (heads, mlp_ratio, activation, dropout, norm, shared)
    layers += _embedded(
        source, tables[0], width, "encoder_", learned_positions, dropout
    )
    layers += encoder.encoder(
        depth, width, *of_blocks, mask=("mask",), prefix="encoder_"
    )
    memory = (layers[-1].name, "mask")
    layers += _embedded(
        previous, tables[1], wide, "decoder_", learned_positions, dropout
    )
    layers += encoder.encoder(
        decoder_depth or depth,
        wide,
        *of_blocks,
        memory=memory,
        causal=True,
        prefix="decoder_",
    )
    return base.with_heads(task, layers, tables[2])


def _sides_of(task: Task) -> tuple[Input, Input]:
    """The input of the source, and the one of earlier tokens of the target."""
    sides = [
        [it for it in task.inputs if bool(it.previous) == is_previous]
        for is_previous in (False, True)
    ]
    if [len(side) for side in sides] != [1, 1]:
        raise SpecError(
            "Family seq2seq takes two inputs, a source and the earlier tokens of the "
            f"target, but the data has {', '.join(it.name for it in task.inputs)}."
        )
    return sides[0][0], sides[1][0]


class _Tables(NamedTuple):
    """Embeddings of both sides, and the path of the table that the output layer reads,
    empty where the layer has weights of its own."""

    source: bp.Layer
    target: bp.Layer
    output: str


def _tables(
    source: Input, previous: Input, width: bp.Count, wide: bp.Count, shared: str
) -> _Tables:
    first, second = "encoder_embeddings", "decoder_embeddings"
    if shared == "all":
        sides = (source.vocabulary, width), (previous.vocabulary, wide)
        if sides[0][0] != sides[1][0] or np.any(width != wide):
            raise SpecError(
                "`shared_embeddings=all` needs one vocabulary and one width, but got "
                f"{source.vocabulary:,} and {previous.vocabulary:,} tokens, width="
                f"{width}, decoder_width={wide}; target and none need neither."
            )
        read = (previous.name,)
        other = SharedEmbedding(first, wide, name=second, inputs=read)
        return _Tables(_table(source, width, first, True), other, first)
    is_tied = shared == "target"
    return _Tables(
        _table(source, width, first, False),
        _table(previous, wide, second, is_tied),
        second if is_tied else "",
    )


def _table(item: Input, width: bp.Count, name: str, is_shared: bool) -> bp.Embedding:
    """The embeddings of an input, which are multiplied with the root of the width."""
    spread: Any = width**-0.5
    return bp.Embedding(
        item.vocabulary, width, spread, is_shared, name=name, inputs=(item.name,)
    )


def _embedded(
    item: Input,
    table: bp.Layer,
    width: bp.Count,
    prefix: str,
    is_learned: bool,
    dropout: float,
) -> list[bp.Layer]:
    root: Any = width**0.5
    scaled = bp.Rescale(root, name=f"{table.name}/scaled")
    rows = item.shape[0]
    return [
        *encoder.embeddings(
            item.name, [table, scaled], [scaled.name], rows, width, prefix, is_learned
        ),
        *base.dropped(dropout, f"{prefix}embeddings/dropout"),
    ]


FAMILY = base.Family(
    name="seq2seq",
    summary="encoder and decoder blocks; translation",
    depth_counts="encoder blocks, and decoder blocks",
    width_counts="features of a position",
    kinds=("tokens",),
    learning_rate=base.learning_rate_knob(1e-3, 2e-4, 5e-3),
    network=_network,
    takes_several=True,
    targets=("tokens",),
    # The German and English of Vaswani et al. 2017, with one vocabulary.
    usual=Task(
        (
            Input("source", "tokens", (128,), 37_000),
            Input("target/previous", "tokens", (128,), 37_000, previous="target"),
        ),
        (Target("target", "tokens", 37_000, length=128),),
    ),
)
