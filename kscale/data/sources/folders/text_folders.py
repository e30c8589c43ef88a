"""Folders of texts."""

from typing import Any

from kscale.data.load_options import Options
from kscale.data.preprocessing.text import TextFit
from kscale.data.readers.table_reader import TEXT
from kscale.data.readers.text_reader import TextReader, text_of_file
from kscale.data.sources.folders.folder_kinds import FolderKind, Reading


def _decide(headers: Any, options: Options) -> Reading:
    reader = TextReader()
    name = reader.columns[0].name
    fit = TextFit((name,), options.vocabulary, options.length)
    return Reading(name, (), TEXT, text_of_file, {fit.name: fit}, reader)


TEXTS = FolderKind(
    "texts",
    (".txt",),
    ("kind", "split_by", "vocabulary", "length"),
    lambda path: None,  # a text tells nothing before it is read
    _decide,
)
