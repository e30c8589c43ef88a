"""Raw arrays: the inputs and labels of a source, read when they are needed."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import TEXT, Rows
from kscale.data.examples import Reader
from kscale.data.parts import PartName
from kscale.data.preprocessing.base import Fit, LabelFit
from kscale.errors import DataError
from kscale.task.tasks import Target
from kscale.units import format_count

UNNAMED = ""
"""Key of an input or target that the user gave no name."""


@dataclass(frozen=True, eq=False)
class RawArray:
    """One array of a source; shape and type are known before it is read.

    Args:
        label: Name for messages, as the user knows it: `x`, `y_train`.
        rows: The examples; they may be larger than memory.
        is_slow: Whether reading rows takes longer than reading them from disk.
        target_kind: Kind of target that labels are; empty if their values decide.
    """

    label: str
    rows: Rows
    is_slow: bool = False
    target_kind: str = ""

    def __post_init__(self) -> None:
        if not self.shape or 0 in self.shape:
            raise DataError(f"{self.label} is empty: its shape is {self.shape}.")
        if self.dtype.hasobject and self.dtype.kind != "T":
            raise DataError(
                f"{self.label} holds Python objects; give an array of numbers, or of "
                "text, in which all rows have one length."
            )

    @classmethod
    def of(cls, label: str, values: Any, target_kind: str = "") -> "RawArray":
        """An array in memory, or a list of numbers or strings."""
        try:
            array = np.asarray(values)
        except ValueError as error:
            raise DataError(f"{label} has rows of different length.") from error
        if not array.ndim:
            what = type(values).__name__
            raise DataError(
                f"{label} must be an array or a list, and is of type {what}."
            )
        if array.dtype.hasobject:
            array = _without_objects(label, array)
        return cls(label, array, target_kind=target_kind)

    @property
    def shape(self) -> tuple[int, ...]:
        """`(examples, ...)`."""
        return self.rows.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy type."""
        return self.rows.dtype

    def __len__(self) -> int:
        return self.shape[0]


def _without_objects(label: str, array: NDArray[Any]) -> NDArray[Any]:
    """Texts and numbers that are stored as Python objects, as an array of one type."""
    values = array.reshape(-1).tolist()
    if values and all(isinstance(value, int | float) for value in values):
        return np.array(array.tolist())
    texts = [v.decode("utf-8", "replace") if type(v) is bytes else v for v in values]
    are_texts = [isinstance(text, str) for text in texts]
    if not any(are_texts):
        return array
    if not all(are_texts):
        place = are_texts.index(False)
        row = place * len(array) // len(values)
        raise DataError(
            f"{label} holds texts, but {values[place]!r} in row {row:,} (counted from "
            "0): fill in what is missing, or save a table of both as a CSV file."
        )
    return np.array(texts, TEXT).reshape(array.shape)


@dataclass(frozen=True, eq=False)
class RawPart:
    """The arrays of one part, by input and by target name, all of one length."""

    inputs: Mapping[str, RawArray]
    targets: Mapping[str, RawArray]

    def __post_init__(self) -> None:
        first, *others = (*self.inputs.values(), *self.targets.values())
        for other in others:
            if len(other) != len(first):
                raise DataError(
                    f"{first.label} and {other.label} must have one length, but got "
                    f"{len(first):,} and {len(other):,} examples."
                )

    @classmethod
    def of(cls, x: Any, y: Any, x_label: str = "x", y_label: str = "y") -> "RawPart":
        """A part of inputs and targets, each an array or a dict of arrays by name."""
        return cls(_by_name(x_label, x), _by_name(y_label, y))

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))


@dataclass(frozen=True, eq=False)
class RawData:
    """Raw data of a source: arrays by part, and how a network reads them.

    Args:
        parts: Raw inputs and labels of the training part, and of others if the source
            has them.
        fits: One for each input of the network; if empty, each array is an input.
        reader: Reads files of the same form for predictions.
        class_names: By target name, names of the outputs 0, 1, ... where labels are
            numbers.
        targets: By name, targets that the source knows; their arrays are labels in the
            form of the target's head.
        groups: By part, a key an example, `(examples,)`: equal keys stay in one part.
        warnings: One sentence each, for the user.
        notes: Findings about the data, one sentence each, for `kscale data`.
        labelling: By name of a raw text in the inputs, how it becomes a target.
    """

    parts: Mapping[PartName, RawPart]
    fits: Sequence[Fit] = ()
    reader: Reader | None = None
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    targets: Mapping[str, Target] = field(default_factory=dict)
    groups: Mapping[PartName, RawArray] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    labelling: Mapping[str, LabelFit] = field(default_factory=dict)


def not_read(names: Set[str]) -> tuple[str, ...]:
    """A note on what a source has beside its parts."""
    return (f"Not read: {', '.join(sorted(names))}.",) if names else ()


def _by_name(label: str, values: Any) -> dict[str, RawArray]:
    if not isinstance(values, Mapping):
        return {UNNAMED: RawArray.of(label, values)}
    if not values:
        raise DataError(f"{label} is empty: it is a dict without arrays.")
    return {
        str(name): RawArray.of(f"{label}[{name!r}]", array)
        for name, array in values.items()
    }


def to_float32(label: str, array: NDArray[Any]) -> NDArray[np.float32]:
    """The array as float32; a missing or infinite number is an error."""
    with np.errstate(over="ignore"):  # reported below
        numbers = array.astype(np.float32, copy=False)
    if np.isfinite(numbers.min()) and np.isfinite(numbers.max()):
        return numbers
    is_bad, what, note = np.isnan(numbers), "missing", "(NaN)"
    if not is_bad.any():
        is_bad, what, note = np.isinf(numbers), "infinite", "in float32"
    row = np.flatnonzero(is_bad.reshape(len(is_bad), -1).any(axis=1))[0]
    count = int(is_bad.sum())
    shown = f"{count:,}" if count < 10**6 else format_count(count)
    raise DataError(
        f"{label} has {shown} {what} {'value' if count == 1 else 'values'} {note}, the "
        f"first in row {row:,} (counted from 0). Fill in or remove such rows."
    )
