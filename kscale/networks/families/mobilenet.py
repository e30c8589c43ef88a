"""Inverted bottlenecks as MobileNetV2 (Sandler et al. 2018), for images and sound.

Depth counts the inverted bottlenecks of a stage, width the channels of the first stage.
An inverted bottleneck is a 1x1 convolution to `expansion` times its channels, a
depthwise convolution, and a 1x1 convolution back, each normalized; the last has no
activation. What entered is added where the shape is the same. Each stage halves the
image of the one before and doubles its channels, up to eight times the first. `depth=1`
is a 3x3 convolution, one inverted bottleneck a stage, a 1x1 convolution to `head_width`
channels, the average over all positions, and the output layer.

`squeeze` adds squeeze-and-excitation before the last convolution of a block (Hu et al.
2017): every channel is scaled by a factor that two dense layers read off the averages
of all channels, with a `squeeze`-th of the channels between them, in multiples of 8.

`stages=0` takes as many as leave the last one 4 pixels or more, at most 5.
`stem_stride=0` halves images from 96 pixels on. `layout="v2"` takes the stages from the
paper's table 2 instead: its numbers of blocks times the depth, its channels times
`width` / 16 in multiples of 8, twice the width in the stem, no expansion in the first
stage. Depth 1 and width 16 are the published network; widths 8, 12 and 24 are those of
alpha 0.5, 0.75 and 1.5. With `zero_init` blocks that add start as nothing: the scale of
their last norm starts from 0 (Goyal et al. 2017). A spectrogram is an image of one
channel. `augment` changes images at random in training.

Example:

>>> from kscale.task.tasks import Task
>>> task = Task.of("image", (8, 8, 1), classes=10)
>>> spec = FAMILY.spec(depth=1, width=8, stages=1, expansion=6)
>>> FAMILY.size(spec, task).trainable
2146
>>> stem, block = 3 * 3 * 1 * 8 + 16, 2 * 8 * 48 + 3 * 3 * 48 + 2 * 96 + 16
>>> stem + block + (8 * 32 + 64) + 32 * 10 + 10
2146
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from kscale.networks.blueprint import (
    BODY_INPUT,
    Activation,
    Add,
    BatchNorm,
    Blueprint,
    Conv2D,
    Count,
    Dense,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePool,
    Layer,
    Multiply,
)
from kscale.networks.families.base import (
    Family,
    Knob,
    depth_knob,
    learning_rate_knob,
    width_knob,
    with_heads,
)
from kscale.networks.families.images import (
    AUGMENT,
    DROPOUT,
    STAGES,
    ZERO_INIT,
    check_stages,
    image_layers,
    image_shape,
    is_large,
    stage_blocks,
    stages_for,
)
from kscale.task.tasks import Task

_MOST_STAGES = 5
_MOST_GROWTH = 8
_PAPER_WIDTH, _PAPER_HEAD = 16, 1280


class _Stage(NamedTuple):
    channels: Count
    blocks: int
    strides: int
    expansion: int


def _network(
    task: Task,
    *,
    depth: int,
    width: Count,
    expansion: int,
    kernel: int,
    squeeze: int,
    layout: str,
    stages: int,
    stem_stride: int,
    head_width: int,
    activation: str,
    zero_init: bool,
    dropout: float,
    augment: str,
) -> Blueprint:
    shape = image_shape(task, "mobilenet")
    halving = stem_stride or (2 if is_large(shape) else 1)
    if layout == "v2":
        plan = _paper_stages(depth, width, expansion)
        check_stages(stages, len(plan), f"layout={layout}")
        entry, leave = round_channels(2 * width), _paper_head(width)
    else:
        number = stages or stages_for(min(shape[:2]) // halving, _MOST_STAGES)
        plan = _doubling_stages(depth, width, expansion, number)
        entry, leave = width, 4 * plan[-1].channels
    layers = image_layers(task, augment)
    layers += _convolution("stem", entry, 3, halving, activation)
    for number, stage in enumerate(plan, 1):
        block = partial(
            inverted_bottleneck,
            wrote=stage.channels,
            expansion=stage.expansion,
            kernel=kernel,
            squeeze=squeeze,
            activation=activation,
            zero_init=zero_init,
        )
        keeps = layout == "doubling" and number == 1
        first = block(entry, strides=stage.strides, shortcut=keeps)
        rest = block(stage.channels, shortcut=True)
        layers += stage_blocks(f"stage{number}", first, rest, stage.blocks)
        entry = stage.channels
    layers += _convolution("features", head_width or leave, 1, 1, activation)
    layers.append(GlobalAveragePool(name="pool"))
    if dropout:
        layers.append(Dropout(dropout, name="dropout"))
    return with_heads(task, layers)


def _doubling_stages(
    depth: int, width: Count, expansion: int, stages: int
) -> list[_Stage]:
    return [
        _Stage(width * min(2**stage, _MOST_GROWTH), depth, 2 if stage else 1, expansion)
        for stage in range(stages)
    ]


def _paper_stages(depth: int, width: Count, expansion: int) -> list[_Stage]:
    """Stages of MobileNetV2's table 2: channels, blocks and stride of each."""
    table = (
        *((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2)),
        *((96, 3, 1), (160, 3, 2), (320, 1, 1)),
    )
    return [
        _Stage(
            round_channels(channels * width // _PAPER_WIDTH),
            depth * blocks,
            strides,
            expansion if stage else 1,
        )
        for stage, (channels, blocks, strides) in enumerate(table)
    ]


def _paper_head(width: Count) -> Count:
    """Channels before the average: they grow with the width and never shrink."""
    scaled = _PAPER_HEAD * width // _PAPER_WIDTH
    return round_channels(np.maximum(scaled, _PAPER_HEAD))


def round_channels(channels: Any) -> Count:
    """The nearest multiple of 8, of 8 or more, that takes away at most a tenth.

    Example:

    >>> [round_channels(channels) for channels in (3, 12, 18, 42)]
    [8, 16, 24, 40]
    """
    nearest = np.maximum(8, (channels + 4) // 8 * 8)
    rounded = np.where(10 * nearest < 9 * channels, nearest + 8, nearest)
    return rounded if rounded.ndim else int(rounded)


def _convolution(
    name: str, filters: Count, kernel: int, strides: int, activation: str
) -> list[Layer]:
    convolution = Conv2D(
        filters,
        kernel,
        strides,
        use_bias=False,
        initializer="he_normal",
        name=f"{name}/conv",
    )
    return [convolution, *_normalized(name, activation)]


def _normalized(name: str, activation: str) -> list[Layer]:
    return [
        BatchNorm(name=f"{name}/norm"),
        Activation(activation, name=f"{name}/activation"),
    ]


def inverted_bottleneck(
    read: Count,
    wrote: Count,
    *,
    expansion: int,
    kernel: int = 3,
    strides: int = 1,
    squeeze: int = 0,
    activation: str = "relu6",
    zero_init: bool = False,
    shortcut: bool = False,
) -> tuple[Layer, ...]:
    """One inverted bottleneck, as the body of a `Repeat`.

    A strided convolution pads as `same` does, which is what the `correct_pad` of
    `keras.applications` gives.

    Args:
        read: Channels that enter.
        wrote: Channels that leave.
        expansion: Inner channels over `read`; 1 omits the convolution that expands.
        kernel: Side of the depthwise kernels.
        strides: Step of the depthwise convolution.
        squeeze: Inner channels over those that the squeeze leaves; 0 is no squeeze.
        activation: Function after the first two norms.
        zero_init: Whether the scale of the last norm starts from 0 before an addition.
        shortcut: Whether what entered is added; then it has the shape of what leaves.
    """
    inner = expansion * read
    layers: list[Layer] = []
    if expansion > 1:
        layers += _convolution("expand", inner, 1, 1, activation)
    layers.append(
        DepthwiseConv2D(kernel, strides, use_bias=False, name="depthwise/conv")
    )
    layers += _normalized("depthwise", activation)
    if squeeze:
        layers += _squeeze(inner, squeeze, activation)
    start = "zeros" if shortcut and zero_init else "ones"
    layers += [
        Conv2D(wrote, 1, use_bias=False, initializer="he_normal", name="project/conv"),
        BatchNorm(initializer=start, name="project/norm"),
    ]
    if shortcut:
        layers.append(Add(name="add", inputs=(BODY_INPUT, "project/norm")))
    return tuple(layers)


def _squeeze(inner: Count, squeeze: int, activation: str) -> list[Layer]:
    return [
        GlobalAveragePool(name="squeeze/pool"),
        Dense(
            round_channels(inner // squeeze),
            activation=activation,
            initializer="he_normal",
            name="squeeze/reduce",
        ),
        Dense(inner, activation="sigmoid", name="squeeze/gate"),
        Multiply(name="squeeze/scale", inputs=("depthwise/activation", "squeeze/gate")),
    ]


FAMILY = Family(
    name="mobilenet",
    summary="inverted bottlenecks; images, sound, small budgets",
    depth_counts="blocks of a stage",
    width_counts="channels of the first stage",
    kinds=("image", "spectrogram"),
    knobs=(
        depth_knob(2, (1, 2, 3, 4, 6, 8, 12), "inverted bottlenecks a stage"),
        width_knob(16, 256, "channels of the first stage"),
        Knob("expansion", 6, (1, 2, 3, 4, 6), "inner over outer channels", low=1),
        Knob("kernel", 3, (3, 5, 7), "side of the depthwise kernels", low=1, high=99),
        Knob(
            "squeeze",
            0,
            (0, 4, 8, 16),
            "channels over those squeezed from them; 0 is no squeeze",
            low=0,
        ),
        Knob(
            "layout",
            "doubling",
            ("doubling", "v2"),
            "channels and blocks of the stages; v2 is MobileNetV2's table",
        ),
        STAGES,
        Knob(
            "stem_stride",
            0,
            (0, 1, 2),
            "stride of the first convolution; 0 suits the image",
            low=0,
            high=2,
        ),
        Knob(
            "head_width",
            0,
            (0, 64, 256, 1280),
            "channels before the average; 0 is four times the last stage's",
            low=0,
        ),
        Knob(
            "activation",
            "relu6",
            ("relu6", "relu", "silu", "hard_silu"),
            "function after each inner norm",
            shapes=False,
        ),
        ZERO_INIT,
        DROPOUT,
        AUGMENT,
    ),
    learning_rate=learning_rate_knob(3e-3, 5e-4, 2e-2),
    network=_network,
)
