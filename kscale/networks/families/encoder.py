"""Blocks of Transformers, and the knobs that their families share."""

from collections.abc import Sequence

import numpy as np

from kscale.errors import SpecError
from kscale.networks import blueprint as bp
from kscale.networks.decoder_layers import Sinusoids
from kscale.networks.families import base
from kscale.networks.sound_layers import DepthwiseConv1D, MaskedFrames

HEADS = base.knob(0, (0, 1, 2, 4, 8), "attention heads; 0 suits the width", low=0)
MLP_RATIO = base.knob(4, (1, 2, 4), "inner dense width over the width", low=1)
ACTIVATION = base.activation_knob(
    ("gelu", "relu", "silu"), "function inside the dense layers"
)
DROPOUT = base.share_knob(
    0.1, (0.0, 0.1, 0.2, 0.3), "share dropped in attention and before each sum"
)
NORM = base.knob("pre", ("pre", "post"), "where sums are normalized")
SHARED = base.flag_knob(False, "whether all blocks share weights")


def embeddings(
    ids: str,
    tables: Sequence[bp.Layer],
    summands: Sequence[str],
    rows: int,
    width: bp.Count,
    prefix: str = "",
    learned: bool = True,
) -> list[bp.Layer]:
    """The sum of embeddings of tokens and of positions.

    Args:
        ids: Name of the input whose positions count.
        tables: Layers that give embeddings of tokens.
        summands: Names of those that are summed.
        rows: Number of positions that are learned.
        width: Features of a position.
        prefix: Start of all names.
        learned: Whether positions are learned, or sinusoids.
    """
    place, read = f"{prefix}embeddings/positions", (f"{prefix}positions",)
    return [
        bp.Positions(name=read[0], inputs=(ids,)),
        *tables,
        bp.Embedding(rows, width, name=place, inputs=read)
        if learned
        else Sinusoids(width, name=place, inputs=read),
        bp.Add(name=f"{prefix}embeddings/sum", inputs=(*summands, place)),
    ]


def encoder(
    depth: int,
    width: bp.Count,
    heads: int,
    mlp_ratio: int,
    activation: str,
    dropout: float,
    norm: str = "pre",
    shared: bool = False,
    mask: tuple[str, ...] = (),
    memory: tuple[str, ...] = (),
    causal: bool = False,
    prefix: str = "",
    convolution: int = 0,
) -> list[bp.Layer]:
    """A stack of blocks, by the knobs of these names; its output is normalized.

    Args:
        mask: Name of the layer, if any, that is false where nothing may be read.
        memory: Names of what each block reads after its own positions, if anything,
            and of the mask of that.
        causal: Whether a position reads only itself and earlier positions.
        prefix: Start of all names.
        convolution: Positions that a convolution after the attention reads (Gulati et
            al. 2020); none if 0. A block has either this or a memory.
    """

    def attention(name: str, read: str, *others: str, causal: bool = False) -> bp.Layer:
        return bp.Attention(
            width,
            heads_for(width, heads),
            causal,
            dropout,
            name=name,
            inputs=(read, *others),
        )

    body: list[bp.Layer] = []
    before = _read(body, norm, 1)
    inner = attention("attention", before, before, *mask, causal=causal)
    body += _summed([inner], dropout, norm, 1, bp.BODY_INPUT)
    if memory:
        inner = attention("memory", _read(body, norm, 2), *memory)
        body += _summed([inner], dropout, norm, 2, body[-1].name)
    if convolution:
        convolved = _convolved(_read(body, norm, 2), width, convolution, mask)
        body += _summed(convolved, dropout, norm, 2, body[-1].name)
    dense = [
        bp.Dense(mlp_ratio * width, activation, name="expand"),
        bp.Dense(width, name="project"),
    ]
    number = 3 if memory or convolution else 2
    body += _summed(dense, dropout, norm, number, body[-1].name)
    last = [bp.LayerNorm(name=f"{prefix}norm")] if norm == "pre" else []
    return [bp.Repeat(tuple(body), depth, shared, name=f"{prefix}block"), *last]


def _convolved(
    read: str, width: bp.Count, kernel: int, mask: tuple[str, ...]
) -> list[bp.Layer]:
    """A kernel for each feature over positions, none of which is padding, and a dense
    layer."""
    masked: list[bp.Layer] = []
    if mask:
        masked = [MaskedFrames(name="masked", inputs=(read, *mask))]
    return [
        *masked,
        DepthwiseConv1D(
            kernel,
            "silu",
            name="convolution",
            inputs=(masked[0].name if masked else read,),
        ),
        bp.Dense(width, name="mix"),
    ]


def _read(body: Sequence[bp.Layer], norm: str, number: int) -> str:
    """Name of what the next attention of a block reads."""
    if norm == "pre":
        return f"norm{number}"
    return body[-1].name if body else bp.BODY_INPUT


def _summed(
    inner: Sequence[bp.Layer], dropout: float, norm: str, number: int, before: str
) -> list[bp.Layer]:
    """Layers whose output is added to what was `before`; the input or the sum is
    normalized."""
    inner = [*inner, *base.dropped(dropout, f"dropout{number}")]
    add = bp.Add(name=f"add{number}", inputs=(before, inner[-1].name))
    normed = bp.LayerNorm(name=f"norm{number}")
    return [normed, *inner, add] if norm == "pre" else [*inner, add, normed]


def heads_for(width: bp.Count, heads: int = 0) -> bp.Count:
    """Number of heads that divides a width: the number asked for, if that is not 0.

    Otherwise heads have 64 features as BERT's, or fewer where 64 does not divide the
    width or would leave a single head.

    Example:

    >>> [heads_for(width) for width in (768, 200, 64, 8, 7)]
    [12, 5, 2, 1, 1]
    """
    if heads:
        if np.any(width % heads != 0):
            odd = width if isinstance(width, int) else width[width % heads != 0][0]
            raise SpecError(f"`heads` (={heads}) must divide `width` (={odd}).")
        return heads + 0 * width  # for each width
    found: bp.Count = 1
    for size in range(8, 65, 8):
        fits = (width % size == 0) & (width >= 2 * size)
        found = found + fits * (width // size - found)
    return found
