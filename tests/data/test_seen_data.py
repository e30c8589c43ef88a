"""Views of data sets: what is made, once, of images and of sounds, and is the same from
memory, from disk and in another process."""

from pathlib import Path

import numpy as np
import pytest
from data.made_files import tone, write_wav

from kscale import load_dataset
from kscale.data.dataset import Dataset
from kscale.data.stored import open_dataset, store_dataset
from kscale.errors import DataError
from kscale.networks.families import find_family

RNG = np.random.default_rng(5)
PIXELS = RNG.integers(0, 256, (40, 8, 12, 3), dtype=np.uint8)
LABELS = np.arange(40) % 2


def spec_of(**knobs: int):
    return find_family("cnn").spec(**knobs)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sounds")
    for label, hertz in (("low", 300), ("high", 900)):
        for number in range(12):
            wave = tone(hertz + 10 * number, 0.2) + RNG.normal(0, 0.01, 1600)
            write_wav(root / label / f"{number}.wav", wave)
    return root


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_pixel_of_a_smaller_image_is_the_mean_of_its_area(dtype: str) -> None:
    data = load_dataset((PIXELS.astype(dtype), LABELS))
    seen = data.seen_by(spec_of(image_size=4))
    assert seen.task.inputs[0].shape == (4, 6, 3)
    for name, part in seen.parts.items():
        whole = data.parts[name].inputs["x"][:]
        means = whole.reshape(-1, 4, 2, 6, 2, 3).mean(axis=(2, 4))
        np.testing.assert_allclose(part.inputs["x"], means, atol=1e-5)
        assert part.targets is data.parts[name].targets


def test_views_are_made_once_and_only_where_something_is_left_out() -> None:
    data = load_dataset((PIXELS, LABELS))
    assert data.seen_by(spec_of()) is data
    assert data.seen_by(spec_of(image_size=8)) is data
    seen = data.seen_by(spec_of(image_size=4))
    assert data.seen_by(spec_of(image_size=4, depth=1)) is seen
    assert data.seen_by(spec_of(image_size=6)) is not seen


def test_what_is_streamed_has_the_same_views(sounds: Path, tmp_path: Path) -> None:
    pixels = tmp_path / "pixels.npz"
    np.savez(pixels, x=PIXELS, y=LABELS)
    for source, knobs in ((pixels, {"image_size": 6}), (sounds, {"window": 50})):
        held = load_dataset(source).seen_by(spec_of(**knobs))
        streamed = load_dataset(source, memory=1).seen_by(spec_of(**knobs))
        assert streamed.preprocessing == held.preprocessing
        for name, part in held.parts.items():
            (given,) = streamed.parts[name].inputs.values()
            (wanted,) = part.inputs.values()
            assert isinstance(wanted, np.ndarray)
            assert not isinstance(given, np.ndarray)
            np.testing.assert_array_equal(given[:], wanted)


def mean_and_spread(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    rows = data.train.inputs["spectrogram"][:].astype(float)
    return rows.mean(axis=(0, 1)), rows.std(axis=(0, 1))


def test_sounds_are_heard_anew_and_scaled_on_the_training_part(sounds: Path) -> None:
    data = load_dataset(sounds)
    assert data.task.inputs[0].shape == (21, 40)
    seen = data.seen_by(spec_of(window=50, mel_bands=20))
    assert seen.task.inputs[0].shape == (11, 20)
    mean, spread = mean_and_spread(seen)
    np.testing.assert_allclose(mean, 0, atol=1e-4)
    np.testing.assert_allclose(spread, 1, atol=1e-3)
    raw = {name: rows[:] for name, rows in data.test.raw.items()}
    made = seen.preprocessing["spectrogram"].apply(raw)
    np.testing.assert_array_equal(made, seen.test.inputs["spectrogram"])


def test_another_process_has_the_same_views(sounds: Path, tmp_path: Path) -> None:
    data, spec = load_dataset(sounds), spec_of(mel_bands=10)
    store_dataset(data, tmp_path)
    found, wanted = open_dataset(tmp_path).seen_by(spec), data.seen_by(spec)
    assert found.preprocessing == wanted.preprocessing
    for name, part in wanted.parts.items():
        for key, rows in part.inputs.items():
            np.testing.assert_array_equal(found.parts[name].inputs[key][:], rows[:])


def test_a_sound_that_is_gone_is_named(tmp_path: Path) -> None:
    for number in range(20):
        write_wav(tmp_path / "ab"[number % 2] / f"{number}.wav", tone(440, 0.1))
    data = load_dataset(tmp_path)
    for path in tmp_path.glob("*/*.wav"):
        path.unlink()
    with pytest.raises(DataError, match=r"\.wav cannot be read as a WAV file: No such"):
        data.seen_by(spec_of(mel_bands=10))
