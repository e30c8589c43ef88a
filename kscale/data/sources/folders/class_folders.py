"""Which files of a folder belong to which part and class."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kscale.data.parts import PART_NAMES, PartName
from kscale.data.sources.folders.walking import Names, Walk
from kscale.data.target_labels import alike_hint
from kscale.errors import DataError
from kscale.text import counted, listed

PART_FOLDERS: dict[str, PartName] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""By name of a folder, the part that the folder is."""

SHOWN = 5
"""Names of classes and folders in a sentence."""


@dataclass(frozen=True)
class ClassFolders:
    """The examples of a folder: by part its files in sorted order, training first.

    The depth is the number of names before that of the class in the path of a file: 1
    if the first is that of a part.
    """

    root: Path
    depth: int
    parts: Mapping[PartName, Sequence[Names]]
    warnings: tuple[str, ...]

    def labels(self, part: PartName) -> list[str]:
        """Names of the class of each file of a part."""
        return [names[self.depth] for names in self.parts[part]]

    def folder(self, part: PartName) -> Path:
        """The folder of a part's classes."""
        return self.root.joinpath(*self.parts[part][0][: self.depth])


def class_folders_of(walk: Walk, files: Sequence[Names], word: str) -> ClassFolders:
    """Parts and classes of files, which are called, say, `images`."""
    tops = _part_folders(walk, files)
    if tops and "train" not in tops.values():
        raise DataError(
            f"{walk.root} has the parts {', '.join(tops)}, but no folder train. "
            f"{expected(walk.root)}"
        )
    depth = 1 if tops else 0
    parts: dict[PartName, list[Names]] = {part: [] for part in PART_NAMES}
    beside: Counter[Names] = Counter()
    others: set[str] = set()
    for names in files:
        if depth and len(names) > 1 and names[0] not in tops:
            others.add(names[0])
        elif len(names) < depth + 2:
            beside[names[:-1]] += 1
        else:
            parts[tops[names[0]] if depth else "train"].append(names)
    if not parts["train"]:
        top = next((top for top, part in tops.items() if part == "train"), "")
        held = word if top else counted(len(files), word[:-1])
        raise DataError(
            f"{walk.root / top} has {held}, but none in a folder of its class. "
            f"{expected(walk.root)}"
        )
    _check_levels(walk.root, parts["train"], depth)
    used = {names[: depth + 1] for mine in parts.values() for names in mine}
    empty = [
        "/".join(names)
        for names in walk.folders
        if len(names) == depth + 1 and names not in used
        if not depth or names[0] in tops
    ]
    warnings = [
        f"{count:,} {word} in {walk.root.joinpath(*folder)}, in no folder of a class, "
        "were left out."
        for folder, count in beside.items()
    ]
    warnings += _left_out(walk.root, sorted(others), "is no part", "are no part")
    warnings += _left_out(walk.root, empty, f"has no {word}", f"have no {word}")
    filled = {part: mine for part, mine in parts.items() if mine}
    return ClassFolders(walk.root, depth, filled, tuple(warnings))


def part_files(files: Sequence[Names]) -> dict[PartName, list[Names]]:
    """Files by part, if all lie beside each other or in folders of parts; else
    nothing."""
    found: dict[PartName, list[Names]] = {part: [] for part in PART_NAMES}
    for names in files:
        part = "train" if len(names) == 1 else PART_FOLDERS.get(names[0].lower())
        if part is None or len(names) > 2:
            return {}
        found[part].append(names)
    are_alike = len({*map(len, files)}) == 1 and found["train"]
    return {part: mine for part, mine in found.items() if mine and are_alike}


def _check_levels(root: Path, files: Sequence[Names], depth: int) -> None:
    """Refuse a training part whose only class holds the folders of the classes."""
    shared = os.path.commonprefix([names[:-1] for names in files])
    inside = {n[len(shared)] for n in files if len(n) > len(shared) + 1}
    if len(shared) > depth and len(inside) > 1:
        above, top = root.joinpath(*shared), root.joinpath(*shared[:depth])
        todo = f"Move them up into {top}." if depth else f"Did you mean {above}?"
        raise DataError(
            f"{top} has only the class {shared[depth]!r}, but {above} has the folders "
            f"{listed(sorted(inside), SHOWN)}. {todo}"
        )


def expected(root: Path) -> str:
    """The sentence that says how a folder should look."""
    return (
        f"Expected is a folder for each class, {root}/CLASS/FILE, or such folders in "
        f"{root}/train, and in validation and test if they are there."
    )


def _part_folders(walk: Walk, files: Sequence[Names]) -> dict[str, PartName]:
    """Parts by the name of their folder; none if folders of such names are classes.

    They are parts if there are no other folders, or if most files of the training part
    lie deeper, in folders of their class.
    """
    tops = {names[0] for names in files if len(names) > 1}
    named = {
        top: PART_FOLDERS[top.lower()]
        for top in sorted(tops)
        if top.lower() in PART_FOLDERS
    }
    depths = [
        len(names)
        for names in files
        if len(names) > 1 and named.get(names[0]) == "train"
    ]
    is_deep = 2 * sum(depth > 2 for depth in depths) > len(depths)
    if not is_deep and len(named) < len(tops):
        return {}
    for part in PART_NAMES:
        same = [top for top in named if named[top] == part]
        if len(same) > 1:
            raise DataError(
                f"{walk.root} has both {same[0]} and {same[1]} for the {part} part; "
                "join them."
            )
    return dict(sorted(named.items(), key=lambda item: PART_NAMES.index(item[1])))


def _left_out(root: Path, folders: Sequence[str], one: str, many: str) -> Iterator[str]:
    """A sentence for folders, with the verb for one folder or for several."""
    if folders:
        verbs = (one, "was") if len(folders) == 1 else (many, "were")
        shown = listed(folders, SHOWN)
        yield f"{shown} in {root} {verbs[0]}, and {verbs[1]} left out."


def missing_classes(layout: ClassFolders, word: str) -> Iterator[str]:
    """A sentence for each part that lacks a class of the training part."""
    known, train = {*layout.labels("train")}, layout.folder("train")
    for part in layout.parts:
        found, folder = {*layout.labels(part)}, layout.folder(part)
        if found - known:
            name = min(found - known)
            raise DataError(
                f"{folder} has the class {name!r}, which {train} lacks. Add {word} of "
                f"it there, or remove it.{alike_hint(name, sorted(known))}"
            )
        if known - found:
            missing = listed(sorted(map(repr, known - found)), SHOWN)
            yield f"{folder} has no {word} of the class {missing}."
