"""Folders of images, sounds and texts: a sub-folder a class, as Keras reads them."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kscale.data.load_options import Options
from kscale.data.parts import PartName
from kscale.data.raw import RawArray, RawData, RawPart
from kscale.data.readers.file_reader import FolderKind, examples_of
from kscale.data.readers.image_files import IMAGES
from kscale.data.readers.sound_files import SOUNDS
from kscale.data.readers.text_files import TEXTS
from kscale.data.sources.folders.class_folders import (
    ClassFolders,
    LabelledFile,
    class_folders_of,
    expected,
    listed_classes,
    missing_classes,
)
from kscale.data.sources.folders.walking import Names, Walk, walk
from kscale.errors import DataError

FOLDER_KINDS: Mapping[str, FolderKind] = {
    "image": IMAGES,
    "spectrogram": SOUNDS,
    "tokens": TEXTS,
}
"""Kinds of files, by the kind of input that networks read of them."""

_MAJORITY = 0.9  # of the files that are of some kind

__all__ = ["FOLDER_KINDS", "raw_data_of_folder"]


def raw_data_of_folder(path: Path, options: Options) -> RawData:
    """What a folder holds that has a sub-folder a class.

    Such folders may lie in folders `train`, `validation` (`val`, `valid`) and `test`.
    Links are followed; hidden files, READMEs and what systems leave are passed over.

    Args:
        path: The folder.
        options: Without `kind`, the ends of the files' names decide. `split_by` is a
            regular expression that is searched in each file's path below the folder:
            all files of one match (of its first group, if there is one) come into one
            part, wherever they lie.
    """
    found = walk(path)
    kind, notes = _kind_of(found, options.kind)
    options.refuse_except(f"a folder of {kind.word}", *kind.options)
    chosen = [names for names in found.files if _is_of(names, kind)]
    layout = class_folders_of(found, chosen, kind.word)
    if options.split_by is None:
        missing = missing_classes(layout, kind.word)
        groups: dict[PartName, RawArray] = {}
    else:
        layout, missing = _joined(layout), []
        groups = {"train": _groups(layout, options.split_by)}
    paths = {
        part: [path.joinpath(*file.names) for file in mine]
        for part, mine in layout.parts.items()
    }
    reading = kind.reading(paths, options)
    parts = {}
    for part, files in layout.parts.items():
        label = str(layout.folders[part])
        examples = examples_of(reading.reader, paths[part], kind.word, label)
        classes = RawArray.of(label, [file.label for file in files])
        parts[part] = RawPart({reading.reader.name: examples}, {"label": classes})
    return RawData(
        parts,
        (reading.fit,),
        reading.reader,
        groups=groups,
        warnings=(*found.warnings, *layout.warnings, *missing),
        notes=(*_counted(layout, kind.word), *reading.notes, *notes),
    )


def _is_of(names: Names, kind: FolderKind) -> bool:
    return names[-1].lower().endswith(kind.suffixes)


def _kind_of(found: Walk, asked: str | None) -> tuple[FolderKind, list[str]]:
    """The kind of most files, and notes on the others."""
    counts = {
        kind: sum(_is_of(names, row) for names in found.files)
        for kind, row in FOLDER_KINDS.items()
    }
    if asked and asked not in FOLDER_KINDS:
        words = [f"{name!r} for {row.word}" for name, row in FOLDER_KINDS.items()]
        raise DataError(
            f"`kind` of a folder is {', '.join(words)}, but got kind={asked!r}."
        )
    kind = asked or max(counts, key=lambda kind: counts[kind])
    row = FOLDER_KINDS[kind]
    if not counts[kind]:
        raise DataError(_nothing(found, row.word if asked else ""))
    if not asked and counts[kind] < _MAJORITY * sum(counts.values()):
        words = [
            f"{count:,} {FOLDER_KINDS[other].word} (kind={other!r})"
            for other, count in counts.items()
            if count
        ]
        raise DataError(
            f"{found.root} holds {' and '.join(words)}; say by `kind` which of them "
            "are the examples."
        )
    return row, _others(found, row)


def _nothing(found: Walk, word: str) -> str:
    kinds = ", ".join(
        f"{row.word} ({' '.join(row.suffixes)})" for row in FOLDER_KINDS.values()
    )
    ends = Counter(Path(names[-1]).suffix.lower() for names in found.files)
    shown = ends.most_common(3)
    has = ", ".join(f"{count:,} {end or 'without one'}" for end, count in shown)
    held = f"files that end otherwise: {has}" if has else "no files"
    return f"{found.root} has no {word or kinds}, but {held}. {expected(found.root)}"


def _others(found: Walk, row: FolderKind) -> list[str]:
    others = [names for names in found.files if not _is_of(names, row)]
    others += found.passed_over
    if not others:
        return []
    is_one = len(others) == 1
    return [
        f"{len(others):,} other file{'' if is_one else 's'} "
        f"{'was' if is_one else 'were'} passed over, the first {'/'.join(others[0])}."
    ]


def _joined(layout: ClassFolders) -> ClassFolders:
    if len(layout.parts) == 1:
        return layout
    every = [file for files in layout.parts.values() for file in files]
    warning = (
        f"The parts of {layout.root} ({', '.join(layout.parts)}) were joined, and cut "
        "anew by `split_by`."
    )
    return replace(
        layout,
        folders={"train": layout.root},
        parts={"train": every},
        warnings=(warning, *layout.warnings),
    )


def _groups(layout: ClassFolders, pattern: str) -> RawArray:
    try:
        searched = re.compile(pattern)
    except re.error as error:
        raise DataError(
            f"`split_by` must be a regular expression, but '{pattern}' is none: "
            f"{error}."
        ) from error
    keys = [_key(searched, file, layout.root) for file in layout.parts["train"]]
    return RawArray.of(f"split_by='{pattern}'", keys)


def _key(pattern: re.Pattern[str], file: LabelledFile, root: Path) -> str:
    name = "/".join(file.names)
    match = pattern.search(name)
    key = match and match.group(1 if pattern.groups else 0)
    if not key:
        raise DataError(
            f"`split_by` must be found in the path of each file below {root}, but "
            f"'{pattern.pattern}' finds nothing in {name}."
        )
    return key


def _counted(layout: ClassFolders, word: str) -> list[str]:
    counts = {part: len(files) for part, files in layout.parts.items()}
    notes = [
        f"A folder of {sum(counts.values()):,} {word} in "
        f"{listed_classes(layout.classes)}."
    ]
    if len(counts) > 1:
        parts = ", ".join(f"{count:,} {part}" for part, count in counts.items())
        notes.append(f"Its parts are taken as they are: {parts}.")
    return notes
