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

from kscale.errors import DataError, cause_of

TEXT = np.dtypes.StringDType()
"""Type of rows of texts."""

CHUNK_BYTES = 2**24
"""Most bytes that a pass over rows holds at once, but one row at least."""


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
    """All rows in order, in chunks of at most so many bytes; for computed rows, the
    limit holds for their sources as well."""
    read = [rows, *(rows.raw.values() if isinstance(rows, ComputedRows) else ())]
    step = max(1, most_bytes // max(1, *map(row_bytes, read)))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def spaced(count: int, most: int) -> NDArray[np.int64]:
    """Places of at most so many of all examples, evenly spaced.

    Example:

    >>> spaced(10, 4).tolist(), spaced(2, 4).tolist()
    ([0, 2, 5, 7], [0, 1])
    """
    some = min(count, most)
    return np.arange(some) * count // some


class FileRows:
    """Rows that follow each other in a file from the byte `start` on.

    Rows are read when needed; the file is closed when the object is deleted.
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
        """The rows of an NPY file; a ValueError if they lie in another order."""
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
        if 0 in self.shape:
            return np.array(np.empty(self.shape, self.dtype)[chosen])
        mapped = np.memmap(self._file, self.dtype, "r", self._start, self.shape)
        return np.array(mapped[chosen])


class StoredRows(FileRows):
    """Rows of some chunks in a temporary file, which is gone when they are deleted."""

    def __init__(
        self, chunks: Iterable[NDArray[Any]], row_shape: tuple[int, ...], dtype: Any
    ) -> None:
        with _lasting_folder() as folder:
            # Open as long as the rows exist, and gone with the process.
            file = tempfile.TemporaryFile(dir=folder, prefix="kscale-")  # noqa: SIM115
        super().__init__(cast(BinaryIO, file), 0, (0, *row_shape), dtype)
        for chunk in chunks:
            self.append(chunk)

    def append(self, chunk: NDArray[Any]) -> None:
        """Write further rows, `(rows, *row_shape)`."""
        with _lasting_folder():
            self._file.write(np.ascontiguousarray(chunk, self.dtype).tobytes())
            self._file.flush()
        self.shape = (len(self) + len(chunk), *self.shape[1:])


def npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns follow each other, and type of an NPY file's array."""
    version = npy.read_magic(file)
    if version == (1, 0):
        return npy.read_array_header_1_0(file)
    if version == (2, 0):
        return npy.read_array_header_2_0(file)
    raise ValueError(f"NPY files of version {version} are not read")


@contextmanager
def _lasting_folder() -> Iterator[str]:
    """A folder on disk; an error of writing there tells the user why it was needed."""
    # /tmp may be held in memory.
    folder = "/var/tmp" if os.access("/var/tmp", os.W_OK) else tempfile.gettempdir()
    try:
        yield folder
    except OSError as error:
        raise DataError(
            f"The data is larger than memory and {folder} cannot hold it: "
            f"{cause_of(error)}."
        ) from error


class MadeRows:
    """Rows that `make` gives for a slice or whole numbers whenever they are read."""

    def __init__(
        self, make: Callable[[Any], NDArray[Any]], shape: tuple[int, ...], dtype: Any
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._make = make

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: Any) -> NDArray[Any]:
        return self._make(chosen)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)


def lazy_rows(read: Callable[[], Rows], shape: tuple[int, ...], dtype: Any) -> MadeRows:
    """Rows that `read` gives, all at once, when the first of them is needed."""
    once = cache(read)
    return MadeRows(lambda chosen: once()[chosen], shape, dtype)


def chosen_rows(rows: Rows, chosen: NDArray[np.int64] | None) -> Rows:
    """The rows of some indices, none of which is read yet; all rows without indices."""
    if chosen is None:
        return rows
    shape = (len(chosen), *rows.shape[1:])
    return MadeRows(lambda these: rows[chosen[these]], shape, rows.dtype)


class ComputedRows(MadeRows):
    """Rows that `make` gives for raw rows by name, each row of one raw row."""

    def __init__(
        self,
        make: Callable[[dict[str, NDArray[Any]]], NDArray[Any]],
        raw: dict[str, Rows],
        row_shape: tuple[int, ...],
        dtype: Any,
    ) -> None:
        def computed(chosen: Any) -> NDArray[Any]:
            return make({name: rows[chosen] for name, rows in raw.items()})

        super().__init__(computed, (len(next(iter(raw.values()))), *row_shape), dtype)
        self.raw = raw
        self._of_raw = make

    def first(self, number: int) -> "ComputedRows":
        """The first rows, computed as all are."""
        raw = {name: first_rows(rows, number) for name, rows in self.raw.items()}
        return ComputedRows(self._of_raw, raw, self.shape[1:], self.dtype)


def first_rows(rows: Rows, number: int) -> Any:
    """The first rows, in memory, computed or read as all are."""
    if isinstance(rows, ComputedRows):
        return rows.first(number)
    is_array = isinstance(rows, np.ndarray)
    return rows[:number] if is_array else chosen_rows(rows, np.arange(number))


def byte_rows(rows: Rows) -> Rows:
    """The bytes that rows are computed from, such as pixels; else the rows."""
    raw = [*rows.raw.values()] if isinstance(rows, ComputedRows) else []
    return raw[0] if [each.dtype for each in raw] == [np.uint8] else rows


def is_in_memory(rows: Rows) -> bool:
    """Whether rows, or the bytes that they are computed from, lie in memory."""
    return isinstance(byte_rows(rows), np.ndarray)
