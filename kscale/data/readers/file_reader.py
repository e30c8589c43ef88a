"""Files that are one example each: an image, a sound, a text."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from kscale.data.readers.base import Example, Reader, existing
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
