"""A task: what a network must take in and put out, without any data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import msgspec

from kscale.errors import DataError
from kscale.task.heads import HEADS, Head

InputKind = Literal["vector", "image", "tokens", "sequence", "spectrogram"]

INPUT_RANKS: dict[str, int] = {
    "vector": 1,
    "image": 3,
    "tokens": 1,
    "sequence": 2,
    "spectrogram": 2,
}


@dataclass(frozen=True)
class Input:
    """One named input of a task.

    Args:
        name: Key of the input's array, and name of the Keras input.
        kind: `vector` `(features,)`, `image` `(height, width, channels)`, `tokens`
            `(length,)` of ids where 0 is padding, `sequence` `(length, features)`,
            `spectrogram` `(frames, bands)` of sound.
        shape: Shape of one example, without the batch.
        vocabulary: Number of token ids, padding included; 0 if not `tokens`.
        unknown: Id that stands for every token above the vocabulary of a network which
            keeps the first ids only, the most frequent ones; 0 if ids are in no order
            of frequency, so that all must be kept.
        samples, rate: Length of the waveform that a spectrogram is worked out from, and
            its samples a second; 0 where there is none.
        previous: Name of the target whose earlier tokens the input holds: a start, and
            the labels without the last one; empty for other inputs.
        sizes: Vocabularies that networks may see, with the length of the input in each;
            empty where there is one only.
        vectors: Numbers of the word vectors that embeddings of the tokens start from; 0
            where there are none.
        scale, offset: The network gets `raw * scale + offset`, on the last axis, and
            may need the raw values back; empty if the network gets the raw values.

    Raises:
        DataError: The kind is unknown, or the shape does not suit it.
    """

    name: str
    kind: InputKind
    shape: tuple[int, ...]
    vocabulary: int = 0
    unknown: int = 0
    samples: int = 0
    rate: int = 0
    vectors: int = 0
    previous: str = ""
    sizes: tuple[tuple[int, int], ...] = ()
    scale: tuple[float, ...] = field(default=(), compare=False)
    offset: tuple[float, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        rank = INPUT_RANKS.get(self.kind)
        if rank is None:
            raise DataError(
                f"Unknown kind {self.kind!r}. Known: {', '.join(INPUT_RANKS)}."
            )
        if len(self.shape) != rank or any(side < 1 for side in self.shape):
            raise DataError(
                f"An input of kind {self.kind} has {rank} sides of at least 1, "
                f"but got shape={self.shape}."
            )
        if (self.kind == "tokens") != (self.vocabulary > 0):
            raise DataError(
                "`vocabulary >= 1` must hold for tokens and 0 for other kinds, but "
                f"got kind={self.kind}, vocabulary={self.vocabulary}."
            )
        if not 0 <= self.unknown <= max(self.vocabulary - 1, 0):
            raise DataError(
                "`0 <= unknown < vocabulary` must hold, but got "
                f"unknown={self.unknown}, vocabulary={self.vocabulary}."
            )

    @property
    def dtype(self) -> str:
        """Type of the network's input: `int32` for tokens, else `float32`."""
        return "int32" if self.kind == "tokens" else "float32"


@dataclass(frozen=True)
class Target:
    """One thing to predict.

    Args:
        name: Key of the target's array, and name of the network's output.
        kind: A key of `kscale.task.heads.HEADS`: `classes` (one of several), `labels`
            (any of several), `real` (numbers), `tokens` (a sequence), `next` (the next
            token of a text) or `characters` (of speech).
        outputs: Number of classes, labels, real values or tokens.
        class_names: A name for each class, label or token, in the order of the outputs;
            may be empty.
        length: Positions of a label that is a sequence; 0 for other kinds.
        sizes: As of `Input`: vocabularies and lengths of the labels in each.
        step: Samples of sound from one answer to the next at most, for all transcripts
            to fit; 0 where that is not known, and for other kinds.

    Raises:
        DataError: The kind is unknown, or there are too few outputs.
    """

    name: str
    kind: str
    outputs: int
    class_names: tuple[str, ...] = ()
    length: int = 0
    sizes: tuple[tuple[int, int], ...] = ()
    step: int = 0

    def __post_init__(self) -> None:
        if self.kind not in HEADS:
            raise DataError(f"Unknown kind {self.kind!r}. Known: {', '.join(HEADS)}.")
        least = self.head.least_outputs
        if self.outputs < least:
            raise DataError(
                f"`outputs >= {least}` must hold for target {self.name!r} of kind "
                f"{self.kind}, but got {self.outputs}."
            )
        if self.head.is_sequence != (self.length > 0):
            raise DataError(
                "`length >= 1` must hold for sequences and 0 for other kinds, but got "
                f"kind={self.kind}, length={self.length} of target {self.name!r}."
            )

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of the label of one example."""
        return self.head.label_shape(self.outputs, self.length)

    @property
    def head(self) -> Head:
        """Everything that the kind of the target decides."""
        return HEADS[self.kind]

    @property
    def shown_names(self) -> tuple[str, ...]:
        """A name for each output: the number of an output without a name."""
        return self.class_names or tuple(map(str, range(self.outputs)))


@dataclass(frozen=True)
class Task:
    """The inputs and the targets of a network.

    Args:
        inputs: Named inputs; most families take exactly one.
        targets: What to predict. Without targets a family gives its features, which
            is how published encoders are counted.

    Example:

    >>> Task.of("image", (28, 28, 1), classes=10).targets[0].outputs
    10
    """

    inputs: tuple[Input, ...]
    targets: tuple[Target, ...]

    @property
    def has_sequences(self) -> bool:
        """Whether a label is a sequence."""
        return any(target.head.is_sequence for target in self.targets)

    @property
    def is_written(self) -> bool:
        """Whether a target is written token by token, from its earlier tokens."""
        return any(item.previous for item in self.inputs)

    @property
    def given_inputs(self) -> tuple[Input, ...]:
        """The inputs that a user gives: sources, or the begin of a text that goes
        on."""
        return tuple(it for it in self.inputs if not it.previous) or self.inputs

    @classmethod
    def of(
        cls,
        kind: InputKind,
        shape: tuple[int, ...],
        *,
        classes: int = 0,
        values: int = 0,
        vocabulary: int = 0,
    ) -> "Task":
        """A task of one input and at most one target: classes, or real values."""
        targets: tuple[Target, ...] = ()
        if classes:
            targets = (Target("label", "classes", classes),)
        elif values:
            targets = (Target("value", "real", values),)
        return cls((Input("x", kind, tuple(shape), vocabulary),), targets)

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Task":
        """The task that `to_json` described."""
        try:
            return msgspec.convert(data, cls)
        except msgspec.ValidationError as error:
            raise DataError(f"A task cannot be read: {error}.") from error
