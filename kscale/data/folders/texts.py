"""Folders of texts."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from kscale.data.fitting import Fit
from kscale.data.folders.base import FolderKind, Paths, Understood
from kscale.data.options import Options
from kscale.data.raw import RawArray
from kscale.data.readers.texts import TextFileReader
from kscale.errors import DataError


def _understand(paths: Paths, options: Options) -> Understood:
    reader = TextFileReader()
    fits = {reader.name: _fit(reader.name, options)}
    return Understood(reader.name, partial(texts_of_files, reader), fits, reader)


def _fit(raw_name: str, options: Options) -> Fit:
    # CONNECT HERE: `TextFit(raw_name, options)` of kscale/data/preprocessing/text.py.
    raise DataError("Folders of texts cannot be read yet; give a table of texts.")


def texts_of_files(
    reader: TextFileReader, label: str, files: Sequence[Path]
) -> RawArray:
    """The texts of files, `(examples,)`; they are opened when they are needed."""
    dtype = np.dtypes.StringDType()
    return RawArray(
        label,
        (len(files),),
        dtype,
        lambda: np.array([reader.text(path) for path in files], dtype=dtype),
    )


TEXTS = FolderKind(
    "texts",
    TextFileReader.suffixes,
    ("kind", "split_by", "vocabulary", "length"),
    _understand,
)
