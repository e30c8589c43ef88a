"""A task: what a network must take in and put out, without any data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from kscale.errors import DataError
from kscale.task.heads import HEADS, Head
from kscale.task.inputs import INPUT_RANKS, Input, InputKind

__all__ = ["INPUT_RANKS", "Input", "InputKind", "Target", "Task"]


@dataclass(frozen=True)
class Target:
    """One thing to predict.

    Args:
        name: Key of the target's array, and name of the network's output.
        kind: A key of `kscale.task.heads.HEADS`: `classes` (one of several), `labels`
            (any of several) or `real` (numbers).
        outputs: Number of classes, labels or real values.
        class_names: A name for each class or label, in the order of the outputs; may be
            empty.

    Raises:
        DataError: The kind is unknown, or there are too few outputs.
    """

    name: str
    kind: str
    outputs: int
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in HEADS:
            raise DataError(f"Unknown kind {self.kind!r}. Known: {', '.join(HEADS)}.")
        least = self.head.least_outputs
        if self.outputs < least:
            raise DataError(
                f"`outputs >= {least}` must hold for target {self.name!r} of kind "
                f"{self.kind}, but got {self.outputs}."
            )

    @property
    def head(self) -> Head:
        """Everything that the kind of the target decides."""
        return HEADS[self.kind]

    @property
    def shown_names(self) -> tuple[str, ...]:
        """A name for each output: its number where it has none."""
        return self.class_names or tuple(map(str, range(self.outputs)))


@dataclass(frozen=True)
class Task:
    """What a network must take in and put out.

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
