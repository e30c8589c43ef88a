"""`tf.data.Dataset`s, read once: into memory, or onto disk where they are larger."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import StoredRows
from kscale.data.holding import filled, most_bytes
from kscale.data.parts import PART_NAMES, PartName
from kscale.data.raw import UNNAMED, RawArray, RawPart, RawParts
from kscale.errors import DataError

_Arrays = dict[str, NDArray[Any]]

_INFINITE = -1  # tf.data.INFINITE_CARDINALITY
_READ_BYTES = 8  # of a number as a network reads it, there twice, as float32 or int32


def is_stream(source: Any) -> bool:
    """Whether a source is a `tf.data.Dataset`."""
    return hasattr(source, "as_numpy_iterator")


def are_streams(source: Any) -> bool:
    """Whether a source is a `tf.data.Dataset`, or a dict or tuple of some."""
    if is_stream(source) or not isinstance(source, Mapping | tuple):
        return is_stream(source)
    parts = source.values() if isinstance(source, Mapping) else source
    return bool(source) and all(is_stream(part) for part in parts)


def parts_of_streams(source: Any, memory: int | None = None) -> RawParts:
    """Parts of finite `tf.data.Dataset`s of `(x, y)`, batched or not.

    Args:
        source: One data set; a dict of them with the keys `train`, `validation` and
            `test`; or a tuple, of training and test part or of all three.
        memory: Most bytes to hold; without it half of what is free. The inputs beyond
            lie on disk.
    """
    allowance = _Allowance(most_bytes(memory))
    return {
        part: _part_of(stream, part if name else "", allowance)
        for part, (name, stream) in _by_part(source).items()
    }


@dataclass
class _Allowance:
    """Bytes of memory that all inputs of a source share."""

    left: float


@dataclass
class _Spool:
    """Collects the chunks of one array of a stream.

    Args:
        label: Name of the array, for messages.
        shape: Shape of an example.
        dtype: Type of the numbers.
        allowance: Memory for the array; more rows go to disk.
    """

    label: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    allowance: _Allowance
    _chunks: list[NDArray[Any]] = field(default_factory=list)
    _rows: StoredRows | None = None

    def add(self, chunk: NDArray[Any]) -> None:
        if chunk.shape[1:] != self.shape:
            raise DataError(
                f"{self.label} has examples of different shape, {self.shape} and "
                f"{chunk.shape[1:]}."
            )
        if self._rows is not None:
            self._rows.append(chunk)
            return
        self._chunks.append(chunk)
        self.allowance.left -= chunk.nbytes + _READ_BYTES * chunk.size
        if self.allowance.left < 0 and not self.dtype.hasobject:
            self._rows = StoredRows(self._consumed(), self.shape, self.dtype)

    def array(self, are_texts: bool) -> RawArray:
        """All examples; bytes may be texts in UTF-8, as TensorFlow gives them."""
        if self._rows is not None:
            return RawArray(self.label, self._rows)
        if are_texts and self.dtype.hasobject and not self.shape:
            texts = [
                text.decode("utf-8", "replace")
                for chunk in self._consumed()
                for text in chunk
            ]
            return RawArray(self.label, np.array(texts, np.dtypes.StringDType()))
        shape = (sum(map(len, self._chunks)), *self.shape)
        return RawArray.of(self.label, filled(self._consumed(), shape, self.dtype))

    def _consumed(self) -> Iterator[NDArray[Any]]:
        """Chunks in order, which are removed one by one."""
        self._chunks.reverse()
        while self._chunks:
            yield self._chunks.pop()


def _by_part(source: Any) -> dict[PartName, tuple[str, Any]]:
    """By part, its name for messages and its stream."""
    if is_stream(source):
        return {"train": ("", source)}
    if isinstance(source, tuple):
        if len(source) not in (2, 3):
            raise DataError(
                "A tuple of tf.data.Datasets is (train, test) or (train, validation, "
                f"test), but it has {len(source)}."
            )
        names = PART_NAMES if len(source) == 3 else ("train", "test")
        source = dict(zip(names, source, strict=True))
    if not {"train"} <= source.keys() <= set(PART_NAMES):
        raise DataError(
            f"A dict of tf.data.Datasets has the keys {', '.join(PART_NAMES)}, of "
            f"which train must be there, but it has {', '.join(map(str, source))}."
        )
    return {part: (part, source[part]) for part in PART_NAMES if part in source}


def _part_of(stream: Any, name: str, allowance: _Allowance) -> RawPart:
    where = f"The tf.data.Dataset{' ' + name if name else ''}"
    cardinality = getattr(stream, "cardinality", None)
    if cardinality is not None and int(cardinality()) == _INFINITE:
        raise DataError(f"{where} never ends; leave out `repeat()`.")
    ending = f"_{name}" if name else ""
    x: dict[str, _Spool] = {}
    y: dict[str, _Spool] = {}
    unlimited = _Allowance(math.inf)  # labels are few bytes, and read whole
    for x_chunks, y_chunks in _chunks_of(stream):
        _keep(x, x_chunks, f"x{ending}", allowance)
        _keep(y, y_chunks, f"y{ending}", unlimited)
    if not x:
        raise DataError(f"{where} is empty.")
    return RawPart(
        {key: spool.array(are_texts=True) for key, spool in x.items()},
        {key: spool.array(are_texts=False) for key, spool in y.items()},
    )


def _chunks_of(stream: Any) -> Iterator[tuple[_Arrays, _Arrays]]:
    """Inputs and targets by name, several examples at a time.

    An element whose arrays all have one length is taken for several examples; so is a
    single example with as many features as real targets.
    """
    is_batched: bool | None = None
    for element in stream.as_numpy_iterator():
        if not (isinstance(element, tuple) and len(element) == 2):
            raise DataError("The elements of a tf.data.Dataset must be pairs (x, y).")
        x, y = map(_by_name, element)
        if is_batched is None:
            shapes = [array.shape for array in (*x.values(), *y.values())]
            is_batched = all(shapes) and len({shape[0] for shape in shapes}) == 1
        if not is_batched:
            x, y = ({key: a[np.newaxis] for key, a in side.items()} for side in (x, y))
        yield x, y


def _by_name(values: Any) -> _Arrays:
    """Arrays by name; texts of any length are objects."""
    named = values if isinstance(values, Mapping) else {UNNAMED: values}
    return {
        str(name): np.asarray(value, object if isinstance(value, bytes) else None)
        for name, value in named.items()
    }


def _keep(
    spools: dict[str, _Spool], chunks: _Arrays, label: str, allowance: _Allowance
) -> None:
    for name, chunk in chunks.items():
        called = f"{label}[{name!r}]" if name else label
        new = _Spool(called, chunk.shape[1:], chunk.dtype, allowance)
        spools.setdefault(name, new).add(chunk)
