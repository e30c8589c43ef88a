"""WAV files: how they are read, and which rate and length a network hears."""

import struct
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kscale.data.examples import Example
from kscale.data.load_options import Options
from kscale.data.parts import PartName
from kscale.data.preprocessing.log_mel import LogMelFit
from kscale.data.readers.file_reader import FileReader, FolderKind, Reading, unreadable
from kscale.errors import DataError
from kscale.task.spectrograms import fft_length_of, step_of


class SoundHeader(NamedTuple):
    """Rate and number of samples of a sound file."""

    rate: int
    samples: int

    @property
    def seconds(self) -> float:
        return self.samples / self.rate


@dataclass(frozen=True)
class SoundReader(FileReader):
    """Sounds of one channel, from -1 to 1, all of one rate and length.

    Channels are averaged. Longer sounds are cut at the end, shorter ones padded there
    with silence, as `keras.utils.audio_dataset_from_directory` does.

    Args:
        rate: Samples a second; sounds of another rate are resampled.
        samples: Length that sounds are brought to.
        is_whole: Whether all of a sound counts, so that a cut is told.
    """

    kind: ClassVar[str] = "sounds"
    dtype: ClassVar[Any] = np.float32
    suffixes: ClassVar[tuple[str, ...]] = (".wav",)

    name: str = "sound"
    rate: int = 16_000
    samples: int = 16_000
    is_whole: bool = False

    def readable(self, path: Path) -> Iterator[Example]:
        for example in super().readable(path):
            lasting, read = sound_header(path).seconds, self.samples / self.rate
            is_cut = self.is_whole and lasting > read + _LEAST_CUT
            says = f"{path} lasts {lasting:.1f} seconds, of which {read:.1f} are read."
            note = says if is_cut else self.is_whole and _missing(path)
            yield replace(example, notes={self.name: note} if note else {})

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.samples,)

    def array(self, path: Path) -> NDArray[Any]:
        """The waveform, float32 `(samples,)`."""
        rate, given = _read(path)
        # Samples that are cut off are not read, but for those that resampling needs.
        wave = _mono(given[: -(-self.samples * rate // self.rate) + rate // 10])
        if not np.isfinite(wave).all():
            raise DataError(f"{path} holds missing or infinite samples. Remove it.")
        if rate != self.rate:
            from scipy.signal import resample_poly

            shared = gcd(rate, self.rate)
            wave = resample_poly(wave, self.rate // shared, rate // shared)
        whole = np.zeros(self.samples, np.float32)
        whole[: len(wave)] = wave[: self.samples]
        return whole


def sound_header(path: Path) -> SoundHeader:
    """The header of a WAV file; samples are not read where they can be mapped."""
    rate, samples = _read(path)
    return SoundHeader(rate, len(samples))


def heard_seconds(path: Path) -> float:
    """Seconds of a WAV file up to the last sample that is not 0."""
    rate, samples = _read(path)
    silence = 128 if samples.dtype.kind == "u" else 0
    for end in range(len(samples), 0, -_SAMPLES_AT_ONCE):
        start = max(0, end - _SAMPLES_AT_ONCE)
        block = samples[start:end].reshape(end - start, -1)
        held = np.flatnonzero((block != silence).any(axis=1))
        if len(held):
            return float(start + held[-1] + 1) / rate
    return 0.0


def check_whole(path: Path) -> None:
    """Refuse a WAV file that ends before the size that its header promises."""
    if missing := _missing(path):
        raise DataError(missing)


def _missing(path: Path) -> str:
    """The sentence on a WAV file shorter than its header promises, or no text.

    Programs that write to a pipe promise the most there can be. Some promise 8 bytes
    more than there are.
    """
    with path.open("rb") as file:
        head = file.read(8)
    held, promised = path.stat().st_size, int.from_bytes(head[4:], "little")
    if not head.startswith(b"RIFF") or not held < promised < _UNKNOWN_SIZE:
        return ""
    return f"{path} is cut short: it has {held:,} of {promised + 8:,} bytes."


_SAMPLES_AT_ONCE = 2**16
_UNKNOWN_SIZE = 2**31 - 2**16
_BROKEN = (OSError, ValueError, EOFError, TypeError, ZeroDivisionError, struct.error)
_REASONS = {
    "reshape": "it ends within a sample",
    "wave file format": "its samples are compressed",
    "local variable": "it has no samples",  # SciPy found no chunk of them
    "no samples": "it has no samples",
    "no rate": "its rate is 0",
}


def _read(path: Path) -> tuple[int, NDArray[Any]]:
    """Rate and samples, which are mapped where they can be."""
    from scipy.io import wavfile

    with warnings.catch_warnings():
        # Chunks of other programs; and files cut short, which are read to their end.
        warnings.simplefilter("ignore", wavfile.WavFileWarning)
        try:
            try:
                rate, samples = wavfile.read(path, mmap=True)
            except ValueError:  # 24 bits cannot be mapped; damaged files fail again
                rate, samples = wavfile.read(path)
            if not len(samples) or rate < 1:
                raise ValueError("no rate" if len(samples) else "no samples")
        except (*_BROKEN, UnboundLocalError) as error:
            raise unreadable(path, "a WAV file", error, _REASONS) from error
    return rate, samples


def _mono(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Samples of all channels from -1 to 1, averaged."""
    wave = samples.astype(np.float64)
    if samples.dtype.kind == "u":  # 8 bits are stored from 0
        wave = (wave - 128) / 128
    elif samples.dtype.kind == "i":
        wave = wave / 2.0 ** (8 * samples.dtype.itemsize - 1)
    if wave.ndim > 1:
        wave = wave.mean(axis=1)
    return wave.astype(np.float32)


_LEAST_CUT = 0.05  # seconds
_PERCENTILE = 95
_MOST_SECONDS = 10.0
_LEAST_RATE = 1_000


def _decide(
    headers: Mapping[PartName, Sequence[SoundHeader]], options: Options
) -> Reading:
    """The rate and the length of all sounds, decided by the training part.

    The rate is the most frequent one. The length is that which 95 % of the sounds do
    not exceed, 10 seconds at most, in whole steps of a spectrogram; longer sounds are
    cut at the end.
    """
    every = [header for found in headers.values() for header in found]
    rate = usual_rate(headers["train"])
    lasting = float(np.percentile([h.seconds for h in headers["train"]], _PERCENTILE))
    usual = min(lasting, _MOST_SECONDS)
    return reading_of(every, rate, samples_for(rate, options.seconds, usual))


def usual_rate(headers: Sequence[SoundHeader]) -> int:
    """The most frequent rate."""
    counts = Counter(header.rate for header in headers)
    rate = min(counts, key=lambda rate: (-counts[rate], rate))
    if rate < _LEAST_RATE:
        raise DataError(
            f"Sounds must have at least {_LEAST_RATE:,} samples a second, but most "
            f"have {rate:,}. Give other data in time as arrays of kind 'sequence'."
        )
    return rate


def reading_of(
    headers: Sequence[SoundHeader], rate: int, samples: int, is_padded: bool = False
) -> Reading:
    """How sounds of one rate and length are read; with `is_padded` silence at the end
    is padding, which counts nowhere."""
    reader = SoundReader(rate=rate, samples=samples, is_whole=is_padded)
    fit = LogMelFit("spectrogram", reader.name, rate, samples, is_padded=is_padded)
    frames, bands = fit.known_input().shape
    read = f"Networks read log-mel spectrograms of {frames} frames and {bands} bands."
    return Reading(reader, fit, [*_notes(reader, headers), read])


def samples_for(rate: int, seconds: float | None, usual: float) -> int:
    """Samples of so many seconds, or of the usual length, in steps of a spectrogram."""
    step, least = step_of(rate), fft_length_of(rate)
    if seconds is not None:
        if not least / rate <= seconds < float("inf"):
            raise DataError(
                f"`seconds >= {least / rate:.3f}` must hold at {rate:,} samples a "
                f"second, but got seconds={seconds}."
            )
        return max(round(seconds * rate / step), -(-least // step)) * step
    return -(-max(round(usual * rate), least) // step) * step


def _notes(reader: SoundReader, headers: Sequence[SoundHeader]) -> Iterator[str]:
    lasting = [header.seconds for header in headers]
    length = reader.samples / reader.rate
    longer = sum(seconds > length for seconds in lasting)
    brought = (
        f"brought to {length:.2f}: {longer:,} of {len(headers):,} are cut at the end, "
        "shorter ones padded with silence"
    )
    if reader.is_whole:
        brought = f"padded with silence to {length:.2f}"
    yield (
        f"Sounds last from {min(lasting):.2f} to {max(lasting):.2f} seconds; they are "
        f"{brought}."
    )
    others = sum(header.rate != reader.rate for header in headers)
    resampled = f"{others:,} of {len(headers):,} sounds are resampled to the most"
    sounds = f"{resampled} frequent rate," if others else "All sounds have"
    yield f"{sounds} {reader.rate:,} samples a second."


SOUNDS = FolderKind(
    "sounds",
    SoundReader.suffixes,
    ("kind", "split_by", "seconds"),
    sound_header,
    _decide,
)
