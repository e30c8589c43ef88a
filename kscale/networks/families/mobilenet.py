"""Inverted bottlenecks as MobileNetV2 (Sandler et al. 2018), for images and sound.

Depth counts the inverted bottlenecks of a stage, width the channels of the first stage.
An inverted bottleneck is a 1x1 convolution to `expansion` times its channels, a
depthwise convolution, and a 1x1 convolution back. Each is normalized, and all but the
last have an activation function. The input of the block is added where it has the shape
of the output. Each stage halves the image of the stage before and doubles its channels,
up to eight times those of the first. `depth=1` builds a 3x3 convolution, one inverted
bottleneck a stage, a 1x1 convolution to `head_width` channels, the average over all
positions, and the output layer.

`squeeze` adds squeeze-and-excitation before the last convolution of a block (Hu et al.
2017): two dense layers read the averages of all channels and give a factor for each
channel. Between both layers are the channels divided by `squeeze`, in multiples of 8.

`stem_stride=0` halves images from 96 pixels on. `layout="v2"` takes the stages from
table 2 of the paper: its numbers of blocks times the depth, its channels times
`width` / 16 in multiples of 8, twice the width in the first convolution, no expansion
in the first stage. Depth 1 and width 16 are the published network; widths 8, 12 and 24
are those of alpha 0.5, 0.75 and 1.5. `layout="efficientnet"` does the same with the
stages of EfficientNet (Tan & Le 2019, table 1), whose kernels are wider by 2 in three
stages, and `squeeze` divides the channels that enter a block. `compound` multiplies
channels and blocks as from EfficientNet-B0 to B7.

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

from collections.abc import Sequence
from functools import partial

from kscale.networks import blueprint as bp
from kscale.networks.families import base, images
from kscale.networks.layer_costs import larger
from kscale.task.tasks import Task

_MOST_STAGES = 5
_MOST_GROWTH = 8
_HEAD = 1280
# Of each stage channels, blocks, stride, and what the side of the kernels is more.
_TABLES = {
    # Sandler et al. 2018, table 2
    "v2": (
        *((16, 1, 1, 0), (24, 2, 2, 0), (32, 3, 2, 0), (64, 4, 2, 0)),
        *((96, 3, 1, 0), (160, 3, 2, 0), (320, 1, 1, 0)),
    ),
    # Tan & Le 2019, table 1
    "efficientnet": (
        *((16, 1, 1, 0), (24, 2, 2, 0), (40, 2, 2, 2), (80, 3, 2, 0)),
        *((112, 3, 1, 2), (192, 4, 2, 2), (320, 1, 1, 0)),
    ),
}
# Tenths of the channels and of the blocks of EfficientNet-B0 to B7, as published with
# the paper (tensorflow/tpu, efficientnet_builder.py).
_CHANNELS = (10, 10, 11, 12, 14, 16, 18, 20)
_BLOCKS = (10, 11, 12, 14, 18, 22, 26, 31)


def _network(
    task: Task,
    *,
    depth: int = base.depth_knob(
        2, (1, 2, 3, 4, 6, 8, 12), "inverted bottlenecks a stage"
    ),
    width: bp.Count = base.width_knob(16, 256, "channels of the first stage"),
    expansion: int = base.knob(6, (1, 2, 3, 4, 6), "inner over outer channels", low=1),
    kernel: int = base.knob(
        3, (3, 5, 7), "side of the depthwise kernels", low=1, high=99
    ),
    squeeze: int = base.knob(
        0,
        (0, 4, 8, 16),
        "channels over those squeezed from them; 0 is no squeeze",
        low=0,
    ),
    layout: str = base.knob(
        "doubling",
        ("doubling", "v2", "efficientnet"),
        "channels and blocks of the stages: twice the last, or a paper's table",
    ),
    compound: int = base.knob(
        0,
        tuple(range(8)),
        "EfficientNet-B0 to B7: more channels and blocks than depth and width say",
    ),
    stages: int = images.STAGES,
    stem_stride: int = base.knob(
        0,
        (0, 1, 2),
        "stride of the first convolution; 0 suits the image",
        low=0,
        high=2,
    ),
    head_width: int = base.knob(
        0,
        (0, 64, 256, 1280),
        "channels before the average; 0 is four times the last stage's",
        low=0,
    ),
    activation: str = base.activation_knob(
        ("relu6", "relu", "silu", "hard_silu"), "function after each inner norm"
    ),
    zero_init: bool = images.ZERO_INIT,
    dropout: float = images.DROPOUT,
    augment: str = images.AUGMENT,
) -> bp.Blueprint:
    shape = images.image_shape(task)
    halving = stem_stride or (2 if images.is_large(shape) else 1)
    # In tenths of the channels of a first stage of 1, and in tenths of blocks.
    tenths, blocks = width * _CHANNELS[compound], depth * _BLOCKS[compound]
    plan: Sequence[tuple[bp.Count, int, int, int]]
    if layout == "doubling":
        number = stages or images.stages_for(min(shape[:2]) // halving, _MOST_STAGES)
        growth = [min(2**stage, _MOST_GROWTH) for stage in range(number)]
        plan = [(n * tenths // 10, 1, 2 if i else 1, 0) for i, n in enumerate(growth)]
        entry, leave = tenths // 10, 4 * (growth[-1] * tenths // 10)
    else:
        plan = [
            (round_channels(channels * tenths // 160), copies, strides, larger_by)
            for channels, copies, strides, larger_by in _TABLES[layout]
        ]
        images.check_stages(stages, len(plan), f"layout={layout}")
        leave = _HEAD * tenths // 160
        # MobileNetV2 has the channels before the average of the paper at least.
        leave = round_channels(larger(_HEAD, leave) if layout == "v2" else leave)
        entry = round_channels(2 * tenths // 10)
    layers = images.image_layers(task, augment)
    layers += images.convolved(entry, 3, halving, activation, "stem/")
    for number, (channels, copies, strides, larger_by) in enumerate(plan, 1):
        is_first = number == 1
        block = partial(
            inverted_bottleneck,
            wrote=channels,
            expansion=1 if is_first and layout != "doubling" else expansion,
            kernel=kernel + larger_by,
            squeeze=squeeze,
            squeezes_entry=layout == "efficientnet",
            activation=activation,
            zero_init=zero_init,
        )
        keeps = is_first and layout == "doubling"
        first = block(entry, strides=strides, shortcut=keeps)
        rest = block(channels, shortcut=True)
        times = -(-copies * blocks // 10)
        layers += images.stage_blocks(f"stage{number}", first, rest, times)
        entry = channels
    layers += images.convolved(head_width or leave, 1, 1, activation, "features/")
    return images.averaged(task, layers, dropout)


def round_channels(channels: bp.Count) -> bp.Count:
    """The nearest multiple of 8, of 8 or more, that takes away at most a tenth.

    Example:

    >>> [round_channels(channels) for channels in (3, 12, 18, 42)]
    [8, 16, 24, 40]
    """
    nearest: bp.Count = larger(8, (channels + 4) // 8 * 8)
    return nearest + 8 * (10 * nearest < 9 * channels)


def inverted_bottleneck(
    read: bp.Count,
    wrote: bp.Count,
    *,
    expansion: int,
    kernel: int = 3,
    strides: int = 1,
    squeeze: int = 0,
    squeezes_entry: bool = False,
    activation: str = "relu6",
    zero_init: bool = False,
    shortcut: bool = False,
) -> tuple[bp.Layer, ...]:
    """One inverted bottleneck, as the body of a `Repeat`.

    From channels `read` to channels `wrote`; with `shortcut` the input is added to the
    output, which has its shape. A strided convolution pads as `same` does, which is
    what the `correct_pad` of `keras.applications` gives.
    """
    inner = expansion * read
    layers: list[bp.Layer] = []
    if expansion > 1:
        layers += images.convolved(inner, 1, 1, activation, "expand/")
    layers += [
        bp.DepthwiseConv2D(kernel, strides, use_bias=False, name="depthwise/conv"),
        *images.normalized(activation, "depthwise/"),
    ]
    if squeeze:
        fewer = inner // squeeze
        fewer = larger(1, read // squeeze) if squeezes_entry else round_channels(fewer)
        layers += _squeeze(inner, fewer, activation)
    start = "zeros" if shortcut and zero_init else "ones"
    layers += [
        images.he_conv2d(wrote, 1, use_bias=False, name="project/conv"),
        bp.BatchNorm(initializer=start, name="project/norm"),
    ]
    if shortcut:
        layers.append(bp.Add(name="add", inputs=(bp.BODY_INPUT, "project/norm")))
    return tuple(layers)


def _squeeze(inner: bp.Count, fewer: bp.Count, activation: str) -> list[bp.Layer]:
    return [
        bp.GlobalAveragePool(name="squeeze/pool"),
        bp.Dense(
            fewer,
            activation,
            initializer="he_normal",
            name="squeeze/reduce",
        ),
        bp.Dense(inner, "sigmoid", name="squeeze/gate"),
        bp.Multiply(
            name="squeeze/scale", inputs=("depthwise/activation", "squeeze/gate")
        ),
    ]


FAMILY = base.Family(
    name="mobilenet",
    summary="inverted bottlenecks; images, sound, small budgets",
    depth_counts="blocks of a stage",
    width_counts="channels of the first stage",
    kinds=("image", "spectrogram"),
    learning_rate=base.learning_rate_knob(3e-3, 5e-4, 2e-2),
    network=_network,
)
