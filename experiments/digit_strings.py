"""Strings of spoken digits, joined from single ones, with speakers held out by part.

Recordings of the Free Spoken Digit Dataset are joined, one to five of a speaker, with
short pauses; the transcript spells the digits, as "three one". Four speakers are the
training part, one is the validation part, one the test part: no voice is in two. A
table of paths and transcripts lies beside the sounds of each part.

    python experiments/digit_strings.py spoken_digits.zip FOLDER
    kscale train rnn --data FOLDER/strings_train.csv --source wav --label text
    python experiments/digit_strings.py decode RUN

What networks reach is in `experiments/results/speech.md`.
"""

import csv
import io
import sys
import time
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from kscale import Run
from kscale.data.loading import reopened
from kscale.engine.tensorflow.decoding import likely_transcripts
from kscale.task.transcripts import collapsed, edit_distances

RATE = 8000
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
STRINGS = {"train": 1500, "validation": 200, "test": 300}
MOST_DIGITS = 5
PAUSE = 0.02, 0.15  # seconds

Recordings = dict[str, list[list[NDArray[np.int16]]]]
"""By speaker, the recordings of each digit."""


def recordings_of(archive: Path) -> Recordings:
    """All recordings, of both parts of the set."""
    found: Recordings = defaultdict(lambda: [[] for _ in WORDS])
    with zipfile.ZipFile(archive) as file:
        for name in sorted(file.namelist()):
            if name.endswith(".wav"):
                digit, speaker, _ = Path(name).stem.split("_")
                rate, wave = wavfile.read(io.BytesIO(file.read(name)))
                assert rate == RATE, name
                found[speaker][int(digit)].append(wave)
    return dict(found)


def speakers_of_parts(speakers: list[str]) -> dict[str, list[str]]:
    """The last speaker by name is the test part, the one before the validation part."""
    *train, validation, test = sorted(speakers)
    return {"train": train, "validation": [validation], "test": [test]}


def joined(
    draw: np.random.Generator, digits: list[list[NDArray[np.int16]]]
) -> tuple[str, NDArray[np.int16]]:
    """A string of one voice: its transcript and its sound."""
    chosen = draw.integers(0, len(WORDS), draw.integers(1, MOST_DIGITS + 1))
    pieces = []
    for digit in chosen:
        some = digits[digit]
        pieces.append(some[draw.integers(len(some))])
        pieces.append(np.zeros(int(RATE * draw.uniform(*PAUSE)), np.int16))
    return " ".join(WORDS[digit] for digit in chosen), np.concatenate(pieces[:-1])


def write_strings(archive: Path, folder: Path, seed: int = 0) -> None:
    """The tables and sounds of all parts."""
    recordings = recordings_of(archive)
    parts = speakers_of_parts([*recordings])
    for number, (part, speakers) in enumerate(parts.items()):
        draw = np.random.default_rng([seed, number])
        sounds = folder / part
        sounds.mkdir(parents=True, exist_ok=True)
        with (folder / f"strings_{part}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["wav", "text", "speaker"])
            for row in range(STRINGS[part]):
                speaker = speakers[draw.integers(len(speakers))]
                text, wave = joined(draw, recordings[speaker])
                wavfile.write(sounds / f"{row}.wav", RATE, wave)
                table.writerow([f"{part}/{row}.wav", text, speaker])
        print(f"{part}: {STRINGS[part]:,} strings of {', '.join(speakers)}")


def compare_decoding(run: Path) -> None:
    """Wrong characters of the best paths of a run, and of prefix beam searches, which
    sum over paths; differences with jackknifed standard errors over the sounds."""
    opened = Run(run)
    (target,), model = opened.task.targets, opened.load_model()
    data = reopened(opened.description)
    for part in ("validation", "test"):
        _, raw = data.examples(data.parts[part], np.arange(len(data.parts[part])))
        given = model.predict(raw["sound"], verbose=0)[target.name]
        labels = data.parts[part].targets[target.name][:]
        lengths = np.count_nonzero(labels, axis=1)
        greedy = edit_distances(labels, collapsed(given.argmax(axis=-1)))
        print(f"{part}, best path: {100 * greedy.sum() / lengths.sum():.2f} % wrong")
        for beams in (1, 4, 16, 64):
            began = time.process_time()
            ids = np.asarray(likely_transcripts(given, beams))
            taken = 1000 * (time.process_time() - began) / len(given)
            wrong = edit_distances(labels, ids)
            more, count = wrong - greedy, len(given)
            without = (more.sum() - more) / (lengths.sum() - lengths)
            error = np.sqrt((count - 1) * without.var())
            print(
                f"{part}, {beams} beams: {100 * wrong.sum() / lengths.sum():.2f} %, "
                f"{100 * more.sum() / lengths.sum():+.2f} +- {100 * error:.2f} points; "
                f"{taken:.2f} ms of a core a sound"
            )


if __name__ == "__main__":
    if sys.argv[1] == "decode":
        compare_decoding(Path(sys.argv[2]))
    else:
        write_strings(Path(sys.argv[1]), Path(sys.argv[2]))
