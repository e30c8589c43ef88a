"""The files below a folder; links, loops and files that are no data are sorted out."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

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
        files: Files, without those passed over.
        folders: Folders, without those passed over.
        passed_over: Hidden ones, and files of systems and authors: `Thumbs.db`, README.
        broken: Links that lead nowhere, and sockets or devices.
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
    """Everything below a folder."""
    found = Walk(root)
    for folder, folders, files in os.walk(root, onerror=_refuse, followlinks=True):
        _meet(found, Path(folder), folders, files)
    for names in (found.files, found.folders, found.passed_over):
        names.sort()
    return found


def _meet(found: Walk, folder: Path, folders: list[str], files: list[str]) -> None:
    """Sort the content of a folder; `folders` keeps those to enter."""
    above, place = folder.relative_to(found.root).parts, folder.resolve()
    inside, folders[:] = {*folders}, []
    for name in sorted((*inside, *files)):
        path, names = folder / name, (*above, name)
        _check_name(path)
        if _is_passed_over(name):
            found.passed_over.append(names)
        elif name not in inside:
            (found.files if path.is_file() else found.broken).append(names)
        elif place.is_relative_to(path.resolve()):
            found.loops.append(names)
        else:
            found.folders.append(names)
            folders.append(name)


def _refuse(error: OSError) -> NoReturn:
    raise DataError(
        f"The folder {error.filename} cannot be read: {error.strerror}. Change its "
        "permissions or remove it."
    ) from error


def _check_name(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"The name {os.fsencode(path)!r} is not UTF-8; rename it."
        ) from error


def _is_passed_over(name: str) -> bool:
    lowered = name.lower()
    stem = lowered.partition(".")[0]
    is_known = lowered in _PASSED_OVER or stem in _PASSED_OVER_STEMS
    return is_known or name.startswith(".")
