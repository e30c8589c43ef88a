"""What a kind of files in folders says: which they are, and how they are read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kscale.data.load_options import Options
from kscale.data.parts import PartName
from kscale.data.preprocessing.base import Fit
from kscale.data.raw import RawArray
from kscale.data.readers.base import Reader
from kscale.errors import DataError

Content = TypeVar("Content")

Paths = Mapping[PartName, Sequence[Path]]
"""Files by part; the training part is there."""


@dataclass(frozen=True, eq=False)
class Understood:
    """How the files of a folder are read.

    Args:
        name: Name of the raw input.
        array: From a label for messages and files to the examples in them.
        fits: By name of a network's input.
        reader: Reads such files again.
        notes, warnings: One sentence each.
    """

    name: str
    array: Callable[[str, Sequence[Path]], RawArray]
    fits: Mapping[str, Fit]
    reader: Reader
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class FolderKind:
    """Files of one kind.

    Args:
        word: What they are, for messages: `images`.
        suffixes: Ends of their names, in small letters.
        options: Options of loading that have a use for them.
        understand: Looks at the files of all parts.
    """

    word: str
    suffixes: tuple[str, ...]
    options: tuple[str, ...]
    understand: Callable[[Paths, Options], Understood]


def read_each(
    files: Sequence[Path], read: Callable[[Path], Content], what: str
) -> list[Content]:
    """What each file holds, or its header alone.

    Args:
        files: All of one kind.
        read: Reads one.
        what: Several of the kind, for the message.

    Raises:
        DataError: Some cannot be read; the text counts them and names the first three.
    """
    found, errors = [], []
    for path in files:
        try:
            found.append(read(path))
        except DataError as error:
            errors.append(error)
    if len(errors) > 1:
        count = f"{len(errors):,} of {len(files):,}"
        raise DataError(f"{count} {what} are damaged: {' '.join(map(str, errors[:3]))}")
    if errors:
        raise errors[0]
    return found
