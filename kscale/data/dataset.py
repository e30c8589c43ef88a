"""What every source gives: three fixed parts, and the preprocessing that ships."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from numpy.typing import NDArray

from kscale.data.describing import describe_dataset
from kscale.data.description_text import dataset_text
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.scaled import Scaled
from kscale.data.readers.array_reader import ArrayReader
from kscale.data.readers.base import Reader
from kscale.data.rows import Rows
from kscale.data.scaling import Scaling
from kscale.errors import DataError
from kscale.task.tasks import Task

PartName = Literal["train", "validation", "test"]
PART_NAMES: tuple[PartName, ...] = get_args(PartName)

_Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a data set.

    Args:
        inputs: By input name, what the network takes: float32 (already scaled) or int32
            token ids, `(examples, *Input.shape)`; arrays, or `Rows` of data that is too
            large for memory.
        targets: By target name, int32 class ids `(examples,)`, or float32
            `(examples, outputs)` in the user's unit.
        raw: By name, raw inputs that cannot be had back from `inputs`, for models that
            read them: fractions, and but for the training part texts, sounds and the
            columns of a table.

    Raises:
        DataError: There are no inputs, or arrays of different length.
    """

    inputs: Mapping[str, Rows]
    targets: Mapping[str, _Array]
    raw: Mapping[str, Rows] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {len(array) for array in self._arrays()}
        if not self.inputs or len(lengths) != 1:
            raise DataError(
                "All arrays of a part must have one length, but got lengths "
                f"{sorted(lengths)}."
            )

    def _arrays(self) -> Iterable[Rows]:
        return (*self.inputs.values(), *self.targets.values())

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))


@dataclass(frozen=True, eq=False)
class Dataset:
    """A task with its arrays, in three parts that share no example.

    Args:
        name: Name for reports and folders.
        task: What a network must take in and put out.
        train: What weights are fitted to; everything fitted is fitted to this part.
        validation: What a search compares networks on.
        test: Touched once, at the end.
        preprocessing: By input name, from raw inputs to the network's; fitted on the
            training part, and a piece of the model that ships.
        target_scaling: By target name, from the network's output to the user's unit;
            real targets only.
        fingerprint: Same data and same parts, same value, in any process.
        warnings: One sentence each, for the user.
        reader: How files become raw inputs, for predictions later.
        notes: What was understood of a source, one sentence each.
        cut: Parts that were cut from the training examples; others were given.
        cut_by: What names the groups they were cut by; empty without groups.

    Raises:
        DataError: A part does not have the task's inputs and targets.
    """

    name: str
    task: Task
    train: Part
    validation: Part
    test: Part
    preprocessing: Mapping[str, Preprocessing]
    target_scaling: Mapping[str, Scaling]
    fingerprint: str
    warnings: tuple[str, ...] = ()
    reader: Reader = field(default_factory=ArrayReader)
    notes: tuple[str, ...] = ()
    cut: tuple[PartName, ...] = ()
    cut_by: str = ""

    def __post_init__(self) -> None:
        for name, part in self.parts.items():
            _check_part(name, part, self.task)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(part):,} {name}" for name, part in self.parts.items())
        return f"Dataset({self.name!r}, {sizes} examples)"

    def __str__(self) -> str:
        return dataset_text(self.describe())

    def describe(self) -> dict[str, Any]:
        """What was understood of the data, as plain data; `str` gives it as text."""
        return describe_dataset(self)

    @property
    def parts(self) -> dict[PartName, Part]:
        """The three parts by name."""
        return {name: getattr(self, name) for name in PART_NAMES}

    @property
    def input_scaling(self) -> dict[str, Scaling]:
        """Scalings of the inputs that are scaled and nothing else."""
        return {
            name: item.scaling
            for name, item in self.preprocessing.items()
            if isinstance(item, Scaled)
        }


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
        target.name: (target.head.label_shape(target.outputs), target.head.dtype)
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
