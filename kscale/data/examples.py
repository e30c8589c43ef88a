"""Reader: how files become raw inputs, the same in training and in predictions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from kscale.data.by_kind import ByKind
from kscale.errors import DataError


@dataclass(frozen=True, eq=False)
class Example:
    """One example of a file, or why there is none.

    Args:
        source: The file, and the row in it where it has several: `a.csv:17`.
        raw: By raw input, one example without a batch; None if it cannot be read.
        error: Why it cannot be read.
    """

    source: str
    raw: Mapping[str, NDArray[Any]] | None
    error: str = ""


@dataclass(frozen=True)
class Reader(ByKind):
    """How the files of one data set are read."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    """Ends, in small letters, of the files in a folder that are read; all if empty."""

    def files(self, path: Path) -> Iterator[Path]:
        """The file at a path; of a folder the files below it, in sorted order."""
        if not path.is_dir():
            yield path
            return
        for entry in sorted(path.iterdir()):
            if entry.name.startswith("."):
                continue
            if entry.is_dir() or self._is_mine(entry):
                yield from self.files(entry)

    def _is_mine(self, file: Path) -> bool:
        return not self.suffixes or file.name.lower().endswith(self.suffixes)

    def examples(self, path: Path) -> Iterator[Example]:
        """The examples of a file, one after the other; what is unreadable is told."""
        raise NotImplementedError


def existing(path: Path) -> Path:
    """The path of a file that is there.

    Raises:
        DataError: It is not, or it is a folder.
    """
    try:
        if path.is_file():
            return path
        what = "is a folder" if path.is_dir() else "does not exist"
    except OSError as error:
        what = f"cannot be opened: {error.strerror}"
    raise DataError(f"{path} {what}.")
