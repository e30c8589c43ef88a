"""CSV files that are the parts of one data set: in a folder, or beside a file."""

import re
from pathlib import Path

from kscale.data.parts import PART_NAMES, PartName
from kscale.data.sources.tables.csv_file import is_table, refusing_unreadable
from kscale.errors import DataError

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
_END = re.compile(r"\.[ct]sv(\.gz)?$", re.IGNORECASE)


def csv_parts(path: Path) -> Files | None:
    """Files by part, if the path is a CSV file or a folder of parts; else None.

    A folder holds `train.csv` and may hold `validation.csv` and `test.csv`. Beside
    `NAME_train.csv` may lie `NAME_validation.csv` and `NAME_test.csv`. Any other file
    is a training part.
    """
    if path.is_dir():
        files = _parts_in(path, "", is_folder=True)
        return files if "train" in files else None
    if not is_table(path):
        return None
    known = _PART.fullmatch(path.name)
    if known is None or _WORDS[known[2].lower()] != "train":
        return {"train": path}
    found = _parts_in(path.parent, known[1] or "", is_folder=False)
    return {**found, "train": path}


def _parts_in(folder: Path, prefix: str, is_folder: bool) -> Files:
    files: Files = {}
    with refusing_unreadable(folder):
        beside = sorted(folder.iterdir()) if folder.is_dir() else []
    for file in beside:
        known = _PART.fullmatch(file.name)
        if known is None or (known[1] or "") != prefix or not file.is_file():
            continue
        part = _WORDS[known[2].lower()]
        if part in files and (is_folder or part != "train"):
            raise DataError(
                f"{folder} must have one file for the {part} part, but it has "
                f"{files[part].name} and {file.name}; move one elsewhere."
            )
        files[part] = file
    return {part: files[part] for part in PART_NAMES if part in files}


def table_name(path: Path) -> str:
    """A short name of a CSV file, without `_train`.

    Example:

    >>> table_name(Path("data/adult_train.csv.gz")), table_name(Path("train.tsv"))
    ('adult', 'train')
    """
    known = _PART.fullmatch(path.name)
    if known is not None and _WORDS[known[2].lower()] == "train" and known[1]:
        return known[1].rstrip("_-. ")
    return _END.sub("", path.name)
