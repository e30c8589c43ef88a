"""Files that are one example each, and how those of a folder are read alike."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kscale.data.examples import Example, Reader, existing
from kscale.data.load_options import Options
from kscale.data.parts import PartName
from kscale.data.preprocessing.base import Fit
from kscale.data.raw import RawArray
from kscale.errors import DataError


@dataclass(frozen=True)
class FileReader(Reader):
    """A file is an example of one raw input.

    Args:
        name: Name of the raw input.
    """

    name: str

    def array(self, path: Path) -> NDArray[Any]:
        """The example, without a batch.

        Raises:
            DataError: The file cannot be read; the text names it.
        """
        raise NotImplementedError

    def examples(self, path: Path) -> Iterator[Example]:
        """The one example of a file."""
        try:
            yield Example(str(path), {self.name: self.array(existing(path))})
        except DataError as error:
            yield Example(str(path), None, str(error))


def unreadable(path: Path, what: str, error: Exception | str) -> DataError:
    """The error for a damaged file.

    Args:
        path: The file.
        what: What it should be: `WAV file`.
        error: What is wrong with it.
    """
    reason = str(error).strip().rstrip(".").split("\n")[0] or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    elif path.is_file() and not path.stat().st_size:
        reason = "it is empty"
    return DataError(f"{path} cannot be read as {what}: {reason}. Mend or remove it.")


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
