"""Encoder blocks of `transformer` and `vit`, and the knobs that both give them."""

import numpy as np

from kscale.errors import SpecError
from kscale.networks.blueprint import (
    BODY_INPUT,
    Add,
    Attention,
    Count,
    Dense,
    Dropout,
    Layer,
    LayerNorm,
)
from kscale.networks.families.base import Knob

_HEAD_SIZES = tuple(range(64, 0, -8))

HEADS = Knob("heads", 0, (0, 1, 2, 4, 8), "attention heads; 0 suits the width", low=0)
MLP_RATIO = Knob("mlp_ratio", 4, (1, 2, 4), "inner dense width over the width", low=1)
ACTIVATION = Knob(
    "activation",
    "gelu",
    ("gelu", "relu", "silu"),
    "function inside the dense layers",
    shapes=False,
)
DROPOUT = Knob(
    "dropout",
    0.1,
    (0.0, 0.1, 0.2, 0.3),
    "share dropped in attention and before each sum",
    low=0.0,
    high=0.95,
    shapes=False,
)


def encoder_block(
    width: Count,
    heads: int,
    mlp_ratio: int,
    activation: str,
    dropout: float,
    norm: str = "pre",
    mask: tuple[str, ...] = (),
) -> tuple[Layer, ...]:
    """Body of a `Repeat`: attention and two dense layers, each added to what entered.

    Args:
        width: Features of a position.
        heads: Attention heads, as `heads_for` takes them.
        mlp_ratio: Inner dense width over the width.
        activation: Function between the dense layers.
        dropout: Share dropped in attention and before each sum.
        norm: `pre` normalizes what enters attention and the dense layers, `post` the
            sums.
        mask: Name of the layer that says which positions may be read, if one does.

    Raises:
        SpecError: The heads do not divide the width.
    """
    read = "norm1" if norm == "pre" else BODY_INPUT
    attention = Attention(
        width,
        heads_for(width, heads),
        dropout=dropout,
        name="attention",
        inputs=(read, read, *mask),
    )
    dense: list[Layer] = [
        Dense(mlp_ratio * width, name="expand", activation=activation),
        Dense(width, name="project"),
    ]
    first = _dropped(attention, "dropout1", dropout)
    second = _dropped(dense[-1], "dropout2", dropout)
    add1 = Add(name="add1", inputs=(BODY_INPUT, first[-1].name))
    norm1, norm2 = LayerNorm(name="norm1"), LayerNorm(name="norm2")
    if norm == "pre":
        add2 = Add(name="add2", inputs=("add1", second[-1].name))
        return (norm1, *first, add1, norm2, dense[0], *second, add2)
    add2 = Add(name="add2", inputs=("norm1", second[-1].name))
    return (*first, add1, norm1, dense[0], *second, add2, norm2)


def _dropped(layer: Layer, name: str, rate: float) -> tuple[Layer, ...]:
    return (layer, Dropout(rate, name=name)) if rate else (layer,)


def heads_for(width: Count, heads: int = 0) -> Count:
    """Number of heads that divides a width.

    Args:
        width: Model width, or an array of them.
        heads: A wish; 0 takes heads of 64 features as BERT does, smaller ones where 64
            does not divide the width or would leave a single head.

    Raises:
        SpecError: The wish does not divide the width.

    Example:

    >>> [heads_for(width) for width in (768, 200, 64, 8, 7)]
    [12, 5, 2, 1, 1]
    """
    widths = np.asarray(width)
    if heads:
        if np.any(widths % heads):
            odd = int(widths[widths % heads != 0].flat[0])
            raise SpecError(f"`heads` (={heads}) must divide `width` (={odd}).")
        return heads if isinstance(width, int) else np.full_like(widths, heads)
    found = np.ones_like(widths)
    for size in reversed(_HEAD_SIZES):
        fits = (widths % size == 0) & (widths >= 2 * size)
        found = np.where(fits, widths // size, found)
    return int(found) if isinstance(width, int) else found
