"""Sounds as log-mel spectrograms: loudness by time and by pitch, as ears hear it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from kscale.data.example_rows import CHUNK_BYTES, Rows, spaced
from kscale.data.preprocessing.base import Fit, OfOneInput, Preprocessing, RawInput
from kscale.data.preprocessing.scaled import Scaling
from kscale.task.spectrograms import (
    USUAL_WINDOW,
    bands_of,
    fft_length_of,
    step_of,
    window_of,
)
from kscale.task.tasks import Input

LOWEST_HERTZ = 20.0
"""Where the first band begins: lower sounds cannot be heard."""

_LEAST_SHARE = 1e-8  # 80 dB below the loudest: the range of most such spectrograms
_LEAST_POWER = 1e-10  # if all sounds are silent
_MOST_FITTED = 4096

HEARD = 0.01
"""Decibels above `LogMel.least_power` that are more than rounding."""


@dataclass(frozen=True)
class LogMel(OfOneInput):
    """Decibels of mel bands, each band scaled to mean 0 and standard deviation 1.

    The numbers are those of `keras.layers.MelSpectrogram`, but for faint sounds: they
    are cut off at one power in all examples. The layer's `top_db` would make the
    spectrogram of a sound depend on the loudest sound of its batch.

    Args:
        raw: The waveform, `(samples,)`. Of the last step, if it is not whole, nothing
            is heard: only of whole steps the Keras layer gives the right number of
            frames.
        rate: Samples a second.
        window: Samples that a frame sees.
        step: Samples from one frame to the next.
        fft_length: Length of the Fourier transform, at least `window`.
        bands: Mel bands from `LOWEST_HERTZ` to half the rate.
        least_power: Power that is 0 dB; fainter sounds are 0 dB too.
        scaling: Of the decibels, a band at a time.
        is_padded: Whether frames after the last one in which something is heard are
            padding: 0 in all bands, and counted nowhere.
    """

    kind: ClassVar[str] = "log mel"

    rate: int
    window: int
    step: int
    fft_length: int
    bands: int
    least_power: float = _LEAST_POWER
    scaling: Scaling = Scaling()
    is_padded: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """`(frames, bands)` of the spectrogram."""
        return self.heard // self.step + 1, self.bands

    @property
    def heard(self) -> int:
        """Samples of whole steps."""
        return self.raw.shape[0] // self.step * self.step

    def variant(
        self, seen: Input, view: Mapping[str, int], train: Mapping[str, Rows]
    ) -> Preprocessing:
        fit = LogMelFit.of(seen, self.raw.name, view)
        return replace(fit, is_padded=self.is_padded).fit(train)[1]

    def apply(self, raw: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Scaled spectrograms, float32 `(examples, frames, bands)`."""
        waves = raw[self.raw.name]
        made = np.empty((len(waves), *self.shape), np.float32)
        for rows in self.row_chunks(len(waves)):
            decibels = self.decibels(waves[rows])
            counted = self.counted(decibels)[..., None]
            made[rows] = np.where(counted, self.scaling.apply(decibels), 0)
        return made

    def counted(self, decibels: NDArray[Any]) -> NDArray[np.bool_]:
        """True at frames that are no padding, `(examples, frames)`."""
        if not self.is_padded:
            return np.ones(decibels.shape[:2], np.bool_)
        backwards = decibels.max(axis=-1)[:, ::-1]
        later = np.maximum.accumulate(backwards, axis=1)[:, ::-1]
        return np.asarray(later > HEARD)

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
        waves = waves[:, : self.heard]
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

    Args:
        name: Of the input.
        raw_name: Of the waveform.
        rate: Samples a second.
        samples: Length of the waveform.
        window: Milliseconds that a frame sees.
        bands: Mel bands; 0 for as many as suit the rate.
        is_padded: As of `LogMel`.
    """

    name: str
    raw_name: str
    rate: int
    samples: int
    window: int = USUAL_WINDOW
    bands: int = 0
    is_padded: bool = False

    @classmethod
    def of(cls, seen: Input, raw_name: str, view: Mapping[str, int]) -> "LogMelFit":
        """What makes an input in a view of `kscale.networks.views`."""
        window = view.get("window", USUAL_WINDOW)
        return cls(seen.name, raw_name, seen.rate, seen.samples, window, seen.shape[1])

    def known_input(self) -> Input:
        return Input(
            self.name,
            "spectrogram",
            self._unfitted().shape,
            samples=self.samples,
            rate=self.rate,
        )

    def _unfitted(self) -> LogMel:
        return LogMel(
            RawInput(self.raw_name, (self.samples,)),
            self.rate,
            window_of(self.rate, self.window),
            step_of(self.rate, self.window),
            fft_length_of(self.rate, self.window),
            self.bands or bands_of(self.rate),
            is_padded=self.is_padded,
        )

    def fit(self, train: Mapping[str, Rows]) -> tuple[Input, LogMel]:
        """Loudest power, and mean and deviation of each band.

        Of a large training part some thousand examples are looked at, evenly spaced.
        """
        waves, mel = train[self.raw_name], self._unfitted()
        chosen = spaced(len(waves), _MOST_FITTED)
        chunks = [chosen[rows] for rows in mel.row_chunks(len(chosen))]
        loudest = max(float(mel.powers(waves[rows]).max()) for rows in chunks)
        least = loudest * _LEAST_SHARE if loudest else _LEAST_POWER
        mel = replace(mel, least_power=least)
        decibels = (mel.decibels(waves[rows]).astype(np.float64) for rows in chunks)
        frames = (d[mel.counted(d)] for d in decibels)
        sums = [(len(f), f.sum(axis=0), (f**2).sum(axis=0)) for f in frames]
        counts, *both = (np.sum(each, axis=0) for each in zip(*sums, strict=True))
        mean, square = (each / np.maximum(counts, 1) for each in both)
        spread = np.sqrt(np.maximum(0, square - mean**2))
        spread = np.where(spread < 1e-3, 1.0, spread)  # silence, in decibels
        scaling = Scaling.standardizing(mean, spread)
        return self.known_input(), replace(mel, scaling=scaling)
