"""Parts of a data set: training, validation and test."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from numpy.typing import NDArray

from kscale.data.example_rows import Rows
from kscale.errors import DataError

PartName = Literal["train", "validation", "test"]
PART_NAMES: tuple[PartName, ...] = get_args(PartName)


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a data set.

    Args:
        inputs: By input name, what the network takes: float32 (already scaled) or int32
            token ids, `(examples, *Input.shape)`; arrays, or `Rows` of data that is too
            large for memory.
        targets: By target name, int32 class ids `(examples,)`, or float32
            `(examples, outputs)` in the user's unit.
        raw: By name, raw inputs that cannot be computed from `inputs`, for models that
            read them: fractions of any part; texts, sounds and the columns of a table
            of the validation and the test part.

    Raises:
        DataError: There are no inputs, or arrays of different length.
    """

    inputs: Mapping[str, Rows]
    targets: Mapping[str, NDArray[Any]]
    raw: Mapping[str, Rows] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {
            len(rows) for rows in (*self.inputs.values(), *self.targets.values())
        }
        if not self.inputs or len(lengths) != 1:
            raise DataError(
                "All arrays of a part must have one length, but got lengths "
                f"{sorted(lengths)}."
            )

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))
