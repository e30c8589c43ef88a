"""Rows: examples in memory or on disk, read by the same brackets."""

import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from kscale.errors import DataError

CHUNK_BYTES = 2**24
"""Bytes of the largest array that a pass over rows holds, but for a single row."""

_LASTING = Path("/var/tmp")  # on disk where /tmp may be held in memory


class Rows(Protocol):
    """What arrays and data on disk have in common."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(examples, ...)`."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers."""

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: Any, /) -> Any:
        """Rows of a slice without a step, or of whole numbers `(rows,)`."""


class Shaped(Protocol):
    """Anything with a shape and a type."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...


def row_bytes(rows: Shaped) -> int:
    """Bytes of one example; text counts its fixed part."""
    return int(np.prod(rows.shape[1:], dtype=np.int64)) * rows.dtype.itemsize


def chunks_of(rows: Rows, most_bytes: int = CHUNK_BYTES) -> Iterator[NDArray[Any]]:
    """All rows in order, some at a time."""
    step = max(1, most_bytes // max(1, row_bytes(rows)))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


class StoredRows:
    """Rows in a temporary file, which is gone when nobody reads it any more.

    Args:
        chunks: The rows in order; each chunk is in memory only while it is written.
        row_shape: Shape of one row.
        dtype: Type of the numbers.

    Raises:
        DataError: The disk is full, or cannot be written.
    """

    def __init__(
        self,
        chunks: Iterable[NDArray[Any]],
        row_shape: tuple[int, ...],
        dtype: Any,
    ) -> None:
        self.dtype = np.dtype(dtype)
        self._row_shape = tuple(row_shape)
        self._row_bytes = self.dtype.itemsize * int(np.prod(row_shape, dtype=np.int64))
        self._file, self._count = self._write(chunks)
        weakref.finalize(self, self._file.close)

    @property
    def shape(self) -> tuple[int, ...]:
        """`(examples, ...)`."""
        return (self._count, *self._row_shape)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, chosen: Any) -> NDArray[Any]:
        if isinstance(chosen, slice):
            start, stop, step = chosen.indices(self._count)
            if step == 1:
                return self._read(start, max(0, stop - start))
            chosen = np.arange(start, stop, step)
        found = np.empty((len(chosen), *self._row_shape), self.dtype)
        for place, row in enumerate(np.asarray(chosen).tolist()):
            found[place] = self._read(row % self._count, 1)[0]
        return found

    def _read(self, start: int, count: int) -> NDArray[Any]:
        size = count * self._row_bytes
        # Not mapped: pages of a mapped file would count as memory of this process.
        data = os.pread(self._file.fileno(), size, start * self._row_bytes)
        if len(data) != size:
            raise DataError("The temporary file of the data was cut short.")
        return np.frombuffer(data, self.dtype).reshape(count, *self._row_shape)

    def _write(self, chunks: Iterable[NDArray[Any]]) -> tuple[BinaryIO, int]:
        folder = _LASTING if os.access(_LASTING, os.W_OK) else tempfile.gettempdir()
        count = 0
        try:
            # Open as long as the rows are read, and gone with the process.
            file = tempfile.TemporaryFile(dir=folder, prefix="kscale-")  # noqa: SIM115
            for chunk in chunks:
                file.write(np.ascontiguousarray(chunk, self.dtype).tobytes())
                count += len(chunk)
            file.flush()
        except OSError as error:
            raise DataError(
                f"The data is larger than memory and {folder} cannot hold it: {error}."
            ) from error
        return file, count


class ComputedRows:
    """Rows made from other rows whenever they are read.

    Args:
        make: From some examples to what is made of them, row by row.
        raw: What they are made from, by name.
        row_shape: Shape of one row.
        dtype: Type of the numbers.
    """

    def __init__(
        self,
        make: Callable[[dict[str, NDArray[Any]]], NDArray[Any]],
        raw: dict[str, Rows],
        row_shape: tuple[int, ...],
        dtype: Any,
    ) -> None:
        self.dtype = np.dtype(dtype)
        self._make = make
        self._raw = raw
        self._row_shape = tuple(row_shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """`(examples, ...)`."""
        return (len(self), *self._row_shape)

    def __len__(self) -> int:
        return len(next(iter(self._raw.values())))

    def __getitem__(self, chosen: Any) -> NDArray[Any]:
        return self._make({name: rows[chosen] for name, rows in self._raw.items()})
