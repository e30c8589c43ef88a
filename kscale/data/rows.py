"""Rows: examples in memory or on disk, read by the same brackets."""

import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from kscale.errors import DataError

CHUNK_BYTES = 2**24
"""Bytes of the largest array that a pass over rows holds, but for a single row."""

_GAP_BYTES = 2**14  # read through rather than left out
_MOST_READ = 2**30  # a system reads at most 2 GiB at once
_NPY_HEADERS: dict[tuple[int, int], Callable[..., Any]] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}
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


class FileRows:
    """Rows that follow each other in a file, read when they are needed.

    Args:
        file: The file, which is closed when nobody reads the rows any more.
        start: Bytes before the first row.
        shape: `(examples, ...)`.
        dtype: Type of the numbers.
    """

    def __init__(
        self, file: BinaryIO, start: int, shape: tuple[int, ...], dtype: Any
    ) -> None:
        self.dtype = np.dtype(dtype)
        self._count, *row_shape = shape
        self._row_shape = tuple(row_shape)
        self._row_bytes = row_bytes(self)
        self._file = file
        self._start = start
        weakref.finalize(self, file.close)

    @classmethod
    def of_npy(cls, path: Path) -> "FileRows":
        """The rows of an NPY file.

        Raises:
            ValueError: It is no NPY file, or its rows lie in another order.
        """
        file = path.open("rb")
        shape, in_columns, dtype = npy_header(file)
        if in_columns or dtype.hasobject:
            raise ValueError(f"{path} does not hold one row after the other")
        return cls(file, file.tell(), shape, dtype)

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
        rows = np.asarray(chosen, np.int64)
        rows = np.where(rows < 0, rows + self._count, rows)
        if (np.diff(rows) >= 0).all():
            return self._gather(rows)
        order = np.argsort(rows, kind="stable")
        found = np.empty((len(rows), *self._row_shape), self.dtype)
        found[order] = self._gather(rows[order])
        return found

    def _gather(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Rows in ascending order, neighbours in one read."""
        found = np.empty((len(rows), *self._row_shape), self.dtype)
        if len(rows) and (rows[0] < 0 or rows[-1] >= self._count):
            raise IndexError(f"Rows {rows[0]} to {rows[-1]} of {self._count}.")
        data, width = _bytes_of(found), self._row_bytes
        for start, stop in _spans(rows, max(1, width)):
            first, last = int(rows[start]), int(rows[stop - 1])
            if stop - start == 1:
                self._fill(data[start * width : stop * width], first)
            else:
                block = self._read(first, last - first + 1)
                np.take(block, rows[start:stop] - first, axis=0, out=found[start:stop])
        return found

    def _read(self, start: int, count: int) -> NDArray[Any]:
        found = np.empty((count, *self._row_shape), self.dtype)
        self._fill(_bytes_of(found), start)
        return found

    def _fill(self, rest: memoryview, start: int) -> None:
        """Read bytes that begin with a row."""
        place = self._start + start * self._row_bytes
        while len(rest):
            # Not mapped: pages of a mapped file would count as memory of this process.
            data = os.pread(self._file.fileno(), min(len(rest), _MOST_READ), place)
            if not data:
                raise DataError("A file of the data was cut short.")
            rest[: len(data)] = data
            rest, place = rest[len(data) :], place + len(data)


class StoredRows(FileRows):
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
        with _telling():
            # Open as long as the rows are read, and gone with the process.
            file = tempfile.TemporaryFile(dir=_folder(), prefix="kscale-")  # noqa: SIM115
        super().__init__(cast(BinaryIO, file), 0, (0, *row_shape), dtype)
        for chunk in chunks:
            self.append(chunk)

    def append(self, chunk: NDArray[Any]) -> None:
        """Write further rows, `(rows, *row_shape)`.

        Raises:
            DataError: The disk is full.
        """
        with _telling():
            self._file.write(np.ascontiguousarray(chunk, self.dtype).tobytes())
            self._file.flush()
        self._count += len(chunk)


def npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns follow each other, and type of an NPY file's array.

    Raises:
        ValueError: It is no NPY file of version 1 or 2.
    """
    version = npy.read_magic(file)
    if version not in _NPY_HEADERS:
        raise ValueError(f"NPY files of version {version} are not read")
    header: tuple[tuple[int, ...], bool, np.dtype[Any]] = _NPY_HEADERS[version](file)
    return header


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _spans(rows: NDArray[np.int64], width: int) -> Iterator[tuple[int, int]]:
    """Pieces of ascending rows to read in one go, with what lies between them.

    One more read takes as long as copying some thousand bytes, and a disk gives whole
    pages (`experiments/streaming.py`).
    """
    is_far = np.diff(rows) * width > width + _GAP_BYTES
    is_long = np.diff(rows // max(1, CHUNK_BYTES // width)) > 0
    cuts = (np.flatnonzero(is_far | is_long) + 1).tolist()
    ends = [*cuts, len(rows)] if len(rows) else []
    return zip([0, *cuts], ends, strict=False)


def _folder() -> Path:
    is_there = os.access(_LASTING, os.W_OK)
    return _LASTING if is_there else Path(tempfile.gettempdir())


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"The data is larger than memory and {_folder()} cannot hold it: {error}."
        ) from error


class ChosenRows:
    """Some of the rows that lie somewhere, in an order of their own.

    Args:
        take: Gives the rows of some indices.
        chosen: The indices, one a row.
        row_shape: Shape of one row.
        dtype: Type of the numbers.
    """

    def __init__(
        self,
        take: Callable[[NDArray[np.int64]], NDArray[Any]],
        chosen: NDArray[np.int64],
        row_shape: tuple[int, ...],
        dtype: Any,
    ) -> None:
        self.dtype = np.dtype(dtype)
        self._take = take
        self._chosen = chosen
        self._row_shape = tuple(row_shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """`(examples, ...)`."""
        return (len(self._chosen), *self._row_shape)

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, chosen: Any) -> NDArray[Any]:
        return self._take(self._chosen[chosen])


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
        self.raw = raw
        self._row_shape = tuple(row_shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """`(examples, ...)`."""
        return (len(self), *self._row_shape)

    def __len__(self) -> int:
        return len(next(iter(self.raw.values())))

    def __getitem__(self, chosen: Any) -> NDArray[Any]:
        return self._make({name: rows[chosen] for name, rows in self.raw.items()})
