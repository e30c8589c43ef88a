"""Folders of texts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kscale.data.folders.base import FolderKind, Paths, Understood
from kscale.data.options import Options
from kscale.data.raw import RawArray
from kscale.errors import DataError


def _understand(paths: Paths, options: Options) -> Understood:
    # CONNECT HERE: with `TextFit` of kscale/data/preprocessing/text.py and `TextReader`
    # of kscale/data/readers/texts.py,
    #   fit = TextFit(("text",), options.vocabulary, options.length)
    #   return Understood("text", texts_of_files, {fit.name: fit}, TextReader())
    # and its `text_of_file` instead of the one below.
    raise DataError("Folders of texts cannot be read yet; give a table of texts.")


def texts_of_files(label: str, files: Sequence[Path]) -> RawArray:
    """The texts of files, `(examples,)`; they are opened when they are needed."""
    dtype = np.dtypes.StringDType()
    return RawArray(
        label,
        (len(files),),
        dtype,
        lambda: np.array([text_of_file(path) for path in files], dtype=dtype),
    )


def text_of_file(path: Path) -> str:
    """All of a text file.

    Raises:
        DataError: It cannot be opened, or is not UTF-8.
    """
    try:
        return path.read_text("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8: byte {error.start:,} belongs to no character. Save "
            "it as UTF-8."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror}.") from error


TEXTS = FolderKind(
    "texts", (".txt",), ("kind", "split_by", "vocabulary", "length"), _understand
)
