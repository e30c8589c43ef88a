"""Speech for tests: each letter is a tone, each space a pause."""

import csv
from pathlib import Path

import numpy as np
from data.made_files import tone, write_wav

TONES = {"a": 400.0, "b": 800.0, "c": 1600.0, " ": 0.0}


def spoken(text: str, seconds: float = 0.08) -> np.ndarray:
    """A text as a wave: neighbouring letters that are the same have a gap."""
    gap = np.zeros(160)
    parts = [part for c in text for part in (tone(TONES[c], seconds), gap)]
    noise = np.random.default_rng(len(text)).normal(0, 1e-3, sum(map(len, parts)))
    return np.concatenate(parts) + noise


def random_texts(count: int, seed: int = 0) -> list[str]:
    draw = np.random.default_rng(seed)
    words = ["ab", "c", "ba", "cc", "abc"]
    return [" ".join(draw.choice(words, draw.integers(1, 4))) for _ in range(count)]


def write_speech(folder: Path, texts: list[str], name: str = "talk.csv") -> Path:
    """A table of the texts, and their sounds in a folder beside it."""
    stem = name.removesuffix(".csv")
    with (folder / name).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["wav", "text", "speaker"])
        for number, text in enumerate(texts):
            path = Path(f"{stem}_sounds") / f"{number}.wav"
            (folder / path).parent.mkdir(exist_ok=True)
            write_wav(folder / path, spoken(text.lower().strip()))
            table.writerow([path, text, f"s{number % 7}"])
    return folder / name
