"""The files below a folder, with what is in the way: links, loops, what is no data."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kscale.errors import DataError

_PASSED_OVER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
_PASSED_OVER_STEMS = frozenset({"readme", "license", "licence"})

Names = tuple[str, ...]
"""A path below the folder, by its names."""


@dataclass
class Walk:
    """What was met below a folder, in sorted order.

    Args:
        root: The folder; links are followed.
        files: Files, those passed over left out.
        folders: Folders, those passed over left out.
        passed_over: Hidden files and folders, and what systems and authors leave.
        broken: Links that lead nowhere, and what is neither file nor folder.
        loops: Links that lead to a folder above them.
    """

    root: Path
    files: list[Names] = field(default_factory=list)
    folders: list[Names] = field(default_factory=list)
    passed_over: list[Names] = field(default_factory=list)
    broken: list[Names] = field(default_factory=list)
    loops: list[Names] = field(default_factory=list)

    @property
    def warnings(self) -> Iterator[str]:
        """A sentence each for links that lead nowhere, and for loops."""
        whats = {"leads to no file": self.broken, "leads to a folder above": self.loops}
        for what, paths in whats.items():
            if paths:
                first = "/".join(paths[0])
                more = f" (and {len(paths) - 1:,} more)" if len(paths) > 1 else ""
                yield f"{first}{more} {what}, and was left out."


def walk(root: Path) -> Walk:
    """Everything below a folder.

    Raises:
        DataError: A folder cannot be read, or a name is no text.
    """
    found = Walk(root)
    _walk(found, (), frozenset())
    return found


def _walk(found: Walk, names: Names, above: frozenset[tuple[int, int]]) -> None:
    folder = found.root.joinpath(*names)
    try:
        stat = folder.stat()
        with os.scandir(folder) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"The folder {folder} cannot be read: {error.strerror}. Change its "
            "permissions or remove it."
        ) from error
    above |= {(stat.st_dev, stat.st_ino)}
    for entry in inside:
        _meet(found, (*names, entry.name), entry, above)


def _meet(
    found: Walk,
    names: Names,
    entry: os.DirEntry[str],
    above: frozenset[tuple[int, int]],
) -> None:
    _check_name(entry)
    if _is_passed_over(entry.name):
        found.passed_over.append(names)
        return
    try:
        is_folder, is_file = entry.is_dir(), entry.is_file()
        stat = entry.stat() if is_folder else None
    except OSError:  # a link to itself
        found.broken.append(names)
        return
    if is_file:
        found.files.append(names)
    elif stat is None:
        found.broken.append(names)
    elif (stat.st_dev, stat.st_ino) in above:
        found.loops.append(names)
    else:
        found.folders.append(names)
        _walk(found, names, above)


def _check_name(entry: os.DirEntry[str]) -> None:
    try:
        entry.name.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"The name {os.fsencode(entry.path)!r} is not UTF-8; rename it."
        ) from error


def _is_passed_over(name: str) -> bool:
    lowered = name.lower()
    stem = lowered.partition(".")[0]
    is_known = lowered in _PASSED_OVER or stem in _PASSED_OVER_STEMS
    return is_known or name.startswith(".")
