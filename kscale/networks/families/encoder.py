"""Encoder blocks of `transformer` and `vit`, and the knobs of both."""

import numpy as np

from kscale.errors import SpecError
from kscale.networks import blueprint as bp
from kscale.networks.families import base

HEADS = base.knob(0, (0, 1, 2, 4, 8), "attention heads; 0 suits the width", low=0)
MLP_RATIO = base.knob(4, (1, 2, 4), "inner dense width over the width", low=1)
ACTIVATION = base.activation_knob(
    ("gelu", "relu", "silu"), "function inside the dense layers"
)
DROPOUT = base.share_knob(
    0.1, (0.0, 0.1, 0.2, 0.3), "share dropped in attention and before each sum"
)


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
) -> list[bp.Layer]:
    """A stack of encoder blocks, by the knobs of these names; its output is normalized.

    `mask` names the layer, if any, that is false where nothing may be read.
    """
    read = "norm1" if norm == "pre" else bp.BODY_INPUT
    attention = [
        bp.Attention(
            width,
            heads_for(width, heads),
            dropout=dropout,
            name="attention",
            inputs=(read, read, *mask),
        ),
        *base.dropped(dropout, "dropout1"),
    ]
    dense = [
        bp.Dense(mlp_ratio * width, activation, name="expand"),
        bp.Dense(width, name="project"),
        *base.dropped(dropout, "dropout2"),
    ]
    add1 = bp.Add(name="add1", inputs=(bp.BODY_INPUT, attention[-1].name))
    norm1, norm2 = bp.LayerNorm(name="norm1"), bp.LayerNorm(name="norm2")
    before = "add1" if norm == "pre" else "norm1"
    add2 = bp.Add(name="add2", inputs=(before, dense[-1].name))
    if norm == "pre":
        body = (norm1, *attention, add1, norm2, *dense, add2)
    else:
        body = (*attention, add1, norm1, *dense, add2, norm2)
    last = [bp.LayerNorm(name="norm")] if norm == "pre" else []
    return [bp.Repeat(body, depth, shared, name="block"), *last]


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
