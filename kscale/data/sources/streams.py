"""`tf.data.Dataset`s, read once: into memory, or onto disk where they are larger."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import StoredRows
from kscale.data.memory import filled, most_bytes
from kscale.data.parts import PART_NAMES
from kscale.data.raw import UNNAMED, RawArray, RawData, RawPart
from kscale.errors import DataError, sentence_of

_Arrays = dict[str, NDArray[Any]]

_INFINITE = -1  # tf.data.INFINITE_CARDINALITY
_READ_BYTES = 8  # of a number as a network reads it, there twice, as float32 or int32


def are_streams(source: Any) -> bool:
    """Whether a source is a `tf.data.Dataset`, or a dict, tuple or list of some."""
    parts = source if isinstance(source, Mapping | tuple | list) else [source]
    parts = [*parts.values()] if isinstance(parts, Mapping) else parts
    return bool(parts) and all(hasattr(part, "as_numpy_iterator") for part in parts)


def raw_data_of_streams(source: Any, memory: int | None = None) -> RawData:
    """`tf.data.Dataset`s of `(x, y)`, batched or not, as `load_dataset` takes them.

    A tuple of two is a training and a test part, a list of two a training and a
    validation part, as `keras.utils.*_dataset_from_directory` gives with
    `subset="both"`; names of classes are its `class_names`. Inputs beyond so many bytes
    of memory, or half of what is free, lie on disk.
    """
    left = _FreeMemory(most_bytes(memory))
    is_one = not isinstance(source, Mapping | tuple | list)
    if is_one:
        parts = {"train": source}
    elif isinstance(source, Mapping):
        parts = dict(source)
    elif len(source) in (2, 3):
        two = ("train", "test" if isinstance(source, tuple) else "validation")
        parts = dict(zip(two if len(source) == 2 else PART_NAMES, source, strict=True))
    else:
        raise DataError(
            "A tuple of tf.data.Datasets is (train, test) or (train, validation, "
            f"test), but it has {len(source)}."
        )
    if not {"train"} <= parts.keys() <= set(PART_NAMES):
        raise DataError(
            f"A dict of tf.data.Datasets has the keys {', '.join(PART_NAMES)}, of "
            f"which train must be there, but it has {', '.join(map(str, parts))}."
        )
    names = tuple(map(str, getattr(parts["train"], "class_names", ())))
    return RawData(
        {
            part: _part_of(parts[part], "" if is_one else part, left)
            for part in PART_NAMES
            if part in parts
        },
        class_names={"label": names} if names else {},
    )


def _part_of(stream: Any, name: str, left: "_FreeMemory") -> RawPart:
    where, ending = f"The tf.data.Dataset {name}".rstrip(), f"_{name}".rstrip("_")
    if int(stream.cardinality()) == _INFINITE:
        raise DataError(f"{where} never ends; leave out `repeat()`.")
    # Labels are few bytes, and read whole.
    sides = {"x": left, "y": _FreeMemory(math.inf)}
    spools: dict[str, dict[str, _Spool]] = {side: {} for side in sides}
    for element in _chunks_of(stream):
        for (side, of_side), chunks in zip(spools.items(), element, strict=True):
            for key, chunk in chunks.items():
                label = f"{side}{ending}[{key!r}]" if key else f"{side}{ending}"
                new = _Spool(label, chunk[:0], sides[side])
                of_side.setdefault(key, new).add(chunk)
    if not spools["x"]:
        raise DataError(f"{where} is empty.")
    x, y = ({k: s.array() for k, s in each.items()} for each in spools.values())
    return RawPart(x, y)


def _chunks_of(stream: Any) -> Iterator[tuple[_Arrays, _Arrays]]:
    """Inputs and targets by name, several examples at a time.

    An element whose arrays all have one length is taken for several examples; so is a
    single example with as many features as real targets.
    """
    is_batched: bool | None = None
    for element in _elements(stream):
        if not (isinstance(element, tuple) and len(element) == 2):
            raise DataError("The elements of a tf.data.Dataset must be pairs (x, y).")
        x, y = map(_by_name, element)
        if is_batched is None:
            shapes = [array.shape for array in (*x.values(), *y.values())]
            is_batched = all(shapes) and len({shape[0] for shape in shapes}) == 1
        if not is_batched:
            x, y = ({key: a[np.newaxis] for key, a in side.items()} for side in (x, y))
        yield x, y


def _elements(stream: Any) -> Iterator[Any]:
    try:
        yield from stream.as_numpy_iterator()
    except Exception as error:  # TensorFlow is not imported here to name its errors
        if not type(error).__module__.startswith("tensorflow"):
            raise
        raise DataError(
            f"The tf.data.Dataset cannot be read to its end: {sentence_of(error)}."
        ) from error


def _by_name(values: Any) -> _Arrays:
    """Arrays by name; texts of any length are objects."""
    if isinstance(values, tuple):
        raise DataError(
            "Inputs or targets of a tf.data.Dataset that are tuples have no names; "
            "give dicts of arrays instead."
        )
    named = values if isinstance(values, Mapping) else {UNNAMED: values}
    return {
        str(name): np.asarray(value, object if isinstance(value, bytes) else None)
        for name, value in named.items()
    }


@dataclass
class _FreeMemory:
    """Bytes of memory that are left, shared by all inputs of a source."""

    bytes: float


@dataclass
class _Spool:
    """The chunks of one array of a stream, on disk where no memory is left.

    `like` is an array of the chunks' type, and of their shape but for its length.
    """

    label: str
    like: NDArray[Any]
    left: _FreeMemory
    _chunks: list[NDArray[Any]] = field(default_factory=list)
    _rows: StoredRows | None = None

    def add(self, chunk: NDArray[Any]) -> None:
        shape, given = self.like.shape[1:], chunk.shape[1:]
        if given != shape:
            raise DataError(
                f"{self.label} has examples of different shape, {shape} and {given}."
            )
        if self._rows is not None:
            self._rows.append(chunk)
            return
        self._chunks.append(chunk)
        self.left.bytes -= chunk.nbytes + _READ_BYTES * chunk.size
        if self.left.bytes < 0 and not chunk.dtype.hasobject:
            self._rows = StoredRows(self._consumed(), shape, chunk.dtype)

    def array(self) -> RawArray:
        """All examples."""
        if self._rows is not None:
            return RawArray(self.label, self._rows)
        shape = (sum(map(len, self._chunks)), *self.like.shape[1:])
        whole = filled(self._consumed(), shape, self.like.dtype)
        return RawArray.of(self.label, whole)

    def _consumed(self) -> Iterator[NDArray[Any]]:
        """Chunks in order; each is removed as it is given."""
        self._chunks.reverse()
        while self._chunks:
            yield self._chunks.pop()
