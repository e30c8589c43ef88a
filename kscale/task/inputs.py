"""Inputs of a task: what one example is, without any data."""

from dataclasses import dataclass, field
from typing import Literal

from kscale.errors import DataError

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
        scale, offset: `raw * scale + offset` is what the network gets, on the last
            axis, for a network that wants the raw values back; empty if it gets them.

    Raises:
        DataError: The kind is unknown, or the shape does not suit it.
    """

    name: str
    kind: InputKind
    shape: tuple[int, ...]
    vocabulary: int = 0
    unknown: int = 0
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
