"""Small files of sentences and their translations, which follow one rule."""

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
