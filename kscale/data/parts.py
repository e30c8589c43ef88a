"""Parts of a data set: training, validation and test, and examples in two of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import combinations
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import CHUNK_BYTES, Rows, row_bytes
from kscale.errors import DataError
from kscale.task.tasks import Target
from kscale.text import counted

PartName = Literal["train", "validation", "test"]
PART_NAMES: tuple[PartName, ...] = get_args(PartName)
Digests = NDArray[np.uint64]

_ROW_BYTES = 8  # two of a million different rows agree with odds of 3e-8


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a data set.

    Args:
        inputs: By input name, what the network takes: float32 (already scaled) or int32
            token ids, `(examples, *Input.shape)`; arrays, or `Rows` of data that is too
            large for memory.
        targets: By target name, int32 class ids `(examples,)` or tokens
            `(examples, length)`, or float32 `(examples, outputs)` in the user's unit.
        raw: By name, raw inputs that cannot be computed from `inputs`, for models that
            read them: fractions of any part, and texts of sub-words; other texts,
            sounds and the columns of a table of the validation and the test part.

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


def row_digests(arrays: Sequence[Rows]) -> Digests:
    """A number for each example; examples equal in all inputs have the same number."""
    step = min(max(1, CHUNK_BYTES // max(1, row_bytes(array))) for array in arrays)
    found = bytearray()
    for start in range(0, len(arrays[0]), step):
        lines = [_bytes_of_rows(array[start : start + step]) for array in arrays]
        for row in zip(*lines, strict=True):
            found += blake2b(b"".join(row), digest_size=_ROW_BYTES).digest()
    return np.frombuffer(bytes(found), dtype="<u8")


def _bytes_of_rows(array: NDArray[Any]) -> Iterator[bytes | memoryview]:
    if array.dtype.kind == "T":
        return (b"%d:%b" % (len(text), text) for text in map(str.encode, array))
    little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    whole = little.reshape(-1).view(np.uint8).data
    width = len(whole) // len(array)
    return (whole[start : start + width] for start in range(0, len(whole), width))


def fingerprint_of(
    digests: Mapping[PartName, Digests],
    labels: Mapping[PartName, Mapping[str, NDArray[Any]]],
    targets: Sequence[Target],
    starts: Iterable[NDArray[Any] | None] = (),
) -> str:
    """Sixteen hexadecimal digits: same examples, labels and parts, same digits.

    Tables that embeddings start from count as well.
    """
    whole = blake2b(digest_size=8)
    for part in PART_NAMES:
        whole.update(f"{part} {len(digests[part])}".encode())
        whole.update(digests[part].tobytes())
        for target in targets:
            whole.update(f"{target.kind} {target.class_names}".encode())
            array = labels[part][target.name]
            whole.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    for table in starts:
        whole.update(b"" if table is None else table.tobytes())
    return whole.hexdigest()


def duplicate_warnings(digests: Mapping[PartName, Digests]) -> Iterator[str]:
    """A sentence for each part that shares examples with an earlier part."""
    for other, part in combinations(PART_NAMES, 2):
        count = int(np.isin(digests[part], digests[other]).sum())
        if count:
            where = "training" if other == "train" else other
            yield (
                f"{count:,} of {counted(len(digests[part]), f'{part} example')} "
                f"{'is' if count == 1 else 'are'} also in the {where} part."
            )
