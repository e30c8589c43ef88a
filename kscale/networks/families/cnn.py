"""Convolutional networks in VGG's manner, for images and sound.

Depth counts 3x3 convolutions, width the channels of the first stage. The layers are
spread over stages: each halves the image of the one before and doubles its channels, up
to eight times the first (Simonyan & Zisserman 2014, table 1, column D). What does not
divide goes to the last stages, so 13 layers in 5 stages are 2-2-3-3-3. `depth=1` is one
convolution, the average over all positions, and the output layer.

`stages=0` takes as many as leave the last one 4 pixels or more, at most 5.
`head_units=0` averages over positions; above 0 the last stage is pooled and flattened,
and two dense layers of that many units follow, as in VGG. A spectrogram is an image of
one channel. `augment` changes images at random in training.

Example:

>>> from kscale.task.tasks import Task
>>> task = Task.of("image", (8, 8, 1), classes=10)
>>> FAMILY.size(FAMILY.spec(depth=1, width=16, norm="none"), task).params
330
>>> 3 * 3 * 1 * 16 + 16 + 16 * 10 + 10
330
"""

from kscale.networks.blueprint import (
    Activation,
    BatchNorm,
    Blueprint,
    Conv2D,
    Count,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    MaxPool2D,
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
from kscale.networks.families.images import (
    AUGMENT,
    DROPOUT,
    STAGES,
    image_layers,
    image_shape,
    stages_for,
)
from kscale.task.tasks import Task

_MOST_STAGES = 5
_MOST_GROWTH = 8


def _network(
    task: Task,
    *,
    depth: int,
    width: Count,
    activation: str,
    norm: str,
    stages: int,
    head_units: int,
    dropout: float,
    augment: str,
) -> Blueprint:
    side = min(image_shape(task, "cnn")[:2])
    depths = stage_depths(depth, stages or stages_for(side, _MOST_STAGES))
    layers = image_layers(task, augment)
    for stage, convolutions in enumerate(depths):
        if stage:
            layers.append(MaxPool2D(name=f"stage{stage}/pool"))
        body = _convolution(width * min(2**stage, _MOST_GROWTH), activation, norm)
        layers.append(Repeat(body, convolutions, name=f"stage{stage + 1}/layer"))
    if head_units:
        layers.append(MaxPool2D(name=f"stage{len(depths)}/pool"))
        layers.append(Flatten(name="flat"))
        hidden = (
            Dense(
                head_units, name="dense", activation=activation, initializer="he_normal"
            ),
            *_dropout(dropout),
        )
        layers.append(Repeat(hidden, 2, name="hidden"))
    else:
        layers += [GlobalAveragePool(name="pool"), *_dropout(dropout)]
    return with_heads(task, layers)


def stage_depths(depth: int, stages: int) -> list[int]:
    """Layers of each stage; the rest of the division goes to the last stages.

    Example:

    >>> stage_depths(13, 5), stage_depths(2, 3)
    ([2, 2, 3, 3, 3], [1, 1])
    """
    stages = min(stages, depth)
    each, rest = divmod(depth, stages)
    return [each + (stage >= stages - rest) for stage in range(stages)]


def _convolution(filters: Count, activation: str, norm: str) -> tuple[Layer, ...]:
    if norm == "none":
        return (
            Conv2D(
                filters,
                3,
                name="conv",
                activation=activation,
                initializer="he_normal",
            ),
        )
    return (
        Conv2D(filters, 3, name="conv", use_bias=False, initializer="he_normal"),
        BatchNorm(name="norm"),
        Activation(activation, name="activation"),
    )


def _dropout(rate: float) -> tuple[Layer, ...]:
    return (Dropout(rate, name="dropout"),) if rate else ()


FAMILY = Family(
    name="cnn",
    summary="3x3 convolutions in stages, as VGG; images, sound",
    depth_counts="3x3 convolutions",
    width_counts="channels of the first stage",
    kinds=("image", "spectrogram"),
    knobs=(
        depth_knob(4, (1, 2, 3, 4, 5, 6, 8, 10, 13, 16), "3x3 convolutions"),
        width_knob(32, 512, "channels of the first stage"),
        Knob(
            "activation",
            "relu",
            ("relu", "gelu", "silu"),
            "function after each convolution",
            shapes=False,
        ),
        Knob("norm", "batch", ("none", "batch"), "what is normalized"),
        STAGES,
        Knob(
            "head_units",
            0,
            (0, 64, 256, 1024, 4096),
            "units of VGG's two dense layers; 0 averages instead",
            low=0,
        ),
        DROPOUT,
        AUGMENT,
    ),
    learning_rate=learning_rate_knob(3e-3, 5e-4, 2e-2),
    network=_network,
)
