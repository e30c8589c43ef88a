"""Sounds as log-mel spectrograms: loudness by time and by pitch, as ears hear it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from kscale.data.example_rows import CHUNK_BYTES, Rows
from kscale.data.preprocessing.base import Fit, OfOneInput, RawInput
from kscale.data.preprocessing.scaled import Scaling
from kscale.task.tasks import Input

LOWEST_HERTZ = 20.0
"""Where the first band begins: lower sounds cannot be heard."""

# Sainath & Parada 2015, section 2: 40 log-mel bands of 25 ms windows every 10 ms. Above
# 16 kHz, where there is more to hear, 64: Kong et al. 2020 (PANNs), section III.
_WINDOW_SECONDS = 0.025
_STEPS_A_SECOND = 100
_BANDS = 40
_WIDE_BANDS = 64
_WIDE_RATE = 16_000

_LEAST_SHARE = 1e-8  # 80 dB below the loudest: the range of most such spectrograms
_LEAST_POWER = 1e-10  # if all sounds are silent
_MOST_FITTED = 4096


def step_of(rate: int) -> int:
    """Samples from one frame to the next, at a rate in samples a second."""
    return max(1, round(rate / _STEPS_A_SECOND))


def window_of(rate: int) -> int:
    """Samples that a frame sees, an even number: windows of odd length differ."""
    return 2 * max(1, round(rate * _WINDOW_SECONDS / 2))


def fft_length_of(rate: int) -> int:
    """Length of the Fourier transform: the next power of two."""
    return 1 << (window_of(rate) - 1).bit_length()


@dataclass(frozen=True)
class LogMel(OfOneInput):
    """Decibels of mel bands, each band scaled to mean 0 and standard deviation 1.

    The numbers are those of `keras.layers.MelSpectrogram`, but for faint sounds: they
    are cut off at one power in all examples. The layer's `top_db` would make the
    spectrogram of a sound depend on the loudest sound of its batch.

    Args:
        raw: The waveform, `(samples,)`; the samples are whole steps, for only then does
            the Keras layer give the right number of frames.
        rate: Samples a second.
        window: Samples that a frame sees.
        step: Samples from one frame to the next.
        fft_length: Length of the Fourier transform, at least `window`.
        bands: Mel bands from `LOWEST_HERTZ` to half the rate.
        least_power: Power that is 0 dB; fainter sounds are 0 dB too.
        scaling: Of the decibels, a band at a time.
    """

    kind: ClassVar[str] = "log mel"

    rate: int
    window: int
    step: int
    fft_length: int
    bands: int
    least_power: float = _LEAST_POWER
    scaling: Scaling = Scaling()

    @property
    def shape(self) -> tuple[int, int]:
        """`(frames, bands)` of the spectrogram."""
        return self.raw.shape[0] // self.step + 1, self.bands

    def apply(self, raw: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Scaled spectrograms, float32 `(examples, frames, bands)`."""
        waves = raw[self.raw.name]
        made = np.empty((len(waves), *self.shape), np.float32)
        for rows in self.row_chunks(len(waves)):
            made[rows] = self.scaling.apply(self.decibels(waves[rows]))
        return made

    def row_chunks(self, count: int) -> Iterator[NDArray[np.int64]]:
        """Indices of some examples at a time, whose frames are of a bounded size."""
        step = max(1, CHUNK_BYTES // (4 * self.shape[0] * self.fft_length))
        for start in range(0, count, step):
            yield np.arange(start, min(start + step, count))

    def decibels(self, waves: NDArray[Any]) -> NDArray[np.float32]:
        """Spectrograms before they are scaled, from 0 dB on."""
        audible = np.maximum(self.powers(waves), np.float32(self.least_power))
        decibels = 10 * np.log10(audible / np.float32(self.least_power))
        return np.asarray(decibels, np.float32)

    def powers(self, waves: NDArray[Any]) -> NDArray[np.float32]:
        """Power in each band, `(examples, frames, bands)`."""
        half = self.fft_length // 2
        padded = np.pad(waves.astype(np.float32), ((0, 0), (half, half)), "reflect")
        unseen = (self.fft_length - self.window) // 2
        inside = padded[:, unseen : padded.shape[1] - unseen]
        frames = sliding_window_view(inside, self.window, axis=1)[:, :: self.step]
        hann = np.hanning(self.window + 1)[:-1].astype(np.float32)
        spectrum = np.fft.rfft(frames * hann, self.fft_length)
        power = spectrum.real**2 + spectrum.imag**2
        weights = _mel_weights(self.rate, self.fft_length // 2 + 1, self.bands)
        return np.asarray(power @ weights, np.float32)


def _mel_weights(rate: int, bins: int, bands: int) -> NDArray[np.float32]:
    """Triangles of the mel scale, `(bins, bands)`, each with the peak 1."""
    edges = np.linspace(_mel(LOWEST_HERTZ), _mel(rate / 2), bands + 2)
    found = _mel(np.linspace(0, rate / 2, bins))[:, None]
    rising = (found - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - found) / np.diff(edges)[1:]
    weights = np.maximum(0, np.minimum(rising, falling))
    weights[0] = 0  # as Keras does, after HTK: no constant offset
    return np.asarray(weights, np.float32)


def _mel(hertz: Any) -> Any:
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)


@dataclass(frozen=True)
class LogMelFit(Fit):
    """Waveforms of `rate` samples a second as log-mel spectrograms.

    The samples of a sound are whole steps of `step_of(rate)`.
    """

    name: str
    raw_name: str
    rate: int
    samples: int

    def known_input(self) -> Input:
        return Input(self.name, "spectrogram", self._unfitted().shape)

    def _unfitted(self) -> LogMel:
        return LogMel(
            RawInput(self.raw_name, (self.samples,)),
            self.rate,
            window_of(self.rate),
            step_of(self.rate),
            fft_length_of(self.rate),
            _BANDS if self.rate <= _WIDE_RATE else _WIDE_BANDS,
        )

    def fit(self, train: Mapping[str, Rows]) -> tuple[Input, LogMel]:
        """Loudest power, and mean and deviation of each band.

        Of a large training part some thousand examples are looked at, evenly spaced.
        """
        waves, mel = train[self.raw_name], self._unfitted()
        count = min(len(waves), _MOST_FITTED)
        chosen = np.arange(count) * len(waves) // count
        chunks = [chosen[rows] for rows in mel.row_chunks(count)]
        loudest = max(float(mel.powers(waves[rows]).max()) for rows in chunks)
        least = loudest * _LEAST_SHARE if loudest else _LEAST_POWER
        mel = replace(mel, least_power=least)
        decibels = (mel.decibels(waves[rows]).astype(np.float64) for rows in chunks)
        sums = [(d.sum(axis=(0, 1)), (d**2).sum(axis=(0, 1))) for d in decibels]
        mean, square = np.sum(sums, axis=0) / (count * mel.shape[0])
        spread = np.sqrt(np.maximum(0, square - mean**2))
        spread = np.where(spread < 1e-3, 1.0, spread)  # silence, in decibels
        scaling = Scaling.standardizing(mean, spread)
        return self.known_input(), replace(mel, scaling=scaling)
