"""CSV files that are the parts of one data set: in a folder, or beside a file."""

import re
from pathlib import Path

from kscale.data.parts import PART_NAMES, PartName
from kscale.data.sources.tables.csv_file import (
    is_table,
    looks_like_table,
    refusing_unreadable,
)
from kscale.errors import DataError
from kscale.text import listed

Files = dict[PartName, Path]

_WORDS: dict[str, PartName] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
_PART = re.compile(
    rf"(.*[^a-z])?({'|'.join(_WORDS)})(\.[ct]sv(?:\.gz)?)", re.IGNORECASE
)


def csv_parts(path: Path) -> Files | None:
    """Files by part, if the path is a table or a folder of parts; else None.

    A folder holds `train.csv` and may hold `validation.csv` and `test.csv`. Beside
    `NAME_train.csv` may lie `NAME_validation.csv` and `NAME_test.csv`. Any other file
    is a training part.
    """
    if path.is_dir():
        files = _parts_in(path, "")
        with refusing_unreadable(path):
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
    with refusing_unreadable(folder):
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
