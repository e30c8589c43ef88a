"""Speech: sounds with their transcripts, which become labels of characters.

Transcripts are in small letters, with one space for white space of any kind. The
alphabet is that of the training transcripts. What cannot be learned from is left out,
with its file and row.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kscale.data.examples import existing
from kscale.data.load_options import Options
from kscale.data.parts import PartName
from kscale.data.raw import RawArray, RawData, RawPart
from kscale.data.readers.file_reader import FileReader, examples_of
from kscale.data.readers.sound_files import (
    SOUNDS,
    SoundHeader,
    check_whole,
    heard_seconds,
    reading_of,
    samples_for,
    sound_header,
    usual_rate,
)
from kscale.errors import DataError
from kscale.task.spectrograms import step_of
from kscale.task.tasks import Target
from kscale.task.transcripts import needed_frames
from kscale.text import counted, listed

_SHOWN = 3  # examples of a kind that are left out
_MOST_SECONDS = 30.0
_PERCENTILE = 99
_MUCH_LONGER = 2
_LEAST_STEPS = 2  # usual ones of 10 ms for what a transcript needs a step for
_MOST_MISSING = 0.5


class Utterance(NamedTuple):
    """A sound's path, its name as given, its transcript, the place in a file that names
    both, and the key of the group that stays in one part."""

    path: Path
    name: str
    text: str
    where: str
    group: str = ""


Utterances = Mapping[PartName, Sequence[Utterance]]


@dataclass
class _LeftOut:
    """Examples that are left out, by reason."""

    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, sentence: str) -> None:
        self.places.setdefault(reason, []).append(sentence)

    @property
    def warnings(self) -> Iterator[str]:
        """A sentence for each of the first examples, and one for the others."""
        for reason, sentences in self.places.items():
            for sentence in sentences[:_SHOWN]:
                yield f"{sentence}; left out."
            if more := len(sentences) - _SHOWN:
                yield from [f"{more:,} more were left out: {reason}."] * (more > 0)


def plain_transcript(text: str) -> str:
    """A transcript as networks write transcripts.

    Example:

    >>> plain_transcript("  Three\\n ONE ")
    'three one'
    """
    return " ".join(unicodedata.normalize("NFC", text).lower().split())


def raw_data_of_speech(
    utterances: Utterances,
    options: Options,
    name: str,
    notes: Iterable[str] = (),
    warnings: Iterable[str] = (),
) -> RawData:
    """Sounds and labels of transcripts.

    Sounds are padded with silence to the longest one of the training part that lasts
    no more than 30 seconds, or to the length asked for. Longer ones are left out: of
    their transcripts, no more than a part could be heard.
    """
    left_out = _LeftOut()
    read = {part: [*_readable(each, left_out)] for part, each in utterances.items()}
    _check_left(utterances, read, left_out)
    rate = usual_rate([header for _, header in read["train"]])
    usual, alone = _longest(read["train"])
    samples = samples_for(rate, options.seconds, usual)
    texts = [plain_transcript(said.text) for said, _ in read["train"]]
    names = ("", " ", *sorted({*"".join(texts)} - {" "}))
    kept: dict[PartName, list[_Labelled]] = {
        part: [*_fitting(each, names, samples / rate, rate, left_out)]
        for part, each in read.items()
    }
    _check_left(utterances, kept, left_out)
    every = [each for mine in kept.values() for each in mine]
    length = max(len(each.ids) for each in every)
    most = min(each.step for each in every)
    target = Target(name, "characters", len(names), names, length, step=most)
    reading = reading_of([each.header for each in every], rate, samples, True)
    return RawData(
        {part: _part(each, target, reading.reader) for part, each in kept.items()},
        (reading.fit,),
        reading.reader,
        targets={name: target},
        groups=_groups(kept, options),
        warnings=(
            *warnings,
            *left_out.warnings,
            *(alone if options.seconds is None else ()),
            *_unknown(kept, names),
        ),
        notes=(*notes, *_notes(target, texts), *reading.notes),
    )


def _longest(
    train: Sequence[tuple[Utterance, SoundHeader]],
) -> tuple[float, Sequence[str]]:
    """Seconds of the longest sound that is used, and a warning where others are all
    much shorter."""
    usable = [(h.seconds, said) for said, h in train if h.seconds <= _MOST_SECONDS]
    lasting = sorted(seconds for seconds, _ in usable)
    if len(lasting) < 2:
        return max(lasting, default=_MOST_SECONDS), ()
    longest, said = max(usable, key=lambda each: each[0])
    others = float(np.percentile(lasting[:-1], _PERCENTILE))
    if longest < _MUCH_LONGER * others:
        return longest, ()
    warning = (
        f"{said.where}: {said.name} lasts {longest:.1f} seconds, {_PERCENTILE} % of "
        f"the others no more than {others:.1f}; all are padded to its length. "
        f"--seconds {others:.1f} leaves it out."
    )
    return longest, (warning,)


class _Labelled(NamedTuple):
    """A sound that is used, with the ids of its transcript, and the samples of a step
    at most, so that there are enough steps."""

    said: Utterance
    header: SoundHeader
    ids: list[int]
    step: int


def _readable(
    utterances: Sequence[Utterance], left_out: _LeftOut
) -> Iterator[tuple[Utterance, SoundHeader]]:
    """Those with a sound that can be read and a transcript."""
    for said in utterances:
        held = {"sound file": said.name, "transcript": said.text}
        if lacking := [what for what, text in held.items() if not text.strip()]:
            what = lacking[0]
            left_out.add(f"without a {what}", f"{said.where} has no {what}")
            continue
        try:
            header = sound_header(existing(said.path, is_guessed=False))
            check_whole(said.path)
            yield said, header
        except DataError as error:
            reason = str(error).replace(str(said.path), said.name)
            reason = reason.removesuffix(" Mend or remove it.").rstrip(".")
            left_out.add("sounds that cannot be read", f"{said.where}: {reason}")


def _fitting(
    read: Iterable[tuple[Utterance, SoundHeader]],
    names: Sequence[str],
    seconds: float,
    rate: int,
    left_out: _LeftOut,
) -> Iterator[_Labelled]:
    """Those that are no longer than others, and have steps enough for the transcript:
    two of the usual frames for each. Frames of nothing but 0 at the end, which no
    network reads, do not count."""
    places, step = {name: place for place, name in enumerate(names)}, step_of(rate)
    for said, header in read:
        text = plain_transcript(said.text)
        ids = [places.get(character, len(names)) for character in text]
        steps = int(needed_frames(np.array([ids]))[0])
        heard = int(heard_seconds(said.path) * rate)
        if header.seconds > seconds + step / rate:
            longer = f"{said.name} lasts {header.seconds:.1f} seconds"
            reason = f"longer than {seconds:.1f} seconds"
            left_out.add(reason, f"{said.where}: {longer}, and {seconds:.1f} are read")
        elif heard // step < _LEAST_STEPS * steps:
            less = " before its silent end" * (heard < int(header.seconds * rate))
            has = f"{said.name} has {heard // step} frames{less}, too few for a "
            what = f"transcript of {counted(len(ids), 'character')}"
            left_out.add(
                "transcripts longer than their sounds", f"{said.where}: {has}{what}"
            )
        else:
            yield _Labelled(said, header, ids, heard // steps)


def _check_left(
    given: Utterances, kept: Mapping[PartName, Sequence[object]], left_out: _LeftOut
) -> None:
    """Refuse data of which a part, or most, is of no use."""
    first = next(left_out.warnings, "")
    for part, utterances in given.items():
        if not kept[part]:
            raise DataError(f"The {part} part has no sound with a transcript. {first}")
        missing = 1 - len(kept[part]) / len(utterances)
        if missing > _MOST_MISSING:
            raise DataError(
                f"Most of the {len(utterances):,} sounds of the {part} part are of no "
                f"use. {first}"
            )


def _part(kept: Sequence[_Labelled], target: Target, reader: FileReader) -> RawPart:
    label = kept[0].said.where.rpartition(":")[0] or kept[0].said.where
    paths = [each.said.path for each in kept]
    ids = np.zeros((len(kept), target.length), np.int32)
    for row, each in zip(ids, kept, strict=True):
        row[: len(each.ids)] = each.ids
    sounds = examples_of(reader, paths, SOUNDS.word, label)
    return RawPart({reader.name: sounds}, {target.name: RawArray(label, ids)})


def _groups(
    kept: Mapping[PartName, Sequence[_Labelled]], options: Options
) -> dict[PartName, RawArray]:
    if options.split_by is None:
        return {}
    label = f"split_by={options.split_by!r}"
    return {
        part: RawArray.of(label, [each.said.group for each in mine])
        for part, mine in kept.items()
    }


def _unknown(
    kept: Mapping[PartName, Sequence[_Labelled]], names: Sequence[str]
) -> Iterator[str]:
    """A sentence for a part whose transcripts have characters that nobody learned."""
    for part, mine in kept.items():
        odd = [each for each in mine if len(names) in each.ids]
        if odd:
            text = plain_transcript(odd[0].said.text)
            character = text[odd[0].ids.index(len(names))]
            yield (
                f"{odd[0].said.where}: {character!r} is in no training transcript; "
                f"such characters, in {counted(len(odd), 'transcript')} of the {part} "
                "part, count as errors."
            )


def _notes(target: Target, texts: Sequence[str]) -> Iterator[str]:
    counts = Counter("".join(texts))
    known = sorted(target.class_names[1:], key=lambda name: -counts[name])
    shown = listed([repr(name) for name in known], 60)
    yield (
        f"{target.name} holds transcripts of up to {target.length} characters, read in "
        f"small letters; networks write {len(known)} characters ({shown}), character "
        "by character (CTC)."
    )
