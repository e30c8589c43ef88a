"""Folders of sounds: which rate and length a network hears."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kscale.data.load_options import Options
from kscale.data.preprocessing.log_mel import LogMelFit, fft_length_of, step_of
from kscale.data.raw import RawArray
from kscale.data.readers.sound_reader import SoundHeader, SoundReader, sound_header
from kscale.data.sources.folders.base import FolderKind, Paths, Understood, read_each
from kscale.errors import DataError

_PERCENTILE = 95
_MOST_SECONDS = 10.0
_LEAST_RATE = 1_000
_INPUT = "spectrogram"


def _understand(paths: Paths, options: Options) -> Understood:
    """One rate and one length for all sounds, from those of the training part.

    The rate is the most frequent one. The length is that which 95 % of the sounds do
    not exceed, 10 seconds at most, in whole steps of a spectrogram; longer sounds are
    cut at the end.
    """
    headers = {
        part: read_each(files, sound_header, "sounds") for part, files in paths.items()
    }
    every = [header for found in headers.values() for header in found]
    rate = _rate(headers["train"])
    samples = _samples(headers["train"], rate, options.seconds)
    reader = SoundReader(rate=rate, samples=samples)
    fit = LogMelFit(_INPUT, reader.name, rate, samples)
    frames, bands = fit.known_input().shape
    return Understood(
        reader.name,
        partial(_array, reader),
        {_INPUT: fit},
        reader,
        notes=(
            *_notes(reader, every),
            f"Networks read log-mel spectrograms of {frames} frames and {bands} bands.",
        ),
    )


def _rate(headers: Sequence[SoundHeader]) -> int:
    counts = Counter(header.rate for header in headers)
    rate = min(counts, key=lambda rate: (-counts[rate], rate))
    if rate < _LEAST_RATE:
        raise DataError(
            f"Sounds must have at least {_LEAST_RATE:,} samples a second, but most "
            f"have {rate:,}. Give other data in time as arrays of kind 'sequence'."
        )
    return rate


def _samples(headers: Sequence[SoundHeader], rate: int, seconds: float | None) -> int:
    step, least = step_of(rate), fft_length_of(rate)
    if seconds is not None:
        if not least / rate <= seconds < float("inf"):
            raise DataError(
                f"`seconds >= {least / rate:.3f}` must hold at {rate:,} samples a "
                f"second, but got seconds={seconds}."
            )
        return max(round(seconds * rate / step), -(-least // step)) * step
    lasting = float(np.percentile([h.seconds for h in headers], _PERCENTILE))
    exact = min(lasting, _MOST_SECONDS) * rate
    return -(-max(round(exact), least) // step) * step


def _notes(reader: SoundReader, headers: Sequence[SoundHeader]) -> list[str]:
    lasting = [header.seconds for header in headers]
    length = reader.samples / reader.rate
    longer = sum(seconds > length for seconds in lasting)
    notes = [
        f"Sounds last from {min(lasting):.2f} to {max(lasting):.2f} seconds; they are "
        f"brought to {length:.2f}: {longer:,} of {len(headers):,} are cut at the end, "
        "shorter ones padded with silence."
    ]
    others = sum(header.rate != reader.rate for header in headers)
    if others:
        notes.append(
            f"{others:,} of {len(headers):,} sounds are resampled to the most frequent "
            f"rate, {reader.rate:,} samples a second."
        )
    else:
        notes.append(f"All sounds have {reader.rate:,} samples a second.")
    return notes


def _array(reader: SoundReader, label: str, files: Sequence[Path]) -> RawArray:
    def take(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        chosen = [files[row] for row in rows.tolist()]
        taken = read_each(chosen, reader.array, "sounds")
        return np.array(taken, np.float32).reshape(len(rows), reader.samples)

    return RawArray.lazy(label, (len(files), reader.samples), np.float32, take)


SOUNDS = FolderKind(
    "sounds",
    SoundReader.suffixes,
    ("kind", "split_by", "seconds"),
    _understand,
)
