"""Arrays in memory, in NPZ files and in NPY files: named and paired as Keras does."""

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import Rows, chunks_of, lazy_rows, npy_header
from kscale.data.examples import Example, Reader, existing
from kscale.data.parts import PartName
from kscale.data.raw import UNNAMED, RawArray, RawData, RawPart, not_read
from kscale.errors import DataError, cause_of, missing_path

# Names of inputs and of targets: Keras' first (`keras.datasets`), then those of
# MedMNIST, of TensorFlow's guides and of scikit-learn. Capitals are small letters.
_WORDS = (
    ("x", "images", "features", "data", "inputs"),
    ("y", "labels", "label", "targets", "target"),
)
# Of each part, what stands before or after such a word.
_PARTS: dict[PartName, tuple[str, ...]] = {
    "train": ("train", ""),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test",),
}
_LARGE = 8  # of numbers that may have been divided to be at most 1
_MODELS = (".keras", ".h5", ".hdf5")
_SUFFIX = ".npy"  # of the arrays in an NPZ file
_DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, KeyError)


def part_keys(keys: Iterable[str], where: str) -> dict[PartName, tuple[str, str]]:
    """The keys of inputs and targets, by part."""
    known = {key.lower(): key for key in keys}
    chosen: dict[PartName, tuple[str, str]] = {}
    for part, names in _PARTS.items():
        pairs = [[_key(known, words, name) for words in _WORDS] for name in names]
        place = max(range(len(names)), key=lambda place: sum(map(bool, pairs[place])))
        x, y = pairs[place]
        if x and y:
            chosen[part] = x, y
        elif x or y or part == "train":
            given = zip(("x", "y"), (x, y), strict=True)
            missing = [f"{w}_{names[place]}".strip("_") for w, key in given if not key]
            raise DataError(
                f"{where} must have the arrays {' and '.join(missing)} (or only x and "
                f"y), but it has {', '.join(sorted(known.values())) or 'none'}."
            )
    return chosen


def _key(known: Mapping[str, str], words: Iterable[str], name: str) -> str | None:
    """The first key that is one of some words, with the name of a part."""
    spelled = (f"{a}_{b}".strip("_") for w in words for a, b in ((w, name), (name, w)))
    return next((known[key] for key in spelled if key in known), None)


def raw_data_of_arrays(source: Mapping[str, Any] | tuple[Any, Any]) -> RawData:
    """Arrays in memory, as `load_dataset` takes them.

    In a pair, `x` and `y` are arrays, or dicts of arrays by input or target name.
    """
    if isinstance(source, Mapping):
        keys = part_keys(source, "The dict")
    elif all(isinstance(item, tuple) and len(item) == 2 for item in source):
        (x_train, y_train), (x_test, y_test) = source
        keys = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
        source = dict(x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    else:
        keys, source = {"train": ("x", "y")}, dict(zip("xy", source, strict=True))
    parts = {p: RawPart.of(source[x], source[y], x, y) for p, (x, y) in keys.items()}
    return RawData(parts, notes=not_read({*source}.difference(*keys.values())))


def raw_data_of_npz(path: Path) -> RawData:
    """Arrays of an NPZ file, `x_train`, `y_train`, ... or `x` and `y`.

    Headers and names are read at once, arrays when they are needed, never a pickle.
    """
    if not path.exists():
        raise DataError(missing_path(path))
    if path.suffix.lower() in _MODELS and path.is_file():
        raise DataError(
            f"{path} is no data, but a file of a Keras model: count it with kscale "
            f"size {path}, or compare it with kscale tune --baseline {path}."
        )
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise DataError(
            f"{path} is no NPZ file, which is a zip of arrays as numpy.savez makes it, "
            "and no table, whose lines have , ; | or tabs between cells."
        )
    with _refusing_damage(path), zipfile.ZipFile(path) as file:
        names = [
            n.removesuffix(_SUFFIX) for n in file.namelist() if n.endswith(_SUFFIX)
        ]
    if not names:
        raise DataError(f"{path} holds no arrays; unpack it, and give its folder.")
    keys = part_keys(names, str(path))
    parts = {
        part: RawPart({UNNAMED: _lazy(path, x)}, {UNNAMED: _lazy(path, y)})
        for part, (x, y) in keys.items()
    }
    return RawData(parts, notes=not_read({*names}.difference(*keys.values())))


def _lazy(path: Path, key: str) -> RawArray:
    def read() -> NDArray[Any]:
        with _refusing_damage(path), np.load(path, allow_pickle=False) as file:
            return np.asarray(file[key])

    with (
        _refusing_damage(path),
        zipfile.ZipFile(path) as file,
        file.open(key + _SUFFIX) as member,
    ):
        shape, _, dtype = npy_header(member)
    return RawArray(key, lazy_rows(read, shape, dtype))


@contextmanager
def _refusing_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except _DAMAGED as error:
        if "pickle" in str(error):  # for which NumPy takes whatever it does not know
            raise DataError(f"{path} is no .npy or .npz file of arrays.") from error
        raise DataError(f"{path} is damaged: {cause_of(error)}.") from error


def range_of(pieces: Iterable[NDArray[Any]]) -> tuple[Any, Any]:
    """The least and the largest number of some arrays."""
    least, most = zip(*((np.min(x), np.max(x)) for x in pieces), strict=True)
    return min(least).item(), max(most).item()


def scale_note(given: tuple[float, float], train: tuple[float, float]) -> str:
    """How numbers are on another scale than those of training; empty if they are not.

    Both are the least and the largest number.

    Example:

    >>> scale_note((0.0, 1.0), (0.0, 255.0))[:50]
    'numbers are 0 to 1, and were 0 to 255 in training:'
    """
    (least, most), (low, high) = given, train
    is_small = max(-least, most) <= 1 and high >= _LARGE
    if not is_small and low <= least + high - low and most <= high + high - low:
        return ""
    return (
        f"numbers are {least:.6g} to {most:.6g}, and were {low:.6g} to {high:.6g} in "
        "training: bring them to one scale, or answers are guesses."
    )


def scale_warnings(
    raw: RawData, held: Mapping[PartName, Mapping[str, Rows]]
) -> Iterator[str]:
    """A sentence for each array of a given part on another scale than in training."""
    for part in [part for part in raw.parts if part != "train"]:
        for name, array in raw.parts[part].inputs.items():
            # Single numbers may be columns of a table, of which the reader tells.
            if array.dtype.kind == "f" and array.shape[1:]:
                ends = [range_of(chunks_of(held[p][name])) for p in (part, "train")]
                if note := scale_note(*ends):
                    yield f"{array.label}: {note}"


@dataclass(frozen=True)
class ArrayReader(Reader):
    """Arrays of one raw input, by its name and the shape of an example.

    The range is that of the numbers of the training part.
    """

    kind: ClassVar[str] = "arrays"
    suffixes: ClassVar[tuple[str, ...]] = (_SUFFIX, ".npz")

    name: str = "x"
    shape: tuple[int, ...] = ()
    range: tuple[float, float] | None = None

    def fitted(self, train: Mapping[str, Rows]) -> "ArrayReader":
        least, most = map(float, range_of(chunks_of(train[self.name])))
        return replace(self, range=(least, most))

    def readable(self, path: Path) -> Iterator[Example]:
        """The rows of an NPY file, or of `x_test`, `x` or `x_train` in an NPZ file. An
        array of the shape of an example is one."""
        with _refusing_damage(path):
            array = self._array(path)
        array = array[np.newaxis] if array.shape == self.shape else array
        if array.dtype.kind not in "buif":
            raise DataError(f"{path} must hold whole or real numbers.")
        given = array.shape[1:]
        sides, wanted = ([n for n in shape if n != 1] for shape in (given, self.shape))
        if given != self.shape and (*given[1:], *given[:1]) == self.shape:
            array = np.moveaxis(array, 1, -1)  # channels come first
        elif array.ndim == 0 or sides not in (wanted, [prod(self.shape)]):
            raise DataError(
                f"Examples must have the shape {self.shape}, but {path} has {given}."
            )
        numbers, notes = array[np.isfinite(array)], {}
        if numbers.size and self.range:
            note = scale_note(range_of([numbers]), self.range)
            notes = {self.name: f"{path}: {note}"} if note else {}
        for row, values in enumerate(array.reshape(len(array), *self.shape)):
            yield Example(f"{path}:{row}", {self.name: values}, notes=notes)

    def _array(self, path: Path) -> NDArray[Any]:
        loaded: Any = np.load(existing(path), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded as file:
            known = {key.lower(): key for key in file}
            for name in ("test", "", "train"):
                if key := _key(known, _WORDS[0], name):
                    return np.asarray(file[key])
        raise DataError(f"{path} has no array x_test, x or x_train.")
