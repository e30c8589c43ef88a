"""Text files without classes: documents whose next tokens are predicted."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from kscale.data.example_rows import TEXT
from kscale.data.load_options import Options
from kscale.data.parts import PartName
from kscale.data.raw import RawArray, RawData
from kscale.data.readers.table_files import TextReader
from kscale.data.sources.tables.csv_file import decoded, looks_like_table, opened
from kscale.data.sources.tables.sequences import TextRows, language_data
from kscale.errors import DataError

_SUFFIX = ".txt"
_ENDS = (*".!?", "\u2026")
_QUOTES = "\"'\u201d\u201c\u2019\u00bb"
_HEAD = 4096  # bytes of a file that hold its first line
_NAME = "text"
_FEW = 10  # files, below which their paragraphs are the documents
_BETWEEN = re.compile(r"\n[^\S\n]*\n")


def is_prose(path: Path, has_columns: bool = False) -> bool:
    """Whether a path is a text file, and no table. A text has no delimiters, or, where
    nobody names columns, a first line that ends like a sentence."""
    if path.suffix.lower() != _SUFFIX or not path.is_file():
        return False
    with opened(path) as file:
        head = file.read(_HEAD).decode("utf-8", "replace")
    first = next(iter(head.strip().splitlines()), "")
    ends_so = first.rstrip(f"{_QUOTES} ").endswith(_ENDS)
    return (ends_so and not has_columns) or not looks_like_table(path)


def raw_data_of_text(path: Path, options: Options) -> RawData:
    """Data of a text file; the documents are paragraphs, or lines where no empty lines
    stand between paragraphs."""
    return raw_data_of_documents(path.parent, {"train": [(path.name,)]}, options)


def raw_data_of_documents(
    root: Path, files: Mapping[PartName, Sequence[tuple[str, ...]]], options: Options
) -> RawData:
    """Text files below a folder by part: each is a document, or where there are few of
    them each paragraph is."""
    options.refuse_except("texts without classes", "kind", "vocabulary", "length")
    is_whole = len(files["train"]) >= _FEW
    split, rows, texts = (_whole if is_whole else _paragraphs), {}, {}
    for part, names in files.items():
        paths = [root.joinpath(*each) for each in names]
        rows[part] = found = _rows(split, paths)
        label = str(paths[0] if len(paths) == 1 else paths[0].parent)
        if not len(found):
            raise DataError(f"{label} holds nothing to learn: no text has a word.")
        texts[part] = {_NAME: RawArray(label, np.array(found.texts[_NAME], TEXT))}
    unit = "file" if is_whole else "paragraph, or line without empty lines between,"
    return language_data(
        texts,
        rows,
        options,
        TextReader(by_line=True),
        key="equal texts",
        notes=(f"Each {unit} is a text.",),
    )


def _rows(split: Callable[[str], Iterable[str]], paths: Sequence[Path]) -> TextRows:
    documents, left_out = list[str](), list[str]()
    for path in paths:
        with opened(path) as file:
            found = [*split(decoded(file.read(), path))]
        documents += found
        left_out += [] if found else [str(path)]
    return TextRows({_NAME: documents}, documents, left_out)


def _whole(text: str) -> Iterator[str]:
    if text.strip():
        yield text.strip()


def _paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of a text, or its lines if there is one paragraph only."""
    pieces = _BETWEEN.split(text.strip())
    for piece in pieces if len(pieces) > 1 else text.splitlines():
        yield from _whole(piece)
