"""Targets of a task: what is to be predicted of an example, without any data."""

from dataclasses import dataclass

from kscale.errors import DataError
from kscale.task.heads import HEADS, Head


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
