"""NPZ files: headers are read at once, arrays when needed, and never a pickle."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from kscale.data.raw import UNNAMED, RawArray, RawPart, RawParts
from kscale.data.rows import npy_header
from kscale.data.sources.arrays import part_keys
from kscale.errors import DataError

_SUFFIX = ".npy"
_DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, KeyError)


def parts_of_file(path: Path) -> RawParts:
    """Parts of an NPZ file with the arrays `x_train`, `y_train`, ... or `x` and `y`.

    Raises:
        DataError: There is no such file, it is damaged, or arrays are missing in it.
    """
    if not path.exists():
        raise DataError(f"There is no file {path}.")
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise DataError(
            f"{path} is no NPZ file, which is a zip of arrays; numpy.savez writes one."
        )
    try:
        with zipfile.ZipFile(path) as file:
            names = [name for name in file.namelist() if name.endswith(_SUFFIX)]
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    keys = part_keys((name.removesuffix(_SUFFIX) for name in names), str(path))
    return {
        part: RawPart({UNNAMED: _lazy(path, x)}, {UNNAMED: _lazy(path, y)})
        for part, (x, y) in keys.items()
    }


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} is damaged: {error}.")


def _lazy(path: Path, key: str) -> RawArray:
    try:
        with zipfile.ZipFile(path) as file, file.open(key + _SUFFIX) as member:
            shape, _, dtype = npy_header(member)
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    return RawArray(key, shape, dtype, lambda: _read(path, key))


def _read(path: Path, key: str) -> Any:
    try:
        with np.load(path, allow_pickle=False) as file:
            return file[key]
    except _DAMAGED as error:
        raise _damaged(path, error) from error
