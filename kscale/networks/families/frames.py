"""What families for frames of sound share: how many frames a step of a network reads,
and the answer for every step where transcripts are predicted.

A step reads `stacked` frames side by side (Sak et al. 2015), so that a network has
fewer steps. Padding at the end of a sound is neither read nor answered. Where
transcripts are predicted, each band of a sound has mean 0 and deviation 1: voices
differ in loudness, and microphones in pitch.
"""

from typing import Any

from kscale.errors import SpecError
from kscale.networks.blueprint import Blueprint, Layer
from kscale.networks.families import base
from kscale.networks.sound_layers import (
    CentredFrames,
    FrameLogits,
    FrameMask,
    StackFrames,
)
from kscale.task.spectrograms import step_of
from kscale.task.tasks import Task

_USUAL = 2  # frames a step, of 10 ms each; letters of quick speech last 40 ms
_STACKED = (1, 2, 3, 4)


def stacked_for(task: Task) -> tuple[base.Value, ...]:
    """Frames a step that a search tries: for transcripts, those that all transcripts
    have enough steps with; 0 alone for other targets."""
    if not predicts_characters(task):
        return (0,)
    (target, *_), item = task.targets, task.inputs[0]
    step = step_of(item.rate) if item.rate else 0
    fits = (n for n in _STACKED if not target.step or n * step <= target.step)
    return tuple(fits) or (0,)


STACKED = base.knob(
    0,
    _STACKED,
    f"frames of sound that a step reads; 0 is {_USUAL} for transcripts, else 1",
    low=1,
    high=100,
    suited=stacked_for,
    tried="1 to 4 for transcripts",
    name="stacked",
    is_optional=True,
)


def predicts_characters(task: Task) -> bool:
    """Whether the network answers for every frame."""
    return any(target.head.is_framed for target in task.targets)


def pooling_knob(other: str, meaning: str) -> Any:
    """How all steps become one vector: their mean, or another way; transcripts have an
    answer for each."""

    def suited(task: Task) -> tuple[base.Value, ...]:
        return ("mean",) if predicts_characters(task) else ("mean", other)

    what = f"{meaning}; of no use for transcripts"
    return base.knob("mean", ("mean", other), what, suited=suited)


def check_pooling(task: Task, pooling: str) -> None:
    """Raise where transcripts would be pooled."""
    if predicts_characters(task) and pooling != "mean":
        raise SpecError(f"`pooling={pooling}` is of no use for transcripts.")


def frame_layers(task: Task, stacked: int) -> list[Layer]:
    """Layers from frames to the steps of the network, and where transcripts are
    predicted the layers `mask` and `centred`; nothing where none is needed.

    Raises:
        SpecError: A transcript has more characters than its sound would have steps.
    """
    item, layers = task.inputs[0], list[Layer]()
    are_characters = predicts_characters(task)
    if item.kind != "spectrogram" and (stacked or are_characters):
        what = f"transcripts and `stacked` are for sounds, not for the kind {item.kind}"
        raise SpecError(f"{what}: got stacked={stacked}.")
    stacked = _frames_of_step(task, stacked)
    if are_characters:
        _check_steps(task, stacked)
    entry = item.name
    if stacked > 1:
        layers.append(StackFrames(stacked, name="stacked"))
        entry = "stacked"
    if are_characters:
        layers += [
            FrameMask(name="mask", inputs=(entry,)),
            CentredFrames(name="centred", inputs=(entry, "mask")),
        ]
    return layers


def steps_of(task: Task, stacked: int) -> int:
    """Steps that the frames of the longest sound become."""
    return -(-task.inputs[0].shape[0] // _frames_of_step(task, stacked))


def _frames_of_step(task: Task, stacked: int) -> int:
    """Frames that become one step; 0 asks for the usual number."""
    return stacked or (_USUAL if predicts_characters(task) else 1)


def _check_steps(task: Task, stacked: int) -> None:
    (target, *others), item = task.targets, task.inputs[0]
    if others or len(task.inputs) > 1:
        raise SpecError("A network of transcripts has one input and one target.")
    step = round((item.samples or 0) / max(1, item.shape[0] - 1))
    if target.step and stacked * step > target.step:
        most = target.step // step
        raise SpecError(
            f"`stacked <= {most}` must hold, for a sound would have fewer steps than "
            f"its transcript needs, but got stacked={stacked}"
            f"{'' if most else ': make `window` smaller'}."
        )


def with_frame_logits(task: Task, layers: list[Layer]) -> Blueprint:
    """A blueprint of layers, the last of which gives frames, with a head on every
    frame; the layers have one called `mask`."""
    (target,), frames = task.targets, layers[-1].name
    head = FrameLogits(target.outputs, name="head", inputs=(frames, "mask"))
    functions = base.activations_of(task)
    return Blueprint(
        task.inputs, (*layers, head), ("head",), functions, open_length=True
    )
