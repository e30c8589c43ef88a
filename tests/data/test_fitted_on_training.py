"""What is fitted is fitted to the training part: other parts do not change it."""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import wavfile

from kscale.data.loading import load_dataset

RNG = np.random.default_rng(0)


def write_rows(path: Path, words: str, count: int) -> None:
    rows = [f"{words} number {i} and more,{'ab'[i % 2]}" for i in range(count)]
    path.write_text("\n".join(["text,label", *rows]) + "\n")


def test_words_of_other_parts_have_no_id_and_no_length(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.csv", "a fine film", 40)
    write_rows(tmp_path / "test.csv", "quite secret words " * 9, 40)
    data = load_dataset(tmp_path)
    text = data.preprocessing["tokens"]
    assert "film" in text.words and not {"quite", "secret"} & {*text.words}
    assert data.task.inputs[0].shape == (7,)


def test_columns_are_scaled_as_the_training_part_is(tmp_path: Path) -> None:
    for part, shift in (("train", 0.0), ("test", 1e6)):
        rows = [f"{i % 7 + shift},{'ab'[i % 2]}" for i in range(42)]
        (tmp_path / f"{part}.csv").write_text("\n".join(["x,label", *rows]) + "\n")
    data = load_dataset(tmp_path)
    assert np.abs(data.train.inputs["columns"][:]).max() < 3
    assert data.test.inputs["columns"][:].min() > 1e5


def test_images_have_the_size_of_those_of_training(tmp_path: Path) -> None:
    for part, side in (("train", 16), ("test", 64)):
        for i in range(24):
            path = tmp_path / part / "ab"[i % 2] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = RNG.integers(0, 255, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
    assert load_dataset(tmp_path).task.inputs[0].shape == (16, 16, 1)


def test_sounds_have_the_length_and_loudness_of_those_of_training(
    tmp_path: Path,
) -> None:
    for part, samples, loud in (("train", 2400, 300), ("test", 8000, 20000)):
        for i in range(24):
            path = tmp_path / part / "ab"[i % 2] / f"{i}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            wave = RNG.normal(0, loud / 3, samples).clip(-loud, loud)
            wavfile.write(path, 8000, wave.astype(np.int16))
    data = load_dataset(tmp_path)
    assert data.task.inputs[0].shape == (31, 40)
    train, test = (part.inputs["spectrogram"][:] for part in (data.train, data.test))
    assert abs(train.mean()) < 0.1 and test.mean() > 1
