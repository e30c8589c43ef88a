"""What families for images share: the image, its augmentation, stages, some knobs."""

from kscale.errors import SpecError
from kscale.networks.augmentation import RandomErase, RandomFlip, RandomShift
from kscale.networks.blueprint import Layer, Repeat, Reshape
from kscale.networks.families.base import Knob, Value
from kscale.task.tasks import Task

_LEAST_SIDE = 4
_LARGE_SIDE = 96

STAGES = Knob(
    "stages", 0, (0, 1, 2, 3, 4, 5), "stages; 0 suits the image", low=0, high=20
)

ZERO_INIT = Knob(
    "zero_init",
    True,
    (False, True),
    "whether residual branches start as nothing",
    shapes=False,
)

DROPOUT = Knob(
    "dropout",
    0.0,
    (0.0, 0.1, 0.2, 0.3, 0.5),
    "share of features dropped before the output",
    low=0.0,
    high=0.95,
    shapes=False,
)


_AUGMENTS: dict[str, tuple[str, ...]] = {
    "image": ("none", "shift", "flip", "shift+flip"),
    "spectrogram": ("none", "shift", "erase", "shift+erase"),
}
_MOST_SHIFT = 0.1
_MOST_ERASED = 0.2


def augments_for(task: Task) -> tuple[Value, ...]:
    """Values of `augment` that suit a task.

    Example:

    >>> augments_for(Task.of("spectrogram", (98, 40)))
    ('none', 'shift', 'erase', 'shift+erase')
    """
    return _AUGMENTS.get(task.inputs[0].kind, ("none",))


AUGMENT = Knob(
    "augment",
    "none",
    tuple(dict.fromkeys((*_AUGMENTS["image"], *_AUGMENTS["spectrogram"]))),
    "how images are changed at random in training",
    shapes=False,
    suited=augments_for,
)


def image_shape(task: Task, family: str) -> tuple[int, ...]:
    """Shape of the one image of a task; a spectrogram is one of a single channel.

    Raises:
        SpecError: The task has several inputs.
    """
    if len(task.inputs) != 1:
        raise SpecError(
            f"Family {family} takes one input, but the data has {len(task.inputs)}."
        )
    item = task.inputs[0]
    return (*item.shape, 1) if item.kind == "spectrogram" else item.shape


def image_layers(task: Task, augment: str) -> list[Layer]:
    """What stands before the first convolution: a spectrogram's shape, augmentation.

    `shift` moves an image by at most a tenth of its sides, a spectrogram in time only;
    `flip` mirrors half of the images; `erase` sets a rectangle of at most a fifth of a
    spectrogram to 0 (Zhong et al. 2017).

    Raises:
        SpecError: The augmentation does not suit the kind of the input.
    """
    item = task.inputs[0]
    if augment not in augments_for(task):
        known = ", ".join(str(value) for value in augments_for(task))
        raise SpecError(
            f"`augment` of inputs of kind {item.kind} is one of {known}, not "
            f"{augment!r}."
        )
    is_sound = item.kind == "spectrogram"
    layers: list[Layer] = []
    if is_sound:
        layers.append(Reshape((*item.shape, 1), name="image"))
    if "shift" in augment:
        across = 0.0 if is_sound else _MOST_SHIFT
        layers.append(RandomShift(_MOST_SHIFT, across, name="augment/shift"))
    if "flip" in augment:
        layers.append(RandomFlip(name="augment/flip"))
    if "erase" in augment:
        layers.append(RandomErase(_MOST_ERASED, name="augment/erase"))
    return layers


def is_large(shape: tuple[int, ...]) -> bool:
    """Whether the stem may shrink an image: its shorter side has 96 pixels or more."""
    return min(shape[:2]) >= _LARGE_SIDE


def stages_for(side: int, most: int) -> int:
    """Stages, each half as large, that leave the last one 4 pixels or more.

    Example:

    >>> [stages_for(side, most=5) for side in (3, 8, 28, 32, 224)]
    [1, 2, 3, 4, 5]
    """
    stages = 1
    while stages < most and side // 2**stages >= _LEAST_SIDE:
        stages += 1
    return stages


def check_stages(stages: int, given: int, what: str) -> None:
    """Raise unless a number of stages is the one that another knob gives.

    Raises:
        SpecError: It is neither that number nor 0.
    """
    if stages not in (0, given):
        raise SpecError(f"`stages` must be 0 or {given} with {what}, not {stages}.")


def stage_blocks(
    stage: str, first: tuple[Layer, ...], rest: tuple[Layer, ...], times: int
) -> list[Layer]:
    """Blocks of a stage: the first may change the shape, the `times - 1` others do not.

    Their paths are `<stage>/block1` to `<stage>/block<times>`.
    """
    # A lone copy that shares its weights with nobody has the name for its path.
    layers: list[Layer] = [Repeat(first, 1, shared=True, name=f"{stage}/block1")]
    if times > 1:
        layers.append(Repeat(rest, times - 1, start=2, name=f"{stage}/block"))
    return layers
