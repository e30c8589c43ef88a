"""CSV files: the parts of a data set among them, and rows; errors give the line."""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from kscale.data.parts import PART_NAMES, PartName
from kscale.data.sources.tables.cells import is_number
from kscale.errors import DataError, missing_path
from kscale.text import counted, listed

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
"""Ends of the names of files that are read as tables."""

Files = dict[PartName, Path]
"""CSV files that are the parts of one data set."""

_DELIMITERS = ",;\t|"
_CHUNK = 4096  # rows
_HEAD = 2**16  # bytes that show whether a file is a table
_MARK = re.compile(r"sep=.\s*")
_GZIP = b"\x1f\x8b"
_WORDS: dict[str, PartName] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    "test": "test",
}
_PART = re.compile(
    rf"(.*[^a-z])?({'|'.join(_WORDS)})(\.[ct]sv(?:\.gz)?)", re.IGNORECASE
)


class CsvRow(NamedTuple):
    """The stripped cells of a row with its first line, or why it cannot be used."""

    line: int
    cells: tuple[str, ...]
    error: str = ""


Chunk = tuple[tuple[int, ...], dict[str, tuple[str, ...]]]
"""Lines of some rows and, by column, their cells."""


@dataclass(frozen=True)
class CsvFile:
    """A file whose first line names its columns.

    Args:
        path: The file; it may be compressed with gzip.
        delimiter: What stands between two cells.
        columns: Names of the columns, no two the same.
        unnamed: Columns without a name in the file, called by their place: `column1`.
        is_literal: Whether quotes are characters like others, as in tab-separated
            sentences.
    """

    path: Path
    delimiter: str
    columns: tuple[str, ...]
    unnamed: tuple[str, ...] = ()
    is_literal: bool = False

    @classmethod
    def of(cls, path: Path) -> "CsvFile":
        """The file at a path, of which the first line is read."""
        delimiter, names = _header(path)
        if not names:
            raise DataError(f"{path} is empty; its first line must name the columns.")
        columns = tuple(n or f"column{i}" for i, n in enumerate(names, 1))
        places = {tuple(str(i + k) for i in range(len(columns))) for k in (0, 1)}
        if all(map(is_number, columns)) and columns not in places:
            raise not_names(path, columns)
        for place, name in enumerate(columns):
            if name in columns[:place]:
                raise DataError(
                    f"The first line of {path} names the column {name!r} twice; rename "
                    "one."
                )
        return cls(
            path, delimiter, columns, tuple(c for c in columns if c not in names)
        )

    @classmethod
    def of_sentences(cls, path: Path) -> "CsvFile":
        """As `of`; in tab-separated sentences quotes are characters like others."""
        found = cls.of(path)
        return replace(found, is_literal=found.delimiter == "\t")

    def rows(self) -> Iterator[CsvRow]:
        """The rows below the first, blank lines left out, one in memory at a time."""
        for line, cells in islice(self._rows(), 1, None):
            error = ""
            if len(cells) != len(self.columns):
                error = (
                    f"{self.path}:{line} must have {counted(len(self.columns), 'cell')}"
                    f", one for each column of the first line, but it has {len(cells)}."
                )
                if len(cells) > len(self.columns):
                    error += f" Cells that hold {self.delimiter!r} must be quoted."
            yield CsvRow(line, cells, error)

    def _rows(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        return _rows(self.path, self.delimiter, self.is_literal)

    def chunks(self) -> Iterator[Chunk]:
        """All rows, some thousand at a time."""
        rows, lines = self.rows(), ()
        while chunk := list(islice(rows, _CHUNK)):
            lines, by_row, errors = zip(*chunk, strict=True)
            for error in filter(None, errors):
                raise DataError(error)
            cells = zip(*by_row, strict=True)
            yield lines, dict(zip(self.columns, cells, strict=True))
        if not lines:
            raise DataError(f"{self.path} has no rows below the names of its columns.")


def parts_notes(files: Mapping[PartName, CsvFile]) -> Iterator[str]:
    """The part of each file, where there are several."""
    if len(files) > 1:
        named = [f"{file.path.name} ({part})" for part, file in files.items()]
        yield f"The parts are {', '.join(named)}."


def is_table(path: Path) -> bool:
    """Whether a file's name ends as those of tables do."""
    return path.name.lower().endswith(SUFFIXES)


def looks_like_table(path: Path) -> bool:
    """Whether a file of another name has two first rows of as many cells."""
    with opened(path) as file:
        head = file.read(_HEAD)
    lines = head[: head.rfind(b"\n") + 1].decode("utf-8-sig", "replace").splitlines()
    if b"\0" in head or "\ufffd" in "".join(lines):
        return False
    tables = ([*islice(csv.reader(lines, delimiter=d), 2)] for d in _DELIMITERS)
    return any(len(t) == 2 and len(t[0]) == len(t[1]) > 1 for t in tables)


def csv_parts(path: Path) -> Files | None:
    """Files by part, if the path is a table or a folder of parts; else None.

    A folder holds `train.csv` and may hold `validation.csv` and `test.csv`. Beside
    `NAME_train.csv` may lie `NAME_validation.csv` and `NAME_test.csv`. Any other file
    is a training part.
    """
    if path.is_dir():
        files = _parts_in(path, "")
        with _refusing_unreadable(path):
            inside = sorted(path.iterdir())
        if inside and all(map(is_table, inside)) and "train" not in files:
            names = listed([file.name for file in inside], 4)
            raise DataError(
                f"{path} holds {names}, but no train.csv: give one of the files, or "
                "call them train.csv, validation.csv and test.csv."
            )
        return files if "train" in files else None
    is_unknown = path.suffix.lower() != ".npz" and path.is_file()
    if not is_table(path) and not (is_unknown and looks_like_table(path)):
        return None
    part, prefix = _part_and_prefix(path)
    beside = _parts_in(path.parent, prefix, path) if part == "train" else {}
    return {"train": path, **beside}


def _part_and_prefix(path: Path) -> tuple[PartName | None, str]:
    known = _PART.fullmatch(path.name)
    return (_WORDS[known[2].lower()], known[1] or "") if known else (None, "")


def _parts_in(folder: Path, prefix: str, train: Path | None = None) -> Files:
    """Files of one prefix, besides a training part that is known."""
    files: Files = {}
    with _refusing_unreadable(folder):
        beside = sorted(folder.iterdir()) if folder.is_dir() else []
    for file in beside:
        part, its_prefix = _part_and_prefix(file)
        if part is None or its_prefix != prefix or not file.is_file():
            continue
        if part in files:
            raise DataError(
                f"{folder} must have one file for the {part} part, but it has "
                f"{files[part].name} and {file.name}; move one elsewhere."
            )
        if not (train and part == "train"):
            files[part] = file
    return {part: files[part] for part in PART_NAMES if part in files}


def table_name(path: Path) -> str:
    """A short name of a CSV file, without `_train`.

    Example:

    >>> table_name(Path("data/adult_train.csv.gz")), table_name(Path("train.tsv"))
    ('adult', 'train')
    """
    part, prefix = _part_and_prefix(path)
    if part == "train" and prefix:
        return prefix.rstrip("_-. ")
    return re.sub(r"\.[ct]sv(\.gz)?$", "", path.name, flags=re.IGNORECASE)


def decoded(data: bytes, path: Path, line: int = 1, before: int = 0) -> str:
    """UTF-8 as text, without a byte order mark at the start of a file.

    The data is a file, or its line of a number, with bytes before it.
    """
    try:
        return data.decode("utf-8-sig" if before == 0 else "utf-8")
    except UnicodeDecodeError as error:
        where = line + data.count(b"\n", 0, error.start)
        raise DataError(
            f"{path}:{where} is not UTF-8: byte {before + error.start:,} of the file "
            f"(counted from 0) is 0x{data[error.start]:02x}. Save the file as UTF-8."
        ) from error


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file opened for reading, decompressed if gzip compressed it."""
    with _refusing_unreadable(path), path.open("rb") as file:
        is_compressed = file.read(2) == _GZIP
        file.seek(0)
        yield cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_compressed else file


@contextmanager
def _refusing_unreadable(path: Path) -> Iterator[None]:
    """Raise errors of the system and of gzip as a DataError that names the path."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(missing_path(path)) from error
    except (OSError, EOFError, zlib.error) as error:
        cut = "it is damaged, or its end is missing"
        reason = getattr(error, "strerror", None) or cut
        raise DataError(f"{path} cannot be read: {reason}.") from error


def _lines(path: Path) -> Iterator[str]:
    with opened(path) as file:
        before = 0
        for number, line in enumerate(file, 1):
            text = decoded(line, path, number, before)
            # Excel may write `sep=;` above the names.
            yield text if number > 1 or not _MARK.fullmatch(text) else "\n"
            before += len(line)


def _rows(
    path: Path, delimiter: str, is_literal: bool = False
) -> Iterator[tuple[int, tuple[str, ...]]]:
    reader = csv.reader(
        _lines(path),
        delimiter=delimiter,
        strict=True,
        skipinitialspace=True,
        quoting=csv.QUOTE_NONE if is_literal else csv.QUOTE_MINIMAL,
    )
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, tuple(map(str.strip, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        what = "a quote may be missing, or one in a cell may not be doubled"
        if "new-line character" in str(error):
            what = "save the file with line ends of LF or CRLF; a CR alone is none"
        raise DataError(f"{path}:{line} cannot be read: {what}.") from error


def _header(path: Path) -> tuple[str, tuple[str, ...]]:
    """The delimiter that makes most columns of the first row, and their names."""
    found: dict[str, tuple[str, ...]] = {}
    errors: list[DataError] = []
    for delimiter in "\t" if ".tsv" in path.name.lower() else _DELIMITERS:
        try:
            found[delimiter] = next(_rows(path, delimiter), (0, ()))[1]
        except DataError as error:  # quotes that close before another delimiter
            errors.append(error)
    if not found:
        raise errors[0]
    return max(found.items(), key=lambda item: len(item[1]))


def not_names(path: Path, values: Sequence[str]) -> DataError:
    """The error for a first line of values."""
    return DataError(
        f"The first line of {path} must name the columns, but it holds values: "
        f"{listed(values, 4)}. Write a line of names above it."
    )
