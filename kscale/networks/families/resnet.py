"""Residual networks (He et al. 2015), for images and sound.

Depth counts the residual blocks of a stage, width the channels of the first stage. Each
stage halves the image of the stage before and doubles its channels. A block of
`block="basic"` is two 3x3 convolutions; of `"bottleneck"` a 1x1, a 3x3 and a 1x1 to
four times the channels. `depth=1` builds the stem (the first convolution), one block a
stage, the average over all positions, and the output layer.

With a `pattern` the stages differ as in published networks: depth counts the blocks of
the first stage, and the others have theirs in proportion, so that depth 3 with
`3-4-6-3` is ResNet-34. `stem="imagenet"` is a strided 7x7 convolution and a pool, which
leave a quarter of the side; `"small"` is a 3x3 convolution; `"auto"` takes the former
from 96 pixels on.

`norm="pre"` normalizes and activates the input of each convolution and leaves the sums
as they are, which trains deep networks best (He et al. 2016). `norm="post"` normalizes
after each convolution and adds before the last activation, as the ResNets of
`keras.applications` do: stride in the first convolution of a block, epsilon 1.001e-5.

Example:

>>> from kscale.task.tasks import Task
>>> task = Task.of("image", (8, 8, 1), classes=10)
>>> FAMILY.size(FAMILY.spec(depth=1, width=16, stages=1), task).trainable
5018
>>> norm = 2 * 16
>>> 3 * 3 * 1 * 16 + 2 * (norm + 3 * 3 * 16 * 16) + norm + 16 * 10 + 10
5018
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from kscale.networks import blueprint as bp
from kscale.networks.families import base, images
from kscale.task.tasks import Task

_MOST_STAGES = 4
_PATTERNS = ("equal", "3-4-6-3", "3-4-23-3", "3-8-36-3")
_EPSILON = 1.001e-5


class _Style(NamedTuple):
    """What all blocks of a network share."""

    block: str
    norm: str
    activation: str
    zero_init: bool
    convolution: Callable[..., bp.Layer]
    normalized: Callable[..., list[bp.Layer]]


def _network(
    task: Task,
    *,
    depth: int = base.depth_knob(
        2, (1, 2, 3, 4, 5, 7, 9, 18), "residual blocks a stage"
    ),
    width: bp.Count = base.width_knob(32, 512, "channels of the first stage"),
    block: str = base.knob(
        "basic", ("basic", "bottleneck"), "what a block consists of"
    ),
    norm: str = base.knob("pre", ("pre", "post"), "where blocks normalize"),
    stages: int = images.STAGES,
    pattern: str = base.knob("equal", _PATTERNS, "blocks of the stages in proportion"),
    stem: str = base.knob(
        "auto", ("auto", "small", "imagenet"), "what reads the image"
    ),
    activation: str = base.activation_knob(
        ("relu", "gelu", "silu"), "function after each norm"
    ),
    bias: bool = base.flag_knob(False, "whether convolutions have biases"),
    zero_init: bool = images.ZERO_INIT,
    dropout: float = images.DROPOUT,
    augment: str = images.AUGMENT,
) -> bp.Blueprint:
    shape = images.image_shape(task)
    if stem == "auto":
        stem = "imagenet" if images.is_large(shape) else "small"
    side = min(shape[:2]) // (4 if stem == "imagenet" else 1)
    if pattern == "equal":
        depths = [depth] * (stages or images.stages_for(side, _MOST_STAGES))
    else:
        depths = blocks_in_proportion(depth, pattern)
        images.check_stages(stages, len(depths), f"pattern={pattern}")
    style = _Style(
        block,
        norm,
        activation,
        zero_init,
        convolution=partial(images.he_conv2d, use_bias=bias),
        normalized=partial(images.normalized, activation, epsilon=_EPSILON),
    )
    layers = images.image_layers(task, augment) + _stem(width, stem, style)
    for stage, blocks in enumerate(depths):
        # A basic block of the first stage has an input of the shape of its output.
        projects = stage > 0 or style.block == "bottleneck"
        filters, strides = width * 2**stage, 2 if stage else 1
        first = _block(filters, strides, projects, style)
        rest = _block(filters, 1, False, style)
        layers += images.stage_blocks(f"stage{stage + 1}", first, rest, blocks)
    if style.norm == "pre":
        layers += style.normalized("features/")
    return images.averaged(task, layers, dropout)


def blocks_in_proportion(depth: int, pattern: str) -> list[int]:
    """Blocks of each stage of a pattern whose first stage has `depth` blocks.

    Halves are rounded up.

    Example:

    >>> [blocks_in_proportion(depth, "3-4-6-3") for depth in (1, 2, 3, 6)]
    [[1, 1, 2, 1], [2, 3, 4, 2], [3, 4, 6, 3], [6, 8, 12, 6]]
    """
    parts = [int(part) for part in pattern.split("-")]
    return [(2 * depth * part + parts[0]) // (2 * parts[0]) for part in parts]


def _stem(width: bp.Count, stem: str, style: _Style) -> list[bp.Layer]:
    norm = style.normalized("stem/") if style.norm == "post" else []
    if stem == "small":
        return [style.convolution(width, 3, name="stem/conv"), *norm]
    return [
        bp.ZeroPad2D(3, name="stem/pad"),
        style.convolution(width, 7, 2, padding="valid", name="stem/conv"),
        *norm,
        bp.ZeroPad2D(1, name="stem/pool_pad"),
        bp.MaxPool2D(3, strides=2, name="stem/pool"),
    ]


def _block(
    filters: bp.Count, strides: int, projects: bool, style: _Style
) -> tuple[bp.Layer, ...]:
    """A residual block; the input is projected where the shape changes, then added."""
    kernels: list[tuple[bp.Count, int]] = [(filters, 3), (filters, 3)]
    if style.block == "bottleneck":
        kernels = [(filters, 1), (filters, 3), (4 * filters, 1)]
    (outputs, _), last, is_pre = kernels[-1], len(kernels), style.norm == "pre"
    layers = style.normalized(after="1") if is_pre else []
    shortcut, entry = bp.BODY_INPUT, "activation1" if is_pre else bp.BODY_INPUT
    if projects:
        shortcut = "shortcut/conv"
        layers.append(
            style.convolution(outputs, 1, strides, name=shortcut, inputs=(entry,))
        )
    if projects and not is_pre:
        shortcut = "shortcut/norm"
        layers.append(bp.BatchNorm(epsilon=_EPSILON, name=shortcut))
    for i, (outputs, kernel) in enumerate(kernels, 1):
        more: dict[str, Any] = {}
        if i == 1:
            more = {"strides": strides, "inputs": (entry,)}
        elif i == last and is_pre and style.zero_init:
            more = {"initializer": "zeros"}
        layers.append(style.convolution(outputs, kernel, name=f"conv{i}", **more))
        if i < last:
            layers += style.normalized(after=f"{i + is_pre}")
    if is_pre:
        return (*layers, bp.Add(name="add", inputs=(shortcut, f"conv{last}")))
    start = "zeros" if style.zero_init else "ones"
    return (
        *layers,
        bp.BatchNorm(epsilon=_EPSILON, initializer=start, name=f"norm{last}"),
        bp.Add(name="add", inputs=(shortcut, f"norm{last}")),
        bp.Activation(style.activation, name="activation"),
    )


FAMILY = base.Family(
    name="resnet",
    summary="residual networks; images, sound",
    depth_counts="blocks of a stage",
    width_counts="channels of the first stage",
    kinds=("image", "spectrogram"),
    learning_rate=base.learning_rate_knob(3e-3, 5e-4, 2e-2),
    network=_network,
)
