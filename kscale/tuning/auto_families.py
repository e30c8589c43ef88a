"""Which families a search takes: those named, or those that suit the data."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from kscale.errors import SpecError
from kscale.networks.families import FAMILIES, find_family, find_knob
from kscale.networks.families.base import Family
from kscale.search.pool import Pool, Space
from kscale.task.tasks import Task
from kscale.text import counted

AUTO = "auto"

_SMALL_IMAGE = 12  # pixels a side
_SUITED = {
    "vector": ("mlp",),
    # Of texts like those of experiments/results/text.md convolutions learn more than
    # encoder blocks, in less time; the linear model is one of n-grams here.
    "tokens": ("linear", "mlp", "cnn"),
    "sequence": ("rnn",),
    "spectrogram": ("cnn", "rnn"),
    "image": ("cnn", "resnet"),
}
# Of 5 million parameters dense layers train in minutes, convolutions in hours.
_SUITED_TO_SMALL_IMAGES = ("mlp",)


def families_for(names: Sequence[str], task: Task) -> tuple[Family, ...]:
    """Families by name; `auto` stands for those that suit the task's first input.

    Raises:
        SpecError: There is no such family, or it does not take the inputs.
    """
    chosen = [(_automatic(task) if name == AUTO else [name]) for name in names]
    families = {f.name: f for f in map(find_family, chain.from_iterable(chosen))}
    for family in families.values():
        family.check_task(task)
    return tuple(families.values())


def _automatic(task: Task) -> Sequence[str]:
    first = task.inputs[0]
    if task.has_sequences:
        return [family.name for family in FAMILIES.values() if family.takes(task)]
    if first.kind == "image" and min(first.shape[:2]) < _SMALL_IMAGE:
        return _SUITED_TO_SMALL_IMAGES
    if len(task.inputs) > 1 and first.kind == "tokens":
        return ("transformer",)  # the only family that takes several
    return _SUITED[first.kind]


def checked_value(families: Sequence[Family], name: str, value: Any) -> Any:
    """A knob's value in its type, by the first family that takes it."""
    having = [f for f in families if name == "learning_rate" or name in f.all_knobs]
    refused: SpecError | None = None
    for family in having or families[:1]:
        try:
            return find_knob(family, name).check(value)
        except SpecError as error:
            refused = refused or error
    assert refused is not None
    raise refused


def check_missing(pool: Pool, names: Sequence[str]) -> None:
    """Raise the reason for a family that was named and of which nothing fits."""
    for name in names:
        if name.lower() in pool.missing:
            raise pool.missing[name.lower()]


def notes_on_families(pool: Pool, space: Space, names: Sequence[str]) -> list[str]:
    """Sentences on what `auto` took and left out; none without `auto`."""
    if AUTO not in names:
        return []
    named = [name.lower() for name in names]
    taken = [family.name for family in space.families if family.name not in named]
    names = " and ".join([", ".join(taken[:-1]), taken[-1]][len(taken) < 2 :])
    first = f"Family auto: {names}, for {_described(space.task)}."
    return [
        first,
        *(f"Family {name} is left out: {why}" for name, why in pool.missing.items()),
    ]


def _described(task: Task) -> str:
    """The first input in a few words: `images of 28 x 28`."""
    first = task.inputs[0]
    sides = " x ".join(str(side) for side in first.shape[:2])
    return {
        "vector": f"vectors of {counted(first.shape[0], 'number')}",
        "tokens": f"texts of up to {counted(first.shape[0], 'token')}",
        "sequence": f"sequences of {sides}",
        "spectrogram": f"spectrograms of {sides}",
        "image": f"images of {sides}",
    }[first.kind]
