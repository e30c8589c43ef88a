"""Views: how much of the data a network sees, by knobs of its spec.

`image_size` is the shorter side of the images in pixels; the longer side follows in
proportion. `window` is what a frame of a spectrogram sees, in milliseconds; the step
from frame to frame follows in proportion. `mel_bands` is the number of bands.
`subwords` is the vocabulary of texts, of inputs and labels. Each is 0 for what the data
have. The input of a network has the shape of its view, so sizes need
no more than that; `kscale.data.views` makes the arrays.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kscale.errors import SpecError
from kscale.task.spectrograms import USUAL_WINDOW, fft_length_of, step_of
from kscale.task.tasks import Input, Target, Task
from kscale.task.tokens import kept_ids

VIEW_KINDS = {
    "image_size": "image",
    "window": "spectrogram",
    "mel_bands": "spectrogram",
    "subwords": "tokens",
}
"""By knob, the kind of the inputs that have such views."""

LEAST_SIDE = 4
LEAST_WINDOW = 10  # milliseconds, below which frames are more than samples can fill
_SHARES = (1 / 4, 3 / 8, 1 / 2, 3 / 4)  # of a side
WINDOWS = (25, 32, 50, 64)
BANDS = (10, 20, 40, 64)


def length_of(item: Input | Target, vocabulary: int) -> int:
    """Length of an input or of labels in sub-words of a vocabulary: that of the next
    smaller one whose length is known.

    Example:

    >>> length_of(Input("x", "tokens", (9,), 80, sizes=((50, 12), (80, 9))), 60)
    12
    """
    lengths = [length for size, length in item.sizes if size <= vocabulary]
    return lengths[-1]


def view_of(knobs: Mapping[str, Any], task: Task) -> dict[str, int]:
    """Those knobs that show a network anything else than the data have.

    Example:

    >>> task = Task.of("image", (28, 28, 1), classes=10)
    >>> view_of({"depth": 2, "image_size": 14}, task), view_of({"image_size": 28}, task)
    ({'image_size': 14}, {})
    """
    named = {name: int(knobs[name]) for name in VIEW_KINDS if knobs.get(name)}
    full = _full_view(task.inputs[0])
    return {name: value for name, value in named.items() if value != full.get(name)}


def viewed(task: Task, knobs: Mapping[str, Any]) -> Task:
    """The task of a network, whose inputs have the shape of its view.

    Raises:
        SpecError: There is no such view of the data.

    Example:

    >>> task = Task.of("image", (28, 56, 1), classes=10)
    >>> viewed(task, {"image_size": 14}).inputs[0].shape
    (14, 28, 1)
    """
    view = view_of(knobs, task)
    if not view:
        return task
    return Task(
        tuple(_viewed(item, view) for item in task.inputs),
        tuple(_labelled(target, view) for target in task.targets),
    )


def image_sizes_for(task: Task) -> tuple[int, ...]:
    """Values of `image_size` that a search tries: parts of the side, and all of it.

    Example:

    >>> image_sizes_for(Task.of("image", (28, 28, 1)))
    (7, 10, 14, 21, 28)
    """
    side = min(_checked(task.inputs[0], "image_size").shape[:2])
    smaller = {round(share * side) for share in _SHARES}
    return (*sorted(it for it in smaller if LEAST_SIDE <= it < side), side)


def windows_for(task: Task) -> tuple[int, ...]:
    """Values of `window` that a search tries: those that the sounds are long enough
    for."""
    item = _checked(task.inputs[0], "window")
    return tuple(it for it in WINDOWS if fft_length_of(item.rate, it) <= item.samples)


def bands_for(task: Task) -> tuple[int, ...]:
    """Values of `mel_bands` that a search tries: fewer than the data have, and all."""
    most = _checked(task.inputs[0], "mel_bands").shape[1]
    return (*(bands for bands in BANDS if bands < most), most)


def subwords_for(task: Task) -> tuple[int, ...]:
    """Values of `subwords` that a search tries: smaller vocabularies, and the whole."""
    return tuple(size for size, _ in _checked(task.inputs[0], "subwords").sizes)


def _full_view(item: Input) -> dict[str, int]:
    """The knobs of a view that shows an input as the data have it."""
    if item.kind == "image":
        return {"image_size": min(item.shape[:2])}
    if item.kind == "tokens":
        return {"subwords": item.vocabulary}
    return {"window": USUAL_WINDOW, "mel_bands": item.shape[-1]} if item.rate else {}


def _checked(item: Input, name: str, value: str = "") -> Input:
    """The input, if it has views by a knob."""
    kind = VIEW_KINDS[name]
    if item.kind != kind:
        what = f"it must be 0 for the kind {item.kind}"
        raise SpecError(f"`{name}` is for inputs of kind {kind}: {what}{value}.")
    if kind == "tokens" and not item.sizes:
        raise SpecError(
            f"`{name}` needs texts of several vocabularies, but these have one of "
            f"{item.vocabulary:,} ids: ask for more (--vocabulary){value}."
        )
    if kind == "spectrogram" and not item.rate:
        what = "these data are spectrograms without their sounds"
        raise SpecError(f"`{name}` is worked out from sounds, but {what}{value}.")
    return item


def _viewed(item: Input, view: Mapping[str, int]) -> Input:
    for name, value in view.items():
        _checked(item, name, f", but got {name}={value}")
    if item.kind == "tokens":
        return _smaller(item, view["subwords"])
    if item.kind == "image":
        size, sides = view["image_size"], item.shape[:2]
        if not LEAST_SIDE <= size <= min(sides):
            raise SpecError(
                f"`{LEAST_SIDE} <= image_size <= {min(sides)}`, the shorter side of "
                "the images as they are loaded, or 0 for all of it, must hold, but got "
                f"image_size={size}."
            )
        height, width = (round(side * size / min(sides)) for side in sides)
        return replace(item, shape=(height, width, item.shape[2]))
    window, bands = view.get("window", USUAL_WINDOW), view.get("mel_bands")
    length = fft_length_of(item.rate, window)
    if length > item.samples:
        raise SpecError(
            f"`window` must be shorter than the sounds of {item.samples:,} samples, of "
            f"which a Fourier transform reads {length:,}, but got window={window}."
        )
    if bands is not None and bands > length // 2:
        raise SpecError(
            f"`mel_bands <= {length // 2}` must hold for a window of {window} "
            f"milliseconds at {item.rate:,} samples a second, but got "
            f"mel_bands={bands}."
        )
    frames = item.samples // step_of(item.rate, window) + 1
    return replace(item, shape=(frames, bands or item.shape[1]))


def _smaller(item: Input, vocabulary: int) -> Input:
    """An input of fewer sub-words."""
    least, most = item.sizes[0][0], item.vocabulary
    if not least <= vocabulary <= most:
        raise SpecError(
            f"`{least} <= subwords <= {most}`, the vocabulary of the data, or 0 for "
            f"all of it, must hold, but got subwords={vocabulary}."
        )
    return replace(item, vocabulary=vocabulary, shape=(length_of(item, vocabulary),))


def _labelled(target: Target, view: Mapping[str, int]) -> Target:
    """A target whose labels are sub-words, with fewer of them."""
    vocabulary = view.get("subwords")
    if vocabulary is None or not target.sizes:
        return target
    names = [target.class_names[i] for i in kept_ids(target.class_names, vocabulary)]
    return replace(
        target,
        outputs=vocabulary,
        class_names=tuple(names),
        length=length_of(target, vocabulary),
    )
