"""Word vectors of a text file, for the words that a network knows."""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kscale.errors import DataError, missing_path

Vectors = NDArray[np.float32]


def read_vectors(path: Path, words: Sequence[str], punctuation: bytes) -> Vectors:
    """Vectors of words, `(words, numbers)`, NaN where the file lacks a word.

    A line is a word and the word's numbers with spaces between them, as GloVe and
    fastText (`.vec`) write them; the file may be compressed with gzip. Of several lines
    of a word the first counts, before lines of the word in capitals or with
    punctuation. A first line of two whole numbers is fastText's, and says how many
    lines there are.

    Args:
        path: The file.
        words: In lower case and without punctuation.
        punctuation: What texts are read without.

    Raises:
        DataError: The file is not there, is no such file, or knows no word.
    """
    places = {word.encode(): place for place, word in enumerate(words)}
    exact: dict[int, bytes] = {}
    other: dict[int, bytes] = {}
    width = 0
    for number, line in enumerate(_lines(path), 1):
        word, _, rest = line.partition(b" ")
        if number == 1 and word.isdigit() and rest.strip().isdigit():
            continue
        values = rest.count(b" ") + 1 if rest else 0
        width = width or values
        if values != width:
            _check_words(path, number, line, width)
        elif word in places:
            exact.setdefault(places[word], rest)
        elif (plain := word.lower().translate(None, punctuation)) in places:
            other.setdefault(places[plain], rest)
    found = {**other, **exact}
    if not found:
        raise DataError(f"{path} has a vector of none of the {len(words):,} words.")
    table = np.full((len(words), width), np.nan, np.float32)
    for place, rest in found.items():
        try:
            table[place] = np.array(rest.split(b" "), np.float32)
        except ValueError as error:
            raise DataError(
                f"{path}: the vector of {words[place]!r} must be {width} numbers."
            ) from error
    return table


def _lines(path: Path) -> Iterator[bytes]:
    """Lines without their ends; empty lines are left out."""
    if not path.is_file():
        raise DataError(f"{missing_path(path)} Give another file of word vectors.")
    try:
        with path.open("rb") as plain:
            is_packed = plain.read(2) == b"\x1f\x8b"
        with gzip.open(path) if is_packed else path.open("rb") as file:
            yield from filter(None, map(bytes.rstrip, file))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error


def _check_words(path: Path, number: int, line: bytes, width: int) -> None:
    """Raise unless a line is longer for the spaces in its word, as a few of GloVe's."""
    *word, first = line.split(b" ")[:-width] or [b""]
    if not word or _is_number(first):
        values = line.count(b" ")
        raise DataError(
            f"{path}, line {number:,}: a word and {width} numbers must stand here, as "
            f"in the lines before, but {values:,} follow the first word."
        )


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
