"""Small files of sentences and their translations, and of texts of made-up words."""

import random
from pathlib import Path

from data.made_tables import write_text

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ZAHLEN = ("eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")


def pair(number: int) -> tuple[str, str]:
    """A sentence of two numbers and a colour; no two of the first 243 are the same."""
    first, second, colour = number % 9, number // 9 % 9, number // 81 % 3
    english = ("red", "green", "blue")[colour]
    german = ("rote", "grüne", "blaue")[colour]
    return (
        f"{NUMBERS[first].title()} {english} cats and {NUMBERS[second]} dogs.",
        f"{ZAHLEN[first].title()} {german} Katzen und {ZAHLEN[second]} Hunde.",
    )


def pairs(path: Path, rows: int = 60, start: int = 0) -> Path:
    """A table of the columns en and de, separated by tabs."""
    lines = ["en\tde", *("\t".join(pair(start + row)) for row in range(rows))]
    return write_text(path, "\n".join(lines) + "\n")


def documents(number: int, words: int = 60) -> list[str]:
    """Texts of words that are made up, so many that there are 900 sub-words of them."""
    rng = random.Random(3)
    known = ["".join(rng.choices("abcdefghijklmnop", k=6)) for _ in range(400)]
    return [" ".join(rng.choices(known, k=words)) + "." for _ in range(number)]
