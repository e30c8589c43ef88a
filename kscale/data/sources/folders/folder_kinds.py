"""A kind of files in folders: which they are, and how examples are read of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kscale.data.load_options import Options
from kscale.data.parts import PartName
from kscale.data.preprocessing.base import Fit
from kscale.data.raw import RawArray
from kscale.data.readers.base import Reader
from kscale.errors import DataError

Content = TypeVar("Content")


@dataclass(frozen=True, eq=False)
class Reading:
    """How examples are read of the files of one folder.

    Args:
        name: Name of the raw input.
        shape: Shape of one example.
        dtype: NumPy type of it.
        read: From a file to its example.
        fits: By name of a network's input.
        reader: Reads such files again.
        notes: One sentence each.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    read: Callable[[Path], Any]
    fits: Mapping[str, Fit]
    reader: Reader
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FolderKind:
    """Files of one kind.

    Args:
        word: What they are, for messages: `images`.
        suffixes: Ends of their names, in small letters.
        options: Options of loading that have a use for them.
        header: From a file to what `decide` must know of it.
        decide: From the headers of each part, the training part among them, to one way
            of reading all files.
    """

    word: str
    suffixes: tuple[str, ...]
    options: tuple[str, ...]
    header: Callable[[Path], Any]
    decide: Callable[[Mapping[PartName, Sequence[Any]], Options], Reading]

    def reading(
        self, paths: Mapping[PartName, Sequence[Path]], options: Options
    ) -> Reading:
        """How the files of all parts are read.

        Raises:
            DataError: Some are damaged, or an option does not suit them.
        """
        headers = {
            part: read_each(files, self.header, self.word)
            for part, files in paths.items()
        }
        return self.decide(headers, options)


def examples_of(
    reading: Reading, files: Sequence[Path], word: str, label: str
) -> RawArray:
    """The examples of files, which are opened when they are needed.

    Args:
        reading: How they are read.
        files: One an example.
        word: What they are, for messages: `images`.
        label: What a user calls all of them, for messages.
    """

    # No threads: two are no faster, neither with small images nor with photos.
    def take(rows: NDArray[np.int64]) -> NDArray[Any]:
        found = read_each([files[row] for row in rows.tolist()], reading.read, word)
        return np.array(found, reading.dtype).reshape(len(rows), *reading.shape)

    shape = (len(files), *reading.shape)
    return RawArray.lazy(label, shape, reading.dtype, take)


def read_each(
    files: Sequence[Path], read: Callable[[Path], Content], word: str
) -> list[Content]:
    """What each file holds, or its header.

    Args:
        files: All of one kind.
        read: Reads one.
        word: What they are, for messages: `images`.

    Raises:
        DataError: Some cannot be read; the text counts them and names the first three.
    """
    found, errors = [], []
    for path in files:
        try:
            found.append(read(path))
        except DataError as error:
            errors.append(error)
    if len(errors) > 1:
        count = f"{len(errors):,} of {len(files):,}"
        raise DataError(f"{count} {word} are damaged: {' '.join(map(str, errors[:3]))}")
    if errors:
        raise errors[0]
    return found
