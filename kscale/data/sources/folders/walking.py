"""The files below a folder; links, loops and files that are no data are sorted out."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from kscale.errors import DataError

_PASSED_OVER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
_PASSED_OVER_STEMS = frozenset({"", "readme", "license", "licence"})  # "" if hidden

Names = tuple[str, ...]
"""A path below the folder, by its names."""


@dataclass
class Walk:
    """What was met below a folder, links followed, in sorted order.

    Passed over is what is hidden, and what systems and authors leave: `Thumbs.db`,
    README. Broken are links that lead nowhere, sockets and devices; loops are links to
    a folder above them.
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
    for at, folders, files in os.walk(root, onerror=_refuse, followlinks=True):
        folder, inside = Path(at), {*folders}
        folders.clear()  # those put back are entered
        for name in sorted((*inside, *files)):
            names = (*folder.relative_to(root).parts, name)
            _list_of(found, folder / name, name in inside).append(names)
            if found.folders[-1:] == [names]:
                folders.append(name)
    for each in (found.files, found.folders, found.passed_over):
        each.sort()
    return found


def _list_of(found: Walk, path: Path, is_folder: bool) -> list[Names]:
    """The list of a walk that a path belongs to."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"The name {os.fsencode(path)!r} is not UTF-8; rename it."
        ) from error
    lowered = path.name.lower()
    if lowered in _PASSED_OVER or lowered.partition(".")[0] in _PASSED_OVER_STEMS:
        return found.passed_over
    if not is_folder:
        return found.files if path.is_file() else found.broken
    is_loop = path.parent.resolve().is_relative_to(path.resolve())
    return found.loops if is_loop else found.folders


def _refuse(error: OSError) -> NoReturn:
    raise DataError(
        f"The folder {error.filename} cannot be read: {error.strerror}. Change its "
        "permissions or remove it."
    ) from error


def keys_found(root: Path, files: Sequence[Names], pattern: str) -> dict[Names, str]:
    """What a regular expression finds in the path of each file below a folder: its
    first group, or the whole match."""
    try:
        searched = re.compile(pattern)
    except re.error as error:
        raise DataError(
            f"`split_by` must be a regular expression, but '{pattern}' is none: "
            f"{error}."
        ) from error
    keys = {}
    for names in files:
        match = searched.search("/".join(names))
        keys[names] = match[1 if searched.groups else 0] if match else ""
        if not keys[names]:
            raise DataError(
                f"`split_by` must be found in the path of each file below {root}, but "
                f"'{pattern}' finds nothing in {'/'.join(names)}."
            )
    return keys
