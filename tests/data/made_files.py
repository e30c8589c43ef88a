"""Small images, sounds and texts on disk, for tests of folders and of readers."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def write_image(
    path: Path, height: int = 6, width: int = 8, mode: str = "RGB", seed: int = 0
) -> Path:
    """An image of noise, in the format of the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"RGB": (3,), "RGBA": (4,), "CMYK": (4,), "LA": (2,)}.get(mode, ())
    shape = (height, width, *channels)
    numbers = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    if mode in ("P", "1"):
        Image.fromarray(numbers).convert(mode).save(path)
    elif mode == "I;16":
        Image.fromarray(numbers.astype(np.uint16) * 257).save(path)
    else:
        Image.fromarray(numbers, mode if mode == "CMYK" else None).save(path)
    return path


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WAV file of chunks."""
    body = b"".join(name + struct.pack("<I", len(b)) + b for name, b in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def wav_format(rate: int = 8000, bits: int = 16, channels: int = 1, tag: int = 1):
    """The chunk with the form of samples; `tag` 3 is for floats, 7 for mu-law."""
    align = channels * bits // 8
    numbers = (tag, channels, rate, rate * align, align, bits)
    return b"fmt ", struct.pack("<HHIIHH", *numbers)


def write_wav(path: Path, wave: Any, rate: int = 8000, bits: int = 16) -> Path:
    """A WAV file of a wave `(samples,)` or `(samples, channels)` from -1 to 1.

    Args:
        path: Where.
        wave: The samples.
        rate: Samples a second.
        bits: 8, 16, 24 or 32 a sample; 0 for 32-bit floats.
    """
    wave = np.asarray(wave)
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = 1 if wave.ndim == 1 else wave.shape[1]
    form = wav_format(rate, bits or 32, channels, 1 if bits else 3)
    path.write_bytes(riff(form, (b"data", _samples(wave, bits))))
    return path


def _samples(wave: np.ndarray, bits: int) -> bytes:
    if not bits:
        return wave.astype("<f4").tobytes()
    if bits == 8:
        return (wave * 128 + 128).clip(0, 255).astype("u1").tobytes()
    whole = (wave * 2.0 ** (bits - 1)).clip(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if bits == 24:
        rows = whole.astype("<i4").reshape(-1, 1).view("u1")[:, :3]
        return rows.tobytes()
    return whole.astype(f"<i{bits // 8}").tobytes()


def write_tree(root: Path, files: Mapping[str, str]) -> Path:
    """Files of texts by their path below a folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def tone(hertz: float, seconds: float = 0.3, rate: int = 8000) -> np.ndarray:
    """A sine of half the loudest amplitude."""
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate) / 2
