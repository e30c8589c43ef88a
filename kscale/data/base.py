"""What every source gives: three fixed parts, and the scaling that ships."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kscale.errors import DataError
from kscale.task import Task

PartName = Literal["train", "validation", "test"]
PART_NAMES: tuple[PartName, ...] = get_args(PartName)

_Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a data set.

    Args:
        inputs: By input name, what the network takes: float32 (already scaled) or int32
            token ids, `(examples, *Input.shape)`.
        targets: By target name, int32 class ids `(examples,)`, or float32
            `(examples, outputs)` in the user's unit.

    Raises:
        DataError: There are no inputs, or arrays of different length.
    """

    inputs: Mapping[str, _Array]
    targets: Mapping[str, _Array]

    def __post_init__(self) -> None:
        lengths = {len(array) for array in self._arrays()}
        if not self.inputs or len(lengths) != 1:
            raise DataError(
                "All arrays of a part must have one length, but got lengths "
                f"{sorted(lengths)}."
            )

    def _arrays(self) -> Iterable[_Array]:
        return (*self.inputs.values(), *self.targets.values())

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))


@dataclass(frozen=True)
class Scaling:
    """`y = x * scale + offset` on the last axis, as `keras.layers.Rescaling` does.

    Args:
        scale: One factor, or one a feature; finite and not 0.
        offset: As many numbers as `scale`.

    Raises:
        DataError: The lengths differ, or a number cannot be inverted.

    Example:

    >>> Scaling((0.5,), (-1.0,)).apply(np.array([[0.0], [4.0]])).tolist()
    [[-1.0], [1.0]]
    """

    scale: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        if not self.scale or len(self.scale) != len(self.offset):
            raise DataError(
                "A scaling has as many offsets as factors, at least one, but got "
                f"{len(self.scale)} factors and {len(self.offset)} offsets."
            )
        numbers = (*self.scale, *self.offset)
        if 0 in self.scale or not all(math.isfinite(number) for number in numbers):
            raise DataError(
                "Factors of a scaling must be finite and not 0 and offsets finite, "
                f"but got scale={self.scale}, offset={self.offset}."
            )

    @property
    def is_identity(self) -> bool:
        """Whether it changes nothing."""
        return set(self.scale) == {1.0} and set(self.offset) == {0.0}

    def apply(self, array: _Array) -> NDArray[np.float32]:
        """The scaled array, as new float32; shape `(..., features)`."""
        scaled = np.array(array, dtype=np.float32)
        scaled *= np.asarray(self.scale, dtype=np.float32)
        scaled += np.asarray(self.offset, dtype=np.float32)
        return scaled

    def invert(self, array: _Array) -> NDArray[np.float32]:
        """What `apply` was given, as new float32; shape `(..., features)`."""
        raw = np.array(array, dtype=np.float32)
        raw -= np.asarray(self.offset, dtype=np.float32)
        raw /= np.asarray(self.scale, dtype=np.float32)
        return raw


@dataclass(frozen=True, eq=False)
class Dataset:
    """A task with its arrays, in three parts that share no example.

    Args:
        name: Name for reports and folders.
        task: What a network must take in and put out.
        train: What weights are fitted to; everything fitted is fitted to this part.
        validation: What a search compares networks on.
        test: Touched once, at the end.
        input_scaling: By input name, from the raw input to the network's; fitted on the
            training part, and a piece of the model that ships. Token ids have none.
        target_scaling: By target name, from the network's output to the user's unit;
            real targets only.
        fingerprint: Same data and same parts, same value, in any process.
        warnings: One sentence each, for the user.

    Raises:
        DataError: A part does not have the task's inputs and targets.
    """

    name: str
    task: Task
    train: Part
    validation: Part
    test: Part
    input_scaling: Mapping[str, Scaling]
    target_scaling: Mapping[str, Scaling]
    fingerprint: str
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, part in self.parts.items():
            _check_part(name, part, self.task)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(part):,} {name}" for name, part in self.parts.items())
        return f"Dataset({self.name!r}, {sizes} examples)"

    @property
    def parts(self) -> dict[PartName, Part]:
        """The three parts by name."""
        return {name: getattr(self, name) for name in PART_NAMES}


def _check_part(name: str, part: Part, task: Task) -> None:
    wanted = {item.name: (item.shape, item.dtype) for item in task.inputs}
    found = {
        key: (array.shape[1:], array.dtype.name) for key, array in part.inputs.items()
    }
    if wanted != found:
        raise DataError(
            f"The {name} part must hold inputs of shape and type {wanted}, "
            f"but got {found}."
        )
    outputs = {
        target.name: ((), "int32")
        if target.kind == "classes"
        else ((target.outputs,), "float32")
        for target in task.targets
    }
    given = {
        key: (array.shape[1:], array.dtype.name) for key, array in part.targets.items()
    }
    if outputs != given:
        raise DataError(
            f"The {name} part must hold targets of shape and type {outputs}, "
            f"but got {given}."
        )
