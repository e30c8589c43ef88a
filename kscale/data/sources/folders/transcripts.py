"""Folders of sounds with transcripts: a text beside each sound, of the same name, or
lines of a `NAME.trans.txt`, as LibriSpeech has them (Panayotov et al. 2015)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kscale.data.load_options import Options
from kscale.data.parts import PartName
from kscale.data.raw import RawData
from kscale.data.readers.sound_files import SOUNDS
from kscale.data.sources.folders.class_folders import PART_FOLDERS
from kscale.data.sources.folders.walking import Names, Walk, keys_found
from kscale.data.sources.speech import Utterance, raw_data_of_speech
from kscale.data.sources.tables.csv_file import decoded
from kscale.errors import DataError

_LINES = ".trans.txt"
_MOST_WITHOUT = 0.1  # sounds without a transcript, of those of a folder of transcripts
NAME = "transcript"

Transcripts = Mapping[Names, tuple[str, str]]
"""By path without its end, the transcript and where it stands."""


def transcripts_of(found: Walk) -> Transcripts:
    """Transcripts of most sounds of a folder; empty where there are none."""
    sounds = {_stem(names) for names in found.files if SOUNDS.is_of(names[-1])}
    texts = [names for names in found.files if names[-1].lower().endswith(".txt")]
    beside = [n for n in texts if n[-1].lower().endswith(_LINES) or _stem(n) in sounds]
    if not sounds or not beside:
        return {}
    known = dict(each for names in beside for each in _read(found.root, names))
    return known if len(sounds - known.keys()) <= _MOST_WITHOUT * len(sounds) else {}


def _stem(names: Names) -> Names:
    return (*names[:-1], names[-1].rpartition(".")[0])


def _read(root: Path, names: Names) -> Iterator[tuple[Names, tuple[str, str]]]:
    """The transcripts in a file, by the path of the sound."""
    path = root.joinpath(*names)
    text = decoded(path.read_bytes(), path)
    if not names[-1].lower().endswith(_LINES):
        yield _stem(names), (text, str(path))
        return
    for number, line in enumerate(text.splitlines(), 1):
        name, _, said = line.partition(" ")
        if name:
            yield (*names[:-1], name), (said, f"{path}:{number}")


def raw_data_of_transcripts(
    found: Walk, transcripts: Transcripts, options: Options
) -> RawData:
    """The sounds of a folder, in folders of parts or all together."""
    options.refuse_except("a folder of sounds with transcripts", *SOUNDS.options)
    sounds = [names for names in found.files if SOUNDS.is_of(names[-1])]
    parts = _parts(found.root, sounds)
    keys = dict.fromkeys(sounds, "")
    if options.split_by is not None:
        parts = {"train": sounds}
        keys = keys_found(found.root, sounds, options.split_by)
    utterances = {}
    for part, mine in parts.items():
        paths = [found.root.joinpath(*names) for names in mine]
        texts = [
            transcripts.get(_stem(n), ("", str(p)))
            for n, p in zip(mine, paths, strict=True)
        ]
        utterances[part] = [
            Utterance(path, "/".join(names), *text, keys[names])
            for names, path, text in zip(mine, paths, texts, strict=True)
        ]
    counts = [f"{len(mine):,} {part}" for part, mine in parts.items()]
    notes = [f"Its parts are taken as they are: {', '.join(counts)}."]
    notes = notes if len(counts) > 1 else []
    return raw_data_of_speech(utterances, options, NAME, notes, found.warnings)


def _parts(root: Path, sounds: Sequence[Names]) -> dict[PartName, list[Names]]:
    """Sounds by part: that of the first folder where all first folders are parts."""
    tops = {names[0] if len(names) > 1 else "" for names in sounds}
    known = {top: PART_FOLDERS.get(top.lower()) for top in tops}
    if None in known.values():
        return {"train": [*sounds]}
    parts: dict[PartName, list[Names]] = {}
    for names in sounds:
        part = known[names[0]]
        assert part is not None
        parts.setdefault(part, []).append(names)
    if "train" not in parts:
        raise DataError(
            f"{root} has the parts {', '.join(parts)}, but no folder train."
        )
    return parts
