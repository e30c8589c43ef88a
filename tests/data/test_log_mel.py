"""Log-mel spectrograms: what Keras' layer computes, in any batch, also of silence."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from data.made_files import tone

from kscale.data.preprocessing import preprocessings_from_json
from kscale.data.preprocessing.log_mel import (
    LogMel,
    LogMelFit,
    fft_length_of,
    step_of,
    window_of,
)
from kscale.ship.packaging import raw_tensors
from kscale.ship.preprocessing_layers import apply_layers

RATES = [8_000, 11_025, 16_000, 22_050, 44_100]
TOLERANCE = 1e-3  # of a standard deviation: float32, near silence


@cache
def waves(rate: int, frames: int = 40):
    """Chirps, loud and faint, with noise; the last one is silent, that before half."""
    rng = np.random.default_rng(rate)
    time = np.arange(frames * step_of(rate)) / rate
    pitches = rng.uniform(100, 3000, (12, 1))
    loudness = 10 ** rng.uniform(-3, 0, (12, 1))
    made = loudness * np.sin(2 * np.pi * pitches * time * (1 + time))
    made += rng.normal(0, 1e-4, made.shape)
    made[-2, len(time) // 2 :] = 0
    made[-1] = 0
    return made.astype(np.float32)


@cache
def fitted(rate: int) -> LogMel:
    sounds = waves(rate)
    return LogMelFit("spectrogram", "sound", rate, sounds.shape[1]).fit(
        {"sound": sounds}
    )[1]


def layers_of(mel: LogMel) -> Any:
    tensors = raw_tensors({"spectrogram": mel})
    outputs = apply_layers(mel, tensors, "spectrogram")
    return keras.Model(tensors["sound"], outputs)


def test_frames_after_the_sound_are_0_in_keras_layers_too() -> None:
    sounds, fit = waves(8000), LogMelFit("s", "sound", 8000, waves(8000).shape[1])
    mel = replace(fit, is_padded=True).fit({"sound": sounds})[1]

    found, wanted = (
        layers_of(mel).predict(sounds, verbose=0),
        mel.apply({"sound": sounds}),
    )

    np.testing.assert_allclose(found, wanted, atol=TOLERANCE)
    np.testing.assert_array_equal(found == 0, wanted == 0)
    assert (found[-1] == 0).all() and (found[-2, 23:] == 0).all()
    assert (found[:-1, :18] != 0).any(axis=-1).all()


@pytest.mark.parametrize("rate", RATES)
def test_keras_layers_give_the_same_spectrogram(rate: int) -> None:
    mel, sounds = fitted(rate), waves(rate)
    model = layers_of(mel)
    assert model.output_shape == (None, *mel.shape)
    made = mel.apply({"sound": sounds})
    assert made.dtype == np.float32 and made.shape == (12, *mel.shape)
    np.testing.assert_allclose(model(sounds), made, atol=TOLERANCE, rtol=0)


def test_saved_and_exported_layers_give_the_same_spectrogram(tmp_path: Path) -> None:
    mel, sounds = fitted(8000), waves(8000)
    model, made = layers_of(mel), mel.apply({"sound": sounds})
    model.save(tmp_path / "model.keras")
    loaded: Any = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(sounds), made, atol=TOLERANCE, rtol=0)
    model.export(tmp_path / "exported", verbose=False)
    served = tf.saved_model.load(tmp_path / "exported").serve(sounds)
    np.testing.assert_allclose(served, made, atol=TOLERANCE, rtol=0)


def test_a_spectrogram_does_not_depend_on_its_batch() -> None:
    mel, sounds = fitted(8000), waves(8000)
    made, model = mel.apply({"sound": sounds}), layers_of(mel)
    for row in (0, 11):
        single = sounds[row : row + 1]
        np.testing.assert_array_equal(mel.apply({"sound": single})[0], made[row])
        np.testing.assert_allclose(model(single)[0], made[row], atol=TOLERANCE, rtol=0)


def test_silence_is_a_finite_floor() -> None:
    mel, sounds = fitted(8000), waves(8000)
    assert (mel.decibels(sounds[-1:]) == 0).all()
    assert np.isfinite(mel.apply({"sound": sounds})).all()
    _, silent = LogMelFit("spectrogram", "sound", 8000, 800).fit(
        {"sound": np.zeros((10, 800), np.float32)}
    )
    assert (silent.apply({"sound": np.zeros((2, 800), np.float32)}) == 0).all()


@pytest.mark.parametrize("rate", RATES)
def test_each_band_hears_something_and_is_standardized(rate: int) -> None:
    mel, sounds = fitted(rate), waves(rate)
    noise = np.random.default_rng(0).normal(size=(1, sounds.shape[1]))
    assert (mel.powers(noise).max(axis=(0, 1)) > 0).all()
    made = mel.apply({"sound": sounds}).astype(np.float64)
    np.testing.assert_allclose(made.mean(axis=(0, 1)), 0, atol=1e-3)
    np.testing.assert_allclose(made.std(axis=(0, 1)), 1, atol=1e-3)


def test_loudness_of_all_recordings_does_not_change_what_is_learned() -> None:
    sounds = waves(8000)
    _, faint = LogMelFit("s", "sound", 8000, sounds.shape[1]).fit(
        {"sound": sounds / 64}
    )
    made = fitted(8000).apply({"sound": sounds})
    np.testing.assert_allclose(faint.apply({"sound": sounds / 64}), made, atol=1e-3)


def test_a_tone_is_in_the_band_of_its_pitch() -> None:
    mel = fitted(16_000)
    loud = mel.powers(tone(1000, 0.4, 16_000)[None, : mel.raw.shape[0]])
    edges = np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(8000 / 700), 42)
    centres = 700 * np.expm1(edges[1:-1] / 1127)
    band = int(loud.mean(axis=(0, 1)).argmax())
    assert band == np.abs(centres - 1000).argmin()


def test_windows_of_25_ms_every_10_ms() -> None:
    assert [(window_of(r), step_of(r), fft_length_of(r)) for r in (8_000, 16_000)] == [
        (200, 80, 256),
        (400, 160, 512),
    ]
    assert LogMelFit("s", "sound", 16_000, 16_000).known_input().shape == (101, 40)
    assert all(window_of(rate) % 2 == 0 for rate in RATES)


def test_frames_are_computed_some_at_a_time() -> None:
    mel = fitted(44_100)
    rows = [len(chunk) for chunk in mel.row_chunks(1000)]
    assert sum(rows) == 1000 and len(rows) > 10
    assert max(rows) * mel.shape[0] * mel.fft_length * 4 <= 2**24


def test_json_gives_the_same_back() -> None:
    mel = fitted(8000)
    assert preprocessings_from_json({"x": mel.to_json()}) == {"x": mel}
