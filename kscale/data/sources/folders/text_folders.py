"""Folders of texts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kscale.data.load_options import Options
from kscale.data.preprocessing.text import TextFit
from kscale.data.raw import RawArray
from kscale.data.readers.text_reader import TextReader, text_of_file
from kscale.data.sources.folders.base import FolderKind, Paths, Understood, read_each


def _understand(paths: Paths, options: Options) -> Understood:
    reader = TextReader()
    name = reader.columns[0].name
    fit = TextFit((name,), options.vocabulary, options.length)
    return Understood(name, texts_of_files, {fit.name: fit}, reader)


def texts_of_files(label: str, files: Sequence[Path]) -> RawArray:
    """The texts of files, `(examples,)`; they are opened when they are needed."""
    dtype = np.dtypes.StringDType()
    return RawArray(
        label,
        (len(files),),
        dtype,
        lambda: np.array(read_each(files, text_of_file, "texts"), dtype=dtype),
    )


TEXTS = FolderKind(
    "texts",
    (".txt",),
    ("kind", "split_by", "vocabulary", "length"),
    _understand,
)
