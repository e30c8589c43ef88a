"""Which files of a folder belong to which part and class."""

from collections.abc import Mapping, Sequence
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
class LabelledFile:
    """One example: its path below the folder, and its class."""

    names: Names
    label: str


@dataclass(frozen=True)
class ClassFolders:
    """The examples of a folder.

    Args:
        root: The folder.
        folders: By part, the folder of its classes.
        parts: By part, its files in sorted order; the training part comes first.
        warnings: One sentence each.
    """

    root: Path
    folders: Mapping[PartName, Path]
    parts: Mapping[PartName, Sequence[LabelledFile]]
    warnings: tuple[str, ...]

    @property
    def classes(self) -> list[str]:
        """Names of the training part's classes, sorted."""
        return sorted({file.label for file in self.parts["train"]})


def class_folders_of(walk: Walk, files: Sequence[Names], word: str) -> ClassFolders:
    """Parts and classes of files."""
    tops = _part_folders(walk, files)
    if tops and "train" not in tops:
        raise DataError(
            f"{walk.root} has the parts {', '.join(tops.values())}, but no folder "
            f"train. {expected(walk.root)}"
        )
    above: dict[PartName, Names] = {part: (top,) for part, top in tops.items()}
    above = above or {"train": ()}
    parts, warnings = _examples(walk, files, above, word)
    if tops:
        others = {names[0] for names in files if len(names) > 1} - {*tops.values()}
        if others:
            both = "is no part", "are no part"
            warnings.append(_left_out(walk.root, sorted(others), *both))
        warnings += _beside(walk.root, sum(len(names) == 1 for names in files), word)
    warnings += _empty(walk, parts, above, word)
    folders = {part: walk.root.joinpath(*above[part]) for part in parts}
    return ClassFolders(walk.root, folders, parts, tuple(warnings))


def expected(root: Path) -> str:
    """The sentence that says how a folder should look."""
    return (
        f"Expected is a folder for each class, {root}/CLASS/FILE, or such folders in "
        f"{root}/train, and in validation and test if they are there."
    )


def _part_folders(walk: Walk, files: Sequence[Names]) -> dict[PartName, str]:
    """By part, the name of its folder; none if folders of such names are classes.

    They are parts if there are no other folders, or if most files of the training part
    lie deeper, in folders of their class.
    """
    tops = sorted({names[0] for names in files if len(names) > 1})
    named = {top: _PARTS[top.lower()] for top in tops if top.lower() in _PARTS}
    are_deep = [
        len(names) > 2
        for names in files
        if len(names) > 1 and named.get(names[0]) == "train"
    ]
    is_deep = 2 * sum(are_deep) > len(are_deep)
    if not named or (not is_deep and len(named) < len(tops)):
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


def _examples(
    walk: Walk, files: Sequence[Names], above: Mapping[PartName, Names], word: str
) -> tuple[dict[PartName, list[LabelledFile]], list[str]]:
    """By part, files in folders of classes below the folder `above`; and warnings."""
    parts: dict[PartName, list[LabelledFile]] = {}
    warnings: list[str] = []
    for part, top in above.items():
        depth, folder = len(top), walk.root.joinpath(*top)
        mine = [n for n in files if n[:depth] == top and len(n) > depth]
        examples = [LabelledFile(n, n[depth]) for n in mine if len(n) > depth + 1]
        if part == "train" and not examples:
            count = "" if top else f"{len(files):,} "
            raise DataError(
                f"{folder} has {count}{word}, but none in a folder of its class. "
                f"{expected(walk.root)}"
            )
        warnings += _beside(folder, len(mine) - len(examples), word)
        if examples:
            parts[part] = examples
    return parts, warnings


def _beside(folder: Path, count: int, word: str) -> list[str]:
    if not count:
        return []
    return [f"{count:,} {word} in {folder}, in no folder of a class, were left out."]


def _empty(
    walk: Walk,
    parts: Mapping[PartName, Sequence[LabelledFile]],
    above: Mapping[PartName, Names],
    word: str,
) -> list[str]:
    depth = len(above["train"]) + 1
    used = {file.names[:depth] for files in parts.values() for file in files}
    empty = [
        "/".join(names)
        for names in walk.folders
        if len(names) == depth and names not in used and names[:-1] in above.values()
    ]
    both = f"has no {word}", f"have no {word}"
    return [_left_out(walk.root, empty, *both)] if empty else []


def _left_out(root: Path, folders: Sequence[str], *is_or_are: str) -> str:
    """A sentence for folders, with the verb for one folder and for several."""
    several = len(folders) > 1
    return (
        f"{_listed(folders)} in {root} {is_or_are[several]}, and "
        f"{'were' if several else 'was'} left out."
    )


def missing_classes(layout: ClassFolders, word: str) -> list[str]:
    """A sentence for each part that lacks a class of the training part."""
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


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {more:,} more" if more > 0 else shown


def listed_classes(classes: Sequence[str]) -> str:
    """The names of classes, for a note."""
    return f"{len(classes):,} classes ({_listed(classes)})"
