"""Examples of text files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kscale.data.readers.files import FileReader
from kscale.errors import DataError


@dataclass(frozen=True)
class TextFileReader(FileReader):
    """A text file, UTF-8 with or without a byte order mark, is one text."""

    kind: ClassVar[str] = "text files"
    suffixes: ClassVar[tuple[str, ...]] = (".txt",)

    name: str = "text"

    def text(self, path: Path) -> str:
        """The whole text of a file.

        Raises:
            DataError: It cannot be opened, or is not UTF-8.
        """
        try:
            return path.read_text("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path} is not UTF-8: byte {error.start:,} does not belong to a "
                "character. Save it as UTF-8."
            ) from error
        except OSError as error:
            raise DataError(f"{path} cannot be opened: {error.strerror}.") from error

    def array(self, path: Path) -> NDArray[Any]:
        """The text, an array of shape `()`."""
        return np.array(self.text(path), dtype=np.dtypes.StringDType())
