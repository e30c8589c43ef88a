"""Text as ids of its words or characters, as `keras.layers.TextVectorization` does."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import Rows, chunks_of
from kscale.data.load_options import OF_WORDS, Options, at_least
from kscale.data.preprocessing.base import Fit, Preprocessing, RawInput
from kscale.data.word_vectors import Vectors, read_vectors
from kscale.errors import DataError
from kscale.task.tasks import Input

PADDING, UNKNOWN = 0, 1
_FIRST = 2  # id of the most frequent word

_MOST_IDS = 20_000
_LEAST_COUNT = 2
_MOST_LENGTH = 256
_SHARE = 0.95  # of the training texts that are read to their end
_PUNCTUATION = b"!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"
# Thai, Lao, Tibetan, Burmese, Khmer, Japanese and Chinese (Unicode 16, chapter 3.4
# names their blocks); Korean has spaces.
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u109f\u1780-\u17ff\u1950-\u19ff\u3005-\u3007\u3040-\u312f\u31a0-\u31ff"
    "\u3400-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff]"
)
_CHUNK_BYTES = 2**16  # of texts held at once, 16 each and what is longer


def words_of(text: str, by_characters: bool = False) -> list[bytes]:
    """The words of a text, or its characters: ASCII letters in lower case, and no ASCII
    punctuation.

    Bytes are compared, as in TensorFlow: other letters stay unchanged, and words end
    at ASCII spaces only.

    Example:

    >>> words_of("It's GOOD, ÄH?")
    [b'its', b'good', b'\\xc3\\x84h']
    """
    plain = text.encode().lower().translate(None, _PUNCTUATION)
    return [c.encode() for c in plain.decode()] if by_characters else plain.split()


def letters_without_spaces(text: str) -> int:
    """Letters of scripts that put no spaces between words.

    Example:

    >>> letters_without_spaces("iPhone 很好用"), letters_without_spaces("좋은 영화")
    (3, 0)
    """
    return 0 if text.isascii() else len(_WITHOUT_SPACES.findall(text))


@dataclass(frozen=True)
class TextTokens(Preprocessing):
    """Ids of the words of one text or of several joined: 0 padding, 1 unknown.

    Args:
        names: Raw inputs, joined with a space in this order.
        words: Known words, the most frequent first; their ids are 2, 3, ...
        length: Ids of a text; longer ones are cut at the end, shorter ones padded.
        by_characters: Whether each character is a word, spaces too.
        unsplit: Training texts in scripts without spaces, where words are read.
        vectors: Path of a file of word vectors; empty without one.
    """

    kind: ClassVar[str] = "text"

    names: tuple[str, ...]
    words: tuple[str, ...]
    length: int
    by_characters: bool = False
    unsplit: int = 0
    vectors: str = ""

    @property
    def raw_inputs(self) -> tuple[RawInput, ...]:
        return tuple(RawInput(name, (), "string") for name in self.names)

    @property
    def notes(self) -> tuple[str, ...]:
        says = "Texts are read by characters: their script has no spaces."
        notes = [says] if self.by_characters else []
        if (table := self.word_vectors) is not None:
            found = int(np.sum(~np.isnan(table[:, 0])))
            notes.append(
                f"Embeddings start from the {table.shape[1]} numbers a word of "
                f"{self.vectors}, which has {found:,} of {len(self.words):,} words; "
                "the others start at random."
            )
        return tuple(notes)

    @cached_property
    def word_vectors(self) -> Vectors | None:
        if not self.vectors:
            return None
        known = read_vectors(Path(self.vectors), self.words, _PUNCTUATION)
        unknown = np.full((_FIRST, known.shape[1]), np.nan, np.float32)
        return np.concatenate([unknown, known])

    @property
    def files(self) -> Mapping[str, bytes]:
        lines = (repr(word)[1:-1] if "\n" in word else word for word in self.words)
        return {"vocabulary.txt": "\n".join([*lines, ""]).encode()}

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        return {word.encode(): i for i, word in enumerate(self.words, _FIRST)}

    def apply(self, raw: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        texts = list(_joined(raw[name] for name in self.names))
        found = np.zeros((len(texts), self.length), np.int32)
        for row, text in zip(found, texts, strict=True):
            words = words_of(text, self.by_characters)[: self.length]
            row[: len(words)] = [self._ids.get(word, UNKNOWN) for word in words]
        return found


@dataclass(frozen=True)
class TextFit(Fit):
    """How text becomes ids: words of the training part, the most frequent first.

    Where letters of scripts without spaces outnumber the other words, each character is
    a word. Without a vocabulary there are 20,000 ids at most, of words that occur at
    least twice; without a length 95 % of the training texts are read to their end, and
    256 ids at most.
    """

    raw: tuple[str, ...]
    vocabulary: int | None = None
    length: int | None = None
    name: str = "tokens"
    vectors: str | None = None

    @classmethod
    def of(
        cls, raw: tuple[str, ...], options: Options, name: str = "tokens"
    ) -> "TextFit":
        """How options of loading want text, of raw inputs, to become ids."""
        chosen = {each: getattr(options, each) for each in OF_WORDS}
        return cls(raw, name=name, **chosen)

    def __post_init__(self) -> None:
        at_least(_FIRST + 1, "vocabulary", self.vocabulary)
        at_least(1, "length", self.length)

    def fit(self, train: Mapping[str, Rows]) -> tuple[Input, TextTokens]:
        surplus = [
            letters_without_spaces(text) - len(_WITHOUT_SPACES.sub(" ", text).split())
            for text in self._texts(train)
        ]
        by_characters = sum(surplus) > 0
        unsplit = 0 if by_characters else sum(more > 0 for more in surplus)
        counts: Counter[bytes] = Counter()
        lengths: list[int] = []
        for text in self._texts(train):
            found = words_of(text, by_characters)
            lengths.append(len(found))
            counts.update(found)
        if not counts:
            raise DataError("The texts of the training part hold no words.")
        # Words that are equally frequent stand in one order everywhere.
        order = sorted(counts, key=lambda word: (-counts[word], word))
        least = _LEAST_COUNT if self.vocabulary is None else 1
        frequent = [word for word in order if counts[word] >= least] or order
        most = (self.vocabulary or _MOST_IDS) - _FIRST
        words = tuple(word.decode() for word in frequent[:most])
        enough = int(np.quantile(lengths, _SHARE, method="inverted_cdf"))
        length = self.length or max(1, min(enough, _MOST_LENGTH))
        ids = len(words) + _FIRST
        path = str(Path(self.vectors).absolute()) if self.vectors else ""
        made = TextTokens(self.raw, words, length, by_characters, unsplit, path)
        item = Input(self.name, "tokens", (length,), ids, unknown=UNKNOWN)
        if made.word_vectors is not None:
            item = replace(item, vectors=made.word_vectors.shape[1])
        return item, made

    def _texts(self, train: Mapping[str, Rows]) -> Iterator[str]:
        pieces = [chunks_of(train[name], _CHUNK_BYTES) for name in self.raw]
        for columns in zip(*pieces, strict=True):
            yield from _joined(columns)


def _joined(columns: Iterable[NDArray[Any]]) -> Iterator[str]:
    """Of each row, its texts with a space between them."""
    return map(" ".join, zip(*(each.tolist() for each in columns), strict=True))
