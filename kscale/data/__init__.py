"""Data of any source as a task and three fixed parts; loading is all that is heavy."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kscale.data import embedded
from kscale.data.arrays import parts_of_mapping, parts_of_pair, parts_of_stream
from kscale.data.assembling import dataset_of, task_of
from kscale.data.base import PART_NAMES, Dataset, Part, PartName, Scaling
from kscale.data.kinds import input_of
from kscale.data.npz import parts_of_file
from kscale.data.raw import RawParts
from kscale.errors import DataError, unknown_name
from kscale.task import InputKind, Task

SOURCES: dict[str, embedded.Embedded] = {
    "diabetes": embedded.DIABETES,
    "digits": embedded.DIGITS,
}
"""Data sets known by name."""

__all__ = [
    "PART_NAMES",
    "SOURCES",
    "Dataset",
    "Part",
    "PartName",
    "Scaling",
    "dataset_name",
    "load_dataset",
    "peek_task",
]


def load_dataset(
    source: Any,
    *,
    kind: InputKind | None = None,
    vocabulary: int | None = None,
    name: str | None = None,
    split_seed: int = 0,
) -> Dataset:
    """A data set, ready to train on.

    Parts the source lacks are cut from its training part, 15 % each (a validation part
    at most 10,000 examples), with the same share of each class. Images, vectors and
    sequences are standardized with the training part's mean and standard deviation.

    Args:
        source: A name of `SOURCES`; path of an NPZ file; `(x, y)` or `(x_train,
            y_train), (x_test, y_test)`; a dict with the keys of an NPZ file (`x_train`,
            `y_train`, `x_test`, ... or `x`, `y`); a finite `tf.data.Dataset` of
            `(x, y)`, which is read into memory (one that shuffles gives other parts
            each time); or a `Dataset`, returned as it is.
        kind: Kind of the inputs, where it should not be inferred.
        vocabulary: Number of token ids, padding included, where it should not be the
            largest id and one.
        name: Name of the data set, where it should not be `dataset_name(source)`.
        split_seed: Decides which examples go to which part.

    Raises:
        DataError: The data cannot be read, or cannot be trained on.

    Example:

    >>> import numpy as np
    >>> x = np.arange(40.0).reshape(20, 2)
    >>> data = load_dataset((x, x[:, 0] > 19))
    >>> len(data.train), len(data.validation), len(data.test)
    (14, 3, 3)
    """
    if isinstance(source, Dataset):
        return source
    parts = _parts_of(source)
    return dataset_of(name or dataset_name(source), parts, kind, vocabulary, split_seed)


def peek_task(
    source: Any, *, kind: InputKind | None = None, vocabulary: int | None = None
) -> Task:
    """The task of a source, without loading more of it than that takes.

    Of an NPZ file only headers and labels are read, and token ids for their vocabulary.

    Args:
        source: As `load_dataset` takes it.
        kind: As `load_dataset` takes it.
        vocabulary: As `load_dataset` takes it.

    Raises:
        DataError: The data cannot be read, or is of no known form.

    Example:

    >>> peek_task("digits").inputs[0].shape
    (8, 8, 1)
    """
    if isinstance(source, Dataset):
        return source.task
    if _is_known(source):
        known = SOURCES[source]
        return Task((input_of("x", [known.x], kind, vocabulary),), (known.target,))
    return task_of(_parts_of(source), kind, vocabulary)[0]


def dataset_name(source: Any) -> str:
    """A short name for reports and folders.

    Example:

    >>> dataset_name("digits"), dataset_name("data/mnist.npz"), dataset_name(([], []))
    ('digits', 'mnist', 'arrays')
    """
    if isinstance(source, Dataset):
        return source.name
    if isinstance(source, str | Path):
        return re.sub(r"[^\w.-]+", "-", Path(source).stem) or "arrays"
    return "arrays"


def _is_known(source: Any) -> bool:
    return isinstance(source, str) and source in SOURCES


def _parts_of(source: Any) -> RawParts:
    if _is_known(source):
        return SOURCES[source].parts()
    if isinstance(source, str | Path):
        return parts_of_file(_path_of(source))
    if hasattr(source, "as_numpy_iterator"):
        return parts_of_stream(source)
    if isinstance(source, Mapping):
        return parts_of_mapping(source)
    if isinstance(source, tuple) and len(source) == 2:
        return parts_of_pair(source)
    raise DataError(
        "Data is a name, the path of an NPZ file, a pair (x, y), a dict of arrays or a "
        f"tf.data.Dataset, not {type(source).__name__}."
    )


def _path_of(source: str | Path) -> Path:
    """The path; a bare word that is no file is a name that nobody knows."""
    path = Path(source)
    if isinstance(source, str) and path.name == source and not path.suffix:
        known = unknown_name("data set", source, SOURCES)
        if not path.exists():
            raise DataError(f"{known} Or give the path of an NPZ file.")
    return path
