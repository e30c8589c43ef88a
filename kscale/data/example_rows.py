"""Rows: examples in memory or on disk, indexed alike."""

import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from kscale.errors import DataError

CHUNK_BYTES = 2**24
"""Most bytes that a pass over rows holds at once, but one row at least."""

_NPY_HEADERS: dict[tuple[int, int], Callable[..., Any]] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}
_LASTING = Path("/var/tmp")  # on disk where /tmp may be held in memory


class Rows(Protocol):
    """Examples that an index or a slice reads: a NumPy array, or data on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(examples, ...)`."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers."""

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: Any, /) -> Any:
        """Rows of a slice without a step, or of whole numbers `(rows,)`."""


def row_bytes(rows: Rows) -> int:
    """Bytes of one example; of a text only its fixed part counts."""
    return int(np.prod(rows.shape[1:], dtype=np.int64)) * rows.dtype.itemsize


def chunks_of(rows: Rows, most_bytes: int = CHUNK_BYTES) -> Iterator[NDArray[Any]]:
    """All rows in order, some at a time."""
    step = max(1, most_bytes // max(1, row_bytes(rows)))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


class FileRows:
    """Rows that follow each other in a file, read when they are needed.

    Args:
        file: The file; it is closed when the rows are deleted.
        start: Bytes before the first row.
    """

    def __init__(
        self, file: BinaryIO, start: int, shape: tuple[int, ...], dtype: Any
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
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

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: Any) -> NDArray[Any]:
        # Mapped anew for each read: the pages of a lasting map count as memory of this
        # process. An empty file cannot be mapped.
        whole: NDArray[Any]
        if 0 in self.shape:
            whole = np.empty(self.shape, self.dtype)
        else:
            whole = np.memmap(self._file, self.dtype, "r", self._start, self.shape)
        return np.array(whole[chosen])


class StoredRows(FileRows):
    """Rows in a temporary file, which is gone when the rows are deleted.

    Args:
        chunks: The rows in order; each chunk is in memory only while it is written.
    """

    def __init__(
        self,
        chunks: Iterable[NDArray[Any]],
        row_shape: tuple[int, ...],
        dtype: Any,
    ) -> None:
        with _telling():
            # Open as long as the rows exist, and gone with the process.
            file = tempfile.TemporaryFile(dir=_folder(), prefix="kscale-")  # noqa: SIM115
        super().__init__(cast(BinaryIO, file), 0, (0, *row_shape), dtype)
        for chunk in chunks:
            self.append(chunk)

    def append(self, chunk: NDArray[Any]) -> None:
        """Write further rows, `(rows, *row_shape)`."""
        with _telling():
            self._file.write(np.ascontiguousarray(chunk, self.dtype).tobytes())
            self._file.flush()
        self.shape = (len(self) + len(chunk), *self.shape[1:])


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


class LazyRows:
    """Rows that are read, all at once, when the first of them is needed.

    Args:
        read: Gives all rows.
    """

    def __init__(
        self, read: Callable[[], NDArray[Any]], shape: tuple[int, ...], dtype: Any
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._read = cache(read)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: Any) -> NDArray[Any]:
        found: NDArray[Any] = self._read()[chosen]
        return found


class ChosenRows:
    """Some of other rows, in the order of their indices."""

    def __init__(self, rows: Rows, chosen: NDArray[np.int64]) -> None:
        self.shape = (len(chosen), *rows.shape[1:])
        self.dtype = rows.dtype
        self._rows = rows
        self._chosen = chosen

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: Any) -> NDArray[Any]:
        found: NDArray[Any] = self._rows[self._chosen[chosen]]
        return found


def chosen_rows(rows: Rows, chosen: NDArray[np.int64] | None) -> Rows:
    """The rows of some indices, none of which is read yet; all rows without indices."""
    return rows if chosen is None else ChosenRows(rows, chosen)


class ComputedRows:
    """Rows made from other rows whenever they are read.

    Args:
        make: Makes rows of raw rows by name, each row of one raw row.
        raw: Raw rows by name.
    """

    def __init__(
        self,
        make: Callable[[dict[str, NDArray[Any]]], NDArray[Any]],
        raw: dict[str, Rows],
        row_shape: tuple[int, ...],
        dtype: Any,
    ) -> None:
        self.shape = (len(next(iter(raw.values()))), *row_shape)
        self.dtype = np.dtype(dtype)
        self.raw = raw
        self._make = make

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: Any) -> NDArray[Any]:
        return self._make({name: rows[chosen] for name, rows in self.raw.items()})
