"""Folders of images, sounds and texts: a sub-folder a class, as Keras reads them."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kscale.data.load_options import Options
from kscale.data.parts import PartName
from kscale.data.raw import RawArray, RawData, RawPart
from kscale.data.readers.file_reader import FolderKind, examples_of, read_each
from kscale.data.readers.image_files import IMAGES
from kscale.data.readers.sound_files import SOUNDS
from kscale.data.readers.table_files import TEXTS
from kscale.data.sources.folders.class_folders import (
    SHOWN,
    ClassFolders,
    class_folders_of,
    expected,
    missing_classes,
    part_files,
)
from kscale.data.sources.folders.transcripts import (
    raw_data_of_transcripts,
    transcripts_of,
)
from kscale.data.sources.folders.walking import Names, Walk, keys_found, walk
from kscale.data.sources.texts import raw_data_of_documents
from kscale.errors import DataError
from kscale.text import counted, listed

FOLDER_KINDS: Mapping[str, FolderKind] = {
    "image": IMAGES,
    "spectrogram": SOUNDS,
    "tokens": TEXTS,
}
"""Kinds of files, by the kind of input that networks read of them."""

_OTHERS = (".npz", ".csv", ".csv.gz", ".tsv", ".tsv.gz")  # data of other sources
_MAJORITY = 0.9  # of the files that are of some kind


def raw_data_of_folder(path: Path, options: Options) -> RawData:
    """Data of a folder with a sub-folder for each class, or sounds with transcripts.

    Such folders may lie in folders of parts. With `split_by`, files whose paths have
    the same match come into one part, wherever they lie.
    """
    found = walk(path)
    if transcripts := transcripts_of(found):
        return raw_data_of_transcripts(found, transcripts, options)
    kind = _kind_of(found, options.kind)
    options.refuse_except(f"a folder of {kind.word}", *kind.options)
    chosen = [names for names in found.files if kind.is_of(names[-1])]
    if kind is TEXTS and (alone := part_files(chosen)):
        return raw_data_of_documents(path, alone, options)
    layout = class_folders_of(found, chosen, kind.word)
    groups: dict[PartName, RawArray] = {}
    if options.split_by is None:
        missing = missing_classes(layout, kind.word)
        layout = replace(layout, warnings=(*layout.warnings, *missing))
    else:
        layout = _joined(layout)
        keys = keys_found(path, layout.parts["train"], options.split_by)
        label = f"split_by='{options.split_by}'"
        groups = {"train": RawArray.of(label, [*keys.values()])}
    paths = {
        part: [path.joinpath(*names) for names in files]
        for part, files in layout.parts.items()
    }
    headers = {
        p: read_each(files, kind.header, kind.word) for p, files in paths.items()
    }
    reader, fit, read = kind.decide(headers, options)
    parts = {}
    for part, files in paths.items():
        label = str(layout.folder(part))
        examples = examples_of(reader, files, kind.word, label)
        classes = RawArray.of(label, layout.labels(part))
        parts[part] = RawPart({reader.name: examples}, {"label": classes})
    others = [names for names in found.files if not kind.is_of(names[-1])]
    return RawData(
        parts,
        (fit,),
        reader,
        groups=groups,
        warnings=(*found.warnings, *layout.warnings),
        notes=(*_notes(layout, kind.word, read, others + found.passed_over),),
    )


def _kind_of(found: Walk, asked: str | None) -> FolderKind:
    """The kind of most files, or the kind asked for."""
    if asked and asked not in FOLDER_KINDS:
        words = [f"{name!r} for {row.word}" for name, row in FOLDER_KINDS.items()]
        raise DataError(
            f"`kind` of a folder is {', '.join(words)}, but got kind={asked!r}."
        )
    counts = {
        kind: sum(row.is_of(names[-1]) for names in found.files)
        for kind, row in FOLDER_KINDS.items()
    }
    kind = asked or max(counts, key=counts.__getitem__)
    if not counts[kind]:
        raise DataError(_nothing(found, [asked] if asked else [*FOLDER_KINDS]))
    if not asked and counts[kind] < _MAJORITY * sum(counts.values()):
        words = [
            f"{counted(count, FOLDER_KINDS[other].word[:-1])} (kind={other!r})"
            for other, count in counts.items()
            if count
        ]
        raise DataError(
            f"{found.root} holds {' and '.join(words)}; say by `kind` which of them "
            "are the examples."
        )
    return FOLDER_KINDS[kind]


def _nothing(found: Walk, kinds: Sequence[str]) -> str:
    """The sentence for a folder without files of some kinds."""
    rows = [FOLDER_KINDS[kind] for kind in kinds]
    what = ", ".join(f"{row.word} ({' '.join(row.suffixes)})" for row in rows)
    ends = Counter(Path(names[-1]).suffix.lower() for names in found.files)
    has = [f"{count:,} {end or 'without one'}" for end, count in ends.most_common(3)]
    held = (
        f", but files that end otherwise: {', '.join(has)}" if has else ": it is empty"
    )
    others = [names for names in found.files if names[-1].lower().endswith(_OTHERS)]
    meant = found.root.joinpath(*os.path.commonprefix(others)) if others else found.root
    todo = expected(found.root) if meant == found.root else f"Did you mean {meant}?"
    return f"{found.root} has no {what}{held}. {todo}"


def _joined(layout: ClassFolders) -> ClassFolders:
    """All files as the training part, with a warning if there were others."""
    if len(layout.parts) == 1:
        return layout
    warning = (
        f"The parts of {layout.root} ({', '.join(layout.parts)}) were joined, and cut "
        "anew by `split_by`."
    )
    every = [names for files in layout.parts.values() for names in files]
    return replace(layout, parts={"train": every}, warnings=(warning, *layout.warnings))


def _notes(
    layout: ClassFolders, word: str, read: Sequence[str], passed_over: Sequence[Names]
) -> Iterator[str]:
    """Sentences on the files, how they are read, and which are not read."""
    counts = {part: len(files) for part, files in layout.parts.items()}
    classes = sorted({*layout.labels("train")})
    yield (
        f"A folder of {counted(sum(counts.values()), word[:-1])} in "
        f"{counted(len(classes), 'class', 'classes')} ({listed(classes, SHOWN)})."
    )
    if len(counts) > 1:
        parts = ", ".join(f"{count:,} {part}" for part, count in counts.items())
        yield f"Its parts are taken as they are: {parts}."
    yield from read
    if passed_over:
        what = counted(len(passed_over), "other file was", "other files were")
        yield f"{what} passed over, the first {'/'.join(passed_over[0])}."
