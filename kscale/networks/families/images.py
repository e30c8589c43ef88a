"""What families for images share: the image, its augmentation, stages, the output.

`stages=0` takes as many stages as leave 4 pixels or more to the last. `augment` changes
images at random in training. With `zero_init` each residual branch starts as nothing:
its last scale or kernel starts from 0 (Goyal et al. 2017). A spectrogram is an image of
one channel.
"""

from functools import partial

from kscale.errors import SpecError
from kscale.networks import blueprint as bp
from kscale.networks.families import base
from kscale.task.tasks import Task

_LEAST_SIDE = 4
_LARGE_SIDE = 96
_AUGMENTS: dict[str, tuple[str, ...]] = {
    "image": ("none", "shift", "flip", "shift+flip"),
    "spectrogram": ("none", "shift", "erase", "shift+erase"),
}
_MOST_SHIFT = 0.1
_MOST_ERASED = 0.2


he_conv2d = partial(bp.Conv2D, initializer="he_normal")
"""A convolution that starts from He initialization (He et al. 2015, equation 10)."""


def augments_for(task: Task) -> tuple[base.Value, ...]:
    """Values of `augment` that suit a task.

    Example:

    >>> augments_for(Task.of("spectrogram", (98, 40)))
    ('none', 'shift', 'erase', 'shift+erase')
    """
    return _AUGMENTS.get(task.inputs[0].kind, ("none",))


STAGES = base.knob(0, (0, 1, 2, 3, 4, 5), "stages; 0 suits the image", low=0, high=20)
ZERO_INIT = base.flag_knob(
    True, "whether residual branches start as nothing", shapes=False
)
DROPOUT = base.share_knob(
    0.0, (0.0, 0.1, 0.2, 0.3, 0.5), "share of features dropped before the output"
)
AUGMENT = base.knob(
    "none",
    tuple(dict.fromkeys((*_AUGMENTS["image"], *_AUGMENTS["spectrogram"]))),
    "how images are changed at random in training",
    shapes=False,
    suited=augments_for,
    name="augment",
)


def image_shape(task: Task) -> tuple[int, ...]:
    """Shape of the image of a task; a spectrogram is an image of one channel."""
    item = task.inputs[0]
    return (*item.shape, 1) if item.kind == "spectrogram" else item.shape


def image_layers(task: Task, augment: str) -> list[bp.Layer]:
    """Layers before the first convolution: a spectrogram's shape, augmentation.

    `shift` moves an image by at most a tenth of its sides, a spectrogram in time only;
    `flip` mirrors half of the images; `erase` sets a rectangle of at most a fifth of a
    spectrogram to 0 (Zhong et al. 2017).
    """
    item = task.inputs[0]
    check_augment(task, augment)
    is_sound = item.kind == "spectrogram"
    layers: list[bp.Layer] = []
    if is_sound:
        layers.append(bp.Reshape((*item.shape, 1), name="image"))
    if "shift" in augment:
        across = 0.0 if is_sound else _MOST_SHIFT
        layers.append(bp.RandomShift(_MOST_SHIFT, across, name="augment/shift"))
    if "flip" in augment:
        layers.append(bp.RandomFlip(name="augment/flip"))
    if "erase" in augment:
        layers.append(bp.RandomErase(_MOST_ERASED, name="augment/erase"))
    return layers


def check_augment(task: Task, augment: str) -> None:
    """Raise unless a value of `augment` suits a task."""
    if augment not in augments_for(task):
        known = ", ".join(str(value) for value in augments_for(task))
        raise SpecError(
            f"`augment` of inputs of kind {task.inputs[0].kind} is one of {known}, not "
            f"{augment!r}."
        )


def is_large(shape: tuple[int, ...]) -> bool:
    """Whether the stem may shrink an image: both sides have 96 pixels or more."""
    return min(shape[:2]) >= _LARGE_SIDE


def stages_for(side: int, most: int) -> int:
    """Number of stages, each half as large, that leave 4 pixels or more to the last.

    Example:

    >>> [stages_for(side, most=5) for side in (3, 8, 28, 32, 224)]
    [1, 2, 3, 4, 5]
    """
    return 1 + sum(side >> stage >= _LEAST_SIDE for stage in range(1, most))


def check_stages(stages: int, given: int, what: str) -> None:
    """Raise unless a number of stages is the number that another knob decides, or 0."""
    if stages not in (0, given):
        raise SpecError(f"`stages` must be 0 or {given} with {what}, not {stages}.")


def stage_blocks(
    stage: str, first: tuple[bp.Layer, ...], rest: tuple[bp.Layer, ...], times: int
) -> list[bp.Layer]:
    """Blocks of a stage: the first may change the shape, the `times - 1` others do not.

    Their paths are `<stage>/block1` to `<stage>/block<times>`.
    """
    # A single copy that shares its weights with none has its name for a path.
    layers: list[bp.Layer] = [bp.Repeat(first, 1, shared=True, name=f"{stage}/block1")]
    if times > 1:
        layers.append(bp.Repeat(rest, times - 1, start=2, name=f"{stage}/block"))
    return layers


def normalized(
    function: str, before: str = "", after: str = "", epsilon: float = 1e-3
) -> list[bp.Layer]:
    """Batch normalization `norm` and a function `activation`, by longer names."""
    return [
        bp.BatchNorm(epsilon=epsilon, name=f"{before}norm{after}"),
        bp.Activation(function, name=f"{before}activation{after}"),
    ]


def convolved(
    filters: bp.Count, kernel: int, strides: int, function: str, before: str = ""
) -> list[bp.Layer]:
    """A convolution, batch normalization and an activation function."""
    name = f"{before}conv"
    convolution = he_conv2d(filters, kernel, strides, use_bias=False, name=name)
    return [convolution, *normalized(function, before)]


def averaged(task: Task, layers: list[bp.Layer], dropout: float) -> bp.Blueprint:
    """A blueprint whose heads read the average over all positions of the last layer."""
    pool = bp.GlobalAveragePool(name="pool")
    return base.with_heads(task, [*layers, pool, *base.dropped(dropout)])
