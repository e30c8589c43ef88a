"""Files that are one example each, and kinds of such files in folders."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import MadeRows, lazy_rows
from kscale.data.examples import Example, Reader, existing
from kscale.data.load_options import Options
from kscale.data.parts import PartName
from kscale.data.preprocessing.base import Fit
from kscale.data.raw import RawArray
from kscale.data.sources.tables.csv_file import is_table
from kscale.errors import DataError

Content = TypeVar("Content")


class FileReader(Reader):
    """A reader of files; each file holds one example of a single raw input."""

    dtype: ClassVar[Any]
    """NumPy type of an example."""

    @property
    def name(self) -> str:
        """Name of the raw input."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an example, without the batch."""
        raise NotImplementedError

    def array(self, path: Path) -> NDArray[Any]:
        """The example, without a batch; a DataError names a file that is damaged."""
        raise NotImplementedError

    def readable(self, path: Path) -> Iterator[Example]:
        if is_table(existing(path)):
            raise DataError(
                f"{path} is a table, but files of {self.kind}, or folders of them, are "
                "wanted here."
            )
        yield Example(str(path), {self.name: self.array(path)})


def unreadable(
    path: Path, what: str, error: Exception, reasons: Mapping[str, str]
) -> DataError:
    """The error for a file that should be, say, `a WAV file`; the reasons are sentences
    by what the text of a library's error has in it."""
    said = (reason for word, reason in reasons.items() if word in str(error).lower())
    reason = next(said, "it is damaged or of an unknown form")
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    elif path.is_file() and not path.stat().st_size:
        reason = "it is empty"
    return DataError(f"{path} cannot be read as {what}: {reason}. Mend or remove it.")


class Reading(NamedTuple):
    """How the files of one folder become examples: what reads a file, in training and
    for predictions, and what makes the network's input of the raw input."""

    reader: FileReader
    fit: Fit
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class FolderKind:
    """Files of one kind.

    Args:
        word: Word for several files, in messages: `images`.
        suffixes: Ends of their names, in small letters.
        options: Options of loading that have a use for such files.
        header: Reads what `decide` must know of a file.
        decide: Chooses one way of reading all files, by the headers of each part.
    """

    word: str
    suffixes: tuple[str, ...]
    options: tuple[str, ...]
    header: Callable[[Path], Any]
    decide: Callable[[Mapping[PartName, Sequence[Any]], Options], Reading]

    def is_of(self, name: str) -> bool:
        """Whether a file is of the kind, by its name."""
        return name.lower().endswith(self.suffixes)


def examples_of(
    reader: FileReader, files: Sequence[Path], word: str, label: str
) -> RawArray:
    """The examples of files, which are opened when they are needed; all texts at once,
    since they are never on disk."""
    paths, shape = np.array(files, object), (len(files), *reader.shape)

    # No threads: two are no faster, neither with small images nor with photos.
    def read(chosen: Any) -> NDArray[Any]:
        found = read_each(paths[chosen], reader.array, word)
        return np.array(found, reader.dtype).reshape(len(found), *reader.shape)

    if np.dtype(reader.dtype).kind == "T":
        rows = lazy_rows(lambda: read(slice(None)), shape, reader.dtype)
        return RawArray(label, rows)
    return RawArray(label, MadeRows(read, shape, reader.dtype), is_slow=True)


def read_each(
    files: Sequence[Path], read: Callable[[Path], Content], word: str
) -> list[Content]:
    """What `read` gives for each file."""
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
