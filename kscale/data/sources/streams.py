"""`tf.data.Dataset`s, read once: into memory, or onto disk where they are larger."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.holding import filled, most_bytes
from kscale.data.parts import PART_NAMES, PartName
from kscale.data.raw import UNNAMED, RawArray, RawPart, RawParts
from kscale.data.rows import StoredRows
from kscale.errors import DataError

_Arrays = dict[str, NDArray[Any]]

_INFINITE = -1  # tf.data.INFINITE_CARDINALITY
_READ_BYTES = 8  # of a number as a network reads it, there twice, as float32 or int32


def is_stream(source: Any) -> bool:
    """Whether it is a `tf.data.Dataset`."""
    return hasattr(source, "as_numpy_iterator")


def are_streams(source: Any) -> bool:
    """Whether it is one, or a dict or tuple of some."""
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

    Raises:
        DataError: One never ends, is empty, its elements are not pairs or differ in
            shape, or there is no training part.
    """
    allowance = Allowance(most_bytes(memory))
    return {
        part: _part_of(stream, part if name else "", allowance)
        for part, (name, stream) in _by_part(source).items()
    }


class Allowance:
    """Bytes of memory that all arrays of a source share."""

    def __init__(self, most: int) -> None:
        self.left = most


class Spool:
    """One array of a stream, as it comes.

    Args:
        label: What the user calls it.
        row_shape: Shape of an example.
        dtype: Its type.
        allowance: Is asked for memory until it is empty; then all goes to disk.
    """

    def __init__(
        self, label: str, row_shape: tuple[int, ...], dtype: Any, allowance: Allowance
    ) -> None:
        self.label = label
        self.row_shape = row_shape
        self.dtype = np.dtype(dtype)
        self._allowance = allowance
        self._chunks: list[NDArray[Any]] = []
        self._rows: StoredRows | None = None

    def add(self, chunk: NDArray[Any]) -> None:
        """Keep further examples.

        Raises:
            DataError: They are of another form than the first one, or the disk is full.
        """
        if chunk.shape[1:] != self.row_shape:
            raise DataError(
                f"{self.label} has examples of different shape, {self.row_shape} and "
                f"{chunk.shape[1:]}."
            )
        self._allowance.left -= chunk.nbytes + _READ_BYTES * chunk.size
        if self._rows is not None:
            self._rows.append(chunk)
            return
        self._chunks.append(chunk)
        if self._allowance.left < 0 and not self.dtype.hasobject:
            self._rows = StoredRows(_consumed(self._chunks), self.row_shape, self.dtype)

    def array(self) -> RawArray:
        """All numbers, or bytes as labels have them."""
        if self._rows is not None:
            return RawArray.stored(self.label, self._rows)
        count = sum(map(len, self._chunks))
        chunks = _consumed(self._chunks)
        whole = filled(chunks, (count, *self.row_shape), self.dtype)
        return RawArray.of(self.label, whole)

    def input(self) -> RawArray:
        """All numbers; or texts, which TensorFlow gives as bytes of UTF-8."""
        if not self.dtype.hasobject or self.row_shape:
            return self.array()
        texts = [
            text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
            for chunk in _consumed(self._chunks)
            for text in chunk
        ]
        return RawArray.of_texts(self.label, texts)


def _consumed(chunks: list[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Chunks in order, each let go before the next is asked for."""
    chunks.reverse()
    while chunks:
        yield chunks.pop()


def _by_part(source: Any) -> dict[PartName, tuple[str, Any]]:
    """Streams by part, each with the name the user knows it by."""
    if is_stream(source):
        return {"train": ("", source)}
    if isinstance(source, tuple):
        if len(source) not in (2, 3):
            raise DataError(
                "A tuple of tf.data.Datasets is (train, test) or (train, validation, "
                f"test), but it has {len(source)}."
            )
        names: tuple[PartName, ...] = PART_NAMES
        names = names if len(source) == 3 else ("train", "test")
        return {
            part: (part, stream) for part, stream in zip(names, source, strict=True)
        }
    if not {"train"} <= source.keys() <= set(PART_NAMES):
        raise DataError(
            f"A dict of tf.data.Datasets has the keys {', '.join(PART_NAMES)}, of "
            f"which train must be there, but it has {', '.join(map(str, source))}."
        )
    return {part: (part, source[part]) for part in PART_NAMES if part in source}


def _part_of(stream: Any, name: str, allowance: Allowance) -> RawPart:
    where = f"The tf.data.Dataset{' ' + name if name else ''}"
    cardinality = getattr(stream, "cardinality", None)
    if cardinality is not None and int(cardinality()) == _INFINITE:
        raise DataError(f"{where} never ends; leave out `repeat()`.")
    ending = f"_{name}" if name else ""
    x: dict[str, Spool] = {}
    y: dict[str, Spool] = {}
    for x_chunks, y_chunks in _chunks_of(stream):
        _keep(x, x_chunks, f"x{ending}", allowance)
        # Labels are few bytes, and are read whole in any case.
        _keep(y, y_chunks, f"y{ending}", Allowance(2**63))
    if not x:
        raise DataError(f"{where} is empty.")
    return RawPart(
        {key: spool.input() for key, spool in x.items()},
        {key: spool.array() for key, spool in y.items()},
    )


def _chunks_of(stream: Any) -> Iterator[tuple[_Arrays, _Arrays]]:
    """Inputs and targets by name, several examples at a time."""
    is_batched: bool | None = None
    for element in stream.as_numpy_iterator():
        if not (isinstance(element, tuple) and len(element) == 2):
            raise DataError("The elements of a tf.data.Dataset must be pairs (x, y).")
        x, y = (_leaves(side) for side in element)
        if is_batched is None:
            is_batched = _is_batched([*x.values(), *y.values()])
        if not is_batched:
            x, y = ({key: a[np.newaxis] for key, a in side.items()} for side in (x, y))
        yield x, y


def _leaves(values: Any) -> _Arrays:
    leaves = values if isinstance(values, Mapping) else {UNNAMED: values}
    return {str(name): _as_array(leaf) for name, leaf in leaves.items()}


def _as_array(leaf: Any) -> NDArray[Any]:
    """An array; a text stays of any length."""
    return np.asarray(leaf, object if isinstance(leaf, bytes) else None)


def _is_batched(leaves: list[NDArray[Any]]) -> bool:
    """Whether one element holds several examples: then all its arrays agree in length.

    An example whose features are as many as its real targets looks the same, and is
    taken for a batch.
    """
    shapes = [leaf.shape for leaf in leaves]
    return all(shapes) and len({shape[0] for shape in shapes}) == 1


def _keep(
    spools: dict[str, Spool], chunks: _Arrays, label: str, allowance: Allowance
) -> None:
    for name, chunk in chunks.items():
        if name not in spools:
            called = f"{label}[{name!r}]" if name else label
            spools[name] = Spool(called, chunk.shape[1:], chunk.dtype, allowance)
        spools[name].add(chunk)
