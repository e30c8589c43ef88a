"""Arrays in memory, and in NPZ files: named and paired as Keras does."""

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kscale.data.example_rows import LazyRows, npy_header
from kscale.data.parts import PART_NAMES, PartName
from kscale.data.raw import UNNAMED, RawArray, RawPart, RawParts
from kscale.errors import DataError

# Keras' names first (`keras.datasets`), then those of MedMNIST and TensorFlow guides.
_KEYS: dict[PartName, tuple[tuple[str, str], ...]] = {
    "train": (
        ("x_train", "y_train"),
        ("X_train", "y_train"),
        ("train_images", "train_labels"),
        ("x", "y"),
        ("X", "y"),
    ),
    "validation": (
        ("x_validation", "y_validation"),
        ("x_val", "y_val"),
        ("X_val", "y_val"),
        ("val_images", "val_labels"),
    ),
    "test": (
        ("x_test", "y_test"),
        ("X_test", "y_test"),
        ("test_images", "test_labels"),
    ),
}


_SUFFIX = ".npy"  # of the arrays in an NPZ file
_DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, KeyError)


def part_keys(keys: Iterable[str], where: str) -> dict[PartName, tuple[str, str]]:
    """The keys of inputs and targets, by part."""
    found = set(keys)
    chosen: dict[PartName, tuple[str, str]] = {}
    for part in PART_NAMES:
        pairs = [pair for pair in _KEYS[part] if found & set(pair)]
        whole = [pair for pair in pairs if found >= set(pair)]
        if part != "train" and not pairs:
            continue
        if not whole:
            missing = sorted(set((pairs or _KEYS[part])[0]) - found)
            raise DataError(
                f"{where} must have the arrays {' and '.join(missing)} (or only x and "
                f"y), but it has {', '.join(sorted(found)) or 'none'}."
            )
        chosen[part] = whole[0]
    return chosen


def parts_of_arrays(source: Mapping[str, Any] | tuple[Any, Any]) -> RawParts:
    """Parts of arrays in memory.

    Args:
        source: A dict with the keys of an NPZ file, `x_train`, `y_train`, ...; or
            `(x, y)`; or `(x_train, y_train), (x_test, y_test)` as Keras gives. In a
            pair, `x` and `y` are arrays, or dicts of arrays by input or target name.
    """
    if isinstance(source, Mapping):
        return {
            part: RawPart.of(source[x], source[y], x, y)
            for part, (x, y) in part_keys(source, "The dict").items()
        }
    if all(isinstance(item, tuple) and len(item) == 2 for item in source):
        (x_train, y_train), (x_test, y_test) = source
        return {
            "train": RawPart.of(x_train, y_train, "x_train", "y_train"),
            "test": RawPart.of(x_test, y_test, "x_test", "y_test"),
        }
    x, y = source
    return {"train": RawPart.of(x, y)}


def parts_of_file(path: Path) -> RawParts:
    """Parts of an NPZ file with the arrays `x_train`, `y_train`, ... or `x` and `y`.

    Headers and names are read at once, arrays when they are needed, never a pickle.
    """
    if not path.exists():
        raise DataError(f"There is no file {path}.")
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise DataError(
            f"{path} is no NPZ file, which is a zip of arrays; numpy.savez writes one."
        )
    with _refusing_damage(path), zipfile.ZipFile(path) as file:
        names = [name for name in file.namelist() if name.endswith(_SUFFIX)]
    keys = part_keys((name.removesuffix(_SUFFIX) for name in names), str(path))
    return {
        part: RawPart({UNNAMED: _lazy(path, x)}, {UNNAMED: _lazy(path, y)})
        for part, (x, y) in keys.items()
    }


def _lazy(path: Path, key: str) -> RawArray:
    with (
        _refusing_damage(path),
        zipfile.ZipFile(path) as file,
        file.open(key + _SUFFIX) as member,
    ):
        shape, _, dtype = npy_header(member)
    return RawArray(key, LazyRows(lambda: _read(path, key), shape, dtype))


def _read(path: Path, key: str) -> Any:
    with _refusing_damage(path), np.load(path, allow_pickle=False) as file:
        return file[key]


@contextmanager
def _refusing_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise DataError(f"{path} is damaged: {error}.") from error
