"""A task: what a network must take in and put out, without any data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kscale.task.inputs import INPUT_RANKS, Input, InputKind
from kscale.task.targets import Target

__all__ = ["INPUT_RANKS", "Input", "InputKind", "Target", "Task"]


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
        """A task of one input and at most one target.

        Args:
            kind: Kind of the input.
            shape: Shape of one example, without the batch.
            classes: Number of classes to tell apart.
            values: Number of real values to predict.
            vocabulary: Number of token ids.
        """
        targets: tuple[Target, ...] = ()
        if classes:
            targets = (Target("label", "classes", classes),)
        elif values:
            targets = (Target("value", "real", values),)
        return cls((Input("x", kind, tuple(shape), vocabulary),), targets)

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back."""
        return {
            "inputs": [_plain(item) for item in self.inputs],
            "targets": [_plain(item) for item in self.targets],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Task":
        """The task that `to_json` described."""
        return cls(
            tuple(Input(**_frozen(item)) for item in data["inputs"]),
            tuple(Target(**_frozen(item)) for item in data["targets"]),
        )


def _plain(record: Input | Target) -> dict[str, Any]:
    items = vars(record).items()
    return {k: list(v) if isinstance(v, tuple) else v for k, v in items}


def _frozen(data: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
