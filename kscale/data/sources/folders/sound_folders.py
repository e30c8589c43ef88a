"""Folders of sounds: which rate and length a network hears."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from kscale.data.load_options import Options
from kscale.data.parts import PartName
from kscale.data.preprocessing.log_mel import LogMelFit, fft_length_of, step_of
from kscale.data.readers.sound_reader import SoundHeader, SoundReader, sound_header
from kscale.data.sources.folders.folder_kinds import FolderKind, Reading
from kscale.errors import DataError

_PERCENTILE = 95
_MOST_SECONDS = 10.0
_LEAST_RATE = 1_000
_INPUT = "spectrogram"


def _decide(
    headers: Mapping[PartName, Sequence[SoundHeader]], options: Options
) -> Reading:
    """One rate and one length for all sounds, from those of the training part.

    The rate is the most frequent one. The length is that which 95 % of the sounds do
    not exceed, 10 seconds at most, in whole steps of a spectrogram; longer sounds are
    cut at the end.
    """
    every = [header for found in headers.values() for header in found]
    rate = _rate(headers["train"])
    samples = _samples(headers["train"], rate, options.seconds)
    reader = SoundReader(rate=rate, samples=samples)
    fit = LogMelFit(_INPUT, reader.name, rate, samples)
    frames, bands = fit.known_input().shape
    read = f"Networks read log-mel spectrograms of {frames} frames and {bands} bands."
    return Reading(
        reader.name,
        (samples,),
        np.float32,
        reader.array,
        {_INPUT: fit},
        reader,
        (*_notes(reader, every), read),
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


SOUNDS = FolderKind(
    "sounds",
    SoundReader.suffixes,
    ("kind", "split_by", "seconds"),
    sound_header,
    _decide,
)
