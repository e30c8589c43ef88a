"""Which files of a folder belong to which part and class."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kscale.data.parts import PART_NAMES, PartName
from kscale.data.sources.folders.walking import Names, Walk
from kscale.errors import DataError

_PARTS: dict[str, PartName] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_SHOWN = 5


@dataclass(frozen=True)
class File:
    """One example.

    Args:
        names: Its path below the folder.
        label: Its class.
    """

    names: Names
    label: str


@dataclass(frozen=True)
class Layout:
    """The examples of a folder.

    Args:
        root: The folder.
        folders: By part, the folder of its classes.
        parts: By part, its files in sorted order; the training part first.
        warnings: One sentence each.
    """

    root: Path
    folders: Mapping[PartName, Path]
    parts: Mapping[PartName, Sequence[File]]
    warnings: tuple[str, ...]

    @property
    def classes(self) -> list[str]:
        """Names of the training part's classes, sorted."""
        return sorted({file.label for file in self.parts["train"]})


def layout_of(walk: Walk, files: Sequence[Names], word: str) -> Layout:
    """Parts and classes of files.

    Args:
        walk: The folder.
        files: Its files of one kind.
        word: What they are, for messages: `images`.

    Raises:
        DataError: The folder is not of the form; the text says what was found.
    """
    folders = _part_folders(walk, files)
    if not folders:
        return _of_classes(walk, files, word)
    if "train" not in folders:
        raise DataError(
            f"{walk.root} has the parts {', '.join(folders.values())}, but no folder "
            f"train. {expected(walk.root)}"
        )
    return _of_parts(walk, files, folders, word)


def expected(root: Path) -> str:
    """The sentence that says how a folder should look."""
    return (
        f"Expected is a folder for each class, {root}/CLASS/FILE, or such folders in "
        f"{root}/train, and in validation and test if they are there."
    )


def _part_folders(walk: Walk, files: Sequence[Names]) -> dict[PartName, str]:
    """Folders of parts by part; none if folders so called are classes.

    They are parts where they alone are there, or where most files of the training part
    lie deeper, in folders of their class.
    """
    depths = {names[0]: [0, 0] for names in files if len(names) > 1}
    for names in files:
        if len(names) > 1:
            depths[names[0]][len(names) > 2] += 1
    named = {top: _PARTS[top.lower()] for top in depths if top.lower() in _PARTS}
    beside, deeper = (
        sum(depths[top][is_deep] for top, part in named.items() if part == "train")
        for is_deep in (0, 1)
    )
    if not named or (deeper <= beside and len(named) < len(depths)):
        return {}
    chosen: dict[PartName, str] = {}
    for top, part in named.items():
        if part in chosen:
            raise DataError(
                f"{walk.root} has both {chosen[part]} and {top} for the {part} part; "
                "join them."
            )
        chosen[part] = top
    return {part: chosen[part] for part in PART_NAMES if part in chosen}


def _of_classes(walk: Walk, files: Sequence[Names], word: str) -> Layout:
    examples = [File(names, names[0]) for names in files if len(names) > 1]
    if not examples:
        raise DataError(
            f"{walk.root} has {len(files):,} {word}, but none in a folder of its "
            f"class. {expected(walk.root)}"
        )
    warnings = _beside(walk.root, len(files) - len(examples), word)
    return Layout(
        walk.root,
        {"train": walk.root},
        {"train": examples},
        (*warnings, *_empty(walk, examples, 1, word)),
    )


def _of_parts(
    walk: Walk, files: Sequence[Names], folders: Mapping[PartName, str], word: str
) -> Layout:
    parts: dict[PartName, list[File]] = {}
    warnings: list[str] = []
    for part, top in folders.items():
        mine = [names for names in files if names[0] == top and len(names) > 1]
        parts[part] = [File(names, names[1]) for names in mine if len(names) > 2]
        warnings += _beside(walk.root / top, len(mine) - len(parts[part]), word)
    if not parts["train"]:
        raise DataError(
            f"{walk.root / folders['train']} has {word}, but none in a folder of its "
            f"class. {expected(walk.root)}"
        )
    parts = {part: examples for part, examples in parts.items() if examples}
    read = {*folders.values()}
    others = {names[0] for names in files if len(names) > 1} - read
    if others:
        warnings.append(
            f"{_listed(sorted(others))} in {walk.root} {_is(others)} no part, and "
            f"{'was' if len(others) == 1 else 'were'} left out."
        )
    warnings += _beside(walk.root, sum(len(names) == 1 for names in files), word)
    every = [file for examples in parts.values() for file in examples]
    warnings += _empty(walk, every, 2, word, read)
    paths = {part: walk.root / folders[part] for part in parts}
    return Layout(walk.root, paths, parts, tuple(warnings))


def _beside(folder: Path, count: int, word: str) -> list[str]:
    if not count:
        return []
    return [f"{count:,} {word} in {folder}, in no folder of a class, were left out."]


def _empty(
    walk: Walk,
    files: Iterable[File],
    depth: int,
    word: str,
    tops: set[str] | None = None,
) -> list[str]:
    """A sentence if folders where classes are have no file."""
    used = {file.names[:depth] for file in files}
    empty = [
        "/".join(names)
        for names in walk.folders
        if len(names) == depth and names not in used and names[0] in (tops or names)
    ]
    if not empty:
        return []
    is_one = len(empty) == 1
    return [
        f"{_listed(empty)} in {walk.root} {'has' if is_one else 'have'} no {word}, and "
        f"{'was' if is_one else 'were'} left out."
    ]


def missing_classes(layout: Layout, word: str) -> list[str]:
    """A sentence for each part that lacks a class of the training part.

    Raises:
        DataError: A part has a class that the training part lacks.
    """
    known = set(layout.classes)
    warnings = []
    for part, files in layout.parts.items():
        found = {file.label for file in files}
        folder, train = layout.folders[part], layout.folders["train"]
        if found - known:
            raise DataError(
                f"{folder} has the class {min(found - known)!r}, which {train} lacks. "
                f"Add {word} of it there, or remove it."
            )
        if known - found:
            missing = _listed(sorted(map(repr, known - found)))
            warnings.append(f"{folder} has no {word} of the class {missing}.")
    return warnings


def _is(items: set[str]) -> str:
    return "is" if len(items) == 1 else "are"


def _listed(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = len(names) - _SHOWN
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {more:,} more" if more > 0 else shown


def listed_classes(classes: Sequence[str]) -> str:
    """The names of classes, for a note."""
    return f"{len(classes):,} classes ({_listed(classes)})"


def count_suffixes(files: Iterable[Names]) -> Counter[str]:
    """How many files have each end of their name, in small letters."""
    return Counter(Path(names[-1]).suffix.lower() for names in files)
