"""Sounds of WAV files: every format as one wave, in one rate and length."""

from pathlib import Path

import numpy as np
import pytest
from data.made_files import riff, tone, wav_format, write_wav

from kscale.data.readers import SoundReader, reader_from_json
from kscale.data.readers.sound_files import SoundHeader, sound_header
from kscale.errors import DataError

WAVE = tone(440, 0.1)
READER = SoundReader(rate=8000, samples=800)


@pytest.mark.parametrize(
    ("bits", "error"), [(8, 2**-7), (16, 2**-15), (24, 2**-22), (32, 1e-7), (0, 1e-7)]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_gives_the_wave(
    tmp_path: Path, bits: int, error: float, channels: int
) -> None:
    wave = WAVE if channels == 1 else np.stack([WAVE * 1.5, WAVE * 0.5], axis=1)
    path = write_wav(tmp_path / "a.wav", wave, bits=bits)
    found = READER.array(path)
    assert found.dtype == np.float32 and np.abs(found - WAVE).max() <= error
    assert sound_header(path) == SoundHeader(8000, 800)


def test_longer_sounds_are_cut_and_shorter_ones_padded_at_the_end(
    tmp_path: Path,
) -> None:
    path = write_wav(tmp_path / "a.wav", WAVE, bits=0)
    np.testing.assert_allclose(SoundReader("sound", 8000, 500).array(path), WAVE[:500])
    padded = SoundReader("sound", 8000, 900).array(path)
    np.testing.assert_allclose(padded[:800], WAVE)
    assert (padded[800:] == 0).all()


@pytest.mark.parametrize("rate", [4000, 11_025, 48_000])
def test_another_rate_is_resampled(tmp_path: Path, rate: int) -> None:
    path = write_wav(tmp_path / "a.wav", tone(440, 0.1, rate), rate, bits=0)
    assert sound_header(path).seconds == pytest.approx(0.1, rel=1e-2)
    inside = slice(80, 700)  # the filter rings at both ends
    assert np.abs(READER.array(path) - WAVE)[inside].max() < 5e-3


def test_a_cut_sound_does_not_ring_where_it_is_cut(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(440, 3.0, 11_025), 11_025, bits=0)
    assert np.abs(READER.array(path) - WAVE)[80:].max() < 1e-3


def test_chunks_of_other_programs_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = (b"data", np.arange(800, dtype="<i2").tobytes())
    path.write_bytes(riff((b"bext", b"abcd"), wav_format(), samples, (b"id3 ", b"ab")))
    np.testing.assert_allclose(READER.array(path), np.arange(800) / 2**15)


SAMPLES = (b"data", bytes(1600))
BAD = {
    "empty": (b"", "it is empty"),
    "text": (b"no sound at all", "of an unknown form"),
    "mp3": (b"ID3" + bytes(99), "of an unknown form"),
    "header only": (riff(wav_format()), "it has no samples"),
    "no samples": (riff(wav_format(), (b"data", b"")), "it has no samples"),
    "cut header": (riff(wav_format(), SAMPLES)[:30], "it is damaged or of an"),
    "no format": (riff(SAMPLES), "it is damaged"),
    "no channels": (riff(wav_format(channels=0), SAMPLES), "it is damaged or of an"),
    "no rate": (riff(wav_format(rate=0), SAMPLES), "its rate is 0"),
    "half a sample": (riff(wav_format(bits=24), (b"data", bytes(10))), "it ends with"),
    "mu-law": (riff(wav_format(bits=8, tag=7), SAMPLES), "its samples are compressed"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_damaged_sound_names_the_file(tmp_path: Path, case: str) -> None:
    data, reason = BAD[case]
    path = tmp_path / "broken.wav"
    path.write_bytes(data)
    match = f"broken.wav cannot be read as a WAV file: .*{reason}.* Mend or remove it.$"
    for read in (sound_header, READER.array):
        with pytest.raises(DataError, match=match):
            read(path)
    (example,) = READER.examples(path)
    assert example.raw is None and reason in example.error


def test_samples_that_are_no_numbers_are_reported(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.full(800, np.nan), bits=0)
    with pytest.raises(DataError, match="a.wav holds missing or infinite samples"):
        READER.array(path)


def test_a_file_is_an_example(tmp_path: Path) -> None:
    reader = reader_from_json(READER.to_json())
    assert reader == READER
    (example,) = reader.examples(write_wav(tmp_path / "a.wav", WAVE, bits=0))
    np.testing.assert_allclose(example.raw["sound"], WAVE)
