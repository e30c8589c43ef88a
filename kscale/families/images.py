"""What families for images share: the image, stages that suit it, and some knobs."""

from kscale.blueprint import Layer, Repeat
from kscale.errors import SpecError
from kscale.families.base import Knob
from kscale.task import Task

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


def image_shape(task: Task, family: str) -> tuple[int, ...]:
    """Shape of the one image of a task.

    Raises:
        SpecError: The task has several inputs.
    """
    if len(task.inputs) != 1:
        raise SpecError(
            f"Family {family} takes one input, but the data has {len(task.inputs)}."
        )
    return task.inputs[0].shape


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
