"""Examples of files: a reader makes the same raw inputs in training and predictions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from kscale.data.by_kind import ByKind
from kscale.data.example_rows import Rows
from kscale.errors import DataError, missing_path


@dataclass(frozen=True, eq=False)
class Example:
    """One example of a file, or why it cannot be read.

    Args:
        source: The file, with the line or row of a file of several: `a.csv:17`.
        raw: By raw input, the example without a batch; None if there is an error.
        error: Why the example cannot be read.
        notes: By column, how the example is unlike all that were trained on.
    """

    source: str
    raw: Mapping[str, NDArray[Any]] | None
    error: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader(ByKind):
    """How files of the form of one data set are read."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    """Ends of the names of files to read, in small letters; empty for all files."""

    def fitted(self, train: Mapping[str, Rows]) -> "Reader":
        """The reader with what it says of training in notes, from raw examples."""
        return self

    def files(self, path: Path) -> Iterator[Path]:
        """The file at a path, or the files below a folder in sorted order."""
        if not path.is_dir():
            yield path
            return
        for entry in sorted(path.iterdir()):
            is_read = not self.suffixes or entry.name.lower().endswith(self.suffixes)
            if not entry.name.startswith(".") and (is_read or entry.is_dir()):
                yield from self.files(entry)

    def examples(self, path: Path) -> Iterator[Example]:
        """The examples of a file in order; an unreadable one has an error."""
        try:
            yield from self.readable(path)
        except DataError as error:
            yield Example(str(path), None, str(error))

    def readable(self, path: Path) -> Iterator[Example]:
        """As `examples`, but what is wrong with the whole file is raised."""
        raise NotImplementedError


def existing(path: Path, is_guessed: bool = True) -> Path:
    """The path, if a file is there; else an error that says what is, with the nearest
    name there if `is_guessed`."""
    try:
        if path.is_file():
            return path
        missing = missing_path(path) if is_guessed else f"There is no file {path}."
        text = f"{path} is a folder." if path.is_dir() else missing
    except OSError as error:
        text = f"{path} cannot be opened: {error.strerror}."
    raise DataError(text)
